"""The output of a program, told to a person while it runs."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

_QUIET = 15.0  # seconds without a line after which a sign of life is given
_TOLD = 16 << 20  # bytes of output that are told line by line
_RECENT_LINES = 20
_RECENT_WIDTH = 500


class OutputTeller:
    """Tells a person what a program prints, and that it lives while it prints nothing."""

    def __init__(
        self, name: str, say: Callable[[str], None] | None, mask: Callable[[str], str]
    ) -> None:
        self._name = name
        self._say = say
        self._mask = mask
        self._recent: deque[bytes] = deque(maxlen=_RECENT_LINES)
        self._started = self._last = time.monotonic()
        self._size = 0
        self._untold = 0

    @property
    def recent(self) -> str:
        """The last lines, for a message."""
        return "\n".join(self._text(each)[:_RECENT_WIDTH] for each in self._recent)

    def tell(self, lines: deque[bytes]) -> None:
        """Take the lines out and tell them, or that nothing came for a while."""
        while lines:
            self._take(lines.popleft())
        now = time.monotonic()
        if now - self._last >= _QUIET:
            self._say_now(f"... still running: {self._name} ({now - self._started:.0f} s)")

    def _take(self, line: bytes) -> None:
        self._recent.append(line)
        self._size += len(line) + 1
        if self._size <= _TOLD:
            self._say_now(self._text(line))
        else:
            self._untold += 1
            if self._untold == 1:
                self._say_now(f"... {self._name} prints more than {_TOLD >> 20} MiB ...")

    def finish(self) -> None:
        """Tell the last lines of an output that was too long to be told whole."""
        last = [self._text(each) for each in self._recent][-self._untold :] if self._untold else []
        if self._untold > len(last):
            self._say_now(f"... ({self._untold - len(last)} lines left out) ...")
        for line in last:
            self._say_now(line)

    def _say_now(self, line: str) -> None:
        self._last = time.monotonic()
        if self._say is not None:
            self._say(line)

    def _text(self, line: bytes) -> str:
        """Return a line as a terminal shows it: what follows a carriage return covers the rest."""
        text = line.decode("utf-8", "replace").rstrip("\r")
        return self._mask(text.rpartition("\r")[2])
