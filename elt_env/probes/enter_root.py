"""Runs a command in a root directory, apart from this machine.

It is started by root, with an object of JSON as its only argument:

    root, directory    the root directory; where in it the command starts
    argv, names        the command; the names of its variables, which are inherited
    user, home         its user and group as numbers; the directory that is empty and theirs
    binds, network     what is mounted, as [host, inside, writable]; whether it has the network

Its mounts are its own and end with it, as do all processes of the command. The exit code is the
command's, or 125 where it could not be entered, 126 and 127 where the command could not be started,
as container engines have it.
"""

import contextlib
import ctypes
import fcntl
import json
import os
import signal
import socket
import struct
import sys
from pathlib import Path
from typing import Any, NoReturn

# <sched.h>, <sys/mount.h>, <sys/prctl.h>, <linux/sockios.h>, <linux/if.h>
_NEW_MOUNTS, _NEW_NAMES, _NEW_IPC, _NEW_PIDS, _NEW_NETWORK = (
    0x00020000, 0x04000000, 0x08000000, 0x20000000, 0x40000000,
)  # fmt: skip
_READ_ONLY, _NO_SUID, _NO_DEVICES, _NO_EXEC = 1, 2, 4, 8
_REMOUNT, _BIND, _RECURSIVE, _PRIVATE = 32, 4096, 16384, 1 << 18
_PARENT_DEATH_SIGNAL, _NO_NEW_PRIVILEGES = 1, 38
_SET_FLAGS, _UP = 0x8914, 1

_DEVICES = ("null", "zero", "full", "random", "urandom", "tty")
_LINKS = {"fd": "", "stdin": "/0", "stdout": "/1", "stderr": "/2"}
_UNUSABLE, _NOT_EXECUTABLE, _NOT_FOUND = 125, 126, 127

_libc = ctypes.CDLL(None, use_errno=True)


def _checked(result: int, what: str) -> None:
    if result:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), what)


def _mount(source: str, target: str, kind: str, flags: int, options: str = "") -> None:
    arguments = (os.fsencode(source), os.fsencode(target), kind.encode())
    done = _libc.mount(*arguments, ctypes.c_ulong(flags), options.encode())
    _checked(done, f"mount {target}")


def _bind(source: str, target: str, *, writable: bool) -> None:
    _mount(source, target, "", _BIND | _RECURSIVE)
    flags = _BIND | _REMOUNT | _NO_SUID | (0 if writable else _READ_ONLY)
    _mount("", target, "", flags)


def _prepare(order: dict[str, Any]) -> None:
    """Mount everything below the root; the rest of the machine's mounts stay as they are."""
    root = order["root"]
    uid, gid = order["user"]
    _mount("", "/", "", _RECURSIVE | _PRIVATE)
    _bind(root, root, writable=False)
    _mount("proc", f"{root}/proc", "proc", _NO_SUID | _NO_DEVICES | _NO_EXEC)
    _devices(f"{root}/dev")
    _scratch(f"{root}/tmp", "mode=1777")  # noqa: S108
    if order["home"] != "/":
        _scratch(root + order["home"], f"mode=0755,uid={uid},gid={gid}")
    for host, inside, writable in order["binds"]:
        _bind(host, root + inside, writable=writable)


def _scratch(place: str, options: str) -> None:
    _mount("tmpfs", place, "tmpfs", _NO_SUID | _NO_DEVICES, options)


def _devices(place: str) -> None:
    _mount("tmpfs", place, "tmpfs", _NO_SUID, "mode=0755")
    for name in _DEVICES:
        device = Path(place, name)
        device.touch()
        _mount(f"/dev/{name}", str(device), "", _BIND)
    for name, number in _LINKS.items():
        Path(place, name).symlink_to(f"/proc/self/fd{number}")
    shared = Path(place, "shm")
    shared.mkdir()
    _scratch(str(shared), "mode=1777")


def _loopback_up() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        fcntl.ioctl(one, _SET_FLAGS, struct.pack("16sh14x", b"lo", _UP))


def _become(order: dict[str, Any]) -> NoReturn:
    """Become the command, as its user, in the root."""
    os.chroot(order["root"])
    os.chdir(order["directory"])
    uid, gid = order["user"]
    os.setgroups([])
    os.setgid(gid)
    os.setuid(uid)
    _checked(_libc.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0), "prctl")
    for each in (signal.SIGPIPE, signal.SIGXFSZ):  # Python ignores them, and that is inherited
        signal.signal(each, signal.SIG_DFL)
    os.umask(0o022)
    argv = order["argv"]
    if not argv:
        os._exit(0)
    try:
        os.execvpe(argv[0], argv, {name: os.environ[name] for name in order["names"]})  # noqa: S606
    except OSError as error:
        sys.stderr.write(f"{argv[0]}: {error.strerror}\n")
        sys.stderr.flush()
        os._exit(_NOT_FOUND if isinstance(error, FileNotFoundError) else _NOT_EXECUTABLE)


def _await(child: int) -> int:
    """Return the exit code of a child; orphans are reaped, and signals passed on, meanwhile."""

    def pass_on(number: int, frame: object) -> None:
        del frame
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, number)

    for each in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(each, pass_on)
    signal.signal(signal.SIGINT, lambda *_: None)  # the terminal sends it to the child itself
    while True:
        ended, status = os.wait()
        if ended == child:
            code = os.waitstatus_to_exitcode(status)
            return code if code >= 0 else 128 - code


def _forked(body: Any) -> int:  # noqa: ANN401  # a function that does not return
    child = os.fork()
    if not child:
        try:
            body()
        except OSError as error:
            sys.stderr.write(f"cannot enter: {error}\n")
            sys.stderr.flush()
        os._exit(_UNUSABLE)
    return _await(child)


def _die_with_parent() -> None:
    _checked(_libc.prctl(_PARENT_DEATH_SIGNAL, signal.SIGKILL, 0, 0, 0), "prctl")


def _first(order: dict[str, Any]) -> NoReturn:
    """Be the first process of the namespace: when it ends, the kernel ends all others."""
    _die_with_parent()
    if not order["network"]:
        _loopback_up()
    _prepare(order)
    os._exit(_forked(lambda: _become(order)))


def main() -> int:
    """Enter, run, and return the exit code."""
    order = json.loads(sys.argv[1])
    flags = _NEW_MOUNTS | _NEW_NAMES | _NEW_IPC | _NEW_PIDS
    try:
        _die_with_parent()
        _checked(_libc.unshare(flags | (0 if order["network"] else _NEW_NETWORK)), "unshare")
    except OSError as error:
        sys.stderr.write(f"cannot enter: {error}\n")
        return _UNUSABLE
    return _forked(lambda: _first(order))


if __name__ == "__main__":
    sys.exit(main())
