"""The owner of a store: the project that made it, as `project.json` in the store says.

Locks and releases go by the names of environments, and two projects may each have an `elt`. So a
store has one project. It is known by its name where the policy gives it one, else by its place, and
keeps its store when it is moved:

- with its store in it, since the way from the store to the project stays the same;
- without, since nothing is left at its old place, and its pyproject.toml is word for word the one
  that the store was last used with.

A bucket is used from many machines, where checkouts of one project lie anywhere: there the same
pyproject.toml is enough without a name. These machines have one platform, since the pointers to a
target's lock and its release lead to a lock, which is of one.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shlex
from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter

from elt_env.errors import EltEnvError, PolicyError
from elt_env.package.platform import this_platform
from elt_env.runtime.input_files import read_stored
from elt_env.store.documents import Documents, read_record, record_bytes, write_record

_FILE = "project.json"
_POLICY = "pyproject.toml"

_OWN_STORE = (
    "Give this project a store of its own: set 'home' in its [tool.elt-env], or ELT_ENV_HOME, to "
    "another directory."
)
_ONE_PROJECT = (
    "If both are checkouts of one project, set one 'project-name' in the [tool.elt-env] of both, "
    "and run a command that uses the store, as elt-env gc --dry-run, in {project} first."
)


@dataclass(frozen=True)
class Owner:
    """A project as a store records it.

    Attributes:
        project: its directory.
        store: the store's directory, as it was when this was recorded.
        name: what its policy calls it; None where that gives it no name.
        policy: the hex sha256 of its pyproject.toml; None without one.
        platform: of the machines that use it; None where that was not noted yet.
    """

    project: str
    store: str
    name: str | None
    policy: str | None
    platform: str | None = None

    @property
    def label(self) -> str:
        """Which project it is, for a person."""
        return f"'{self.name}' in {self.project}" if self.name else self.project


_owner: TypeAdapter[Owner] = TypeAdapter(Owner)


@dataclass(frozen=True)
class StoreOwner:
    """The record of whose a store is, for one project that wants to use it.

    Attributes:
        documents: the store.
        root: the project's directory.
        name: what its policy calls it, if it does.
    """

    documents: Documents
    root: Path
    name: str | None = None

    @property
    def _home(self) -> str:
        return self.documents.place("")

    def require(self) -> None:
        """Return when the store is this project's, or nobody's yet; the record is kept up to date.

        Raises:
            PolicyError: it is another project's, or a bucket of machines of another platform.
            IntegrityError: the record cannot be read.
        """
        recorded = self._recorded()
        if recorded is None:
            return
        self._require_own(recorded)
        self._require_platform(recorded)
        if self._is_outdated(recorded):
            # Nobody who only reads is kept from it by a store that cannot be written.
            with contextlib.suppress(EltEnvError):
                write_record(self.documents, _FILE, _owner, self._own)

    def claim(self) -> None:
        """Record that the store is this project's, where it is nobody's yet.

        Raises:
            PolicyError: it is another project's.
            IntegrityError: the record cannot be read.
            StorageError, BusyError: the record cannot be written.
        """
        if self._recorded() is None:
            self.documents.swap(_FILE, None, record_bytes(_owner, self._own))
        self.require()

    @property
    def _path(self) -> str:
        return self.documents.place(_FILE)

    @property
    def _removal(self) -> str:
        """What makes the store nobody's."""
        if self.documents.directory is None:
            return f"remove the object {self._path}"
        return f"rm {shlex.quote(self._path)}"

    @property
    def _own(self) -> Owner:
        """This project, as it is recorded."""
        digest = _policy_digest(self.root)
        return Owner(str(self.root), self._home, self.name, digest, this_platform())

    def _recorded(self) -> Owner | None:
        return read_record(
            self.documents,
            _FILE,
            _owner,
            "{}, which says whose store this is, cannot be read.",
            f"If it is that of {self.root}, remove the record: {self._removal}",
        )

    def _is_outdated(self, recorded: Owner) -> bool:
        by_name = self.name is not None and self.name == recorded.name
        return recorded.platform is None or (not by_name and recorded != self._own)

    def _require_own(self, recorded: Owner) -> None:
        if self.name and recorded.name:
            own = self.name == recorded.name
        elif self.documents.directory is None:
            own = recorded.project == str(self.root) or self._has_its_policy(recorded)
        else:
            own = self._is_at_its_place(recorded, self.documents.directory)
            own = own or self._was_moved(recorded)
        if not own:
            raise self._refusal(recorded)

    def _require_platform(self, recorded: Owner) -> None:
        here, there = this_platform(), recorded.platform
        if self.documents.directory is None and there not in (None, here):
            raise PolicyError(
                f"The store {self._home} is of machines of {there}, and this one is {here}: what "
                "is locked and released there is of one platform.",
                f"Give the machines of {here} a store of their own, as in home = "
                f'"{self._home}-{here}"; or lock for {here} on a machine of {there}: '
                "'platforms' in the policy.",
            )

    def _is_at_its_place(self, recorded: Owner, home: Path) -> bool:
        """Tell whether the recorded project is where this one is, be its store moved or copied."""
        if _same(Path(recorded.store), home):
            return _same(Path(recorded.project), self.root)
        way = os.path.relpath(recorded.project, recorded.store)
        beside = Path(os.path.normpath(home / way))
        if _same(beside, self.root):
            return True
        return not _is_project(beside) and _same(Path(recorded.project), self.root)

    def _was_moved(self, recorded: Owner) -> bool:
        """Tell whether this is the recorded project at another place."""
        gone = not _is_project(Path(recorded.project))
        return gone and self._has_its_policy(recorded)

    def _has_its_policy(self, recorded: Owner) -> bool:
        return recorded.policy is not None and recorded.policy == self._own.policy

    def _refusal(self, recorded: Owner) -> PolicyError:
        own = f"'{self.name}' in {self.root}" if self.name else str(self.root)
        steps = [
            _OWN_STORE,
            _ONE_PROJECT.format(project=shlex.quote(recorded.project)),
            f"If this is that project at a new place, or that one is given up: {self._removal}",
        ]
        if not _is_project(Path(recorded.project)):
            steps.reverse()
        return PolicyError(
            f"The store {self._home} belongs to the project {recorded.label}. This is the project "
            f"{own}: in one store, the locks and releases of one would become the other's.",
            "\n     ".join(steps),
        )


def _same(one: Path, other: Path) -> bool:
    try:
        return one.samefile(other)
    except OSError:
        return one == other


def _is_project(root: Path) -> bool:
    return (root / _POLICY).is_file()


def _policy_digest(root: Path) -> str | None:
    try:
        return hashlib.sha256(read_stored(root / _POLICY)).hexdigest()
    except OSError:
        return None
