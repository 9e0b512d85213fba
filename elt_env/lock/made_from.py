"""Notes of what locks were made from: while all of it is as it was, the same lock comes out again.

Notes are of locks for which the host channel stood in. Of these all that is read, beside the files
of the project and the tools of this machine, are pages of one package index, and the files behind
them, which have hashes. A note says which pages were looked up, whether they are in the lock or
were only tried, and what could be seen of each before the resolver asked for it.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from urllib.parse import unquote, urlsplit

from elt_env.errors import ChannelUnreachableError, EltEnvError
from elt_env.lock.assemble import tool_versions
from elt_env.lock.lock_tools import LockTools
from elt_env.lock.request import LockRequest
from elt_env.lock.solve import comes_from_host, remote_channels, solve_with
from elt_env.lockfile.document import Lock
from elt_env.machine.process import unheard
from elt_env.package.canonical import digest_of
from elt_env.python.interpreters import find_interpreter
from elt_env.python.wheel_tags import wheel_tags

_SCHEMA = 1
_Pages = Mapping[str, str | None]
"""What could be seen of each page, "" where there is no such project; None where nobody knows."""


@dataclass
class MadeFrom:
    """What the answer to a question is made from, looked at before it is made.

    Attributes:
        question: of which everything may be upgraded; of any other nothing is noted.
    """

    question: LockRequest
    tools: LockTools
    _before: _Pages = field(default_factory=dict)
    _since: float = field(default_factory=time.monotonic)

    @cached_property
    def is_same(self) -> bool:
        """Whether the answer is known to be the lock before, since nothing changed.

        What the index says is asked for in any case, so that `remember` knows how it was.
        """
        previous = self.question.previous
        noted = self._read(previous) if previous and self._is_told else None
        if noted is None or previous is None or not _is_at_hand(previous):
            return False
        try:
            self._before = self.tools.package_index.seen(
                dict.fromkeys(noted, previous.indexes[0]),
                self.question.exclude_newer,
                free=self.question.not_held,
            )
        except EltEnvError:
            return False  # whoever needs a page says why it cannot be had
        self._since = time.monotonic()
        known = None not in noted.values() and noted.keys() >= {each.name for each in previous.pip}
        return known and self._before == noted and self._is_cut_off()

    def remember(self, lock: Lock, pages: Iterable[str]) -> None:
        """Note what a lock was made from, for the next time; where it cannot be noted, it is not.

        What could be seen of a page counts if it was looked at before the resolver asked the index
        for it, and if the lock that came out is the one before: then nothing but the pages can
        make another of it.

        Args:
            lock: what came out.
            pages: the names of those that were read beside what the resolver tells.
        """
        asked = self.tools.resolver.asked_pages(self._since)
        if not asked or not self._is_told or lock.channel_source != "host":
            return
        # A resolver that knows less than what it chose does not tell all.
        names = {name for _, name in asked}
        if {index for index, _ in asked} != {*lock.indexes} or not names.issuperset(
            each.name for each in lock.pip
        ):
            return
        previous = self.question.previous
        before = self._before if previous and previous.digest == lock.digest else {}
        new = {name for (_, name), is_new in asked.items() if is_new} | ({*pages} - names)
        noted = {each: before.get(each) if each in new else None for each in {*names, *pages}}
        self.tools.project.caches.keep(self._path(lock), json.dumps(noted, sort_keys=True).encode())

    @property
    def _is_told(self) -> bool:
        """Whether all that the answer rests on can be noted."""
        question, policy = self.question, self.tools.project.policy
        indexes = self.tools.files.indexes
        return (
            (question.previous is None or question.upgrade is None)
            and (question.previous is None or comes_from_host(question, policy))
            and not (question.directs or question.accepted or question.spec.venv)
            and not (indexes.links or indexes.extra)
        )

    def _is_cut_off(self) -> bool:
        """Tell whether the spec's channels still cannot be reached."""
        try:
            solve_with(self.question, "remote", self.tools, unheard)
        except ChannelUnreachableError:
            return True
        except EltEnvError:
            return False  # who solves says why
        return False

    def _read(self, lock: Lock) -> _Pages | None:
        """Return what a note says; one that was not written here as it is, is none."""
        data = self.tools.project.caches.read(self._path(lock))
        return json.loads(data) if data and len(lock.indexes) == 1 else None

    def _path(self, lock: Lock) -> Path:
        key = self._key(lock).removeprefix("sha256:")
        return self.tools.project.caches.path / "pages" / f"made-from-{key}"

    def _key(self, lock: Lock) -> str:
        """Return a digest of a lock and of all but the pages that its making rests on."""
        tools, question = self.tools, self.question
        interpreter = find_interpreter(question.target.python)
        default = tools.files.indexes.default
        channels = remote_channels(question.spec, tools.channels, tools.conda)
        return digest_of(
            [
                _SCHEMA,
                [lock.digest, *lock.indexes],
                question.spec.digest,
                tools.project.policy.model_dump_json(),
                [str(question.target), repr(question.platform)],
                [version("elt-env"), *map(list, tool_versions(tools.conda, tools.resolver))],
                [str(interpreter.executable), interpreter.version, interpreter.identity],
                sorted(map(str, wheel_tags(interpreter.version))),
                [default.url if default else "", *channels],
                tools.channels.priority,
            ]
        )


def _is_at_hand(lock: Lock) -> bool:
    """Tell whether the archives of the host channel are there: making the lock makes these too."""
    paths = (urlsplit(each.url).path for each in lock.conda)
    return all(Path(unquote(each)).is_file() for each in paths)
