"""Files of other tools that say what is asked for, each read by its format.

They are `pyproject.toml` (PEP 621; the tables of Poetry, uv, conda-lock and pixi), `pixi.toml`,
`Pipfile`, `setup.py`, requirements files, and what `conda list --export` writes. What stands in
groups, extras and features is left out, and told.
"""

from __future__ import annotations

from dataclasses import replace
from fnmatch import fnmatch

from elt_env.errors import SpecError
from elt_env.spec.foreign import pipfile, pixi, pyproject, setup_py
from elt_env.spec.foreign.setup_py import SETUP_FILE
from elt_env.spec.foreign.told import Asked, Told, TomlFile

_SPECS = ("pyproject.toml", "pixi.toml", "Pipfile", SETUP_FILE, "*.txt", "*.in")
_PINNED = "requirements*.lock"  # of Rye: versions without hashes
_CONDA_LIST = "conda create --name <env> --file <this file>"
_LOCKS = ("*.lock", "*conda-lock*.y*ml", "pylock*.toml")


def is_foreign(name: str) -> bool:
    """Tell whether a file's name is one of another tool's."""
    base = name.rpartition("/")[2]
    return any(fnmatch(base, each) for each in (*_SPECS, *_LOCKS))


def tell(text: str, source: str) -> Told:
    """Return what a file asks for.

    Args:
        text: its content.
        source: its name, which tells its format.

    Raises:
        SpecError: it is a lock, or asks for nothing.
        FaultsError: it is not TOML.
    """
    base = source.rpartition("/")[2]
    is_pinned = fnmatch(base, _PINNED) and "--hash" not in text
    is_lock = any(fnmatch(base, each) for each in _LOCKS) or text.startswith("@EXPLICIT")
    is_lock = is_lock and not is_pinned
    if is_lock or "\n@EXPLICIT" in text:
        raise SpecError(
            f"{source} is a lock: what a tool chose, and not what was asked for.",
            f"Start from it as it is: elt-env adopt {source} --as NAME@3.11",
        )
    if is_conda_list(text):
        return _listed(text).told(source)
    if base.endswith((".txt", ".in")) or is_pinned:
        return Asked(pip=((f"-r {base}", 0),)).told(source)
    if base == SETUP_FILE:
        asked, left_out = setup_py.asked_of(text, source)
        return replace(asked.told(source), left_out=left_out)
    file = TomlFile(text, source)
    if base == "Pipfile":
        asked = pipfile.asked_of(file)
    elif base == "pixi.toml" or file.at("tool", "pixi"):
        asked = pixi.asked_of(file, *(() if base == "pixi.toml" else ("tool", "pixi")))
    else:
        asked = pyproject.asked_of(file)
    return file.told(asked)


def is_conda_list(text: str) -> bool:
    """Tell whether a list of packages is one that `conda list --export` wrote."""
    return _CONDA_LIST in text


def _listed(text: str) -> Asked:
    """Return what a list of packages asks for that `conda list --export` wrote."""
    conda, pip = [], []
    for number, line in enumerate(text.splitlines(), 1):
        package = line.partition("#")[0].strip()
        name, _, rest = package.partition("=")
        version, _, build = rest.partition("=")
        if build.startswith("pypi"):
            pip.append((f"{name}=={version}", number))
        elif package:
            conda.append((package, number))
    return Asked(conda=tuple(conda), pip=tuple(pip))
