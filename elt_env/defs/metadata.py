"""What a person wants to see about a materialization."""

from __future__ import annotations

from collections.abc import Iterable

import dagster as dg

from elt_env.model.diff import count, to_markdown
from elt_env.model.evidence import Evidence
from elt_env.model.lock import Lock, Package
from elt_env.stages.build import Built
from elt_env.stages.lock import Locked
from elt_env.tools.files import tail
from elt_env.tools.store import Store

_LOG_LINES = 40
_HOST = (
    "**HOST CHANNEL**: the spec's channels could not be reached. Conda's packages were made of "
    "this machine's own Python and of wheels."
)

Metadata = dict[str, dg.MetadataValue]


def lock_metadata(locked: Locked) -> Metadata:
    """Return what the lock holds, how it came to be and what changed."""
    lock = locked.lock
    limit = lock.exclude_newer
    return {
        "digest": dg.MetadataValue.text(lock.digest),
        "outcome": dg.MetadataValue.text(
            "kept: it satisfies the spec and the policy"
            if locked.kept
            else f"made anew: {'; '.join(locked.reasons)}"
        ),
        "changes": dg.MetadataValue.md("Kept." if locked.kept else to_markdown(locked.changes)),
        "change_count": dg.MetadataValue.text(count(locked.changes)),
        "channel_source": dg.MetadataValue.md(
            _HOST if lock.channel_source == "host" else "the spec's own channels"
        ),
        "channels": dg.MetadataValue.json(list(lock.channels)),
        "indexes": dg.MetadataValue.json(list(lock.indexes)),
        "negotiated": dg.MetadataValue.md(_negotiated(lock)),
        "exclude_newer": dg.MetadataValue.text(limit.isoformat() if limit else "no cool-down"),
        "conda_packages": dg.MetadataValue.int(len(lock.conda)),
        "pip_packages": dg.MetadataValue.int(len(lock.pip)),
        "packages": package_table(lock.packages),
        "path": dg.MetadataValue.path(locked.path),
    }


def prefix_metadata(lock: Lock, built: Built) -> Metadata:
    """Return where the environment is, what was done and how to use it."""
    name = lock.target.name
    use = f"```\nelt-env run {name} -- dbt --version\nelt-env shell {name}\n```"
    return {
        "digest": dg.MetadataValue.text(lock.digest),
        "steps": dg.MetadataValue.text(", ".join(built.steps) or "nothing, it was there"),
        "distributions": dg.MetadataValue.int(len(lock.distributions)),
        "how_to_use": dg.MetadataValue.md(use),
        "path": dg.MetadataValue.path(built.path),
    }


def evidence_metadata(evidence: Evidence, store: Store) -> Metadata:
    """Return what a check saw."""
    return {
        "status": dg.MetadataValue.text(evidence.status),
        "detail": dg.MetadataValue.md(f"```\n{evidence.detail}\n```"),
        "seconds": dg.MetadataValue.float(evidence.seconds),
        "checked_at": dg.MetadataValue.timestamp(evidence.at),
        "log": dg.MetadataValue.path(store.home / evidence.log),
        "log_tail": dg.MetadataValue.md(f"```\n{tail(store.home / evidence.log, _LOG_LINES)}\n```"),
    }


def package_table(packages: Iterable[Package]) -> dg.TableMetadataValue:
    """Return a table of packages, those that a person asked for first."""
    ordered = sorted(packages, key=lambda each: (not each.requested, each.manager, each.name))
    columns = ("package", "version", "manager", "requested", "released", "required_by")
    return dg.MetadataValue.table(
        records=[dg.TableRecord(_row(each)) for each in ordered],
        schema=dg.TableSchema([dg.TableColumn(name) for name in columns]),
    )


def _row(package: Package) -> dict[str, str | int | float | bool]:
    released = package.released_at
    return {
        "package": package.name,
        "version": package.version,
        "manager": package.manager,
        "requested": package.requested,
        "released": released.date().isoformat() if released else "unknown",
        "required_by": ", ".join(package.required_by),
    }


def _negotiated(lock: Lock) -> str:
    if not lock.negotiated and not lock.held_back:
        return "Nothing: pip could live with conda's own answer."
    bounds = [
        f"- `{each}` instead of {each.refused}, for {', '.join(each.required_by)}"
        for each in lock.negotiated
    ]
    return "\n".join([*bounds, *(f"- held back: {each}" for each in lock.held_back)])
