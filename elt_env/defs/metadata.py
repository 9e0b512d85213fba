"""Metadata that a materialization shows to a person."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

import dagster as dg

from elt_env.environment.build import BuildResult
from elt_env.image.pack import PackedImage
from elt_env.image.push import PushedImage
from elt_env.image.record import ImageRecord
from elt_env.lock.diff_render import to_markdown
from elt_env.lock.diff_report import DiffReport, Waiting, to_json
from elt_env.lock.make import Locked
from elt_env.lockfile.document import HeldBack, Lock, Package
from elt_env.project.project import Project
from elt_env.report.summary import first_tool
from elt_env.spec.document import Spec
from elt_env.store.evidence import Cell, Evidence
from elt_env.store.locks import Store

_LOG_LINES = 40
_HOST = (
    "**HOST CHANNEL**: the spec's channels could not be reached. Conda's packages were made of "
    "this machine's own Python and of wheels."
)

Metadata = dict[str, dg.MetadataValue]

DATA_VERSION = "dagster/data_version"
"""The tag of events that have one."""


def made(metadata: Metadata, digest: str) -> dg.MaterializeResult[None]:
    """Return what an asset ends with; the digest of what was made is its data version."""
    return dg.MaterializeResult(metadata=metadata, data_version=dg.DataVersion(digest))


def materialization(
    key: Sequence[str], metadata: Metadata, version: str, python: str | None = None
) -> dg.AssetMaterialization:
    """Return the event that an asset is there in a data version, though no step of it ran."""
    # https://docs.dagster.io/api/dagster/assets#dagster.DataVersion: in events
    tags = {DATA_VERSION: version}
    return dg.AssetMaterialization(list(key), metadata=metadata, partition=python, tags=tags)


def spec_metadata(spec: Spec, project: Project) -> Metadata:
    """Return what a spec asks for, and where it is."""
    asked = [("conda", str(each)) for each in (spec.python_spec, *spec.conda)]
    asked += [("pip", each) for each in (*spec.pip, *map(str, spec.directs))]
    return {
        "requirements": table(("half", "asked for"), asked),
        "requirement_count": dg.MetadataValue.int(len(asked)),
        "channels": dg.MetadataValue.json(list(spec.channels)),
        "path": dg.MetadataValue.path(project.root / spec.source),
    }


def lock_metadata(locked: Locked) -> Metadata:
    """Return what the lock holds, how it came to be and what changed."""
    lock = locked.lock
    limit = lock.exclude_newer
    return {
        "digest": dg.MetadataValue.text(lock.digest),
        "outcome": dg.MetadataValue.text(
            f"{'kept' if locked.kept else 'made anew'}: {'; '.join(locked.reasons)}"
        ),
        **_changes_metadata(locked.report),
        "channel_source": dg.MetadataValue.md(_channel_source(lock)),
        "channels": dg.MetadataValue.json(list(lock.channels)),
        "indexes": dg.MetadataValue.json(list(lock.indexes)),
        "negotiated": dg.MetadataValue.md(_negotiated(lock)),
        "not_newest": _not_newest(lock, locked.report.held_back if locked.report else ()),
        **({"notes": dg.MetadataValue.md(_bulleted(lock.notes))} if lock.notes else {}),
        "exclude_newer": dg.MetadataValue.text(limit.isoformat() if limit else "no cool-down"),
        "conda_packages": dg.MetadataValue.int(len(lock.conda)),
        "pip_packages": dg.MetadataValue.int(len(lock.pip)),
        "packages": package_table(lock.packages),
        "path": dg.MetadataValue.path(locked.path),
    }


def _channel_source(lock: Lock) -> str:
    if lock.interpreter:
        return f"no conda: a venv of this machine's Python {lock.interpreter}"
    return _HOST if lock.channel_source == "host" else "the spec's own channels"


def _changes_metadata(report: DiffReport | None) -> Metadata:
    """Return what changed and why, in words, as JSON, and as numbers that can be plotted."""
    if report is None:
        none = dg.MetadataValue.int(0)
        kept = dg.MetadataValue.md("Kept.")
        return {"changes": kept, "change_count": none, "downgrades": none, "majors": none}
    return {
        "changes": dg.MetadataValue.md(to_markdown(report)),
        "changes_json": dg.MetadataValue.json(to_json(report)),
        "change_count": dg.MetadataValue.int(len(report.changes)),
        "downgrades": dg.MetadataValue.int(report.downgrades),
        "majors": dg.MetadataValue.int(report.majors),
        "cooling_down": _waiting_table(report.held_back),
    }


def _waiting_table(waiting: Iterable[Waiting]) -> dg.TableMetadataValue:
    columns = ("package", "manager", "locked", "newer", "released", "eligible")
    rows = [
        (
            *(each.name, each.manager, each.locked, each.newer),
            *(moment.isoformat() for moment in (each.released_at, each.eligible_at)),
        )
        for each in waiting
    ]
    return table(columns, rows)


def prefix_metadata(lock: Lock, built: BuildResult) -> Metadata:
    """Return where the environment is, what was done and how to use it."""
    name = lock.target.name
    use = f"```\nelt-env run {name} -- {first_tool(lock)} --version\nelt-env shell {name}\n```"
    return {
        "digest": dg.MetadataValue.text(lock.digest),
        "steps": dg.MetadataValue.text(", ".join(built.steps) or "nothing, it was there"),
        "distributions": dg.MetadataValue.int(len(lock.distributions)),
        "how_to_use": dg.MetadataValue.md(use),
        "path": dg.MetadataValue.path(built.path),
    }


def image_metadata(packed: PackedImage, pushed: PushedImage | None) -> Metadata:
    """Return what the image is made of, what of it is new, where it went, and how to use it."""
    outcome = "kept: it is what it was" if packed.kept else "packed"
    where = [str(each) for each in pushed.references] if pushed else []
    return {
        **image_record_metadata(packed.image, packed.path, outcome),
        "sbom": dg.MetadataValue.text(packed.sbom.digest),
        "pushed_to": dg.MetadataValue.text("\n".join(where) or "nowhere: the policy names no push"),
    }


def image_record_metadata(image: ImageRecord, layout: Path, outcome: str) -> Metadata:
    """Return what an image in a layout is made of, what of it is new, and how to use it."""
    fresh = sum(each.blob.size for each in image.layers if each.blob.digest not in image.reused)
    rows = [
        (each.holds, each.blob.size, _state(each.blob.digest in image.reused), each.blob.digest)
        for each in image.layers
    ]
    use = (
        f"```\nskopeo inspect oci:{layout}:{image.name}\npodman pull oci:{layout}:{image.name}\n```"
    )
    return {
        "digest": dg.MetadataValue.text(image.digest),
        "outcome": dg.MetadataValue.text(outcome),
        "base": dg.MetadataValue.text(image.base),
        "bytes": dg.MetadataValue.int(image.size),
        "new_bytes": dg.MetadataValue.int(fresh),
        "layers": table(("holds", "bytes", "state", "digest"), rows),
        "how_to_use": dg.MetadataValue.md(use),
        "path": dg.MetadataValue.path(layout),
    }


def _state(reused: bool) -> str:  # noqa: FBT001  # it is all there is to say
    return "reused" if reused else "new"


def evidence_metadata(evidence: Evidence, store: Store) -> Metadata:
    """Return what a check saw: its numbers and its table, and where to read on."""
    counts = {name: dg.MetadataValue.int(count) for name, count in evidence.counts.items()}
    found = evidence.table
    return {
        "status": dg.MetadataValue.text(evidence.status),
        "detail": dg.MetadataValue.text(evidence.detail),
        **counts,
        **({found.name: table(found.columns, found.rows)} if found else {}),
        "seconds": dg.MetadataValue.float(evidence.seconds),
        "checked_at": dg.MetadataValue.timestamp(evidence.at),
        "log": dg.MetadataValue.path(store.documents.place(evidence.log)),
        "log_tail": dg.MetadataValue.md(_verbatim(_tail(evidence.log, store))),
    }


def _tail(log: str, store: Store) -> str:
    """Return the last lines of a log, or "" when none can be read."""
    try:
        text = store.documents.read(log).decode(errors="replace")
    except OSError:
        return ""
    return "\n".join(text.splitlines()[-_LOG_LINES:])


def _verbatim(text: str) -> str:
    """Return Markdown that shows a text as it is, whatever backticks are in it."""
    longest = max((len(each) for each in re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}\n{text}\n{fence}"


def table(columns: Iterable[str], rows: Iterable[Iterable[Cell]]) -> dg.TableMetadataValue:
    """Return rows as a table that the web UI shows."""
    names = tuple(columns)
    return dg.MetadataValue.table(
        records=[dg.TableRecord(dict(zip(names, row, strict=True))) for row in rows],
        schema=dg.TableSchema([dg.TableColumn(name) for name in names]),
    )


def package_table(packages: Iterable[Package]) -> dg.TableMetadataValue:
    """Return a table of packages, those that a person asked for first."""
    ordered = sorted(packages, key=lambda each: (not each.requested, each.manager, each.name))
    columns = ("package", "version", "manager", "requested", "released", "required_by")
    return table(columns, [_row(each) for each in ordered])


def _row(package: Package) -> tuple[Cell, ...]:
    released = package.released_at
    return (
        package.name,
        package.version,
        package.manager,
        package.requested,
        released.date().isoformat() if released else "unknown",
        ", ".join(package.required_by),
    )


def _bulleted(lines: Iterable[str]) -> str:
    return "\n".join(f"- {each}" for each in lines)


def _not_newest(lock: Lock, waiting: Iterable[Waiting]) -> dg.TableMetadataValue:
    """Return what a person asked for that is not at its newest version, and why."""
    columns = ("package", "locked", "newest", "reason")
    rows = [
        (each.name, each.version, each.possible, each.reason or _all_else(lock, each))
        for each in lock.held_back
    ]
    requested = {(each.manager, each.name) for each in lock.packages if each.requested}
    rows += [
        (each.name, each.locked, each.newer, f"cool-down until {each.eligible_at.date()}")
        for each in waiting
        if (each.manager, each.name) in requested
    ]
    return table(columns, sorted(rows))


def _all_else(lock: Lock, held: HeldBack) -> str:
    asked = f"{held.name}>={held.possible}"
    return f"see: elt-env why-not {lock.target.name} '{asked}'"


def _negotiated(lock: Lock) -> str:
    if not lock.negotiated and not lock.held_back:
        return "Nothing: pip could live with conda's own answer."
    bounds = [
        f"- `{each}` instead of {each.refused}, for {', '.join(each.required_by)}"
        for each in lock.negotiated
    ]
    return "\n".join([*bounds, *(f"- held back: {each}" for each in lock.held_back)])
