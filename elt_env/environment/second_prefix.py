"""The same prefix once more, in a place of its own, to compare with or to repair from."""

from __future__ import annotations

import secrets
import string
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from elt_env.environment.build import advance, complete
from elt_env.environment.prefix import Prefix, Stage
from elt_env.lockfile.document import Lock
from elt_env.machine.process import Say
from elt_env.runtime.files import remove_tree, writing
from elt_env.store.locks import Store
from elt_env.toolbox import Toolbox


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


@contextmanager
def second_prefix(lock: Lock, toolbox: Toolbox, say: Say) -> Iterator[Prefix]:
    """Yield a prefix of the lock, installed and complete but for bytecode; then remove it.

    Its path is as long as that of the lock's own prefix.

    Raises: as `elt_env.environment.build.advance`.
    """
    with _place_beside(toolbox.store.local_home) as place:
        again = replace(toolbox, store=_Elsewhere(place))
        second = Prefix(advance(lock, Stage.INSTALLED, again, say).path, lock)
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
