"""The project: where it is, its policy, its environments and their specs."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from elt_env.errors import PolicyError, SpecError
from elt_env.project.cache_home import STORE, USER, CacheHome, find_cache_home
from elt_env.project.components import Component
from elt_env.project.policy import EnvironmentPolicy, Policy
from elt_env.project.store_owner import StoreOwner
from elt_env.project.store_url import (
    bucket_url,
    directory_of,
    open_bucket_documents,
    store_name,
)
from elt_env.store.documents import Documents
from elt_env.store.local import LocalDocuments

if TYPE_CHECKING:
    from elt_env.spec.document import Spec

_OF_PROJECT = ".elt_env"  # with a store in a bucket
_DIGITS = 12  # of a lock's digest, in the name of its prefix
_LONGEST_PREFIX = 255  # bytes, for which conda-build leaves room in every package
# A colon ends an entry of PATH; the others end a text in the modules and scripts that conda writes
# the path of a prefix into.
_UNUSABLE = re.compile(r"[:\\'\"\x00-\x1f\x7f]")
_NAMES = {":": "a colon", "\\": "a backslash", "'": "a quote", '"': "a quote"}


@dataclass(frozen=True)
class _Place:
    """A directory, as the key of the policy says it."""

    key: str
    path: str

    @property
    def setting(self) -> str:
        """Where it is set."""
        variable = f"ELT_ENV_{self.key.replace('-', '_').upper()}"
        return f"'{self.key}' in [tool.elt-env], or {variable}"


@dataclass(frozen=True)
class Project:
    """A directory whose pyproject.toml carries a policy, or whose components do.

    Attributes:
        root: absolute path of that directory, with no links in it.
        unlisted: environments that the policy does not list, but that the store remembers.
        components: the files of environments that are components of a `dg` project.
    """

    root: Path
    policy: Policy
    unlisted: Mapping[str, EnvironmentPolicy] = field(default_factory=dict)
    components: tuple[Component, ...] = ()

    @property
    def local_home(self) -> Path:
        """The directory of this machine: absolute, `~` expanded, relative to the project, no links.

        It is the store's; where that is a bucket, one of the caches' or of the project. Prefixes
        and launchers name their place, so it has one name, whichever way leads to it.

        Raises:
            PolicyError: it lies in the home directory of a user who is not there, it is no
                directory, or its path has a length or characters with which no environment works;
                or the store is a URL of no bucket.
        """
        if not self._bucket:
            return self._home
        caches = self.policy.cache_home
        if caches in (USER, STORE):
            return self._usable(_Place("cache-home", _OF_PROJECT))
        return self._usable(_Place("cache-home", str(Path(caches, store_name(self._bucket)))))

    @cached_property
    def caches(self) -> CacheHome:
        """Where what can be fetched or made again is kept.

        Raises:
            PolicyError: as `local_home`.
        """
        return find_cache_home(self.policy.cache_home, self.root, self.local_home)

    @property
    def bundle_signers(self) -> Path | None:
        """The file of those who may sign a bundle; None where the policy names none."""
        return self._file(self.policy.bundle_signers)

    @property
    def bundle_key(self) -> Path | None:
        """The file of the key that bundles in the store are signed with, if there is one."""
        return self._file(self.policy.bundle_key)

    def _file(self, named: str | None) -> Path | None:
        return self.root / Path(named).expanduser() if named else None

    @property
    def _home(self) -> Path:
        return self._usable(_Place("home", directory_of(self.policy.home)))

    @property
    def _bucket(self) -> str:
        """The URL of the store, where it is a bucket; else ""."""
        return bucket_url(self.policy.home)

    def _usable(self, wanted: _Place) -> Path:
        """Return a directory that environments can be in, by its path and by what is there."""
        try:
            place = Path(os.path.realpath(self.root / Path(wanted.path).expanduser()))
        except RuntimeError as error:
            raise PolicyError(
                f"The store '{wanted.path}' is in the home directory of an unknown user.",
                f"Correct {wanted.setting}.",
            ) from error
        bad = _UNUSABLE.search(str(place))
        if bad:
            raise PolicyError(
                f"The store {str(place)!r} has {_NAMES.get(bad[0], 'a control character')} in its "
                "path, with which no environment works: it is part of PATH and of programs.",
                f"Set {wanted.setting}, to a path without it, of this project alone.",
            )
        self._require_room(place, wanted)
        return place

    def _require_room(self, place: Path, wanted: _Place) -> None:
        """Return when prefixes can be in a store, by its path and by what is there."""
        longest = max(map(len, self.environments), default=0)
        length = len(os.fsencode(place)) + len("/prefixes/@3.10-") + longest + _DIGITS
        if length > _LONGEST_PREFIX:
            raise PolicyError(
                f"The path of the store is too long: a prefix in it would have {length} bytes, and "
                f"conda's packages can be installed below a path of {_LONGEST_PREFIX}: {place}",
                f"Set {wanted.setting}, to a shorter path.",
            )
        if os.path.lexists(place) and not place.is_dir():
            raise PolicyError(
                f"The store {place} is no directory.",
                f"Set {wanted.setting}, to a directory of this project alone; it is made when it "
                "is not there.",
            )

    @property
    def documents(self) -> Documents:
        """The documents of the store.

        Raises:
            PolicyError: as `local_home`; or the store is a bucket, and what reads them is missing.
        """
        return open_bucket_documents(self._bucket) if self._bucket else LocalDocuments(self._home)

    @property
    def store_owner(self) -> StoreOwner:
        """Whose the store is, in this project's eyes.

        Raises:
            PolicyError: as `local_home`.
        """
        return StoreOwner(self.documents, self.root, self.policy.project_name)

    @property
    def environments(self) -> dict[str, EnvironmentPolicy]:
        """Every environment by name, those of the policy first; a name of the policy is its own."""
        own = self.policy.environments
        return {**own, **{name: each for name, each in self.unlisted.items() if name not in own}}

    @property
    def first(self) -> str:
        """The name of the first environment.

        Raises:
            PolicyError: there is none.
        """
        if not self.environments:
            raise PolicyError(
                f"There is no environment in {self.root}.",
                "Build one from a file: elt-env build environment.yml",
            )
        return next(iter(self.environments))

    @property
    def table(self) -> str:
        """Where a person writes the keys of the policy."""
        if self.policy.environments:
            return "[tool.elt-env]"
        return "[tool.elt-env] of the pyproject.toml that elt-env init writes"

    def target_name(self, name: str) -> str:
        """Return the target that an environment alone stands for; any other text as it is."""
        environment = self.environments.get(name)
        return f"{name}@{environment.pythons[0]}" if environment else name

    def including(self, name: str, policy: EnvironmentPolicy) -> Project:
        """Return the same project with one more environment that its policy does not list."""
        return replace(self, unlisted={**self.unlisted, name: policy})

    def environment(self, name: str) -> EnvironmentPolicy:
        """Return the policy of one environment.

        Raises:
            PolicyError: there is no environment of that name.
        """
        found = self.environments.get(name)
        if found is None:
            known = ", ".join(sorted(self.environments))
            raise PolicyError(
                f"There is no environment '{name}'.",
                f"Use one of: {known}; or add [tool.elt-env.environments.{name}]; or build one "
                "from a file: elt-env build FILE",
            )
        return found

    def _place_of(self, environment: str) -> str:
        """Return where the keys of an environment stand."""
        files = (str(each.path) for each in self.components if each.name == environment)
        return next(files, f"[tool.elt-env.environments.{environment}]")

    def spec(self, environment: str) -> Spec:
        """Return the spec of one environment, which admits every Python the policy lists.

        Raises:
            SpecError: the file is missing or cannot be used.
            PolicyError: there is no environment of that name.
        """
        from elt_env.spec.file import read_spec  # slow to load
        from elt_env.spec.merge import merge

        policy = self.environment(environment)
        remedy = "Create it; where it has moved to: elt-env build FILE"
        if environment in self.policy.environments:
            remedy = f"Create it, or correct 'spec' in {self._place_of(environment)}."
        spec = read_spec(self.root, policy.spec, remedy)
        for each in policy.merge:
            more = f"Create it, or correct 'merge' in {self._place_of(environment)}."
            spec = merge(spec, read_spec(self.root, each, more))
        if policy.python == "venv":
            spec = spec.for_venv()
        try:
            spec.require_python(policy.pythons)
        except SpecError as error:
            if environment in self.policy.environments:
                raise
            again = f"Lock it for the Python that it asks for: elt-env build {policy.spec}"
            raise SpecError(error.problem, again) from error
        return spec
