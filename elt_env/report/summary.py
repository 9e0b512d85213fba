"""The summary of a target: the contract of `elt-env show TARGET --json`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from elt_env.image.record import ImageRecord
from elt_env.lockfile.document import Lock, Package
from elt_env.package.target import Target
from elt_env.release.record import Release
from elt_env.store.evidence import Evidence

_TOOLS = {"dbt-core": "dbt", "meltano": "meltano", "dagster": "dagster"}
"""What a person tries first, by the distribution that brings it."""

SET_CLOCK = "timedatectl set-ntp true"
"""What mends a clock that is wrong."""

_CLOCKS_DIFFER = timedelta(minutes=5)  # between machines that share a store

_WITH_MAKE = (
    ("make relock", "upgrade within the spec, build and prove"),
    ("make ui", "watch and materialize in the web UI"),
)


@dataclass(frozen=True)
class Summary:
    """A target's lock, prefix and evidence; what does not exist yet is None or empty.

    Attributes:
        lock_path: the directory of the lock's files, or its URL.
        prefix: the directory the environment is or will be installed in.
        ready: whether it is installed and sealed.
        made_for: the place that it was built in, when it was moved or copied from there.
        base_fault: what became of the interpreter that it is a venv of, when it is not as it was.
        image: what was packed for the lock.
        layout: the directory of the OCI layout that holds it.
        release: the target's release; its lock may be another one.
        previous: the release before, of another lock.
        entry_points: the directory of the programs that run the release.
    """

    target: Target
    lock: Lock | None = None
    lock_path: str | None = None
    prefix: Path | None = None
    ready: bool = False
    made_for: str | None = None
    base_fault: str = ""
    evidence: tuple[Evidence, ...] = ()
    image: ImageRecord | None = None
    layout: Path | None = None
    release: Release | None = None
    previous: Release | None = None
    entry_points: Path | None = None

    @property
    def newest(self) -> datetime | None:
        """The moment of the newest record; None where there is none."""
        moments = [each.at for each in (*self.evidence, self.image, self.release) if each]
        return max([*moments, *([self.lock.locked_at] if self.lock else [])], default=None)

    def clock_trouble(self, now: datetime) -> str:
        """Return what is wrong where the clock is before a record of its own; "" for nothing."""
        newest = self.newest
        if newest is None or newest - now < _CLOCKS_DIFFER:
            return ""
        return (
            f"The clock is wrong, or was: {self.target.name} has a record of "
            f"{newest:%Y-%m-%d %H:%M} UTC, which has not come yet. Until then ages are not true, "
            "and releases of that time count as too new."
        )

    def to_json(self) -> dict[str, Any]:
        """Return the summary as the stable JSON object."""
        return {
            "target": self.target.name,
            "platform": self.target.platform,
            "lock": self._lock(),
            "prefix": self._prefix(),
            "evidence": [_evidence(each) for each in self.evidence],
            "image": self._image(),
            "release": self._release(),
        }

    def _lock(self) -> dict[str, Any] | None:
        lock = self.lock
        if lock is None:
            return None
        return {
            "digest": lock.digest,
            "path": self.lock_path,
            "packages": len(lock.packages),
            "conda": len(lock.conda),
            "pip": len(lock.pip),
            "locked_at": lock.locked_at.isoformat(),
            "exclude_newer": _moment(lock.exclude_newer),
            "channels": list(lock.channels),
            "indexes": list(lock.indexes),
            "channel_source": lock.channel_source,
            "interpreter": lock.interpreter,
            "negotiated": [str(each) for each in lock.negotiated],
            "held_back": [str(each) for each in lock.held_back],
            "variables": dict(lock.variables),
            "notes": list(lock.notes),
        }

    def _prefix(self) -> dict[str, Any] | None:
        if self.prefix is None:
            return None
        elsewhere = {"made_for": self.made_for} if self.made_for else {}
        return {"path": str(self.prefix), "ready": self.ready, **elsewhere}

    def _image(self) -> dict[str, Any] | None:
        image = self.image
        if image is None:
            return None
        return {
            "digest": image.digest,
            "path": str(self.layout),
            "bytes": image.size,
            "layers": [
                {"digest": each.blob.digest, "bytes": each.blob.size, "holds": each.holds}
                for each in image.layers
            ],
            "name": image.name,
            "base": image.base,
            "packed_at": image.at.isoformat(),
        }

    def _release(self) -> dict[str, Any] | None:
        release = self.release
        if release is None:
            return None
        return {
            "current": release.digest,
            "previous": self.previous.digest if self.previous else None,
            "promoted_at": release.at.isoformat(),
            "number": release.number,
            "action": release.action,
            "image": release.image,
            "entry_points": str(self.entry_points),
        }

    def to_text(self) -> str:
        """Return the summary for a person."""
        lines = [f"{self.target.name} on {self.target.platform}"]
        lines += self._lock_lines()
        if self.prefix:
            state = "ready" if self.ready else "not built"
            lines.append(f"  prefix    {self.prefix} ({state})")
            if self.made_for:
                lines.append(f"            moved or copied from {self.made_for}; build it again:")
                lines.append(f"            elt-env build {self.target.name}")
            if self.base_fault:
                lines.append(f"            {self.base_fault}; build it again:")
                lines.append(f"            elt-env build {self.target.name}")
        if self.image:
            size = f"{self.image.size / 1e6:.0f} MB in {len(self.image.layers)} layers"
            lines.append(f"  image     {self.image.digest}")
            lines.append(f"            oci:{self.layout}:{self.image.name}, {size}")
            lines.append(f"            on {self.image.base}")
        lines += self._release_lines()
        for each in self.evidence:
            detail = each.detail.splitlines()[0] if each.detail else ""
            lines.append(f"  {each.check:<9} {each.status} in {each.seconds:.1f} s: {detail}")
        return "\n".join(lines)

    def _lock_lines(self) -> list[str]:
        lock = self.lock
        if lock is None:
            return ["  lock      none yet"]
        asked = [f"{each.name} {each.version}" for each in lock.packages if each.requested]
        limit = f", releases until {lock.exclude_newer:%Y-%m-%d}" if lock.exclude_newer else ""
        host = "HOST CHANNEL, made of this machine's Python and of wheels"
        source = host if lock.channel_source == "host" else ", ".join(lock.channels)
        return [
            f"  lock      {lock.digest}",
            f"            made {lock.locked_at:%Y-%m-%d %H:%M} UTC{limit}",
            f"  packages  {len(lock.conda)} from conda, {len(lock.pip)} from pip",
            f"  python    {lock.interpreter} of this machine, in a venv"
            if lock.interpreter
            else f"  conda     {source}",
            *(f"  agreed    {each} (conda had {each.refused})" for each in lock.negotiated),
            *(f"  held back {each}" for each in lock.held_back),
            f"  asked for {', '.join(asked)}",
            *_listed("  variables ", [name for name, _ in lock.variables]),
            *(f"  note      {each}" for each in lock.notes),
        ]

    def _release_lines(self) -> list[str]:
        release = self.release
        if release is None:
            return []
        other = self.lock is not None and self.lock.digest != release.digest
        note = ", which is not the current lock" if other else ""
        moved = f"{release.action} {release.at:%Y-%m-%d %H:%M} UTC by {release.by}"
        return [
            f"  release   {release.digest}{note}",
            f"            {moved}: {release.trigger}",
            f"            {self.entry_points}",
        ]


def _listed(head: str, names: list[str]) -> list[str]:
    return [head + ", ".join(names)] if names else []


def packages_text(lock: Lock) -> str:
    """Return a line for every package: what it is, since when it is out, and who needs it."""
    return "\n".join(_package_line(each) for each in lock.packages)


def _package_line(package: Package) -> str:
    why = "asked for" if package.requested else "for " + ", ".join(package.required_by)
    released = f"{package.released_at:%Y-%m-%d}" if package.released_at else "unknown   "
    return f"  {package.manager:<5} {package.name} {package.version}  {released}  {why}"


def next_steps(
    summary: Summary, command: str, *, with_make: bool = True, with_workspace: bool = True
) -> str:
    """Return what a person may want to type next.

    Args:
        summary: what is known of the target.
        command: how they call elt-env.
        with_make: whether the project has a Makefile with these targets.
        with_workspace: whether it has a workspace.yaml.
    """
    target, tool = summary.target, first_tool(summary.lock)
    released = [(f"{summary.entry_points}/{tool} --version", f"the released {tool}, from anywhere")]
    image = [(f"{command} run-image {target.name} -- {tool} --version", "the same in its image")]
    rows = [
        *(released if summary.release else []),
        (f"{command} run {target.name} -- {tool} --version", "run a tool of the environment"),
        (f"{command} shell {target.name}", "a shell in which its tools come first"),
        *(image if summary.image else []),
        (f"{command} show {target.name} --packages", "every package, and why it is there"),
        *(
            _WITH_MAKE
            if with_make
            else _without_make(target, command, with_workspace=with_workspace)
        ),
    ]
    return next_lines(rows)


def next_of_file(summary: Summary, command: str, spec: str) -> str:
    """Return what a person may want to type next who built an environment from a file.

    Args:
        summary: what is known of the target.
        command: how they call elt-env.
        spec: the path of the file.
    """
    target, tool = summary.target, first_tool(summary.lock)
    released = [(f"{summary.entry_points}/{tool} --version", f"the released {tool}, from anywhere")]
    return next_lines(
        [
            *(released if summary.release else []),
            (f"{command} run {target.name} -- {tool} --version", "run a tool of the environment"),
            (f"{command} shell {target.name}", "a shell in which its tools come first"),
            (f"{command} show {target.name} --packages", "every package, and why it is there"),
            (f"{command} build {spec}", "again, after a change of the file"),
            (f"{command} relock {target.name}", "upgrade the lock within the file; then build"),
        ]
    )


def first_tool(lock: Lock | None) -> str:
    """Return the program of a lock that a person tries first."""
    held = lock.distributions if lock else {}
    return next((tool for name, tool in _TOOLS.items() if name in held), "python")


def _without_make(
    target: Target, command: str, *, with_workspace: bool
) -> tuple[tuple[str, str], ...]:
    return (
        (f"{command} relock {target.name}", "upgrade the lock within the spec; then build"),
        (web_ui(command, with_workspace=with_workspace), "watch and materialize in the web UI"),
    )


def web_ui(command: str, *, with_workspace: bool = True) -> str:
    """Return how the web UI is started, by the `dagster` that lies beside elt-env."""
    loads = "-w workspace.yaml" if with_workspace else "-m elt_env.definitions"
    return f"{command.removesuffix('elt-env')}dagster dev {loads}"


def next_lines(rows: Sequence[tuple[str, str]]) -> str:
    """Return what can be typed next, each with what it is good for, as a text for a person."""
    width = max(len(typed) for typed, _ in rows)
    return "Next:\n" + "\n".join(f"  {typed:<{width}}  {what}" for typed, what in rows)


def _evidence(each: Evidence) -> dict[str, Any]:
    return {
        "check": each.check,
        "status": each.status,
        "at": each.at.isoformat(),
        "seconds": each.seconds,
        "detail": each.detail,
        "counts": dict(each.counts),
    }


def _moment(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None


def evidence_text(evidence: tuple[Evidence, ...]) -> str:
    """Return the results of checks as a table, one line a check and more where one failed."""
    width = max((len(each.check) for each in evidence), default=0)
    lines = []
    for each in evidence:
        first, *more = each.detail.splitlines() or [""]
        lines.append(f"{each.check:<{width}}  {each.status:<7} {each.seconds:6.1f} s  {first}")
        lines += [" " * (width + 20) + line for line in more if each.status == "failed"]
    return "\n".join(lines)
