"""The console of a run: one short line an event, without Dagster's bookkeeping."""

import logging
import re
import sys
from collections.abc import Mapping
from typing import Any

import dagster as dg

# A step is `elt__lockfile.solve_conda`, that of the checks `elt__environment__prove`.
_STEP = re.compile(r".*__\w+\.|.*__")
_CONSEQUENCE = "Not executing."


class _Short(logging.Formatter):
    """`10:54:22  solve_conda  message`, in colour when a person watches."""

    def format(self, record: logging.LogRecord) -> str:
        meta = getattr(record, "dagster_meta", {})
        step = _STEP.sub("", str(meta.get("step_key") or ""))
        message = _message(record, meta)
        head = f"{self.formatTime(record, '%H:%M:%S')}  {step:<16} "
        if record.levelno >= logging.WARNING:
            return _red(f"{head}{record.levelname}: {message}")
        return head + message


def _is_news(record: logging.LogRecord) -> bool:
    """Leave out Dagster's bookkeeping, and that a failure keeps later steps from running."""
    meta = getattr(record, "dagster_meta", {})
    event = meta.get("dagster_event")
    bookkeeping = event is not None and not (event.is_step_failure or event.is_run_failure)
    message = str(meta.get("orig_message"))
    return not (bookkeeping or message.endswith(_CONSEQUENCE))


def _message(record: logging.LogRecord, meta: Mapping[str, Any]) -> str:
    event = meta.get("dagster_event")
    if event is None or not event.is_step_failure:
        return str(meta.get("orig_message") or record.getMessage())
    failure = event.step_failure_data
    if failure.user_failure_data is not None:
        return str(failure.user_failure_data.description)
    return str(failure.error.to_string()) if failure.error else record.getMessage()


def _red(text: str) -> str:
    return f"\033[31m{text}\033[0m" if sys.stderr.isatty() else text


@dg.logger
def short_console(_: dg.InitLoggerContext) -> logging.Logger:
    """Log what the steps say, and failures; Dagster's own events stay in the run's log."""
    logger = logging.getLogger("elt_env.console")
    logger.setLevel(logging.INFO)
    logger.propagate = False
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Short())
    handler.addFilter(_is_news)
    logger.handlers = [handler]
    return logger
