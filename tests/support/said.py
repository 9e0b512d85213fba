"""Keeps what a person would be told."""

from __future__ import annotations

import logging

from elt_env.machine.process import marked


class Said(list[str]):
    """The lines that were said; a warning is marked as the command line marks it.

    Attributes:
        details: those that nobody reads twice.
    """

    def __init__(self) -> None:
        super().__init__()
        self.details: list[str] = []

    def __call__(self, line: str, level: int = logging.INFO, /) -> None:
        """Keep a line."""
        self.append(marked(line, level))
        if level == logging.DEBUG:
            self.details.append(line)
