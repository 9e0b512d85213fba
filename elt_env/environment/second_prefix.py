"""The same prefix once more, in a place of its own, to compare with or to repair from."""

from __future__ import annotations

import secrets
import string
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from elt_env.conda import Linker, Solver
from elt_env.environment.build import advance, complete
from elt_env.environment.locked_files import PipFiles
from elt_env.environment.prefix import Prefix, Stage
from elt_env.environment.prefix_tools import PrefixTools
from elt_env.lockfile.document import Lock
from elt_env.machine.process import Say
from elt_env.pip import Installer
from elt_env.project.project import Project
from elt_env.runtime.files import remove_tree, writing
from elt_env.store.locks import Store

if TYPE_CHECKING:
    from elt_env.conda.host_channel import HostChannel


class _Elsewhere(Store):
    """A store whose prefixes are as deep as those of `home`, with paths of the same length.

    So the place itself makes no difference but for its name: not to a first line's length, and
    not to the padding in a binary file.
    """

    def __init__(self, place: Path) -> None:
        super().__init__(place / "store")
        self._place = place

    def prefix_path(self, lock: Lock) -> Path:
        """Return the place of a lock's prefix."""
        return self._place / super().prefix_path(lock).name


@dataclass(frozen=True)
class _Tools:
    """What the second prefix is built with; see PrefixTools."""

    project: Project
    store: Store
    conda: Solver
    linker: Callable[[Lock], Linker]
    host_channel: HostChannel
    installer: Installer
    files: PipFiles


@contextmanager
def second_prefix(lock: Lock, tools: PrefixTools, say: Say) -> Iterator[Prefix]:
    """Yield a prefix of the lock, installed and complete but for bytecode; then remove it.

    Its path is as long as that of the lock's own prefix.

    Raises: as `elt_env.environment.build.advance`.
    """
    with _place_beside(tools.store.local_home) as place:
        again = _Tools(
            *(tools.project, _Elsewhere(place), tools.conda, tools.linker),
            *(tools.host_channel, tools.installer, tools.files),
        )
        second = Prefix(advance(lock, Stage.INSTALLED, again, say, anew=True).path, lock)
        complete(second, again, say)
        yield second


@contextmanager
def _place_beside(home: Path) -> Iterator[Path]:
    """Yield a new directory whose path is as long as that of `home`'s prefixes, then remove it."""
    free = len("prefixes") - len("work/")
    name = "".join(secrets.choice(string.ascii_lowercase + string.digits) for _ in range(free))
    place = home / "work" / name
    with writing(place):
        place.mkdir(parents=True)
    try:
        yield place
    finally:
        remove_tree(place)
