"""Solve: the conda half, from the spec's channels or, where the policy allows, the host channel."""

from __future__ import annotations

import functools
import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from packaging.specifiers import SpecifierSet

from elt_env.conda import ChannelReader, SolveRequest
from elt_env.conda.channels import Channels
from elt_env.errors import (
    ChannelUnreachableError,
    CondaUnsatisfiableError,
    NoWheelError,
    PackageNotFoundError,
    SpecError,
    UnsatisfiableError,
)
from elt_env.index.project_page import ProjectPage
from elt_env.lock.host_builds import builds_elsewhere
from elt_env.lock.lock_tools import LockTools
from elt_env.lock.page_files import files_of
from elt_env.lock.request import LockRequest
from elt_env.lock.stand_in import is_distribution, no_stand_in, python_lack
from elt_env.lockfile.document import (
    Bound,
    ChannelSource,
    Lock,
    Package,
    owned_distributions,
    with_required_by,
)
from elt_env.machine.process import Say
from elt_env.package.names import normalize
from elt_env.package.platform import Platform, python_on
from elt_env.pip import Resolver, ResolveRequest
from elt_env.pip.port import Resolved
from elt_env.project.policy import ChannelPriority, Policy
from elt_env.python.interpreters import find_interpreter
from elt_env.spec.conda_bounds import to_pep440
from elt_env.spec.conda_spec import CondaSpec
from elt_env.spec.document import Spec

if TYPE_CHECKING:
    from elt_env.index.download import Downloads
    from elt_env.index.package_index import PackageIndex

_NO_PAGES: Mapping[str, ProjectPage] = MappingProxyType({})


@dataclass(frozen=True)
class CondaAnswer:
    """A solution of the conda half.

    Attributes:
        channels: URLs of the channels that were used.
        source: whether these are the spec's channels or the host channel.
        bounds: what the negotiation with pip asked of conda.
        platform: the platform it is for; None is this machine as it is found.
    """

    channels: tuple[str, ...]
    source: ChannelSource
    packages: tuple[Package, ...]
    bounds: tuple[Bound, ...] = ()
    platform: Platform | None = None

    @property
    def python(self) -> str:
        """The full version of the solution's Python, on its platform."""
        version = next(each.version for each in self.packages if each.name == "python")
        return python_on(version, self.platform)

    @property
    def owned(self) -> dict[str, str]:
        """The Python distributions that conda owns: name to version."""
        return owned_distributions(self.packages)

    def owner(self, distribution: str) -> Package:
        """Return the conda package that owns a distribution; KeyError when none does."""
        for package in self.packages:
            if package.conda and distribution in dict(package.conda.distributions):
                return package
        raise KeyError(distribution)


def solve(question: LockRequest, tools: LockTools, say: Say) -> CondaAnswer:
    """Return conda's own best answer to the question.

    Raises:
        CondaUnsatisfiableError, PackageNotFoundError: there is none.
        ChannelUnreachableError: the channels do not answer, and the policy has no fallback or the
            fallback is of no use.
        NetworkError: a channel answers with something else than repodata.
    """
    if question.previous is not None:
        read_ahead(question.previous, tools.package_index)
    if question.spec.venv:
        python = solve_with(question, "remote", tools, say)
        here = f"Python {python.python} of this machine"
        if question.target.is_foreign:
            here = f"its own Python {question.target.python}, resolved for as {python.python}"
        say(f"venv: {question.target} gets {here}")
        return python
    if not question.spec.channels:
        taken = tools.channels
        say(
            f"conda: {question.spec.source} lists no channels; taking {', '.join(taken.default)} "
            f"({taken.default_source})"
        )
    channels = remote_channels(question.spec, tools.channels, tools.conda)
    say(f"conda: solving {question.target} from {', '.join(channels)}")
    try:
        return solve_with(question, "remote", tools, say)
    except ChannelUnreachableError as error:
        if tools.project.policy.channel_fallback == "none" or question.target.is_foreign:
            raise
        say(error.problem, logging.WARNING)
        say(
            "using the HOST CHANNEL in its place (channel-fallback = host): conda packages made of "
            "this machine's own Python and of wheels.",
            logging.WARNING,
        )
    return solve_with(question, "host", tools, say)


def read_ahead(previous: Lock, package_index: PackageIndex) -> None:
    """Begin to read what the indexes say by now of a lock's packages, from where they came."""
    asked = {each.name: each.index for each in previous.pip if each.index}
    package_index.look_ahead(asked)


def solve_with(
    question: LockRequest, source: ChannelSource, tools: LockTools, say: Say
) -> CondaAnswer:
    """Return conda's own answer from one source of channels.

    Raises: as `solve`.
    """
    limits: tuple[CondaSpec, ...] = ()
    if source == "remote":
        channels = remote_channels(question.spec, tools.channels, tools.conda)
    else:
        channels = (tools.host_channel.url,)
        limits = _stock_with_builds(question, tools, say)
    request = solve_request(question, channels, source, tools.channels.priority)
    request = replace(
        request, constraints=limits, once=comes_from_host(question, tools.project.policy)
    )
    packages = with_required_by(tools.conda.solve(request, say))
    if request.exclude_newer is not None and not question.spec.venv:
        _tell_undated(packages, say)
    return CondaAnswer(channels, source, packages, platform=question.platform)


def comes_from_host(question: LockRequest, policy: Policy) -> bool:
    """Tell whether a channel that fails for a moment leaves the lock where it came from before."""
    previous = question.previous
    before = previous.channel_source if previous else "remote"
    return before == "host" and policy.channel_fallback == "host"


def solve_request(
    question: LockRequest,
    channels: tuple[str, ...],
    source: ChannelSource,
    priority: ChannelPriority,
) -> SolveRequest:
    """Return what is asked of conda alone."""
    keep = question.keep_conda(source)
    if source == "host":
        # The solver would offer any that is kept, those of an earlier host channel too.
        keep = tuple(each for each in keep if each.url.startswith(f"{channels[0]}/"))
    return SolveRequest(
        channels=channels,
        specs=(CondaSpec("python", f"={question.target.python}"), *_asked(question.spec, source)),
        platform=question.target.platform,
        # What the host channel holds was found under the same date; its packages are of today.
        exclude_newer=question.exclude_newer if source == "remote" else None,
        not_held=question.not_held,
        keep=keep,
        priority=priority,
        virtual=question.platform.virtual if question.platform else None,
    )


def _tell_undated(packages: tuple[Package, ...], say: Say) -> None:
    undated = ", ".join(each.name for each in packages if each.released_at is None)
    if undated:
        say(f"conda: the channels give no date for {undated}; no cool-down holds these back")


def _asked(spec: Spec, source: ChannelSource) -> tuple[CondaSpec, ...]:
    """Return conda's requirements; the host channel stands in for those that name a channel."""
    python = spec.python_spec
    specs = (*((python,) if python != CondaSpec("python") else ()), *spec.conda)
    if source == "remote":
        return specs
    return tuple(replace(each, channel="", subdir="") for each in specs)


def remote_channels(spec: Spec, channels: Channels, conda: ChannelReader) -> tuple[str, ...]:
    """Return the URLs of the spec's channels, and after them of those that requirements name.

    So does conda with what `channel::name` asks for.
    """
    named = (each.channel for each in (spec.python_spec, *spec.conda) if each.channel)
    found = conda.channel_urls((*channels.of(spec), *named))
    if not found and not spec.venv:
        raise SpecError(
            f"{spec.source}: its only channel is 'local', and conda-build made nothing here.",
            "List a channel that is there, as in: - conda-forge",
        )
    return found


def _stock_with_builds(question: LockRequest, tools: LockTools, say: Say) -> tuple[CondaSpec, ...]:
    """Stock the host channel; where it cannot have the builds of the spec, these are named first.

    Raises: as `_resolve_stock` and `stock_host_channel`.
    """
    try:
        resolved, request = _resolve_stock(question, tools.resolver, say)
        limits = stock_host_channel(question, resolved, request, tools, say)
    except (ChannelUnreachableError, CondaUnsatisfiableError) as error:
        cause = error.problem
        missing = builds_elsewhere(
            question.spec, question.target.platform, tools.conda, tools.host_channel, cause=cause
        )
        if missing is None:
            raise
        raise missing from error
    missing = builds_elsewhere(
        question.spec, question.target.platform, tools.conda, tools.host_channel
    )
    if missing is not None:
        raise missing
    return limits


def stock_host_channel(  # noqa: PLR0913, PLR0917  # what it is stocked with
    question: LockRequest,
    resolved: tuple[Resolved, ...],
    request: ResolveRequest,
    tools: LockTools,
    say: Say,
    pages: Mapping[str, ProjectPage] = _NO_PAGES,
) -> tuple[CondaSpec, ...]:
    """Put this machine's Python and the wheels of what was resolved into the host channel.

    Returned are their versions as bounds: what an earlier lock left there makes no difference.
    `pages` are those of the index that were read by now.

    Raises:
        ToolError: this machine has no such Python.
    """
    interpreter = find_interpreter(question.target.python)
    channel = tools.host_channel
    channel.add_interpreter(interpreter, say)
    locked = files_of(resolved, request, pages, tools.resolver, say)
    fetch = functools.partial(_fetched, tools.files.downloads, say)
    with tools.files.downloads.connected():
        channel.add_wheels(locked, fetch, question.target.python, say)
    channel.index(say)
    return tuple(CondaSpec(each.name, f"=={each.version}") for each in resolved)


def _fetched(downloads: Downloads, say: Say, wheel: Package) -> Path:
    return downloads.fetch(wheel.url, wheel.sha256, say)


def _resolve_stock(
    question: LockRequest, resolver: Resolver, say: Say
) -> tuple[tuple[Resolved, ...], ResolveRequest]:
    """Return what the host channel is to hold for the spec's conda half, and how it was asked for.

    Raises:
        ChannelUnreachableError: something is asked of conda that no wheel can stand in for.
        CondaUnsatisfiableError: the index has no versions that fit.
        ToolError: this machine has no such Python.
    """
    request = ResolveRequest(
        requirements=tuple(as_requirement(each) for each in question.spec.conda),
        python=find_interpreter(question.target.python).version,
        exclude_newer=question.exclude_newer,
        not_held=question.not_held,
        undated=question.undated,
        keep=tuple((each.name, each.version) for each in question.keep_conda("host")),
        fresh=True,
    )
    refused: UnsatisfiableError | None = None
    spec = question.spec
    lacks = python_lack(spec, request.python)
    if not lacks and all(is_distribution(each.name) for each in spec.conda):
        try:
            return resolver.resolve(request, say), request
        except UnsatisfiableError as error:
            refused = error
    is_lack = isinstance(refused, (PackageNotFoundError, NoWheelError))
    cause = refused.problem if refused and is_lack else ""
    lack = no_stand_in(spec, request, resolver, cause)
    if refused is None or lack is not None:
        raise (lack or ValueError(spec)) from refused
    raise CondaUnsatisfiableError(
        f"The host channel has no versions that fit: {refused.problem}", refused.remedy
    ) from refused


def as_requirement(spec: CondaSpec) -> str:
    """Return a conda requirement as one for pip, where the host channel stands in for conda."""
    bound = to_pep440(spec.version)
    return f"{normalize(spec.name)}{bound if bound is not None else SpecifierSet()}"
