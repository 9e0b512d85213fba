"""From a file: lock an environment whose spec a person names by its path, without any policy."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from packaging.version import Version

from elt_env.errors import (
    ChannelUnreachableError,
    PolicyError,
    SpecError,
    UnsatisfiableError,
)
from elt_env.lock.lock_tools import LockTools
from elt_env.lock.make import Locked, lock
from elt_env.machine.platform import target_here
from elt_env.machine.process import Say
from elt_env.package.platform import this_platform
from elt_env.package.target import Target, environment_name, require_environment, require_minor
from elt_env.project.policy import EnvironmentPolicy
from elt_env.project.project import Project
from elt_env.project.spec_paths import is_spec_of, listed_as, spec_at
from elt_env.project.unlisted import relative_spec, remember
from elt_env.python.interpreters import list_interpreters
from elt_env.spec.conda_bounds import admits_minor, admitted_minors
from elt_env.spec.document import Spec
from elt_env.spec.file import read_spec

_TRIES = 3  # Pythons, where the file leaves it open


AnyTools = TypeVar("AnyTools", bound=LockTools)
Answer = TypeVar("Answer")


@dataclass(frozen=True)
class Candidate(Generic[AnyTools]):
    """What a file may become.

    Attributes:
        target: its environment, with one of the Pythons that suit it.
        tools: of that environment.
    """

    target: Target
    tools: AnyTools


@dataclass(frozen=True)
class LockedFile(Generic[AnyTools]):
    """What became of a file.

    Attributes:
        tools: of its environment.
    """

    target: Target
    tools: AnyTools
    locked: Locked


def lock_file(candidates: Sequence[Candidate[AnyTools]], say: Say) -> LockedFile[AnyTools]:
    """Lock the environment of a spec, and remember it in the store where no policy lists it.

    Args:
        candidates: what that may be, as of `candidates_of`.
        say: told of progress.

    Raises:
        EltEnvError: as `elt_env.lock.make.lock`.
    """
    found, locked = first_answer(candidates, lambda each: lock(each.target, each.tools, say), say)
    wanted, project = found.target.environment, found.tools.project
    if wanted not in project.policy.environments:
        remember(project.documents, wanted, project.unlisted[wanted])
    return LockedFile(found.target, found.tools, locked)


def candidates_of(  # noqa: PLR0913  # one keyword for each part of a target
    file: Path,
    project: Project,
    open_tools: Callable[[Project, str], AnyTools],
    say: Say,
    *,
    python: str | None = None,
    name: str | None = None,
) -> tuple[Candidate[AnyTools], ...]:
    """Return what the environment of a spec may be, the preferred first.

    Args:
        file: the spec, or the directory of an environment.yml.
        project: whose policy and store are used.
        open_tools: returns the tools of an environment of a project.
        say: told of progress.
        python: the Python minor; by default that of the file, else the newest that can be had and
            suits what is asked for, else the one of before.
        name: what the environment is called; by default as the file says.

    Raises:
        SpecError: the file is missing or cannot be used, or excludes that Python.
        PolicyError: another environment has that name.
    """
    file = spec_at(file)
    listed = listed_as(file, project)
    if listed is not None and name in (None, listed):
        target = target_here(listed, python or project.environment(listed).pythons[0])
        return (Candidate(target, open_tools(project, listed)),)
    spec = read_spec(project.root, relative_spec(file, project.root))
    wanted = _name(name, spec, file)
    _require_free(wanted, file, project, say)
    pythons = _pythons(spec, wanted, project, open_tools, python)
    store = project.documents.place("")
    say(f"{spec.source} is not in a policy: it becomes {wanted}, in the store {store}")
    return tuple(
        Candidate(
            target_here(wanted, each),
            open_tools(_including(project, wanted, spec, each), wanted),
        )
        for each in pythons
    )


def _name(asked: str | None, spec: Spec, file: Path) -> str:
    if asked is None:
        return environment_name(spec.name, file.absolute())
    return require_environment(asked)


def _require_free(name: str, file: Path, project: Project, say: Say) -> None:
    """Return when the name is this file's, or nobody's."""
    other = project.environments.get(name)
    if other is None or (name in project.unlisted and is_spec_of(other, file, project)):
        return
    place = project.root / other.spec
    if name not in project.policy.environments and not place.exists():
        say(f"{name} was made from {place} before, which is gone; now it is made from {file}")
        return
    whose = "The policy has" if name in project.policy.environments else "The store has"
    free = next(each for each in _numbered(name) if each not in project.environments)
    raise PolicyError(
        f"{whose} an environment '{name}' already, of {place}; {file} would be mixed with it.",
        f"Give it a name of its own: elt-env build {file} --name {free}",
    )


def _numbered(name: str) -> Iterable[str]:
    return (f"{name}-{number}" for number in range(2, 1000))


def _pythons(
    spec: Spec,
    name: str,
    project: Project,
    open_tools: Callable[[Project, str], AnyTools],
    asked: str | None,
) -> tuple[str, ...]:
    """Return the Python minors to try, the preferred first."""
    admitted = admitted_minors(spec.python)
    if asked is not None:
        if require_minor(asked) not in admitted:
            raise SpecError(
                f"{spec.source}: 'python {spec.python}' excludes Python {asked}.",
                "Widen the bound, or leave --python out.",
            )
        return (asked,)
    if not admitted:
        raise SpecError(
            f"{spec.source}: no Python 3 satisfies 'python {spec.python}'.",
            "Ask for one, as in: python=3.11",
        )
    before = project.unlisted.get(name)
    if before is not None and before.pythons[0] in admitted:
        return before.pythons[:1]
    if len(admitted) == 1:
        return admitted
    tools = open_tools(_including(project, name, spec, admitted[-1]), name)
    offered = [each for each in _on_offer(spec, tools) if each in admitted]
    if not offered:
        raise SpecError(
            f"{spec.source}: no Python that can be had here satisfies 'python {spec.python}'.",
            "See what this machine has: elt-env pythons",
        )
    return tuple(sorted(offered, key=Version, reverse=True)[:_TRIES])


def _on_offer(spec: Spec, tools: LockTools) -> set[str]:
    """Return the Python minors of the channels, or of this machine where these are replaced."""
    channels = tools.channels.of(spec)
    try:
        releases = tools.conda.releases(channels, ("python",), this_platform())["python"]
    except ChannelUnreachableError:
        if tools.project.policy.channel_fallback == "none":
            raise
        return {each.minor for each in list_interpreters()[0]}
    versions = (Version(each.version) for each in releases)
    return {f"{each.major}.{each.minor}" for each in versions if not each.is_prerelease}


def _including(project: Project, name: str, spec: Spec, python: str) -> Project:
    before = project.unlisted.get(name)
    others = before.pythons if before else ()
    kept = (each for each in others if each != python and admits_minor(spec.python, each))
    pythons = (python, *kept)
    source = before.python if before else project.policy.python
    policy = EnvironmentPolicy(spec=spec.source, pythons=pythons, python=source)
    return project.including(name, policy)


def first_answer(
    candidates: Sequence[Candidate[AnyTools]],
    ask: Callable[[Candidate[AnyTools]], Answer],
    say: Say,
) -> tuple[Candidate[AnyTools], Answer]:
    """Return the first candidate for which there is an answer, and that answer.

    Raises:
        UnsatisfiableError: there is none; it says what the first has against it.
    """
    refused: UnsatisfiableError | None = None
    for each in candidates:
        try:
            return each, ask(each)
        except UnsatisfiableError as error:
            if each is not candidates[-1]:
                say(f"{each.target.name} cannot be had: {error.headline}", logging.WARNING)
            refused = refused or error
    if refused is None:
        raise ValueError(candidates)
    raise refused
