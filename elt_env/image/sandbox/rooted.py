"""Sandboxes on an unpacked image: by bubblewrap, and by this program itself where it is root."""

from __future__ import annotations

import json
import os
import posixpath
import shutil
import stat
import sys
from dataclasses import dataclass, replace
from pathlib import Path

from elt_env import probes
from elt_env.errors import InputError, ToolError
from elt_env.image.sandbox.port import Bind, Launch, Task
from elt_env.image.spec import ImageConfig
from elt_env.machine.process import clean_environment, run
from elt_env.machine.scratch import scratch_directory
from elt_env.runtime.files import writing

_PROGRAM = probes.DIRECTORY / "enter_root.py"
_TRIAL = 20.0  # seconds
_SYSTEM = ("/dev", "/proc", "/tmp")  # noqa: S108  # the image's own
_NETWORK_FILES = ("/etc/resolv.conf", "/etc/hosts")


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
        with scratch_directory("root") as root:
            it = enter(root, ImageConfig("", "", command=("true",)), Task())
            return _trial(*_enter_command(root, replace(it, argv=(), env={})))

    def launch(self, task: Task) -> Launch:
        """Return the command of this project's own program that enters the root."""
        it = enter(self.root, self.config, task)
        return Launch(_enter_command(self.root, it), it.env)


def _enter_command(root: Path, it: RootedTask) -> tuple[str, ...]:
    order = {
        "root": str(root),
        "argv": it.argv,
        "user": [it.user.uid, it.user.gid],
        "home": it.user.home,
        "directory": it.directory,
        "binds": [[str(each.host), each.inside, each.writable] for each in it.binds],
        "network": it.network,
        "names": list(it.env),
    }
    return (sys.executable, "-I", "-S", str(_PROGRAM), json.dumps(order))


def _trial(*command: str) -> str:
    try:
        done = run(command, limit=_TRIAL, env=clean_environment())
    except ToolError as error:
        return error.problem
    words = done.stderr.strip().splitlines()
    return (words[-1] if words else f"exit code {done.returncode}") if done.returncode else ""
