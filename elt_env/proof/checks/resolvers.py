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
from elt_env.pip.port import ResolveRequest
from elt_env.proof.checks.finding import Finding, judge
from elt_env.spec.pip_lines import PipLines, read_pip_lines
from elt_env.toolbox import Toolbox

_LIMIT = 300.0


def solver_differences(prefix: Prefix, toolbox: Toolbox, say: Say) -> Finding:
    """Asked what the lock was made from, another resolver chooses the same versions.

    That is pip's own, or uv where pip made the lock. It is asked beside the distributions that
    conda owns, for the files that were out when the lock was made (without a cool-down, those of
    today). Another choice is a warning: both may be right. Where the index tells no upload times
    any more, it chooses from what is not newer than locked.
    """
    lock = prefix.lock
    owned = owned_distributions(lock.conda)
    request = _request(lock, toolbox)
    if not request.requirements:
        return Finding("passed", "the lock has nothing of pip's")
    maker = _maker(lock)
    indexes = replace(
        toolbox.indexes.locked_to(lock.indexes), links=_built_wheels(lock, toolbox, say)
    )
    name = "pip" if maker.startswith("uv ") else "uv"
    other = toolbox.resolver_named(name, indexes, alone=True)
    is_barred = False
    try:
        try:
            answer = other.resolve(request, say)
        except PipConflictError:
            if lock.exclude_newer is None:
                raise
            answer, is_barred = other.resolve(_barred(request, lock), say), True
    except PipConflictError as error:
        return Finding("warned", f"{other.name} finds no solution where {maker} did", str(error))
    chosen = {each.name: each.version for each in answer if each.name not in owned}
    locked = {each.name: each.version for each in lock.pip}
    differences = _differences(locked, chosen, other.name)
    passed = f"{len(locked)} packages resolved by {other.name} as by {maker}"
    told = f"{other.name} differs from {maker} in {len(differences)} of {len(locked)} packages"
    note = f"; no date says to {other.name} what was out: it was offered nothing newer than locked"
    return judge(
        (), (told if differences else passed) + (note if is_barred else ""), notes=differences
    )


def _barred(request: ResolveRequest, lock: Lock) -> ResolveRequest:
    """Return the question without a date, but with nothing on offer that is newer than locked."""
    bounds = tuple(f"{each.name}<={each.version}" for each in lock.pip)
    return replace(request, exclude_newer=None, bounds=(*request.bounds, *bounds))


def _built_wheels(lock: Lock, toolbox: Toolbox, say: Say) -> tuple[str, ...]:
    """Return the directories of the wheels that no index has."""
    built = (each for each in lock.pip if each.index is None)
    paths = {str(locked_file(each, lock, toolbox, say).parent) for each in built}
    return tuple(sorted(paths))


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
        not_held=_not_held(lock, toolbox),
        wheels_only=toolbox.policy.wheels_only,
        allow_sdist=tuple(sorted(allowed - built)),
        limit=_LIMIT,
        pre=asked.options.pre,
        only_binary=asked.options.only_binary,
        no_binary=asked.options.no_binary,
    )


def _not_held(lock: Lock, toolbox: Toolbox) -> tuple[str, ...]:
    """Return what the cool-down does not concern: by the policy, and by what was locked."""
    limit = lock.exclude_newer
    young = {
        each.name
        for each in lock.pip
        if limit and (each.released_at is None or is_too_young(each.released_at, limit))
    }
    return tuple(sorted({*young, *map(normalize, toolbox.policy.cooldown_exceptions)}))


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


def _differences(locked: dict[str, str], chosen: dict[str, str], other: str) -> list[str]:
    return [
        f"{name}: locked {locked.get(name, 'not at all')}, {other} chooses "
        f"{chosen.get(name, 'none')}"
        for name in sorted(locked.keys() | chosen.keys())
        if locked.get(name) != chosen.get(name)
    ]
