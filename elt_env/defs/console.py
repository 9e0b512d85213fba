"""The console of a run: one short line an event, without Dagster's bookkeeping."""

import logging
import sys

import dagster as dg


class _Short(logging.Formatter):
    """`10:54:22  solve_conda  message`, in colour when a person watches."""

    def format(self, record: logging.LogRecord) -> str:
        meta = getattr(record, "dagster_meta", {})
        step = str(meta.get("step_key") or "").rsplit(".", maxsplit=1)[-1]
        message = str(meta.get("orig_message") or record.getMessage())
        head = f"{self.formatTime(record, '%H:%M:%S')}  {step:<16} "
        if record.levelno >= logging.WARNING or message.startswith("WARNING"):
            head += "" if message.startswith("WARNING") else f"{record.levelname}: "
            return _red(head + message)
        return head + message


def _red(text: str) -> str:
    return f"\033[31m{text}\033[0m" if sys.stderr.isatty() else text


@dg.logger(description="One short line an event, on stderr.")
def short_console(_: dg.InitLoggerContext) -> logging.Logger:
    """Log what the steps say, and failures; Dagster's own events stay in the run's log."""
    logger = logging.Logger("elt_env", level=logging.INFO)
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Short())
    logger.addHandler(handler)
    return logger
