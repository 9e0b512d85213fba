from __future__ import annotations

import rattler

from elt_env.machine.platform import this_platform


def test_it_is_the_subdir_that_rattler_was_built_for() -> None:
    assert this_platform() == str(rattler.Subdir.current())
