"""The interface of sandboxes: run a command in an image, apart from this machine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True)
class Bind:
    """A file or directory of this machine that is seen in the sandbox.

    Attributes:
        host: where it lies; absolute.
        inside: where it is seen; absolute.
    """

    host: Path
    inside: str
    writable: bool = True


@dataclass(frozen=True)
class Task:
    """What to run in an image; what is left empty is as the image's config says.

    Attributes:
        command: takes the place of the config's Cmd, after its Entrypoint.
        variables: added to those of the config.
        directory: where it starts; made if it is not there.
        network: whether it has this machine's network, or none.
        terminal: whether a person sits before it.
    """

    command: tuple[str, ...] = ()
    variables: Mapping[str, str] = field(default_factory=dict)
    directory: str = ""
    binds: tuple[Bind, ...] = ()
    network: bool = False
    terminal: bool = False


@dataclass(frozen=True)
class Launch:
    """The program of this machine that runs a task, and all of its variables."""

    command: tuple[str, ...]
    env: Mapping[str, str]


class Sandbox(Protocol):
    """Runs commands in one image: as its user, with its variables, on a root nobody can write.

    `/tmp` and the user's home are empty, writable, and gone afterwards. All processes end with
    the one that is launched.

    """

    @property
    def name(self) -> str:
        """What it is made with, for people."""
        ...

    @property
    def owner(self) -> tuple[int, int] | None:
        """User and group outside that the image's user is; None where that is not known.

        What a command is to write to, through a bind, has to belong to them.
        """
        ...

    def launch(self, task: Task) -> Launch:
        """Return what is to be started.

        Raises:
            InputError: a bind has no place in the image, or the image's user is not known in it.
            StorageError: a mount point cannot be made.
        """
        ...
