"""Run: a command in the image of a target, apart from this machine."""

from __future__ import annotations

import os
import posixpath
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from elt_env.errors import InputError, PolicyError, ToolError
from elt_env.image.sandbox import Bind, Task, find_sandbox
from elt_env.image.store import ImageStore, require_image
from elt_env.lockfile.document import Lock
from elt_env.machine.process import Say, run_interactive
from elt_env.store.locks import Store


def run_image(  # noqa: PLR0913  # target, tools and listener, and the options of the command
    lock: Lock,
    command: Sequence[str],
    store: Store,
    say: Say,
    *,
    binds: Sequence[str] = (),
    variables: Sequence[str] = (),
    offline: bool = False,
) -> int:
    """Run a command in the image of a lock, on this terminal; return its exit code.

    It sees nothing of this machine but the network and what is bound, runs as the image's user,
    and can write to /tmp, its home and what is bound.

    Args:
        lock: what the image was packed from.
        command: after the image's entry point; the image's own command when empty.
        store: where its image is kept.
        say: tells a person.
        binds: `HOST:INSIDE` or `HOST:INSIDE:ro`, as docker has it.
        variables: `NAME=VALUE`, or `NAME` for its value here.
        offline: without the network.

    Raises:
        PolicyError: a bind or a variable is malformed.
        InputError: a bind has no place in the image.
        ToolError: there is no image, or no sandbox works here.
        IntegrityError: the image is damaged.
    """
    images = ImageStore(store)
    image = require_image(lock, images)
    task = Task(
        command=tuple(command),
        variables=_variables(variables),
        binds=tuple(map(parse_bind, binds)),
        network=not offline,
        terminal=sys.stdin.isatty(),
    )
    search = find_sandbox(images.layout, image.manifest, images.roots, say)
    if search.sandbox is None:
        raise ToolError(
            f"No sandbox works here to run {image.name} in:\n{search.reasons}",
            f"Until then, use the prefix: elt-env run {lock.target.name} -- …",
        )
    launch = search.sandbox.launch(task)
    return run_interactive(launch.command, env=launch.env)


def parse_bind(text: str) -> Bind:
    """Return the bind that a text as `HOST:INSIDE` or `HOST:INSIDE:ro` means.

    Raises:
        PolicyError: it means none, or HOST is not there.
    """
    host, _, rest = text.partition(":")
    inside, _, mode = rest.partition(":")
    if not host or not inside.startswith("/") or mode not in ("", "ro", "rw"):
        raise PolicyError(
            f"'{text}' does not say what to bind where.",
            "Write it as HOST:INSIDE with an absolute path inside, as in --bind .:/shared",
        )
    path = Path(os.path.abspath(host))  # noqa: PTH100  # links stay, dots go
    if not path.exists():
        raise InputError(f"{path} is not there to be bound.", "Create it, or bind another path.")
    if posixpath.normpath(inside) == "/":
        raise PolicyError(f"'{text}' would hide the whole image.", "Bind it below /.")
    return Bind(path, posixpath.normpath(inside), writable=mode != "ro")


def _variables(texts: Sequence[str]) -> Mapping[str, str]:
    found = {"TERM": os.environ["TERM"]} if "TERM" in os.environ else {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not name:
            raise PolicyError(f"'{text}' names no variable.", "Write --env NAME=VALUE")
        if equals or name in os.environ:
            found[name] = value if equals else os.environ[name]
    return found
