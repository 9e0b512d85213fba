"""What a lock newly runs at every start of Python, seen in what is installed."""

from __future__ import annotations

from elt_env.model.diff import compare
from elt_env.model.lock import Lock
from elt_env.model.startup import StartupChange, startup_changes
from elt_env.tools.prefix import Prefix
from elt_env.tools.startup_files import startup_files
from elt_env.tools.toolbox import Toolbox


def new_startup(old: Lock | None, new: Lock, toolbox: Toolbox) -> tuple[StartupChange, ...]:
    """Return what runs at every start of Python by one lock, and did not by the lock before.

    Nothing is known of a lock that is not built. Where only the old one is not, whatever runs at
    every start of a package that changed counts as new. Against no lock nothing does.
    """
    prefix = Prefix(toolbox.store.prefix_path(new), new)
    if old is None or not prefix.ready:
        return ()
    return startup_since(old, prefix, toolbox)


def startup_since(old: Lock, prefix: Prefix, toolbox: Toolbox) -> tuple[StartupChange, ...]:
    """Return the same of a prefix that is there."""
    before = Prefix(toolbox.store.prefix_path(old), old)
    if before.ready:
        return startup_changes(startup_files(before), startup_files(prefix))
    changed = [each.package for each in compare(old, prefix.lock)]
    carried = {name for each in changed if each.conda for name, _ in each.conda.distributions}
    among = {each.name for each in changed} | carried
    return startup_changes((), startup_files(prefix), among)
