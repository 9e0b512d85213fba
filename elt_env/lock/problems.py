"""The problems of a target: one for each Python that it could be locked for."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Iterator, Sequence
from typing import overload

from elt_env.errors import (
    CondaUnsatisfiableError,
    ToolError,
)
from elt_env.lock.joint import JointProblem
from elt_env.lock.lock_tools import LockTools
from elt_env.lock.request import LockRequest
from elt_env.lock.solve import remote_channels, solve_request
from elt_env.machine.process import Say
from elt_env.python.interpreters import find_interpreter

_SHOWN = 7  # versions of Python that an error names

Problems = Sequence[JointProblem]
"""What is asked of both halves, under each of the Pythons that it could be locked for."""


class OnDemand(Sequence[JointProblem]):
    """Problems that are made when they are looked at: each reads the archives of its packages."""

    def __init__(self, more: Iterator[JointProblem]) -> None:
        self._more = more
        self._made: list[JointProblem] = []

    @overload
    def __getitem__(self, place: int) -> JointProblem: ...
    @overload
    def __getitem__(self, place: slice) -> list[JointProblem]: ...
    def __getitem__(self, place: int | slice) -> JointProblem | list[JointProblem]:
        if isinstance(place, slice):
            return self._made[: len(self)][place]
        return next(itertools.islice(self, place, None))

    def __len__(self) -> int:
        self._made += self._more
        return len(self._made)

    def __iter__(self) -> Iterator[JointProblem]:
        place = 0
        while True:
            if place == len(self._made):
                new = next(self._more, None)
                if new is None:
                    return
                self._made.append(new)
            yield self._made[place]
            place += 1


def host_problem(question: LockRequest, tools: LockTools, say: Say) -> JointProblem:
    """Return what is asked of both halves where the host channel stands in for conda's channels.

    A Python that this machine has not is taken for the first one of its minor.
    """
    asked = solve_request(question, (tools.host_channel.url,), "host", tools.channels.priority)
    try:
        python = find_interpreter(question.target.python).version
    except ToolError as error:
        python = f"{question.target.python}.0"
        say(
            f"{error.headline} What follows is about Python {python}.",
            logging.WARNING,
        )
    return JointProblem(question, python, tools, say, None, asked)


def remote_problems(
    question: LockRequest, tools: LockTools, say: Say, *, archives: bool = True
) -> Iterator[JointProblem]:
    """Yield what is asked of both halves, under each of the target's Pythons on the channels.

    Raises:
        CondaUnsatisfiableError: the channels have no such Python.
        ChannelUnreachableError, NetworkError: a channel does not answer, or not with repodata.
    """
    channels = remote_channels(question.spec, tools.channels, tools.conda)
    asked = solve_request(question, channels, "remote", tools.channels.priority)
    offered = tools.conda.offered(asked)
    wanted = [str(each) for each in asked.specs if each.name == "python"]
    fitting = frozenset.intersection(*map(offered.matching, wanted))
    builds = offered.builds("python")
    for python in dict.fromkeys(builds[each].version for each in sorted(fitting)):
        yield JointProblem(question, python, tools, say, offered, asked, archives=archives)
    if not fitting:
        venv = question.spec.venv
        text = f"{'there is' if venv else 'conda finds'} no Python for {question.target.name}: "
        known = ", ".join(offered.versions("python")[:_SHOWN]) or "none at all"
        where = "this machine has" if venv else "the channels have"
        get = "get it: uv python install" if venv else "add the channel that has it"
        raise CondaUnsatisfiableError(
            f"{text}{' and '.join(wanted)}\n  {where} {known}",
            f"Ask for one that is there in {question.spec.source}, or {get}.",
        )
