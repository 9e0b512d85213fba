"""Tells others what came of a run, where the policy names a webhook."""

from __future__ import annotations

import dagster as dg

from elt_env.defs.run_tags import TRIGGER
from elt_env.machine.process import Say
from elt_env.package.target import Target
from elt_env.release.notice import Outcome
from elt_env.release.notify import notify
from elt_env.toolbox import Toolbox


def tell(  # noqa: PLR0913, PLR0917  # who tells what about what
    outcome: Outcome, detail: str, target: Target, toolbox: Toolbox, run: dg.DagsterRun, say: Say
) -> None:
    """Tell an outcome of a run; see `elt_env.release.notify`. It never fails the run."""
    trigger = run.tags.get(TRIGGER, "")
    notify(target, toolbox, say, outcome, detail, trigger=trigger, run=run.run_id)
