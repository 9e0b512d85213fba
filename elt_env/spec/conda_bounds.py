"""Version bounds of conda in PEP 440's words, and the other way round."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator

from packaging.specifiers import InvalidSpecifier, Specifier, SpecifierSet
from packaging.version import Version

_ANY = ("*", "=*")
_MINORS = tuple(f"3.{number}" for number in range(40))
_FUZZY = re.compile(r"=(?P<version>[^=].*)")
_BELOW_FIRST_PRERELEASE = re.compile(r"<(?P<release>[0-9.!]*[0-9])\.?(?:a|dev)0")
_TIGHTEST: dict[str, Callable[..., str]] = {"<": min, "<=": min, ">": max, ">=": max}


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


def admitted_minors(version: str) -> tuple[str, ...]:
    """Return the minors of Python 3 that a conda version bound admits, the oldest first."""
    return tuple(each for each in _MINORS if admits_minor(version, each))


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
