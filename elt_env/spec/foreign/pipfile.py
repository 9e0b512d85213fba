"""`Pipfile` as a spec: https://pipenv.pypa.io/en/latest/pipfile.html."""

from __future__ import annotations

from elt_env.spec.foreign.bounds import named
from elt_env.spec.foreign.told import OWN_INDEX, Asked, TomlFile

_KNOWN = ("source", "packages", "requires", "scripts", "pipenv")
_PRE_RELEASES = (
    "Write '--pre' into the pip list of an environment.yml, or name what may have them as "
    "pre-releases in [tool.elt-env]."
)


def asked_of(file: TomlFile) -> Asked:
    """Return what a Pipfile asks for outside of its categories."""
    file.skip(("source",), file.content, OWN_INDEX)
    file.skip([each for each in file.content if each not in _KNOWN], file.content)
    file.skip(("allow_prereleases",), file.table("pipenv"), _PRE_RELEASES)
    python = file.python(file.at("requires", "python_version"), lambda minor: f"=={minor}.*")
    full = file.at("requires", "python_full_version")
    if full:
        python = file.python(full, lambda version: f"=={version}")
    return Asked(conda=python, pip=tuple(named(file, file.table("packages"))))
