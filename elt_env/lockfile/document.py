"""The lock: every package by name, version, URL and sha256, for one target."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final, Literal
from urllib.parse import unquote

from elt_env.package.canonical import digest_of
from elt_env.package.target import Target

SCHEMA = 1
"""Version of the lock's schema; a change of meaning raises it."""

WHEEL_BUILD_NUMBER = 1
"""Build number of the conda packages that the host channel makes of wheels. Raised when what they
require is read differently, so that locks of the packages before are made anew; 0 left out what
extras require."""

LAYOUT: Final = 2
"""What the files beside the manifest are called and hold.

1: `conda.lock`, and a `pylock.toml` without dependencies; 2: `conda-linux-64.lock`, and a
`pylock.toml` with them.
"""

DEPENDENCY_NAME = re.compile(r"[^\s=<>!~\[]+")
"""Matches the name at the start of a requirement in `depends`."""

Manager = Literal["conda", "pip"]
ChannelSource = Literal["remote", "host"]


@dataclass(frozen=True)
class CondaDetail:
    """What linking a conda package needs beyond its name and version (CEP 36 repodata fields).

    Attributes:
        distributions: the Python distributions its files install, as (name, version) pairs read
            from the package's own `.dist-info`.
        scripts: the paths of the scripts that conda would run when it links or unlinks it.
    """

    subdir: str
    build_number: int
    noarch: Literal["python", "generic"] | None = None
    depends: tuple[str, ...] = ()
    constrains: tuple[str, ...] = ()
    license: str | None = None
    md5: str | None = None
    python_site_packages_path: str | None = None
    distributions: tuple[tuple[str, str], ...] = ()
    scripts: tuple[str, ...] = ()


@dataclass(frozen=True)
class BuiltFrom:
    """What a wheel was built of that no index has.

    Attributes:
        wheel: the wheel's file name.
        sha256: hex digest of the source archive; "" for a repository.
        commit: the full commit of a git repository; "" for an archive.
        subdirectory: where the project lies in it, or "".
    """

    wheel: str
    sha256: str = ""
    commit: str = ""
    subdirectory: str = ""


@dataclass(frozen=True)
class Package:
    """One locked package.

    Attributes:
        build: conda's build string; None for pip.
        sha256: hex digest of the archive.
        size: bytes of the archive, where the channel or index tells.
        released_at: when it was uploaded (pip) or built (conda), in UTC, where known.
        requested: whether a person asked for it by name.
        required_by: names of the locked packages that need it, sorted.
        index: URL of the index it was found on (pip), without credentials.
        requires_python: the Pythons it is for (pip), as the index says; None where it does not.
        built: what the wheel was built of at `url`, when no index has it.
    """

    manager: Manager
    name: str
    version: str
    url: str
    sha256: str
    build: str | None = None
    size: int | None = None
    released_at: datetime | None = None
    requested: bool = False
    required_by: tuple[str, ...] = ()
    index: str | None = None
    requires_python: str | None = None
    conda: CondaDetail | None = None
    built: BuiltFrom | None = None

    @property
    def file_name(self) -> str:
        """The name of the file that is installed: the last part of the URL, if it was not built."""
        return self.built.wheel if self.built else self.url.rsplit("/", maxsplit=1)[-1]

    @property
    def archive_name(self) -> str:
        """The name of that file on a disk."""
        return unquote(self.file_name)

    @property
    def origin(self) -> str:
        """The URL; for what was built, as pip writes it, with the commit or hash of the source."""
        if self.built is None:
            return self.url
        from elt_env.spec.direct import origin_of  # slow to load, and few packages are built

        return origin_of(self.url, self.built.sha256, self.built.commit, self.built.subdirectory)

    @property
    def origin_sha256(self) -> str:
        """The hash of what is behind the URL: of the source of what was built; "" for a commit."""
        return self.built.sha256 if self.built else self.sha256


@dataclass(frozen=True)
class Bound:
    """A bound that the negotiation gave to conda so that pip could live with its answer.

    Attributes:
        name: the conda package.
        version: the bound, as in `>=2.0,<3.0`.
        refused: the version that conda had chosen before.
        required_by: the pip packages that need the bound.
    """

    name: str
    version: str
    refused: str
    required_by: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.name} {self.version}"


@dataclass(frozen=True)
class HeldBack:
    """A requested package that is older than it would be if nothing else were asked for.

    Attributes:
        version: what is locked.
        possible: the newest that the spec's own requirement on it admits.
        reason: who needs what, as far as that was found out; "" where it was not.
        wheelless: what that version needs of which there are sdists alone; known to whoever
            resolves, and not kept.
    """

    name: str
    version: str
    possible: str
    reason: str = field(default="", compare=False)
    wheelless: tuple[str, ...] = field(default=(), compare=False)

    def __str__(self) -> str:
        why = f": {self.reason}" if self.reason else ""
        return (
            f"{self.name} {self.version} is locked; {self.possible} is not possible with all else "
            f"that the spec asks for as new as it is{why}"
        )


@dataclass(frozen=True)
class Lock:
    """Every package of one target.

    Attributes:
        spec_digest: digest of the spec it was made from.
        requirements: the spec's requirements at that time, as `conda: …` and `pip: …` lines.
        channels: URLs of the conda channels that were used.
        channel_source: `host` when the spec's channels could not be reached and the host channel
            stood in for them.
        indexes: URLs of the package indexes, without credentials.
        exclude_newer: only releases before this moment were considered; None without a cool-down.
        locked_at: when the lock was made, UTC.
        tools: names and versions of the tools that made it.
        negotiated: the bounds that conda was given for pip's sake.
        held_back: what is older than it would be without conda's packages.
        packages: conda's and pip's packages, sorted by manager and name.
        variables: the spec's environment variables and their values, sorted by name.
        notes: what is worth saying and is no fault, a line each.
        places: what the spec and the policy said of channels and indexes, as `kind: value` lines;
            None in a lock of a time when that was not recorded.
        layout: see LAYOUT; it is that of the time when the lock was made.
        interpreter: the full version of the machine's Python that pip's packages were resolved for,
            where there is no conda half; any patch release of the minor will do. Else None.
    """

    target: Target
    spec_digest: str
    requirements: tuple[str, ...]
    channels: tuple[str, ...]
    channel_source: ChannelSource
    indexes: tuple[str, ...]
    exclude_newer: datetime | None
    locked_at: datetime
    tools: tuple[tuple[str, str], ...]
    negotiated: tuple[Bound, ...]
    packages: tuple[Package, ...]
    held_back: tuple[HeldBack, ...] = ()
    variables: tuple[tuple[str, str], ...] = ()
    notes: tuple[str, ...] = ()
    places: tuple[str, ...] | None = None
    schema: int = field(default=SCHEMA)
    layout: Literal[1, 2] = LAYOUT
    interpreter: str | None = None

    def __post_init__(self) -> None:
        """Put the packages into their one order, whatever order they came in."""
        ordered = tuple(sorted(self.packages, key=lambda each: (each.manager, each.name)))
        object.__setattr__(self, "packages", ordered)

    @property
    def digest(self) -> str:
        """The sha256 of the canonical content.

        Schema, target, per manager the name, version, build and sha256 of each package, and the
        variables, if there are any, since all that is proven is run with them: not when, where or
        in what order the lock was made.
        """
        packages = [[p.manager, p.name, p.version, p.build, p.sha256] for p in self.packages]
        content: dict[str, object] = {
            "schema": self.schema,
            "target": str(self.target),
            "packages": packages,
        }
        if self.variables:
            content["variables"] = [list(each) for each in self.variables]
        return digest_of(content)

    @property
    def heading(self) -> str:
        """The comment that files of the lock begin with."""
        return f"# {self.target} {self.digest}"

    @property
    def conda(self) -> tuple[Package, ...]:
        """The packages that conda installs."""
        return tuple(each for each in self.packages if each.manager == "conda")

    @property
    def pip(self) -> tuple[Package, ...]:
        """The packages that pip installs."""
        return tuple(each for each in self.packages if each.manager == "pip")

    @property
    def python(self) -> Package:
        """Conda's Python itself; of a lock without a conda half, what stands for the machine's.

        Raises:
            KeyError: there is none; no lock is made without one.
        """
        if self.interpreter is not None:
            return machine_python(self.interpreter)
        return self.package("conda", "python")

    def package(self, manager: Manager, name: str) -> Package:
        """Return the package of that manager and name; KeyError when there is none."""
        for each in self.packages:
            if (each.manager, each.name) == (manager, name):
                return each
        raise KeyError(name)

    @property
    def distributions(self) -> dict[str, str]:
        """Every Python distribution that the prefix will hold, conda's and pip's, by version."""
        return owned_distributions(self.conda) | {each.name: each.version for each in self.pip}


def machine_python(version: str) -> Package:
    """Return what stands for a Python that no channel brings, in questions to conda and pip."""
    detail = CondaDetail("noarch", 0)
    return Package("conda", "python", version, url="", sha256="", build="0", conda=detail)


def owned_distributions(packages: tuple[Package, ...]) -> dict[str, str]:
    """Return the Python distributions that conda packages own: name to version."""
    return {
        name: version
        for package in packages
        if package.conda is not None
        for name, version in package.conda.distributions
    }


def with_required_by(packages: tuple[Package, ...]) -> tuple[Package, ...]:
    """Return conda packages with `required_by` filled in from each other's `depends`."""
    needs: dict[str, set[str]] = {each.name: set() for each in packages}
    for package in packages:
        for dependency in package.conda.depends if package.conda else ():
            name = DEPENDENCY_NAME.match(dependency.strip())
            if name is not None and name[0] in needs:
                needs[name[0]].add(package.name)
    return tuple(replace(each, required_by=tuple(sorted(needs[each.name]))) for each in packages)
