"""One conda requirement of a spec, as in `pandas >=2,<3`, and its bound in PEP 440's words."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from packaging.specifiers import InvalidSpecifier, Specifier, SpecifierSet
from packaging.version import Version

_SPEC = re.compile(
    r"(?:(?P<channel>[^\s:]+)::)?(?P<name>[a-z0-9_][a-z0-9_.-]*)(?P<rest>[\s=<>!~].*)?",
    re.ASCII | re.IGNORECASE,
)
_SPACE_AROUND_OPERATOR = re.compile(r"\s*([<>=!~]=|[<>=,|])\s*")
_FUZZY_AND_BUILD = re.compile(r"(?P<version>=[^=<>!~,|]+)=(?P<build>[^=]+)")
_CLAUSE = re.compile(r"(?:[<>=!~]=|[<>=])?(?:[0-9]+!)?[\w*][\w.+*-]*", re.ASCII)
_BUILD = re.compile(r"[\w.*+-]+", re.ASCII)
_ANY = ("*", "=*")
_FUZZY = re.compile(r"=(?P<version>[^=].*)")
_BELOW_FIRST_PRERELEASE = re.compile(r"<(?P<release>[0-9.!]*[0-9])\.?(?:a|dev)0")
_TIGHTEST: dict[str, Callable[..., str]] = {"<": min, "<=": min, ">": max, ">=": max}


@dataclass(frozen=True, order=True)
class CondaSpec:
    """A conda requirement.

    Attributes:
        name: the package's name, lower case.
        version: the version part as written, without white space, or "" for any.
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
            return f"{start} {self.version or '*'} {self.build}"
        return f"{start} {self.version}" if self.version else start


def parse_conda_spec(text: str) -> CondaSpec:
    """Return the requirement that `text` writes in one of conda's short forms.

    Understood: `name`, `name=1.2`, `name=1.2=build`, `name>=1,<2`, `name >=1,<2`, `name 1.2.*`,
    `name 1.2 build` and `channel::` before any of them
    (https://docs.conda.io/projects/conda-build/en/stable/resources/package-spec.html).

    Raises:
        ValueError: `text` is none of these; the message says what is wrong with it.
    """
    if "[" in text:
        message = "the bracket form is not supported; write it as 'name >=1,<2'"
        raise ValueError(message)
    found = _SPEC.fullmatch(text.strip())
    if found is None:
        message = "it does not start with a package name"
        raise ValueError(message)
    version, build = _version_and_build(found["rest"] or "")
    return CondaSpec(found["name"].lower(), version, build, found["channel"] or "")


def _version_and_build(text: str) -> tuple[str, str]:
    version, *builds = _SPACE_AROUND_OPERATOR.sub(r"\1", text.strip()).split() or [""]
    joined = _FUZZY_AND_BUILD.fullmatch(version)
    if joined is not None:
        version, builds = joined["version"], [joined["build"], *builds]
    for clause in re.split(r"[,|]", version) if version else ():
        if not _CLAUSE.fullmatch(clause):
            message = f"'{clause}' is not a version bound"
            raise ValueError(message)
    if len(builds) > 1 or not all(_BUILD.fullmatch(each) for each in builds):
        message = f"'{' '.join(builds)}' is not a build string; put commas between version bounds"
        raise ValueError(message)
    if builds and not version.startswith("=="):
        version = version.removeprefix("=")  # beside a build, conda reads =1.2 as 1.2 exactly
    return "" if version in _ANY else version, "".join(builds)


def to_pep440(version: str) -> SpecifierSet | None:
    """Return the PEP 440 set that a conda version bound means, or None where it has none.

    `=1.2` and `1.2.*` become `==1.2.*`; `>=1.2.*` becomes `>=1.2`; `<2.0a0`, conda's idiom for
    "no pre-release of 2.0 either", becomes `<2.0`, which says that in PEP 440; alternatives (`|`)
    have no counterpart.
    """
    if "|" in version:
        return None
    clauses = [_pep440_clause(part) for part in version.split(",") if part and part not in _ANY]
    try:
        return SpecifierSet(",".join(clauses))
    except InvalidSpecifier:
        return None


def _pep440_clause(part: str) -> str:
    fuzzy = _FUZZY.fullmatch(part)
    if fuzzy is not None:
        return f"=={_series(fuzzy['version'])}.*"
    below = _BELOW_FIRST_PRERELEASE.fullmatch(part)
    if below is not None:
        return f"<{below['release']}"
    if part[0] in "<>":
        return part.removesuffix(".*")
    if part[0] in "!~=":
        return part
    return f"=={_series(part)}.*" if part.endswith("*") else f"=={part}"


def _series(version: str) -> str:
    return version.removesuffix("*").removesuffix(".")


def admits_minor(version: str, minor: str) -> bool:
    """Tell whether some patch release of the Python `minor` satisfies a conda version bound."""
    bounds = [to_pep440(alternative) for alternative in version.split("|")]
    releases = [f"{minor}.{patch}" for patch in range(100)]
    return any(bound is None or any(map(bound.contains, releases)) for bound in bounds)


def from_pep440(bound: SpecifierSet) -> str:
    """Return the conda version bound that a PEP 440 set means; "" for the empty set.

    Of several clauses with the same of `<`, `<=`, `>`, `>=` only the tightest stays. Three rules
    of PEP 440 have no counterpart and are left out: `==1.0` and `<=1.0` also accept `1.0+local`
    there, `>1.0` does not accept `1.0.post1`, and `1rc1` and `1.0rc1` are one version.
    """
    clauses = (clause for each in sorted(bound, key=str) for clause in _conda_clauses(each))
    return ",".join(operator + version for operator, version in _tightest(clauses))


def _conda_clauses(specifier: Specifier) -> Iterator[tuple[str, str]]:
    operator, text = specifier.operator, specifier.version
    if operator == "===":
        yield "==", text
    elif operator == "~=":
        yield ">=", _normal(text)
        yield "", f"{_kept_release(Version(text))}.*"
    elif text.endswith(".*"):
        yield operator.removeprefix("=="), f"{_normal(text.removesuffix('.*'))}.*"
    elif operator == "<":
        yield operator, _below(Version(text))
    elif operator == ">=":
        yield operator, _before_prereleases(_normal(text))
    else:
        yield operator, _normal(text)


def _normal(text: str) -> str:
    return str(Version(text))


def _before_prereleases(version: str) -> str:
    """Return a version so that conda sorts `1.0.dev1` before `1.0a1`, as PEP 440 does."""
    return version.replace(".dev", "dev")


def _kept_release(version: Version) -> str:
    """Return the release that `~=` keeps: all but its last part."""
    epoch = f"{version.epoch}!" if version.epoch else ""
    return epoch + ".".join(map(str, version.release[:-1]))


def _below(version: Version) -> str:
    """Return what is excluded by `<`, with PEP 440's rule that `<2` excludes pre-releases of 2."""
    if version.is_prerelease or version.is_postrelease:
        return _before_prereleases(str(version))
    release = list(version.release)
    while len(release) > 1 and release[-1] == 0:
        release.pop()
    epoch = f"{version.epoch}!" if version.epoch else ""
    return f"{epoch}{'.'.join(map(str, release))}dev0"


def _tightest(clauses: Iterable[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    kept: dict[str, tuple[str, str]] = {}
    for operator, version in clauses:
        choose = _TIGHTEST.get(operator)
        if choose is None:
            kept[operator + version] = operator, version
            continue
        before = kept.get(operator, (operator, version))[1]
        kept[operator] = operator, choose(before, version, key=Version)
    yield from kept.values()
