"""The levels of what the steps say, in Dagster's log."""

from __future__ import annotations

import logging
import re

from elt_env.machine.process import Say
from elt_env.runtime.masking import hidden

_WARNING = "WARNING: "
# The installer's list of packages, and what tools of the environment tell of their own work.
_DETAIL = re.compile(r" [+-] |(image: )?(dbt|meltano|dagster): |\d{4}-\d\d-\d\dT\S+ \[(info|debug)")


def leveled(log: logging.Logger) -> Say:
    """Return what tells a log: warnings as such, and what nobody reads twice as DEBUG.

    An instance keeps DEBUG where its `python_log_level` says so.
    """

    def say(line: str) -> None:
        line = hidden(line)
        if line.startswith(_WARNING):
            log.warning(line.removeprefix(_WARNING))
        else:
            log.log(logging.DEBUG if _DETAIL.match(line) else logging.INFO, line)

    return say
