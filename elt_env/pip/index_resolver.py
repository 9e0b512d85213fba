"""A resolver of any tool that chooses versions from one index.

What a request asks beyond that is answered by a RequestIndex; so a tool needs to know no
cool-down, no credentials, and no Python but its own.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from elt_env.errors import PipConflictError, PolicyError, ToolError
from elt_env.lockfile.document import Package
from elt_env.machine.indexes import parse_index
from elt_env.machine.process import Say, unheard
from elt_env.machine.scratch import scratch_directory
from elt_env.package.names import normalize
from elt_env.pip.one_python import needs_under
from elt_env.pip.port import Resolved, Resolver, ResolveRequest, own_index
from elt_env.pip.request_index import RequestIndex, Sources
from elt_env.pip.shelf_server import ServedShelf, serving
from elt_env.runtime.files import write_atomically


@dataclass(frozen=True)
class ChoiceRequest:
    """What a tool is asked to choose.

    Attributes:
        place: a directory with `requirements.in` and `constraints.txt`, where it may work.
        index: the only index.
        kept: (name, version) pairs to prefer, by which their metadata is found.
        pre: whether pre-releases of everything are taken.
        limit: seconds that it may take.
    """

    place: Path
    index: ServedShelf
    kept: Mapping[tuple[str, str], str]
    pre: bool
    limit: float


class NoChoiceError(Exception):
    """The tool has no answer; its words are the message.

    Attributes:
        is_broken: whether it failed over the question, and does not say that nothing fits.
    """

    def __init__(self, text: str, *, is_broken: bool) -> None:
        super().__init__(text)
        self.is_broken = is_broken


class Chooser(Protocol):
    """A tool that chooses versions."""

    name: str

    def version(self) -> str:
        """Return the tool's version."""
        ...

    def choose(self, request: ChoiceRequest, say: Say) -> Mapping[str, str]:
        """Return the version of every distribution that it chooses; of kept ones it may say none.

        Raises:
            NoChoiceError: it finds none that fit, or failed over the question.
            ToolError: this machine does not have it.
        """
        ...


class IndexResolver:
    """Resolver by a tool that chooses versions from one index; see Resolver.

    Args:
        chooser: the tool.
        sources: where distributions come from.
        prover: a resolver that is asked first whether there is an answer, and says why where there
            is none: tools that try versions one by one take long to find that out. It also
            knows the main index where no settings tell.
        limit: seconds that one resolve may take.
        alone: whether it is an error that the tool finds no answer where there is one. Else the
            prover's is taken: resolvelib, by which pip and pip-tools search, gives up on some.
    """

    def __init__(
        self,
        chooser: Chooser,
        sources: Sources,
        prover: Resolver,
        limit: float,
        *,
        alone: bool = False,
    ) -> None:
        self.name = chooser.name
        self._chooser = chooser
        self._sources = sources
        self._prover = prover
        self._limit = limit
        self._alone = alone

    def asked_pages(self, since: float) -> None:  # noqa: ARG002  # as Resolver has it
        """Return nothing: the tool does not tell."""
        return

    def version(self) -> str:
        """Return the tool's version."""
        return self._chooser.version()

    def begin(self, request: ResolveRequest) -> None:
        """Begin nothing: the answer is found when it is asked for."""

    def resolve(self, request: ResolveRequest, say: Say) -> tuple[Resolved, ...]:
        """Return one version of every distribution; see Resolver."""
        known = self._prover.resolve(request, say)
        index = RequestIndex(request, self._known_sources(request))
        try:
            chosen = self._choose(index, request, say)
        except NoChoiceError as error:
            if index.failure:
                raise index.failure from error
            if self._alone:
                raise self._disagreement(error) from error
            say(self._replaced(error), logging.WARNING)
            return known
        if index.failure:
            raise index.failure
        return _answer(index, chosen)

    def _disagreement(self, error: NoChoiceError) -> PipConflictError | ToolError:
        remedy = f'Set resolver = "{self._prover.name}" for this environment in [tool.elt-env].'
        if error.is_broken:
            return ToolError(f"{self.name} broke over the requirements: {error}", remedy)
        return PipConflictError(
            f"{self.name} finds no solution where {self._prover.name} does: {error}", remedy
        )

    def _replaced(self, error: NoChoiceError) -> str:
        how = "broke over the requirements" if error.is_broken else "finds no solution"
        last = str(error).strip().splitlines()[-1]
        return f"{self.name} {how} ({last}); the answer of {self._prover.name} is taken"

    def files(
        self, resolved: tuple[Resolved, ...], request: ResolveRequest, say: Say
    ) -> tuple[Package, ...]:
        """Return the one file of each distribution; see Resolver."""
        del say
        pins = tuple(f"{each.name}=={each.version}" for each in resolved)
        asked = replace(request, requirements=pins, shelf=None, fresh=False)
        index = RequestIndex(asked, self._known_sources(request))
        return tuple(map(index.file, resolved))

    def _choose(self, index: RequestIndex, request: ResolveRequest, say: Say) -> dict[str, str]:
        kept = {
            (name, version): index.metadata(name, version)
            for name, version in request.keep
            if version in (index.versions(name) or ())
        }
        pins = [f"{name}=={version}" for name, version in request.pins]
        limit = self._limit if request.limit is None else min(request.limit, self._limit)
        with scratch_directory(self.name) as place, serving(index) as served:
            lines = [*map(str, index.requirements), ""]
            write_atomically(place / "requirements.in", "\n".join(lines))
            write_atomically(place / "constraints.txt", "\n".join([*pins, *request.bounds, ""]))
            asked = ChoiceRequest(place, served, kept, request.pre, limit)
            return {**dict(list(kept)), **self._chooser.choose(asked, say)}

    def _known_sources(self, request: ResolveRequest) -> Sources:
        indexes = self._sources.indexes
        if indexes.default is None and not indexes.no_index:
            main = parse_index(self._main_index(request))
            self._sources = replace(self._sources, indexes=replace(indexes, default=main))
        return self._sources

    def _main_index(self, request: ResolveRequest) -> str:
        asked = ResolveRequest(("pip",), request.python, wheels_only=request.wheels_only)
        found = own_index(self._prover, asked, unheard)
        if not found:
            raise PolicyError(
                f"{self.name} needs to know which package index to ask.",
                'Set index = "https://…/simple" in [tool.elt-env].',
            )
        return found


def _answer(index: RequestIndex, chosen: Mapping[str, str]) -> tuple[Resolved, ...]:
    """Return those of the chosen versions that the requirements lead to, and who needs each."""
    extras: dict[str, set[str]] = {}
    needed_by: dict[str, set[str]] = {}
    ahead = [("", each.name, each.extras) for each in index.requirements]
    while ahead:
        owner, name, asked = ahead.pop()
        name, wanted = normalize(name), {normalize(each) for each in asked}
        if name not in chosen:
            continue
        needed_by.setdefault(name, set()).add(owner)
        if name in extras and wanted <= extras[name]:
            continue
        extras.setdefault(name, set()).update(wanted)
        needs = needs_under(index.metadata(name, chosen[name]), extras[name])
        ahead += [(name, each.name, each.extras) for each in needs]
    return tuple(_resolved(index, each, chosen, needed_by[each]) for each in sorted(needed_by))


def _resolved(
    index: RequestIndex, name: str, chosen: Mapping[str, str], needed_by: Iterable[str]
) -> Resolved:
    on_shelf = index.is_on_shelf(name, chosen[name])
    return Resolved(
        name=name,
        version=chosen[name],
        index="" if on_shelf else index.index_of(name),
        requested="" in needed_by,
        required_by=tuple(sorted(each for each in needed_by if each and each != name)),
        on_shelf=on_shelf,
    )
