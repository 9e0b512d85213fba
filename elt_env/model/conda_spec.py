"""One conda requirement of a spec, as in `pandas >=2,<3`."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import Version

_SPEC = re.compile(
    r"(?:(?P<channel>[^\s:]+)::)?(?P<name>[a-z0-9_][a-z0-9_.-]*)\s*(?P<rest>[^a-z0-9_.\-\[].*)?",
    re.IGNORECASE,
)
_TIGHTEST: dict[str, Callable[..., str]] = {"<": min, "<=": min, ">": max, ">=": max}
_SPACED = re.compile(r"(?P<name>\S+)\s+(?P<rest>\S.*)")
_FUZZY = re.compile(r"=(?P<version>[^=].*)")
_VERSION = re.compile(r"(?:==|!=|<=|>=|~=|<|>|=)?\s*[\w.!+*-]+")


@dataclass(frozen=True, order=True)
class CondaSpec:
    """A conda requirement.

    Attributes:
        name: the package's name, lower case.
        version: the version part as written, without white space, or "".
        build: the build string as written, or "".
        channel: the channel the package must come from, or "".
    """

    name: str
    version: str = ""
    build: str = ""
    channel: str = ""

    def __str__(self) -> str:
        start = f"{self.channel}::{self.name}" if self.channel else self.name
        if self.build:
            return f"{start}={self.version.removeprefix('=') or '*'}={self.build}"
        return f"{start} {self.version}" if self.version else start


def parse_conda_spec(text: str) -> CondaSpec:
    """Return the requirement that `text` writes in one of conda's short forms.

    Understood: `name`, `name=1.2`, `name=1.2=build`, `name>=1,<2`, `name >=1,<2`, `name 1.2.*`
    and `channel::` before any of them
    (https://docs.conda.io/projects/conda-build/en/stable/resources/package-spec.html).

    Raises:
        ValueError: `text` is none of these; the message says what is wrong with it.
    """
    text = text.strip()
    if "[" in text:
        message = "the bracket form is not supported; write it as 'name >=1,<2'"
        raise ValueError(message)
    spaced = _SPACED.fullmatch(text)
    head, rest = (spaced["name"], spaced["rest"]) if spaced else (text, "")
    found = _SPEC.fullmatch(head)
    if found is None:
        message = "it does not start with a package name"
        raise ValueError(message)
    version, build = _split_build((found["rest"] or "") + rest)
    for part in re.split(r"[,|]", version):
        if version and not _VERSION.fullmatch(part):
            message = f"'{part}' is not a version bound"
            raise ValueError(message)
    return CondaSpec(found["name"].lower(), version, build, found["channel"] or "")


def _split_build(rest: str) -> tuple[str, str]:
    version = re.sub(r"\s+", "", rest)
    found = re.fullmatch(r"=(?P<version>[^=<>!~,|]+)=(?P<build>[^=]+)", version)
    if found is None:
        return version, ""
    return "=" + found["version"], found["build"]


def to_pep440(version: str) -> SpecifierSet | None:
    """Return the PEP 440 set that a conda version bound means, or None where it has none.

    `=1.2` and `1.2.*` become `==1.2.*`; `>=1.2.*` becomes `>=1.2`; alternatives (`|`) have no
    counterpart.
    """
    if "|" in version:
        return None
    try:
        return SpecifierSet(",".join(_clause(part) for part in version.split(",") if part != "*"))
    except InvalidSpecifier:
        return None


def _clause(part: str) -> str:
    fuzzy = _FUZZY.fullmatch(part)
    if fuzzy is not None:
        return f"=={fuzzy['version'].removesuffix('.*').removesuffix('*')}.*"
    if part[:1] in "<>":
        return part.removesuffix(".*")
    if part[:1] in "!~=" or not part:
        return part
    if part.endswith("*"):
        return f"=={part.removesuffix('*').removesuffix('.')}.*"
    return f"=={part}"


def admits_minor(version: str, minor: str) -> bool:
    """Tell whether some patch release of the Python `minor` satisfies a conda version bound."""
    bound = to_pep440(version)
    return bound is None or any(bound.contains(f"{minor}.{patch}") for patch in range(100))


def from_pep440(bound: SpecifierSet) -> str:
    """Return the conda version bound that a PEP 440 set means, sorted, its widest clauses left out.

    Conda reads the operators of PEP 440 but `===`, which is written as `==`.
    """
    clauses: dict[str, str] = {}
    for each in bound:
        key = each.operator if each.operator in _TIGHTEST else str(each)
        before = clauses.get(key)
        if before is not None:
            versions = (before, each.version)
            clauses[key] = _TIGHTEST[key](versions, key=Version)
        else:
            clauses[key] = each.version if each.operator in _TIGHTEST else ""
    return ",".join(sorted(key.replace("===", "==") + version for key, version in clauses.items()))
