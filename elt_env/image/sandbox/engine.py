"""A sandbox that a container engine makes."""

from __future__ import annotations

from dataclasses import dataclass

from elt_env.image.oci.engines import Engine
from elt_env.image.sandbox.port import Launch, Task
from elt_env.image.spec import ImageConfig


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
