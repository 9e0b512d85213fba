"""The target of a lock: an environment at one Python minor, on one platform."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import PurePath

from elt_env.errors import PolicyError
from elt_env.package.platform import PLATFORMS, this_platform

ENVIRONMENT = r"[a-z0-9][a-z0-9_-]{0,99}"
"""What the name of an environment looks like: it becomes part of file names."""

PYTHON = r"3\.(?:0|[1-9][0-9]*)"
"""What a Python minor looks like, as in `3.11`."""

_NO_PART_OF_A_NAME = re.compile(r"[^a-z0-9_-]+")
_GENERIC = ("environment", "env", "conda", "conda-env", "spec")
_TARGET = re.compile(
    f"(?P<environment>{ENVIRONMENT})@(?P<python>{PYTHON})(?:/(?P<platform>[a-z]+-[a-z0-9]+))?"
)


def minor_of(version: str) -> str:
    """Return the minor of a Python version, as in `3.11.7` -> `3.11`."""
    return ".".join(version.split(".")[:2])


@dataclass(frozen=True, order=True)
class Target:
    """An environment at one Python minor on one platform, written `elt@3.11`.

    Attributes:
        environment: the name of the environment in the policy.
        python: the Python minor version, as in `3.11`.
        platform: the conda subdir, as in `linux-64`.
    """

    environment: str
    python: str
    platform: str

    @property
    def name(self) -> str:
        """What a person types: the platform is left out where it is this machine's."""
        return str(self) if self.is_foreign else self.short

    @property
    def short(self) -> str:
        """The target of this machine's platform, as a person types it."""
        return f"{self.environment}@{self.python}"

    @property
    def is_foreign(self) -> bool:
        """Whether it is of another platform than this machine's, for which none can be built."""
        return bool(self.platform) and self.platform != this_platform()

    def __str__(self) -> str:
        return f"{self.short}/{self.platform}"


def names_target(text: str) -> bool:
    """Tell whether a text is a target with its platform, which looks like a path as well."""
    found = _TARGET.fullmatch(text)
    return found is not None and found["platform"] in PLATFORMS


def parse_target(text: str, platform: str) -> Target:
    """Return the target that `text` names: `elt@3.11` on `platform`, or `elt@3.11/linux-aarch64`.

    Raises:
        PolicyError: `text` is not an environment, an at sign and a Python minor.
    """
    found = _TARGET.fullmatch(text)
    if found is None:
        raise PolicyError(
            f"'{text}' is not a target.",
            "Write the environment, an at sign and the Python minor, as in: elt@3.11; behind them, "
            "where it is another than this machine's, the platform: elt@3.11/linux-aarch64",
        )
    return Target(found["environment"], found["python"], found["platform"] or platform)


def require_environment(text: str) -> str:
    """Return `text` when it is what an environment can be called.

    Raises:
        PolicyError: it is not.
    """
    if re.fullmatch(ENVIRONMENT, text) is None:
        raise PolicyError(
            f"'{text}' is not a name of an environment.",
            "Write lower case letters, digits, - and _, as in: --name elt",
        )
    return text


def require_minor(text: str) -> str:
    """Return `text` when it is a Python minor, as in `3.11`.

    Raises:
        PolicyError: it is not.
    """
    if re.fullmatch(PYTHON, text) is None:
        raise PolicyError(f"'{text}' is not a Python minor.", "As in: --python 3.11")
    return text


def environment_name(name: str, path: PurePath) -> str:
    """Return what an environment is called whose spec no policy lists.

    Args:
        name: what the file calls it, or "".
        path: absolute path of the file; its own name serves where that says something, else that
            of its directory.
    """
    stem = path.name.partition(".")[0]
    texts = (name, "" if stem.lower() in _GENERIC else stem, path.parent.name)
    names = (_NO_PART_OF_A_NAME.sub("-", each.lower())[:64].strip("-_") for each in texts)
    return next((each for each in names if each), _GENERIC[0])
