"""The projects that the smoke checks run: this package's own, which need nobody's set-up."""

from __future__ import annotations

from pathlib import Path

from elt_env.runtime.input_files import read_text

_HERE = Path(__file__).resolve().parent
# In the source tree they lie beside the package; the wheel has them in it.
_SHIPPED = (_HERE / "projects", _HERE.parents[1])
# How a project directory of the same name is known to be one of these, changed by a person.
_MARKS = {
    "dbt_project": ("dbt_project.yml", "name: elt_locks"),
    "meltano": ("meltano.yml", "load_lock"),
}


def smoke_project(root: Path, name: str) -> Path:
    """Return the directory of the smoke project `name`: that of the project at `root`, or ours.

    Any other dbt or Meltano project in a directory of that name is left alone: it knows nothing of
    the rows of a lock.
    """
    places = (root, *_SHIPPED)
    return next((each / name for each in places if _is_ours(each / name)), root / name)


def _is_ours(project: Path) -> bool:
    file, mark = _MARKS[project.name]
    try:
        return mark in read_text(project / file)
    except (OSError, UnicodeDecodeError):
        return False
