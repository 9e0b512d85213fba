"""The check that a second resolver comes to the same answer."""

from __future__ import annotations

from dataclasses import replace

from elt_env.errors import PipConflictError
from elt_env.model.lock import Lock, owned_distributions
from elt_env.stages.checks.finding import Finding, judge
from elt_env.tools.pip.port import ResolveRequest
from elt_env.tools.pip.second_opinion import resolve_with_pip
from elt_env.tools.prefix import Prefix
from elt_env.tools.process import Say
from elt_env.tools.toolbox import Toolbox

_LIMIT = 300.0
_PIP = "pip: "


def solver_differences(prefix: Prefix, toolbox: Toolbox, say: Say) -> Finding:
    """Asked what the lock was made from, pip itself chooses the same versions.

    Beside the distributions that conda owns, of the files that were out when the lock was made
    (without a cool-down, those of today). Another choice is a warning: both may be right. Where
    the index tells pip no upload times, or the cool-down had exceptions, of which pip knows none,
    it chooses from what is not newer than locked.
    """
    lock = prefix.lock
    owned = owned_distributions(lock.conda)
    request = ResolveRequest(
        requirements=_requirements(lock),
        python=lock.python.version,
        pins=tuple(sorted(owned.items())),
        exclude_newer=lock.exclude_newer,
        wheels_only=toolbox.policy.wheels_only,
        allow_sdist=toolbox.policy.allow_sdist,
    )
    if not request.requirements:
        return Finding("passed", "the lock has nothing of pip's")
    indexes = toolbox.indexes.locked_to(lock.indexes)
    chosen = None
    try:
        if not _has_exceptions(lock):
            chosen = resolve_with_pip(request, prefix.path, indexes, _LIMIT, say)
        is_barred = chosen is None
        if chosen is None:
            chosen = resolve_with_pip(_barred(request, lock), prefix.path, indexes, _LIMIT, say)
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


def _has_exceptions(lock: Lock) -> bool:
    limit = lock.exclude_newer
    return limit is not None and any(
        each.released_at is None or each.released_at > limit for each in lock.pip
    )


def _barred(request: ResolveRequest, lock: Lock) -> ResolveRequest:
    """Return the question without a date, but with nothing on offer that is newer than locked."""
    bounds = tuple(f"{each.name}<={each.version}" for each in lock.pip)
    return replace(request, exclude_newer=None, bounds=bounds)


def _requirements(lock: Lock) -> tuple[str, ...]:
    """Return what a person asked pip for when the lock was made."""
    return tuple(each.removeprefix(_PIP) for each in lock.requirements if each.startswith(_PIP))


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
