"""Tells the webhook where the definitions cannot be loaded, as of a policy that cannot be read.

No sensor may tick then, and the policy does not say whom to tell: what it said when it was read
last is kept in the directory of the Dagster instance.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import Path

import dagster as dg
from pydantic import TypeAdapter, ValidationError

from elt_env.defs.levels import leveled
from elt_env.defs.sensors.ticks import told_lately
from elt_env.errors import EltEnvError
from elt_env.package.platform import this_platform
from elt_env.package.target import parse_target
from elt_env.project.policy import Policy
from elt_env.release.notice import Notice
from elt_env.release.notify import deliver
from elt_env.runtime.files import write_atomically
from elt_env.runtime.input_files import read_stored

_OWN_EYES = 0o600  # the URL of a webhook can be a secret
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Listener:
    """Who is told of a project, by the policy that was read last.

    Attributes:
        target: the first one, which stands for all.
        notify_webhook, notify_on: as in the policy.
        told: the trouble that was told last, if there was some since the definitions were loaded.
    """

    target: str
    notify_webhook: str | None
    notify_on: tuple[str, ...]
    told: str = ""


_listener: TypeAdapter[Listener] = TypeAdapter(Listener)


@contextlib.contextmanager
def telling_what_is_not_loaded(watching: Collection[str]) -> Iterator[None]:
    """Tell what keeps the definitions from being loaded inside the block, and let it pass.

    Args:
        watching: the sensors that may have told of it; those loaded before tick for a while.
    """
    try:
        yield
    except EltEnvError as error:
        told = f"{error.problem} -> {error.remedy}"
        path = _record()
        listener = _read(path) if path else None
        if path and listener and told not in listener.told:
            _write(path, replace(listener, told=told))  # first, for those who tick meanwhile
            _tell(told, listener, watching)
        raise


def remember_listener(policy: Policy, begun: float) -> None:
    """Keep who is to be told where the policy cannot be read any more.

    Nothing is kept without DAGSTER_HOME, or where its directory cannot be written. What another
    process told since then stays told.

    Args:
        policy: as it was read.
        begun: when that was, in seconds since the epoch.
    """
    path = _record()
    if path is None or not policy.environments:
        return
    name, first = next(iter(policy.environments.items()))
    at, told = told_without_tick()
    listener = Listener(
        f"{name}@{first.pythons[0]}",
        policy.notify_webhook,
        policy.notify_on,
        told if at >= begun else "",
    )
    if _read(path) != listener:
        _write(path, listener)


def remember_told(told: Iterable[str]) -> None:
    """Keep what a tick tells, until it ends, for the process that loads the definitions anew."""
    path = _record()
    listener = _read(path) if path else None
    lines = "\n".join(told)
    if path and listener and lines:
        _write(path, replace(listener, told=lines))


def told_without_tick() -> tuple[float, str]:
    """Return when trouble was told that need not be in an ended tick, and what it was."""
    path = _record()
    listener = _read(path) if path else None
    if path is None or listener is None or not listener.told:
        return 0.0, ""
    return path.stat().st_mtime, listener.told


def _tell(told: str, listener: Listener, watching: Collection[str]) -> None:
    with dg.DagsterInstance.get() as instance:
        if any(told in each for each in told_lately(watching, instance)):
            return
    target = parse_target(listener.target, this_platform())
    now = datetime.now(timezone.utc).replace(microsecond=0)
    deliver(Notice("blocked", target, told, None, "definitions", "", now), listener, leveled(_log))


def _record() -> Path | None:
    """Return where is kept who is told of the project that Dagster was started in."""
    home = os.environ.get("DAGSTER_HOME")
    if not home:
        return None
    place = os.path.realpath(os.environ.get("ELT_ENV_PROJECT", "."))
    return Path(home) / "elt_env" / f"{hashlib.sha256(os.fsencode(place)).hexdigest()[:16]}.json"


def _read(path: Path) -> Listener | None:
    try:
        return _listener.validate_json(read_stored(path))
    except (OSError, ValidationError):
        return None


def _write(path: Path, listener: Listener) -> None:
    try:
        write_atomically(path, _listener.dump_json(listener) + b"\n", _OWN_EYES)
    except EltEnvError as error:
        _log.warning(error.problem)
