"""Refuse what the host channel cannot stand in for, all of it in one message."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from packaging.requirements import InvalidRequirement, Requirement

from elt_env.errors import ChannelUnreachableError, PackageNotFoundError, UnsatisfiableError
from elt_env.machine.process import unheard
from elt_env.pip import Resolver, ResolveRequest
from elt_env.runtime.texts import first_of
from elt_env.spec.conda_bounds import to_pep440
from elt_env.spec.document import Spec

_ABSENT = "no index has a distribution of that name"
_UNFIT = "no index has a wheel that fits"
_MOST = 40
_AT_ONCE = 4


def is_distribution(name: str) -> bool:
    """Tell whether a conda package's name could be a distribution's; `_libgcc_mutex` could not."""
    try:
        return bool(Requirement(name))
    except InvalidRequirement:
        return False


def no_stand_in(
    spec: Spec, request: ResolveRequest, resolver: Resolver, cause: str = ""
) -> ChannelUnreachableError | None:
    """Return the error that names all that only the spec's channels have.

    None means that nothing but versions of packages does not fit, and that no cause was given. Each
    requirement is resolved alone: a resolver names the first that has no answer.

    Args:
        spec: what is asked for.
        request: what the pip resolver was asked in conda's place, a requirement each of `spec`.
        resolver: what is asked.
        cause: what is said where each has an answer alone.
    """
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        alone = (replace(request, requirements=(each,), keep=()) for each in request.requirements)
        verdicts = list(pool.map(lambda one: _verdict(one, resolver), alone))
    pairs = list(zip(spec.conda, verdicts, strict=True))
    kinds = {
        _ABSENT: [each.name for each, verdict in pairs if verdict == _ABSENT],
        _UNFIT: [str(each) for each, verdict in pairs if verdict == _UNFIT],
    }
    python = python_lack(spec, request.python)
    if not kinds[_ABSENT] and not cause and not python:
        return None
    lines = [f"{what}: {first_of(names, _MOST)}" for what, names in kinds.items() if names]
    lines = [*([python] if python else []), *lines] or [cause]
    return ChannelUnreachableError(
        f"The host channel cannot stand in for the channels of {spec.source}; it is made of "
        f"wheels and of this machine's Python: {'; '.join(lines)}",
        "Make the conda channel reachable, or drop these bounds and packages, where what is left "
        "works without them; conda env export --from-history writes only what was asked for.",
    )


def python_lack(spec: Spec, version: str) -> str:
    """Return in words why this machine's Python of that full version is not the one asked for."""
    bound = to_pep440(spec.python)
    if not spec.python or bound is None or bound.contains(version, prereleases=True):
        return ""
    return f"'python {spec.python}' is asked for, and this machine has {version}"


def _verdict(request: ResolveRequest, resolver: Resolver) -> str:
    (requirement,) = request.requirements
    if not is_distribution(requirement):
        return _ABSENT
    try:
        resolver.resolve(request, unheard)
    except UnsatisfiableError as error:
        is_absent = isinstance(error, PackageNotFoundError)
        named = Requirement(requirement).name in error.problem  # not what it requires
        return _ABSENT if is_absent and named else _UNFIT
    return ""
