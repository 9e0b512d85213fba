"""The check that a second resolver comes to the same answer."""

from __future__ import annotations

from dataclasses import replace

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from elt_env.environment.locked_files import locked_file
from elt_env.environment.prefix import Prefix
from elt_env.errors import PipConflictError
from elt_env.lockfile.document import Lock, owned_distributions
from elt_env.machine.process import Say
from elt_env.package.cooldown import is_too_young
from elt_env.package.names import normalize
from elt_env.pip.pip_resolver import resolve_with_pip
from elt_env.pip.port import ResolveRequest
from elt_env.proof.checks.finding import Finding, judge
from elt_env.spec.pip_lines import PipLines, read_pip_lines
from elt_env.toolbox import Toolbox

_LIMIT = 300.0


def solver_differences(prefix: Prefix, toolbox: Toolbox, say: Say) -> Finding:
    """Asked what the lock was made from, pip itself chooses the same versions.

    Beside the distributions that conda owns, of the files that were out when the lock was made
    (without a cool-down, those of today). Another choice is a warning: both may be right. Where
    the index tells pip no upload times, or the cool-down had exceptions, of which pip knows none,
    it chooses from what is not newer than locked.
    """
    lock = prefix.lock
    owned = owned_distributions(lock.conda)
    request = _request(lock, toolbox)
    if not request.requirements:
        return Finding("passed", "the lock has nothing of pip's")
    chosen = None
    try:
        if not _has_exceptions(lock):
            chosen = _choose(request, prefix, toolbox, say)
        is_barred = chosen is None
        if chosen is None:
            chosen = _choose(_barred(request, lock), prefix, toolbox, say)
    except PipConflictError as error:
        return Finding("warned", f"pip finds no solution where {_maker(lock)} did", str(error))
    locked = {each.name: each.version for each in lock.pip}
    differences = _differences(locked, {n: v for n, v in (chosen or {}).items() if n not in owned})
    passed = f"{len(locked)} packages resolved by pip as by {_maker(lock)}"
    told = f"pip differs from {_maker(lock)} in {len(differences)} of {len(locked)} packages"
    note = "; no date says to pip what was out: it was offered nothing newer than locked"
    return judge(
        (), (told if differences else passed) + (note if is_barred else ""), notes=differences
    )


def _request(lock: Lock, toolbox: Toolbox) -> ResolveRequest:
    """Return what a person asked pip for when the lock was made; what no index has, as locked."""
    asked = _asked(lock, "pip", "direct", "option")
    allowed = {normalize(each) for each in toolbox.policy.allow_sdist}
    built = {each.name for each in lock.pip if each.index is None}
    versions = {each.name: each.version for each in lock.pip}
    directs = [Requirement(each.named) for each in asked.directs if each.name in versions]
    for each in directs:
        each.specifier &= SpecifierSet(f"=={versions[each.name]}")
    return ResolveRequest(
        requirements=(*asked.requirements, *map(str, directs)),
        python=lock.python.version,
        pins=tuple(sorted(owned_distributions(lock.conda).items())),
        bounds=_asked(lock, "constraint").requirements,
        exclude_newer=lock.exclude_newer,
        wheels_only=toolbox.policy.wheels_only,
        allow_sdist=tuple(sorted(allowed - built)),
        pre=asked.options.pre,
        only_binary=asked.options.only_binary,
        no_binary=asked.options.no_binary,
    )


def _choose(
    request: ResolveRequest, prefix: Prefix, toolbox: Toolbox, say: Say
) -> dict[str, str] | None:
    lock = prefix.lock
    indexes = toolbox.indexes.locked_to(lock.indexes)
    others = [each for each in lock.pip if each.index is None]
    links = {locked_file(each, lock, toolbox, say).parent for each in others}
    return resolve_with_pip(request, prefix.path, indexes, _LIMIT, say, links=links)


def _has_exceptions(lock: Lock) -> bool:
    limit = lock.exclude_newer
    return limit is not None and any(
        each.released_at is None or is_too_young(each.released_at, limit) for each in lock.pip
    )


def _barred(request: ResolveRequest, lock: Lock) -> ResolveRequest:
    """Return the question without a date, but with nothing on offer that is newer than locked."""
    bounds = tuple(f"{each.name}<={each.version}" for each in lock.pip)
    return replace(request, exclude_newer=None, bounds=(*request.bounds, *bounds))


def _asked(lock: Lock, *kinds: str) -> PipLines:
    """Return what the lock was made from, of these kinds; see `requirement_lines`."""
    heads = tuple(f"{kind}: " for kind in kinds)
    lines = [line.partition(": ")[2] for line in lock.requirements if line.startswith(heads)]
    return read_pip_lines(enumerate(lines, start=1), "lock.json", lambda path: path)


def _maker(lock: Lock) -> str:
    """Return the resolver that made a lock: the tool that is not conda's, as its names are."""
    names = [f"{name} {version}" for name, version in lock.tools if name in _RESOLVERS]
    return names[0] if names else "the lock's resolver"


_RESOLVERS = ("uv", "pip", "pip-tools", "poetry")


def _differences(locked: dict[str, str], chosen: dict[str, str]) -> list[str]:
    return [
        f"{name}: locked {locked.get(name, 'not at all')}, pip chooses {chosen.get(name, 'none')}"
        for name in sorted(locked.keys() | chosen.keys())
        if locked.get(name) != chosen.get(name)
    ]
