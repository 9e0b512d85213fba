"""Notify: tell others what came of it, where the policy names a webhook."""

from __future__ import annotations

import os

from elt_env.errors import EltEnvError
from elt_env.index.webhook import post
from elt_env.machine.process import Say
from elt_env.package.target import Target
from elt_env.project.policy import Policy
from elt_env.release.notice import Notice, Outcome
from elt_env.toolbox import Toolbox


def notify(  # noqa: PLR0913  # target, tools and listener, and what is told
    target: Target,
    toolbox: Toolbox,
    say: Say,
    outcome: Outcome,
    detail: str,
    *,
    trigger: str = "",
    run: str = "",
) -> bool:
    """Post a notice about the target, and return whether it was taken.

    Without a webhook, or where the policy leaves this outcome out, nothing is posted. A notice that
    cannot be delivered is said and no more.
    """
    notice = Notice(
        outcome=outcome,
        target=target,
        detail=detail,
        digest=_current_digest(target, toolbox),
        trigger=trigger,
        run=run,
        at=toolbox.now().replace(microsecond=0),
    )
    return deliver(notice, toolbox.policy, say)


def deliver(notice: Notice, policy: Policy, say: Say) -> bool:
    """Post a notice as `notify` does, where a policy is all that there is."""
    if not policy.notify_webhook or notice.outcome not in policy.notify_on:
        return False
    try:
        post(policy.notify_webhook, notice.to_json(), os.environ)
    except EltEnvError as error:
        say(f"WARNING: {error.problem}")
        return False
    say(f"notify: told that {notice.text.partition(': ')[0]}")
    return True


def _current_digest(target: Target, toolbox: Toolbox) -> str | None:
    try:
        pointer = toolbox.store.pointer(target)
    except EltEnvError:
        return None
    return pointer.current if pointer else None
