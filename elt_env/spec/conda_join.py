"""Conda requirements on one package as one requirement that means all of them."""

from __future__ import annotations

import re
from fnmatch import fnmatchcase

from packaging.specifiers import SpecifierSet

from elt_env.spec.conda_bounds import to_pep440
from elt_env.spec.conda_spec import CondaSpec
from elt_env.spec.faults import WrittenError, refuse_many

# PEP 440 and conda order versions with letters in other ways; no emptiness is claimed of those.
_PLAIN = re.compile(r"[0-9.*<>=!~,|]*")
# Beside a build, solvers read =1.2 as 1.2 exactly.
_FUZZY = re.compile(r"(^|[,|])=([^=,|][^,|]*)")


def join_specs(one: CondaSpec, other: CondaSpec) -> CondaSpec:
    """Return the requirement that asks for what both ask for.

    Raises:
        WrittenError: nothing can be both.
    """
    refuse_many(len(re.findall(r"[,|]", one.version + other.version)), one.name)
    fields = dict(one.fields)
    for key, value in other.fields:
        fields[key] = _same(f"a {key}", fields.get(key, ""), value)
    build = _both_builds(one.build, other.build)
    version = both_versions(one.version, other.version)
    joined = CondaSpec(
        name=one.name,
        version=_FUZZY.sub(r"\1\2.*", version) if build else version,
        build=build,
        channel=_same("a channel", one.channel, other.channel),
        subdir=_same("a subdir", one.subdir, other.subdir),
        fields=tuple(sorted(fields.items())),
        lines=(*one.lines, *other.lines),
    )
    if is_empty(joined.version):
        raise _never(f"the versions '{one.version}' and '{other.version}'")
    return joined


def both_versions(one: str, other: str) -> str:
    """Return the version bound that asks for what both ask for."""
    if not one or not other or one == other:
        return one or other
    pairs = [(a, b) for a in one.split("|") for b in other.split("|")]
    joined = [",".join(dict.fromkeys([*a.split(","), *b.split(",")])) for a, b in pairs]
    possible = [each for each in joined if not is_empty(each)] or joined
    return "|".join(dict.fromkeys(possible))


def is_empty(version: str) -> bool:
    """Tell whether no version can satisfy a bound; False where that is not known."""
    if not _PLAIN.fullmatch(version):
        return False
    return all(_no_version(each) for each in version.split("|"))


def _no_version(alternative: str) -> bool:
    bound = to_pep440(alternative)
    return bound is not None and SpecifierSet(str(bound), prereleases=True).is_unsatisfiable()


def _both_builds(one: str, other: str) -> str:
    if not one or not other or one == other:
        return one or other
    for exact, pattern in ((one, other), (other, one)):
        if not exact.startswith("^") and "*" not in exact and _has_form(exact, pattern):
            return exact
    raise _never(f"the builds '{one}' and '{other}'")


def _has_form(build: str, pattern: str) -> bool:
    if pattern.startswith("^"):
        return re.match(pattern, build) is not None
    return fnmatchcase(build, pattern)


def _same(what: str, one: str, other: str) -> str:
    if one and other and one != other:
        raise _never(f"{what} '{one}' and '{other}'")
    return one or other


def _never(both: str) -> WrittenError:
    return WrittenError(f"no package has {both} at once", "Keep one of the two.")
