"""Finds a sandbox that works on this machine."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path

from elt_env.errors import ToolError
from elt_env.image.oci.engines import Engine, find_engine
from elt_env.image.oci.layout import Layout
from elt_env.image.oci.reader import read_image
from elt_env.image.oci.unpack import ensure_root
from elt_env.image.sandbox.port import Launch, Sandbox, Task
from elt_env.image.sandbox.rooted import Bubblewrap, Namespaces
from elt_env.image.spec import Descriptor, ImageConfig
from elt_env.machine.process import Completed, Say, run
from elt_env.package.canonical import short

_ENGINES = ("podman", "docker")
_INSTALL = "Install bubblewrap (apt install bubblewrap), or podman, or docker; or be root."
_GRACE = 2.0  # seconds; nothing in a sandbox is worth waiting for


@dataclass(frozen=True)
class EngineSandbox:
    """Runs an image that docker or podman has.

    Attributes:
        image: what the engine calls it.
    """

    engine: Engine
    image: str
    config: ImageConfig

    @property
    def name(self) -> str:
        """The engine."""
        return self.engine.name

    @property
    def owner(self) -> None:
        """Not known: engines map users in many ways."""
        return

    def launch(self, task: Task) -> Launch:
        """Return the engine's `run`; the values of variables are inherited, not shown."""
        variables = dict(each.partition("=")[::2] for each in self.config.env)
        options = ["--rm", "--read-only", "--init", "--tmpfs", "/tmp:mode=1777"]  # noqa: S108
        if home := variables.get("HOME", ""):
            options += ["--tmpfs", f"{home}:mode=1777"]
        if task.terminal:
            options += ["--interactive", "--tty"]
        if not task.network:
            options += ["--network", "none"]
        if task.directory:
            options += ["--workdir", task.directory]
        for each in task.binds:
            mode = "rw" if each.writable else "ro"
            options += ["--volume", f"{each.host}:{each.inside}:{mode}"]
        for name in task.variables:
            options += ["--env", name]
        command = (self.engine.program, *self.engine.options, "run", *options, self.image)
        # What the engine itself needs wins over a variable of the same name.
        return Launch((*command, *task.command), dict(task.variables) | self.engine.env())


@dataclass(frozen=True)
class Search:
    """What came of looking for a sandbox.

    Attributes:
        sandbox: the first that works; None where none does.
        reasons: why those before it do not, one a line; and then what to do, if there is none.
    """

    sandbox: Sandbox | None
    reasons: str


def find_sandbox(layout: Layout, manifest: Descriptor, roots: Path, say: Say) -> Search:
    """Return the first kind of sandbox that works here, for one image; each is really tried.

    For root it is chroot in namespaces, in which the image's user is a real one, then bubblewrap;
    for others bubblewrap; then podman and docker.

    The image is unpacked below `roots`, or given to the engine.

    Raises:
        IntegrityError: a blob of the image is gone or damaged.
        StorageError: the disk is full or not writable.
    """
    image = read_image(layout, manifest)
    kinds = (Namespaces, Bubblewrap) if os.geteuid() == 0 else (Bubblewrap,)
    reasons: list[str] = []
    for kind in kinds:
        reason = kind.fault()
        if not reason:
            root = ensure_root(layout, manifest, roots, say)
            return Search(kind(root, image.config), "\n".join(reasons))
        reasons.append(f"{kind.__name__.lower()}: {reason}")
    try:
        engine = find_engine(_ENGINES)
        name = f"localhost/elt-env:{short(manifest.digest)}"
        engine.load(layout, manifest, name, say)
    except ToolError as error:
        return Search(None, "\n".join([*reasons, error.problem, _INSTALL]))
    return Search(EngineSandbox(engine, name, image.config), "\n".join(reasons))


def run_in(
    sandbox: Sandbox,
    task: Task,
    *,
    limit: float,
    say: Callable[[str], None] | None,
    secrets: Collection[str] = (),
) -> Completed:
    """Run a task to its end, stderr merged into stdout; nothing of it is left running.

    Raises:
        InputError: the task does not fit the image.
        ToolError: the sandbox cannot be started.
        TimeLimitError: it was still running at the limit.
    """
    launch = sandbox.launch(task)
    return run(
        launch.command,
        limit=limit,
        env=launch.env,
        say=say,
        secrets=secrets,
        grace=_GRACE,
        merge=True,
    )
