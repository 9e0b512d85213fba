"""Loads what can do without dbt's code, without it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_NAME = "dbt"


@contextmanager
def importing_without_dbt() -> Iterator[None]:
    """Let imports in the block find no dbt, unless it is loaded already.

    dagster-dbt also serves those who have dbt as a program alone, and loads in a tenth of the time
    then; every process that loads the definitions would pay for it.
    """
    modules: dict[str, Any] = sys.modules
    if _NAME in modules:
        yield
        return
    # https://docs.python.org/3/reference/import.html#the-module-cache
    modules[_NAME] = None
    try:
        yield
    finally:
        del modules[_NAME]
