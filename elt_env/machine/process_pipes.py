"""The pipes of a running program, and what comes out of them told to a person meanwhile.

One thread serves them, so that neither side ever blocks.
"""

from __future__ import annotations

import os
import selectors
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import IO

_CHUNK = 1 << 16
_KEPT = 16 << 20  # bytes kept of the start of what a program prints, and as many of its end
_LONGEST_LINE = 8 << 20  # bytes after which a line is told although it goes on
_QUIET = 15.0  # seconds without a line after which a sign of life is given
_TOLD = 16 << 20  # bytes of output that are told line by line
_RECENT_LINES = 20
_RECENT_WIDTH = 500
_DRAIN = 1.0  # seconds for what ended processes left behind; a pipe holds little more than a chunk


@dataclass
class _Stream:
    """What came out of one pipe, its middle left out where it is long, and the unfinished line."""

    head: list[bytes] = field(default_factory=list)
    tail: deque[bytes] = field(default_factory=deque)
    left_out: int = 0
    partial: bytearray = field(default_factory=bytearray)
    _head_size: int = 0
    _tail_size: int = 0

    def add(self, chunk: bytes) -> None:
        if self._head_size < _KEPT:
            self.head.append(chunk)
            self._head_size += len(chunk)
            return
        self.tail.append(chunk)
        self._tail_size += len(chunk)
        while self._tail_size > _KEPT + _CHUNK:
            dropped = len(self.tail.popleft())
            self._tail_size -= dropped
            self.left_out += dropped

    @property
    def text(self) -> str:
        gap = f"\n... ({self.left_out} bytes left out) ...\n" if self.left_out else ""
        return b"".join((*self.head, gap.encode(), *self.tail)).decode("utf-8", "replace")


class Pipes:
    """What a program reads from stdin and what it prints.

    Attributes:
        stdout, stderr: the output so far; of a long one its start and its end.
        lines: the complete lines of both, as they came, until somebody takes them out.
    """

    def __init__(self, text: str | None) -> None:
        """Keep `text` for the program's stdin."""
        self._selector = selectors.PollSelector()
        self._pipes: dict[int, IO[bytes]] = {}
        self._left = memoryview((text or "").encode())
        self.stdout = _Stream()
        self.stderr = _Stream()
        self.lines: deque[bytes] = deque()

    def connect(
        self, stdin: IO[bytes] | None, stdout: IO[bytes] | None, stderr: IO[bytes] | None
    ) -> None:
        """Serve these ends of a program's pipes from now on."""
        if stdin:
            os.set_blocking(stdin.fileno(), False)
            self._register(stdin, selectors.EVENT_WRITE, None)
        for pipe, stream in ((stdout, self.stdout), (stderr, self.stderr)):
            if pipe:
                self._register(pipe, selectors.EVENT_READ, stream)

    @property
    def are_open(self) -> bool:
        """Whether the other side may still read or print something."""
        return bool(self._pipes)

    def move(self, seconds: float) -> bool:
        """Read and write what is possible within `seconds`; say whether anything was."""
        ready = self._selector.select(seconds)
        for key, _ in ready:
            if key.data is None:
                self._write(key)
            else:
                self._read(key, key.data)
        return bool(ready)

    def close(self) -> None:
        """Read what is left and close the pipes, even where a process still holds their ends."""
        until = time.monotonic() + _DRAIN
        while self.are_open and self.move(0) and time.monotonic() < until:
            pass
        for descriptor in list(self._pipes):
            self._drop(descriptor)
        self.lines.extend(
            bytes(each.partial) for each in (self.stdout, self.stderr) if each.partial
        )

    def _write(self, key: selectors.SelectorKey) -> None:
        try:
            self._left = self._left[os.write(key.fd, self._left[:_CHUNK]) :]
        except BrokenPipeError:  # the program does not want to read it all
            self._left = self._left[:0]
        if not self._left:
            self._drop(key.fd)

    def _read(self, key: selectors.SelectorKey, stream: _Stream) -> None:
        chunk = os.read(key.fd, _CHUNK)
        if not chunk:
            self._drop(key.fd)
            return
        stream.add(chunk)
        stream.partial += chunk
        if b"\n" in chunk:
            *complete, rest = stream.partial.split(b"\n")
            self.lines.extend(bytes(each) for each in complete)
            stream.partial = rest
        elif len(stream.partial) > _LONGEST_LINE:
            self.lines.append(bytes(stream.partial))
            stream.partial.clear()

    def _register(self, pipe: IO[bytes], events: int, stream: _Stream | None) -> None:
        self._pipes[pipe.fileno()] = pipe
        self._selector.register(pipe.fileno(), events, stream)

    def _drop(self, descriptor: int) -> None:
        self._selector.unregister(descriptor)
        self._pipes.pop(descriptor).close()


class OutputTeller:
    """Tells a person what a program prints, and that it lives while it prints nothing.

    Lines that begin with `diary` are as nothing, unless it is empty.
    """

    def __init__(
        self,
        name: str,
        say: Callable[[str], None] | None,
        mask: Callable[[str], str],
        diary: bytes = b"",
    ) -> None:
        self._name = name
        self._diary = diary
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
        if self._diary and line.startswith(self._diary):
            return
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
