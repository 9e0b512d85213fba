"""Notify: tell others what came of it, where the policy names a webhook."""

from __future__ import annotations

import logging
import os
from collections.abc import Collection
from typing import Protocol

from elt_env.errors import EltEnvError
from elt_env.index.webhook import NOTICE, post
from elt_env.machine.process import Say
from elt_env.package.target import Target
from elt_env.project.policy import Policy
from elt_env.release.notice import Notice, Outcome
from elt_env.store.locks import Store


class Listener(Protocol):
    """Who is told of what, as a policy says it."""

    @property
    def notify_webhook(self) -> str | None:
        """URL that outcomes are posted to; `${NAME}` in it is a variable's value."""

    @property
    def notify_on(self) -> Collection[str]:
        """The outcomes that are told."""


def notify(  # noqa: PLR0913, PLR0917  # target, tools and listener, and what is told
    target: Target,
    policy: Policy,
    store: Store,
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
        digest=_current_digest(target, store),
        trigger=trigger,
        run=run,
        at=store.now().replace(microsecond=0),
    )
    return deliver(notice, policy, say)


def deliver(notice: Notice, listener: Listener, say: Say) -> bool:
    """Post a notice as `notify` does, where nothing is known but who is told."""
    if not listener.notify_webhook or notice.outcome not in listener.notify_on:
        return False
    try:
        post(listener.notify_webhook, notice.to_json(), os.environ, NOTICE)
    except EltEnvError as error:
        say(error.problem, logging.WARNING)
        return False
    say(f"notify: told that {notice.text.partition(': ')[0]}")
    return True


def _current_digest(target: Target, store: Store) -> str | None:
    try:
        pointer = store.pointer(target)
    except EltEnvError:
        return None
    return pointer.current if pointer else None
