"""The comparison of a lock with what another resolver chooses."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import Protocol, get_args

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from elt_env.environment.locked_files import PipFiles, locked_file
from elt_env.errors import PipConflictError
from elt_env.lockfile.document import Lock, owned_distributions
from elt_env.machine.indexes import Indexes
from elt_env.machine.process import Say
from elt_env.package.cooldown import is_too_young
from elt_env.package.names import normalize
from elt_env.pip.port import Resolver, ResolveRequest
from elt_env.project.policy import Policy, ResolverName
from elt_env.spec.pip_lines import PipLines, read_pip_lines

_LIMIT = 300.0
RESOLVERS: tuple[str, ...] = get_args(ResolverName)
"""The resolvers, as the policy names them."""


@dataclass(frozen=True)
class Comparison:
    """What a resolver chooses beside what is locked.

    Attributes:
        resolver: its name and version.
        maker: those of the resolver that made the lock.
        packages: how many are locked of pip's half.
        differences: where it chooses another version, a line each.
        seconds: how long it took.
        conflict: why it finds no solution, or "".
        is_barred: whether no date told what was out, so that it was offered nothing newer than
            locked.
    """

    resolver: str
    maker: str
    packages: int
    differences: tuple[str, ...]
    seconds: float
    conflict: str = ""
    is_barred: bool = False


class OpenResolver(Protocol):
    """Returns a resolver by its name in the policy, to ask these indexes."""

    def __call__(self, name: str, indexes: Indexes, *, alone: bool = False) -> Resolver:
        """One that is `alone` takes no other's answer where it finds none."""
        ...


def compare_with(
    name: str, lock: Lock, files: PipFiles, open_resolver: OpenResolver, say: Say
) -> Comparison:
    """Ask a resolver what a lock was made from.

    It is asked beside the distributions that conda owns, for the files that were out when the lock
    was made (without a cool-down, those of today). Where the index tells no upload times any more,
    it chooses from what is not newer than locked.

    Args:
        name: of the resolver, as the policy has it.
        lock: the lock.
        files: where the files of its packages come from, and the indexes that are asked.
        open_resolver: opens that resolver.
        say: told what the resolver says.

    Raises:
        IndexUnreachableError: an index does not answer.
        ToolError: this machine does not have that resolver, or it broke.
        TimeLimitError: it took longer than five minutes.
    """
    indexes = replace(files.indexes.locked_to(lock.indexes), links=_built_wheels(lock, files, say))
    other = open_resolver(name, indexes, alone=True)
    started = time.monotonic()
    is_barred, conflict, chosen = False, "", dict[str, str]()
    try:
        chosen, is_barred = _chosen(other, lock, files.policy, say)
    except PipConflictError as error:
        conflict = str(error)
    locked = {each.name: each.version for each in lock.pip}
    return Comparison(
        resolver=f"{name} {other.version()}",
        maker=maker_of(lock),
        packages=len(locked),
        differences=() if conflict else _differences(locked, chosen, name),
        seconds=time.monotonic() - started,
        conflict=conflict,
        is_barred=is_barred,
    )


def asks_pip(lock: Lock) -> bool:
    """Tell whether a lock was made from requirements on pip's half."""
    return any(line.startswith(("pip: ", "direct: ")) for line in lock.requirements)


def _chosen(
    resolver: Resolver, lock: Lock, policy: Policy, say: Say
) -> tuple[dict[str, str], bool]:
    """Return the versions of pip's half that a resolver chooses, and whether no date told."""
    request, is_barred = _request(lock, policy), False
    try:
        answer = resolver.resolve(request, say)
    except PipConflictError:
        if lock.exclude_newer is None:
            raise
        answer, is_barred = resolver.resolve(_barred(request, lock), say), True
    owned = owned_distributions(lock.conda)
    return {each.name: each.version for each in answer if each.name not in owned}, is_barred


def _barred(request: ResolveRequest, lock: Lock) -> ResolveRequest:
    """Return the question without a date, but with nothing on offer that is newer than locked."""
    bounds = tuple(f"{each.name}<={each.version}" for each in lock.pip)
    return replace(request, exclude_newer=None, bounds=(*request.bounds, *bounds))


def _built_wheels(lock: Lock, files: PipFiles, say: Say) -> tuple[str, ...]:
    """Return the directories of the wheels that no index has."""
    built = (each for each in lock.pip if each.index is None)
    paths = {str(locked_file(each, lock, files, say).parent) for each in built}
    return tuple(sorted(paths))


def _request(lock: Lock, policy: Policy) -> ResolveRequest:
    """Return what a person asked pip for when the lock was made; what no index has, as locked."""
    asked = _asked(lock, "pip", "direct", "option")
    allowed = {normalize(each) for each in policy.allow_sdist}
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
        not_held=_not_held(lock, policy),
        wheels_only=policy.wheels_only,
        allow_sdist=tuple(sorted(allowed - built)),
        limit=_LIMIT,
        pre=asked.options.pre,
        only_binary=asked.options.only_binary,
        no_binary=asked.options.no_binary,
    )


def _not_held(lock: Lock, policy: Policy) -> tuple[str, ...]:
    """Return what the cool-down does not concern: by the policy, and by what was locked."""
    limit = lock.exclude_newer
    young = {
        each.name
        for each in lock.pip
        if limit and (each.released_at is None or is_too_young(each.released_at, limit))
    }
    return tuple(sorted({*young, *map(normalize, policy.cooldown_exceptions)}))


def _asked(lock: Lock, *kinds: str) -> PipLines:
    """Return what the lock was made from, of these kinds; see `requirement_lines`."""
    heads = tuple(f"{kind}: " for kind in kinds)
    lines = [line.partition(": ")[2] for line in lock.requirements if line.startswith(heads)]
    return read_pip_lines(enumerate(lines, start=1), "lock.json", lambda path: path)


def maker_of(lock: Lock) -> str:
    """Return the resolver that made a lock: the tool that is not conda's, as its names are."""
    names = [f"{name} {version}" for name, version in lock.tools if name in RESOLVERS]
    return names[0] if names else "the lock's resolver"


def _differences(locked: dict[str, str], chosen: dict[str, str], other: str) -> tuple[str, ...]:
    return tuple(
        f"{name}: locked {locked.get(name, 'not at all')}, {other} chooses "
        f"{chosen.get(name, 'none')}"
        for name in sorted(locked.keys() | chosen.keys())
        if locked.get(name) != chosen.get(name)
    )
