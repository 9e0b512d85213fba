"""A head start: the joint resolve begins while conda's channels are asked.

Where the lock before came from the host channel, so does the next one, as a rule: what is asked of
the resolver then depends on nothing that a channel says.
"""

from __future__ import annotations

import threading
from concurrent.futures import Future
from dataclasses import replace

from elt_env.errors import EltEnvError
from elt_env.index.http_client import unheard
from elt_env.lock.problems import host_problem
from elt_env.lock.request import LockRequest
from elt_env.lock.solve import comes_from_host
from elt_env.lockfile.document import Package
from elt_env.machine.process import Say
from elt_env.pip import Resolver, ResolveRequest
from elt_env.pip.port import Resolved
from elt_env.toolbox import Toolbox


def with_head_start(toolbox: Toolbox) -> Toolbox:
    """Return the tools for one lock that is made in one go."""
    return replace(toolbox, resolver=_HeadStart(toolbox.resolver))


def begin(question: LockRequest, toolbox: Toolbox) -> None:
    """Begin with the joint resolve where the tools are for that and it will probably be asked."""
    resolver = toolbox.resolver
    if isinstance(resolver, _HeadStart) and comes_from_host(question, toolbox):
        resolver.begin(host_problem(question, toolbox, unheard).first_request())


class _HeadStart:
    """A resolver that may have begun with the next request."""

    def __init__(self, resolver: Resolver) -> None:
        self._resolver = resolver
        self.name = resolver.name
        self._begun: tuple[ResolveRequest, list[str], Future[tuple[Resolved, ...]]] | None = None

    def version(self) -> str:
        """Return the tool's version."""
        return self._resolver.version()

    def begin(self, request: ResolveRequest) -> None:
        """Begin to resolve; where nobody asks for it, nobody hears of it."""
        said: list[str] = []
        answer: Future[tuple[Resolved, ...]] = Future()

        def work() -> None:
            try:
                answer.set_result(self._resolver.resolve(request, said.append))
            except EltEnvError as error:
                answer.set_exception(error)
            except BaseException as error:  # whoever waits must not wait for ever
                answer.set_exception(error)
                raise

        self._begun = request, said, answer
        threading.Thread(target=work, daemon=True).start()

    def resolve(self, request: ResolveRequest, say: Say) -> tuple[Resolved, ...]:
        """Return one version of every distribution; see Resolver."""
        begun, self._begun = self._begun, None
        if begun is None or begun[0] != request:
            self._begun = begun
            return self._resolver.resolve(request, say)
        try:
            return begun[2].result()
        finally:
            for line in begun[1]:
                say(line)

    def files(
        self, resolved: tuple[Resolved, ...], request: ResolveRequest, say: Say
    ) -> tuple[Package, ...]:
        """Return the one file of each distribution; see Resolver."""
        return self._resolver.files(resolved, request, say)
