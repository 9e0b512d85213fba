"""A follower: a machine's own store, and the store that it takes releases from."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from elt_env.errors import EltEnvError, InputError, IntegrityError, PolicyError
from elt_env.lockfile.document import Lock
from elt_env.package.platform import this_platform
from elt_env.package.target import Target, parse_target
from elt_env.project.policy import EnvironmentPolicy
from elt_env.project.project import Project
from elt_env.project.settings import open_project
from elt_env.project.store_url import bucket_url, directory_of, open_bucket_documents
from elt_env.project.unlisted import remember
from elt_env.release.record import Release
from elt_env.release.store import ReleaseStore
from elt_env.store.locks import Store
from elt_env.tools import Tools, open_tools

_SPEC = "environment.yml"  # where one would be; a follower has none


@dataclass(frozen=True)
class Machine:
    """A follower of one target.

    Attributes:
        source: the store that releases are taken from.
        tools: of this machine, with its own store.
        id: which wave it is in, and what it reports by.
        reports: whether it reports.
    """

    target: Target
    source: Store
    tools: Tools
    id: str
    reports: bool = True

    @property
    def own(self) -> Store:
        """The store of this machine."""
        return self.tools.store

    def released(self) -> int:
        """Return the number of the release whose entry points this machine has; 0 for none."""
        try:
            current = ReleaseStore(self.own).current(self.target.name)
        except EltEnvError:
            return 0
        return current.number if current else 0

    def fetched(self, release: Release) -> Lock:
        """Return the lock of a release, kept on this machine.

        Raises:
            IntegrityError: it is gone, was changed by hand, or is of another target or platform.
        """
        try:
            return self.own.read_lock(release.digest, self.target)
        except IntegrityError:
            lock = self.source.read_manifest(release.digest, self.target)
            self.own.write_lock(lock)
            return lock

    def for_lock(self, lock: Lock) -> Machine:
        """Return the same with what builds a lock, whatever its Python is of: conda, or a venv."""
        tools, name = self.tools, lock.target.environment
        python = "venv" if lock.interpreter else "conda"
        if (tools.environment.python or "conda") == python:
            return self
        policy = tools.environment.model_copy(update={"python": python})
        if name in tools.project.unlisted:
            remember(self.own.documents, name, policy)
        project = tools.project.including(name, policy)
        return replace(self, tools=replace(tools, environment=policy, project=project))


def open_machine(name: str, place: str, known_as: str, *, reports: bool = True) -> Machine:
    """Return the follower that this directory is; an empty one becomes it.

    Args:
        name: of the target; an environment alone where one Python of it is released.
        place: of the store that it follows: a bucket or a directory.
        known_as: its id.
        reports: whether it reports what came of a release.

    Raises:
        InputError: the target is none, or nothing of it is released; or a store cannot be used.
    """
    project, source = open_project(with_policy=False), _source(place)
    if project.documents.directory is None:
        raise PolicyError(
            f"The store of {project.root} is {project.documents.place('')}, which many machines "
            "share; a follower has one of its own.",
            "Set 'home' in [tool.elt-env], or ELT_ENV_HOME, to a directory.",
        )
    if source.documents.directory == project.local_home:
        raise InputError(
            f"{place} is the store of {project.root} itself.",
            "Follow from a directory of its own, or name another store: --from",
        )
    target = _target(name, source)
    return Machine(target, source, _tools(project, target), known_as, reports)


def _source(place: str) -> Store:
    url = bucket_url(place)
    if url:
        return Store(Path("/nonexistent"), documents=open_bucket_documents(url))
    path = Path(directory_of(place)).expanduser().resolve()
    if not path.is_dir():
        raise InputError(f"There is no store in {path}.", "Name the 'home' of a project: --from")
    return Store(path)


def _target(name: str, source: Store) -> Target:
    if "@" in name:
        return parse_target(name, this_platform())
    released = ReleaseStore(source).targets()
    found = [each for each in released if each.partition("@")[0] == name]
    if len(found) != 1:
        raise InputError(
            f"'{name}' stands for {', '.join(found) or 'nothing that is released'} in "
            f"{source.documents.place('')}.",
            f"Name one target, as in elt@3.11; released: {', '.join(released) or 'nothing'}",
        )
    return parse_target(found[0], this_platform())


def _tools(project: Project, target: Target) -> Tools:
    """Return the tools of the environment, which is remembered where no policy lists it."""
    name = target.environment
    if name not in project.policy.environments:
        before = project.unlisted.get(name)
        pythons = tuple(dict.fromkeys((*(before.pythons if before else ()), target.python)))
        policy = before or EnvironmentPolicy(spec=_SPEC, pythons=pythons)
        policy = policy.model_copy(update={"pythons": pythons})
        if before is None or before.pythons != pythons:
            project.store_owner.claim()
            remember(project.documents, name, policy)
        project = project.including(name, policy)
    return open_tools(project, name)
