"""The levels of what the steps say, in Dagster's log."""

from __future__ import annotations

import logging

from elt_env.machine.process import Say
from elt_env.runtime.masking import hidden


def leveled(log: logging.Logger) -> Say:
    """Return what tells a log.

    An instance keeps DEBUG where its `python_log_level` says so.
    """

    def say(line: str, level: int = logging.INFO, /) -> None:
        log.log(level, hidden(line))

    return say
