"""`elt-env` and `python -m elt_env`: looks at the machine, then loads the command line and runs it.

What nothing can work on is told in a sentence before anything is loaded, since loading alone takes
half a second in which a person may press Ctrl-C, and some libraries want a directory to stand in.
"""

from __future__ import annotations

import atexit
import errno
import os
import resource
import signal
import sys
from typing import NoReturn

_INPUT, _STORAGE, _TOOL, _INTERRUPTED = 2, 6, 9, 130  # as in elt_env.errors
_FILES, _FEWEST_FILES = 1024, 64
_NO_OUTPUT = (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EFBIG)


def main() -> None:
    """Run `elt-env` with the arguments of this process, and end it."""
    is_heard = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if is_heard:
        signal.signal(signal.SIGINT, _leave)
        # The last of what is done at exit: after it, Python lets an interrupt kill the process.
        atexit.register(signal.signal, signal.SIGINT, signal.SIG_IGN)
    _read_as_utf8()
    _look_around()
    try:
        _run(is_heard=is_heard)
    except KeyboardInterrupt:
        _leave()


def _run(*, is_heard: bool) -> None:
    from elt_env.runtime.collection import without_collection

    with without_collection():
        from elt_env.cli import main as command

    try:
        command(prog_name="elt-env", obj=_hear_again if is_heard else None)
    except SystemExit as ended:
        _flush()
        code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
        if code == _INTERRUPTED:
            os._exit(_INTERRUPTED)  # else Python waits for threads, which may wait for a server
        if is_heard:  # what is left are threads that end
            signal.signal(signal.SIGINT, lambda *_: os._exit(code))
        raise ended from None
    except MemoryError:
        _end_without_memory()
    except RuntimeError as error:
        if "start new thread" not in str(error):
            raise
        _end_without_memory()
    except OSError as error:
        if error.filename is not None or error.errno not in _NO_OUTPUT:
            raise
        _end_without_output(error)


def _read_as_utf8() -> None:
    """Start again in UTF-8 mode (PEP 540) where names of files are read as ASCII."""
    if sys.getfilesystemencoding() == "ascii":
        os.execv(sys.executable, [sys.executable, "-X", "utf8", *sys.orig_argv[1:]])  # noqa: S606


def _look_around() -> None:
    """Return when a command can work here, else end this process with a message."""
    try:
        os.getcwd()  # noqa: PTH109  # pathlib takes long to load
    except OSError:
        _end(_INPUT, "The current directory is gone.", "Change into one that is there: cd")
    home = os.environ.get("HOME")
    if home and os.path.exists(home) and not os.path.isdir(home):  # noqa: PTH110, PTH112
        _end(_INPUT, f"HOME names {home}, which is no directory.", "Correct it: export HOME=…")
    place = os.environ.get("TMPDIR")
    if place and not os.path.isdir(place):  # noqa: PTH112
        _tell(f"TMPDIR names {place}, which is no directory; taking the system's")
        del os.environ["TMPDIR"]
    _require_temporary()
    _require_descriptors()


def _require_descriptors() -> None:
    """Take as many open files as this process may have, up to what a command needs."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = _FILES if hard == resource.RLIM_INFINITY else min(hard, _FILES)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    if most < _FEWEST_FILES:
        _end(
            _TOOL,
            f"This process may have {most} open files, which are too few.",
            f"Raise the limit to at least {_FILES}: ulimit -n {_FILES}",
        )


def _require_temporary() -> None:
    import tempfile

    try:
        tempfile.gettempdir()
    except OSError:
        _end(
            _STORAGE,
            "There is no directory in which temporary files can be written.",
            "Set TMPDIR to one: export TMPDIR=…",
        )


def _flush() -> None:
    """Write what is left for stdout; a reader who has gone wants none."""
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except BrokenPipeError:
        _forget_output()
    except OSError as error:
        _end_without_output(error)


def _end_without_output(error: OSError) -> NoReturn:
    _forget_output()
    _end(
        _STORAGE,
        f"The output cannot be written: {error.strerror}.",
        "Free some space, or send the output elsewhere; what was done is done.",
    )


def _end_without_memory() -> NoReturn:
    _end(
        _TOOL,
        "There is not enough memory, or no further thread may be started.",
        "Free some, or raise the limits: ulimit -v, ulimit -u",
    )


def _forget_output() -> None:
    """Let the interpreter find nothing wrong when it flushes stdout at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


def _end(code: int, problem: str, remedy: str) -> NoReturn:
    _tell(f"{problem}\n  -> {remedy}")
    raise SystemExit(code)


def _tell(text: str) -> None:
    """Write to stderr whatever its encoding is, if it can be written at all."""
    data = f"elt-env: {text}\n".encode("utf-8", "backslashreplace")
    try:
        os.write(2, data)
    except OSError:
        return


def _hear_again() -> None:
    """Let Ctrl-C end what was begun in good order, now that all is loaded."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def _leave(*_: object) -> NoReturn:
    """End at once: nothing was begun."""
    _tell("interrupted; the same command takes it up again")
    os._exit(_INTERRUPTED)


if __name__ == "__main__":
    main()
