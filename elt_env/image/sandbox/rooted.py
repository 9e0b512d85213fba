"""Sandboxes on an unpacked image: by bubblewrap, and for root by unshare(1) and mount(8)."""

from __future__ import annotations

import os
import posixpath
import shlex
import shutil
import stat
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from elt_env.errors import InputError, ToolError
from elt_env.image.sandbox.port import Bind, Launch, Task
from elt_env.image.spec import ImageConfig
from elt_env.machine.process import clean_environment, run
from elt_env.machine.scratch import scratch_directory
from elt_env.runtime.files import writing

_TRIAL = 20.0  # seconds
_SYSTEM = ("/dev", "/proc", "/tmp")  # noqa: S108  # the image's own
_NETWORK_FILES = ("/etc/resolv.conf", "/etc/hosts")
_DEVICES = ("null", "zero", "full", "random", "urandom", "tty")
_LINKS = {"fd": "", "stdin": "/0", "stdout": "/1", "stderr": "/2"}
# SIOCSIFFLAGS with IFF_UP of <linux/sockios.h>: a machine may be without ip(8).
_LOOPBACK_UP = (
    "import fcntl, socket as s, struct;"
    "fcntl.ioctl(s.socket(s.AF_INET, s.SOCK_DGRAM), 0x8914, struct.pack('16sh14x', b'lo', 1))"
)


@dataclass(frozen=True)
class User:
    """Whom a command runs as."""

    uid: int
    gid: int
    home: str


@dataclass(frozen=True)
class RootedTask:
    """A task, with everything that its image leaves to be looked up."""

    argv: tuple[str, ...]
    env: dict[str, str]
    directory: str
    user: User
    binds: tuple[Bind, ...]
    network: bool


def enter(root: Path, config: ImageConfig, task: Task) -> RootedTask:
    """Return what a task comes to in an unpacked image, all of whose mount points are there.

    They are made in the root directory where the image has none, as container engines do.

    Raises:
        InputError: a bind has no place in the image, or its user is not known in it.
        StorageError: a mount point cannot be made.
    """
    argv = (*config.entrypoint, *(task.command or config.command))
    if not argv:
        raise InputError("The image names no command of its own.", "Name one: … -- COMMAND")
    user = find_user(root, config.user)
    env = dict(each.partition("=")[::2] for each in config.env) | dict(task.variables)
    env.setdefault("HOME", user.home)
    directory = task.directory or config.working_directory or "/"
    binds = (*task.binds, *(_network_binds() if task.network else ()))
    for each in binds:
        _make_mount_point(root, each.inside, is_directory=each.host.is_dir())
    for place in (*_SYSTEM, env["HOME"], directory):
        _make_mount_point(root, place, is_directory=True)
    user = replace(user, home=env["HOME"])
    return RootedTask(argv, env, directory, user, binds, task.network)


def _network_binds() -> tuple[Bind, ...]:
    real = ((Path(os.path.realpath(each)), each) for each in _NETWORK_FILES)
    return tuple(Bind(host, inside, writable=False) for host, inside in real if host.is_file())


def find_user(root: Path, name: str) -> User:
    """Return the user that a config names as `user`, `uid`, or either with `:group` (config.md).

    Raises:
        InputError: the image does not know that name.
    """
    wanted, _, group = name.partition(":")
    wanted = wanted or "0"
    for each in _lines(root / "etc" / "passwd"):
        if len(each) > 5 and wanted in (each[0], each[2]):  # noqa: PLR2004  # passwd(5)
            return User(int(each[2]), _group(root, group or each[3]), each[5])
    if not wanted.isdigit():
        raise InputError(
            f"The image runs as '{wanted}', which its /etc/passwd does not have.",
            "Use a base with that user, or a number.",
        )
    return User(int(wanted), _group(root, group or "0"), "/")


def _group(root: Path, name: str) -> int:
    if name.isdigit():
        return int(name)
    for each in _lines(root / "etc" / "group"):
        if len(each) > 2 and each[0] == name:  # noqa: PLR2004  # group(5)
            return int(each[2])
    raise InputError(
        f"The image runs with the group '{name}', which its /etc/group does not have.",
        "Use a base with that group, or a number.",
    )


def _lines(path: Path) -> list[list[str]]:
    if not path.is_file() or path.is_symlink():
        return []
    return [each.split(":") for each in path.read_text("utf-8", "replace").splitlines()]


def _make_mount_point(root: Path, inside: str, *, is_directory: bool) -> None:
    """Make sure that something can be mounted there, without following a link out of the root."""
    parts = posixpath.normpath(inside).strip("/").split("/")
    if not inside.startswith("/"):
        raise InputError(f"'{inside}' is no absolute path in the image.", "Begin it with /.")
    place = root
    with writing(root):
        for number, part in enumerate(parts, 1):
            place = place / part
            wants_directory = is_directory or number < len(parts)
            try:
                found = place.lstat().st_mode
            except FileNotFoundError:
                place.mkdir(0o755, exist_ok=True) if wants_directory else place.touch()
                continue
            if stat.S_ISDIR(found) != wants_directory or stat.S_ISLNK(found):
                raise InputError(
                    f"{inside} has no place in the image: /{place.relative_to(root)} is "
                    f"{'a link' if stat.S_ISLNK(found) else 'of another kind'} there.",
                    "Choose another path inside.",
                )


@dataclass(frozen=True)
class Bubblewrap:
    """Runs in an unpacked image with bwrap(1).

    For an ordinary user, whose own number the image's user has then outside: what belongs to
    root in the image belongs to that user here, and only being mounted read-only protects it.
    """

    root: Path
    config: ImageConfig

    @property
    def name(self) -> str:
        """The program."""
        return "bubblewrap"

    @property
    def owner(self) -> tuple[int, int]:
        """Whoever runs this."""
        return os.geteuid(), os.getegid()

    @staticmethod
    def fault() -> str:
        """Return why it cannot be used here, or ""."""
        if shutil.which("bwrap") is None:
            return "bwrap is not installed"
        options = ("--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc", "--tmpfs", "/tmp")  # noqa: S108
        return _trial("bwrap", *options, "--unshare-all", "--unshare-user", "true")

    def launch(self, task: Task) -> Launch:
        """Return the command of bwrap; variables are inherited, so that no list shows them."""
        it = enter(self.root, self.config, task)
        command = [
            shutil.which("bwrap") or "bwrap",
            *("--ro-bind", str(self.root), "/", "--dev", "/dev", "--proc", "/proc"),
            *("--perms", "1777", "--tmpfs", "/tmp"),  # noqa: S108
            *(("--tmpfs", it.user.home) if it.user.home != "/" else ()),
            *("--unshare-all", "--unshare-user", "--die-with-parent"),
            *(("--share-net",) if it.network else ()),
            *("--uid", str(it.user.uid), "--gid", str(it.user.gid)),
        ]
        for each in it.binds:
            command += ["--bind" if each.writable else "--ro-bind", str(each.host), each.inside]
        return Launch((*command, "--chdir", it.directory, "--", *it.argv), it.env)


@dataclass(frozen=True)
class Namespaces:
    """Runs in an unpacked image, for root: chroot(2) in mount, process and other namespaces.

    The image's user is really that number, so that owners and modes count, as bubblewrap's
    mapping would not let them. No mount of this machine is touched.
    """

    root: Path
    config: ImageConfig

    @property
    def name(self) -> str:
        """What it consists of."""
        return "chroot in namespaces"

    @property
    def owner(self) -> tuple[int, int]:
        """The image's user, who is no other outside."""
        user = find_user(self.root, self.config.user)
        return user.uid, user.gid

    @staticmethod
    def fault() -> str:
        """Return why it cannot be used here, or ""."""
        if os.geteuid() != 0:
            return "chroot is root's"
        if missing := [each for each in ("unshare", "mount") if shutil.which(each) is None]:
            return f"{missing[0]} is not installed"
        with scratch_directory("root") as root:
            it = enter(root, ImageConfig("", "", command=("true",)), Task())
            return _trial(*_entering(root, it, "true"))

    def launch(self, task: Task) -> Launch:
        """Return the command; variables are inherited, so that no list shows them."""
        it = enter(self.root, self.config, task)
        inside = _command(
            *("unshare", f"--root={self.root}", f"--wd={it.directory}"),
            *(f"--setgid={it.user.gid}", f"--setuid={it.user.uid}", "--", *it.argv),
        )
        return Launch(_entering(self.root, it, inside), it.env)


def _entering(root: Path, it: RootedTask, command: str) -> tuple[str, ...]:
    """Return what runs a shell's command in namespaces, after the mounts of a task.

    The shell is the first process of the namespace: it reaps the others, and they end with it.
    """
    network = () if it.network else ("--net",)
    loopback = () if it.network else (shlex.join([sys.executable, "-ISc", _LOOPBACK_UP]),)
    # What a shell may export is of this machine.
    own = ("unset PWD OLDPWD SHLVL _", "umask 022", command, "exit $?")
    return (
        *(_program("setpriv"), "--no-new-privs", _program("unshare"), "--mount", "--uts", "--ipc"),
        *("--pid", *network, "--fork", "--kill-child", "--propagation", "private", "--"),
        *(_program("sh"), "-c", "\n".join(["set -e", *loopback, *_mounts(root, it), *own])),
    )


def _mounts(root: Path, it: RootedTask) -> Iterator[str]:
    """Yield the commands that mount everything below the root, as bubblewrap does."""
    yield from _bind(root, root, writable=False)
    yield _command("mount", "-t", "proc", "-o", "nosuid,nodev,noexec", "proc", root / "proc")
    dev = root / "dev"
    yield _tmpfs(dev, "mode=0755", may="nosuid")
    for name in _DEVICES:
        yield f": > {shlex.quote(str(dev / name))}"
        yield _command("mount", "--bind", f"/dev/{name}", dev / name)
    for name, number in _LINKS.items():
        yield _command("ln", "-s", f"/proc/self/fd{number}", dev / name)
    yield _command("mkdir", dev / "shm")
    yield _tmpfs(dev / "shm", "mode=1777")
    yield _tmpfs(root / "tmp", "mode=1777")
    if it.user.home != "/":
        yield _tmpfs(_below(root, it.user.home), f"mode=0755,uid={it.user.uid},gid={it.user.gid}")
    for each in it.binds:
        yield from _bind(each.host, _below(root, each.inside), writable=each.writable)


def _below(root: Path, inside: str) -> Path:
    return root / inside.lstrip("/")


def _tmpfs(place: Path, options: str, *, may: str = "nosuid,nodev") -> str:
    return _command("mount", "-t", "tmpfs", "-o", f"{may},{options}", "tmpfs", place)


def _bind(source: Path, place: Path, *, writable: bool) -> Iterator[str]:
    yield _command("mount", "--rbind", source, place)
    yield _command("mount", "-o", f"remount,bind,nosuid,{'rw' if writable else 'ro'}", place)


def _command(program: str, *arguments: str | Path) -> str:
    """Return a program of this machine as a shell runs it that has the image's PATH."""
    return shlex.join([_program(program), *map(str, arguments)])


def _program(name: str) -> str:
    return shutil.which(name) or name


def _trial(*command: str) -> str:
    try:
        done = run(command, limit=_TRIAL, env=clean_environment())
    except ToolError as error:
        return error.problem
    words = done.stderr.strip().splitlines()
    return (words[-1] if words else f"exit code {done.returncode}") if done.returncode else ""
