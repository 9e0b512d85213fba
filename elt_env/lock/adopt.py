"""Adopt: the lock that a team has in the files of other tools, as one of this project."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from packaging.requirements import Requirement
from packaging.version import Version

from elt_env.errors import InputError, IntegrityError, SpecError
from elt_env.lock.adopt_needs import Needs, with_needy, wrong_pythons
from elt_env.lock.adopt_pip import (
    Candidates,
    Fetched,
    fetched,
    locked_packages,
    merged,
    placed,
    read_needs,
)
from elt_env.lock.adopt_prefix import broken_in
from elt_env.lock.adopt_spec import (
    conda_roots,
    pip_roots,
    require_same_urls,
    shortcomings,
    spec_text,
)
from elt_env.lock.assemble import script_notes, tool_versions
from elt_env.lock.directs import prepare
from elt_env.lock.from_file import AnyTools, LockedFile
from elt_env.lock.lock_tools import LockTools
from elt_env.lock.make import Resolution, refuse_credentials, require_listed, write
from elt_env.lock.places import declared_places
from elt_env.lock.request import LockRequest, ask
from elt_env.lock.satisfaction import requirement_lines
from elt_env.lock.solve import CondaAnswer, solve
from elt_env.lockfile.document import Lock, Package, with_required_by
from elt_env.lockfile.foreign.document import ForeignArchive, ForeignLock, ForeignPackage, Wanted
from elt_env.lockfile.foreign.read import LockFile
from elt_env.lockfile.lock_faults import faults
from elt_env.machine.process import Say
from elt_env.package.names import normalize
from elt_env.package.target import Target, minor_of
from elt_env.project.policy import EnvironmentPolicy
from elt_env.project.project import Project
from elt_env.project.unlisted import remember
from elt_env.runtime.files import write_atomically
from elt_env.spec.document import Spec
from elt_env.spec.environment_yml import parse_spec
from elt_env.spec.foreign.read import is_foreign

_SYSTEMS = ("linux-", "osx-", "win-")


def adopt(  # noqa: PLR0913  # what, as what, and with what
    files: Sequence[LockFile],
    target: Target,
    project: Project,
    open_tools: Callable[[Project, str], AnyTools],
    say: Say,
    *,
    groups: tuple[str, ...] = (),
) -> LockedFile[AnyTools]:
    """Make the lock of a target of lock files of other tools, and its spec where there is none.

    Args:
        files: the files; where none has a conda half, that is solved for Python alone, or for
            what the spec asks of conda.
        target: whose lock it becomes; an environment that is not known is made known.
        project: whose policy and store are used.
        open_tools: returns the tools of an environment of a project.
        say: told of progress, and of what no lock can hold.
        groups: the extras, groups or environments of the files to take beside the main ones.

    Raises:
        InputError: a file cannot be used, or the files contradict each other.
        SpecError: the lock does not satisfy the spec that is there, or the policy.
        IntegrityError: a package has another hash than a file says, or none has that hash.
        EltEnvError: as `elt_env.lock.make.lock` where a channel or an index is asked.
    """
    mine = _including(project, target)
    tools = open_tools(mine, target.environment)
    require_listed(target, tools.project)
    adoption = _Adoption(target, tools, groups, say)
    made = adoption.lock(files, " and ".join(str(each.path) for each in files))
    with _spec_written(adoption.spec_path, adoption.new_text):
        if target.environment not in project.policy.environments:
            remember(project.documents, target.environment, mine.unlisted[target.environment])
        return LockedFile(target, tools, write(made, tools, say))


def _including(project: Project, target: Target) -> Project:
    name, python = target.environment, target.python
    if name in project.policy.environments:
        return project
    known = project.unlisted.get(name)
    spec, before = (known.spec, known.pythons) if known else (f"environments/{name}.yml", ())
    pythons = (*before, *(() if python in before else (python,)))
    source = known.python if known else project.policy.python
    policy = EnvironmentPolicy(spec=spec, pythons=pythons, python=source)
    return project.including(name, policy)


@contextlib.contextmanager
def _spec_written(path: Path, text: str) -> Iterator[None]:
    """Write a spec that is not there yet, and take it away again when what follows fails."""
    with contextlib.ExitStack() as undo:
        if text:
            write_atomically(path, text)
            undo.callback(path.unlink, missing_ok=True)
        yield
        undo.pop_all()


@dataclass
class _Adoption:
    """The making of one lock.

    Attributes:
        new_text: of the spec that is to be written; "" where there is one.
    """

    target: Target
    tools: LockTools
    groups: tuple[str, ...]
    say: Say
    new_text: str = ""

    @property
    def spec_path(self) -> Path:
        return self.tools.project.root / self._environment.spec

    def lock(self, files: Sequence[LockFile], names: str) -> Resolution:
        """Return the lock of the files, not written yet, under the spec that it satisfies."""
        target, tools = self.target, self.tools
        there = self._spec_there()
        wanted = Wanted(target.python, target.platform, self.groups)
        halves = [each.select(wanted) for each in files if each.has_conda]
        conda = self._conda(halves, there)
        wanted = replace(wanted, python=conda.python)
        halves += [each.select(wanted) for each in files if not each.has_conda]
        self._tell_groups(halves)
        foreign = merged((each for half in halves for each in half.pip), names)
        notes = [f"adopted from {names}", *(note for half in halves for note in half.notes)]
        pip, notes[len(notes) :] = self._without_owned(foreign, conda)
        indexes = [url for half in halves for url in half.indexes]
        files_of, pip = placed(pip, indexes, conda.python, tools, self.say)
        base = there or self._parsed(spec_text(target, pip=_urls(pip)))
        found = self._pip(pip, files_of, base, conda.python)
        notes += [
            f"{each.name} {each.version} is on no index, and no lock can hold it"
            for each in pip
            if each.name not in {some.package.name for some in found}
        ]
        needs = _needs(found, pip, there, conda.python)
        packages = with_needy((*conda.packages, *(each.package for each in found)), needs.needy())
        if there is None:
            told = [line for half in halves for line in half.roots]
            self.new_text = self._new_spec(conda, packages, told, pip)
        spec = there or self._parsed(self.new_text)
        made = self._assembled(spec, conda, packages, notes, needs)
        for each in (some.path for some in files if some.path.is_dir()):
            broken = broken_in(each, made, tools.files.downloads)
            made = replace(made, notes=(*made.notes, *broken))
        self._require_satisfying(made, spec, names)
        return Resolution(self._asked(spec, names), made)

    def _spec_there(self) -> Spec | None:
        """Return the spec of the environment, None where there is none yet.

        Raises:
            InputError: there is none, and none can be written.
        """
        if self.spec_path.exists():
            return self.tools.project.spec(self.target.environment)
        name = self._environment.spec
        if is_foreign(name):
            raise InputError(
                f"The spec {name} does not exist, and none is written in that format.",
                "Write what you ask for into it; or name an environment.yml as 'spec', which is "
                "written from what is adopted.",
            )
        return None

    def _asked(self, spec: Spec, names: str) -> LockRequest:
        """Return the question that the lock of the files answers."""
        policy, store = self.tools.project.policy, self.tools.store
        previous = None
        with contextlib.suppress(IntegrityError):
            previous = store.current_lock(self.target)
        reasons = (f"{names} was adopted",)
        return ask(self.target, spec, policy, store.now, previous=previous, reasons=reasons)

    def _tell_groups(self, halves: Sequence[ForeignLock]) -> None:
        """Say which groups of the files are left out, and which files have nothing else.

        Raises:
            InputError: one that is wanted is in no file.
        """
        known = {name for half in halves for name in half.groups}
        unknown = [each for each in self.groups if each not in known]
        if unknown:
            raise InputError(
                f"No file has a group {', '.join(unknown)}.",
                f"Name one of these: {', '.join(sorted(known)) or 'there is none'}",
            )
        for half in halves:
            if not (half.pip or half.conda):
                nothing = f"{half.source} has no packages for {self.target}"
                self.say(f"adopt: {nothing}", logging.WARNING)
            left = [each for each in half.groups if each not in self.groups]
            if left:
                self.say(f"adopt: {half.source} has more: --group {', --group '.join(left)}")

    def _conda(self, halves: Sequence[ForeignLock], there: Spec | None) -> CondaAnswer:
        """Return conda's half of the files; where they have none, one that is solved."""
        archives = [each for half in halves for each in half.conda or ()]
        if not archives:
            if not self._is_venv:
                self.say("adopt: no file has a conda half; it is solved", logging.WARNING)
            spec = there or self._parsed(spec_text(self.target))
            return solve(
                ask(self.target, spec, self.tools.project.policy, self.tools.store.now),
                self.tools,
                self.say,
            )
        self._require_platform(archives)
        self.say(f"adopt: reading what {len(archives)} conda packages hold")
        found = self.tools.conda.described(tuple(dict.fromkeys(archives)), self.say)
        packages = with_required_by(found)
        minor = next((each.version for each in packages if each.name == "python"), "")
        if minor_of(minor) != self.target.python:
            sources = " and ".join(half.source for half in halves)
            raise InputError(
                f"{sources} has {f'Python {minor}' if minor else 'no Python'}, and the lock is to "
                f"be for Python {self.target.python}.",
                "Name the Python of the file behind the @ of --as.",
            )
        told = [channel for half in halves for channel in half.channels]
        channels = self.tools.conda.channel_urls(told) if told else _channels_of(packages)
        is_host = set(channels) == {self.tools.host_channel.url}
        return CondaAnswer(channels, "host" if is_host else "remote", packages)

    def _require_platform(self, archives: Iterable[ForeignArchive]) -> None:
        found = {each.url.rsplit("/", maxsplit=2)[1] for each in archives if "/" in each.url}
        others = {each for each in found if each.startswith(_SYSTEMS)} - {self.target.platform}
        if others:
            raise InputError(
                f"The conda packages are for {', '.join(sorted(others))}, and this machine is "
                f"{self.target.platform}.",
                f"Adopt a file for {self.target.platform}.",
            )

    def _without_owned(
        self, packages: Sequence[ForeignPackage], conda: CondaAnswer
    ) -> tuple[tuple[ForeignPackage, ...], list[str]]:
        """Return pip's packages but for those that conda owns, whose files stay conda's."""
        owned = conda.owned
        notes = [
            f"{each.name} {each.version} is left out: conda's {conda.owner(each.name).name} has it "
            f"as {owned[each.name]}"
            for each in packages
            if each.name in owned and not _is_same(each.version, owned[each.name])
        ]
        return tuple(each for each in packages if each.name not in owned), notes

    def _pip(
        self, packages: Sequence[ForeignPackage], files_of: Candidates, base: Spec, python: str
    ) -> tuple[Fetched, ...]:
        """Return the files of pip's packages: from an index, or made of what a URL names."""
        require_same_urls((each.direct for each in packages if each.direct), base, python)
        named = [each for each in packages if each.direct is None]
        files = locked_packages(named, files_of, python, self.tools.project.policy)
        found = [*fetched(files, self.tools.files.downloads, self.say)]
        if len(named) < len(packages):
            question = prepare(
                ask(self.target, base, self.tools.project.policy, self.tools.store.now),
                self.tools.project,
                self.tools.files,
                self.say,
            )
            for wheel in question.directs:
                package = wheel.package(requested=True, required_by=())
                found.append(Fetched(package, read_needs(wheel.path)[1]))
        return tuple(found)

    def _new_spec(
        self,
        conda: CondaAnswer,
        packages: Sequence[Package],
        told: Sequence[str],
        pip: Sequence[ForeignPackage],
    ) -> str:
        directs = [each.direct for each in pip if each.direct]
        extras = {each.name: frozenset(each.extras) for each in pip}
        return spec_text(
            self.target,
            conda.channels if conda.source == "remote" else (),
            conda_roots(packages),
            pip_roots(packages, told, directs, extras),
        )

    @property
    def _environment(self) -> EnvironmentPolicy:
        return self.tools.project.environment(self.target.environment)

    @property
    def _is_venv(self) -> bool:
        return self._environment.python == "venv"

    def _parsed(self, text: str) -> Spec:
        spec = parse_spec(text, self._environment.spec)
        return spec.for_venv() if self._is_venv else spec

    def _assembled(
        self,
        spec: Spec,
        conda: CondaAnswer,
        packages: Sequence[Package],
        notes: Sequence[str],
        needs: Needs,
    ) -> Lock:
        """Return the lock; what does not hold together in it is noted.

        Raises:
            InputError: something in it cannot be what a lock has there.
        """
        if spec.venv:
            packages = [each for each in packages if each.manager == "pip"]
        made = Lock(
            target=self.target,
            spec_digest=spec.digest,
            requirements=requirement_lines(spec),
            channels=conda.channels,
            channel_source=conda.source,
            indexes=tuple(sorted({each.index for each in packages if each.index})),
            exclude_newer=None,
            locked_at=self.tools.store.now().replace(microsecond=0),
            tools=tool_versions(self.tools.conda, self.tools.resolver),
            negotiated=(),
            places=declared_places(spec, self.tools.project.policy),
            packages=_requested(packages, spec, conda),
            variables=spec.variables,
            interpreter=conda.python if spec.venv else None,
        )
        broken = [*needs.unmet(made.distributions), *wrong_pythons(made.pip, needs.python)]
        every = (*notes, *broken, *script_notes(made.conda))
        wrong = faults(made)
        if wrong:
            raise InputError(
                "The files make no lock:\n  " + "\n  ".join(wrong[:10]),
                "Let their tools write them anew, and adopt that.",
            )
        refuse_credentials(made)
        return replace(made, notes=every)

    def _require_satisfying(self, made: Lock, spec: Spec, names: str) -> None:
        wrong = [*shortcomings(made, spec, self.tools.project.policy, self.tools.conda)]
        if wrong:
            listed = "\n  ".join(wrong)
            raise SpecError(
                f"What {names} locks does not satisfy {spec.source} and the policy:\n  {listed}",
                "Correct the spec or [tool.elt-env] in pyproject.toml, or give the lock a name of "
                f"its own: --as {self.target.environment}-2@{self.target.python}",
            )


def _is_same(version: str, other: str) -> bool:
    try:
        return Version(version) == Version(other)
    except ValueError:  # of what a URL names, or of a conda package with a version of its own kind
        return False


def _urls(packages: Iterable[ForeignPackage]) -> list[str]:
    return [str(each.direct) for each in packages if each.direct]


def _channels_of(packages: Iterable[Package]) -> tuple[str, ...]:
    """Return the channels that packages lie in, the one with most of them first."""
    counted: dict[str, int] = {}
    for each in packages:
        channel = each.url.rsplit("/", maxsplit=2)[0]
        counted[channel] = counted.get(channel, 0) + 1
    return tuple(sorted(counted, key=lambda each: (-counted[each], each)))


def _needs(
    found: Sequence[Fetched], pip: Sequence[ForeignPackage], there: Spec | None, python: str
) -> Needs:
    extras = {each.name: frozenset(each.extras) for each in pip}
    for each in map(Requirement, there.pip if there else ()):
        extras[each.name] = extras.get(each.name, frozenset()) | each.extras
    return Needs(python, {each.package.name: each.requires for each in found}, extras)


def _requested(packages: Sequence[Package], spec: Spec, conda: CondaAnswer) -> tuple[Package, ...]:
    """Return packages of which those are marked that the spec asks for by name."""
    asked = {normalize(Requirement(each).name) for each in spec.pip}
    asked |= {each.name for each in spec.directs}
    owners = {conda.owner(name).name for name in asked & conda.owned.keys()}
    names = {
        "conda": {"python", *(each.name for each in spec.conda), *owners},
        "pip": asked - conda.owned.keys(),
    }
    return tuple(replace(each, requested=each.name in names[each.manager]) for each in packages)
