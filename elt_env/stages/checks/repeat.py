"""The check that the lock alone decides what is in a prefix."""

from __future__ import annotations

import re
import secrets
import string
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from elt_env.model.lock import Lock
from elt_env.stages.build import advance, complete
from elt_env.stages.checks.finding import Finding, judge
from elt_env.tools.files import remove_tree, writing
from elt_env.tools.prefix import Prefix, Stage
from elt_env.tools.process import Say
from elt_env.tools.store import Store
from elt_env.tools.toolbox import Toolbox
from elt_env.tools.tree import differences

_SHA256 = re.compile(r"[0-9a-f]{64}")


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


def reproducible(prefix: Prefix, toolbox: Toolbox, say: Say) -> Finding:
    """Everything is locked with its sha256, and building the prefix once more gives the same tree.

    The same files with the same content and permissions, but for the prefix's own path and what
    installers note of it, see tools/tree.py, and compiled modules, which come of the others. The
    second one is removed again.
    """
    lock = prefix.lock
    faults = [
        f"{each.name} {each.version} of {each.manager} is locked without its sha256"
        for each in lock.packages
        if not _SHA256.fullmatch(each.sha256)
    ]
    if faults:
        return judge(faults, "")
    with _place_beside(toolbox.store.home) as place:
        again = replace(toolbox, store=_Elsewhere(place))
        second = Prefix(advance(lock, Stage.INSTALLED, again, say).path, lock)
        complete(second, again, say)
        faults = differences(prefix.path, second.path)
    for each in faults:
        say(f"reproducible: {each}")
    return judge(faults, f"{len(lock.packages)} packages, built twice, give the same tree")


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
