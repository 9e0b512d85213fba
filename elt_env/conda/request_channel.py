"""Channels on this disk of what one request may choose from.

The rules of a request that no two conda programs know alike are applied here: cut-off, channel
priority, requirements on channels and builds, constraints, virtual packages, and what is kept. What
is left is written as repodata, and the names of packages are all that a program has to be asked.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import rattler

from elt_env.conda.offered import OfferedBuilds, fitting
from elt_env.conda.port import SolveRequest
from elt_env.conda.records import as_utc
from elt_env.errors import ToolError
from elt_env.runtime.files import write_atomically

_PLACE = re.compile(r"/channel-(?P<place>[0-9]+)(?=/|$)")
_Key = tuple[int, str, str, str, str]


class RequestChannels:
    """The channels of a request, as a program sees them.

    Args:
        root: a directory of their own.
        offered: what the real channels offer to the request.
        request: the request.
        found: a solution; what is kept in it is all that is offered of its name.
    """

    def __init__(
        self,
        root: Path,
        offered: OfferedBuilds,
        request: SolveRequest,
        found: Iterable[rattler.RepoDataRecord],
    ) -> None:
        self._root = root
        self._platforms = (request.platform, "noarch")
        self._records = dict(_best_formats(_allowed(offered, request, found)))

    def write(self) -> list[str]:
        """Write the repodata, and return the channels' URLs in their order."""
        channels: dict[Path, dict[str, dict[str, Any]]] = {}
        for place in sorted({key[0] for key in self._records}):
            for subdir in self._platforms:
                channels[self._root / f"channel-{place}" / subdir] = {}
        for (place, subdir, *_), record in self._records.items():
            content = channels[self._root / f"channel-{place}" / subdir]
            content[record.file_name] = _entry(record)
        for path, content in channels.items():
            path.mkdir(parents=True)
            write_atomically(path / "repodata.json", json.dumps(_repodata(path.name, content)))
        return list(dict.fromkeys(path.parent.as_uri() for path in channels))

    def record(self, linked: Mapping[str, Any]) -> rattler.RepoDataRecord:
        """Return the record of a package as a program says that it would link it.

        conda names a package by `base_url`, `platform` and `build_string`, mamba by `url`, `subdir`
        and `build`.

        Raises:
            ToolError: it is none that was offered.
        """
        where = f"{linked.get('base_url') or ''} {linked.get('url')} {linked.get('channel')}"
        place = _PLACE.search(where.replace(" ", "/ "))
        subdir = linked.get("subdir") or linked.get("platform")
        build = linked.get("build_string") or linked.get("build")
        key = (int(place["place"]) if place else -1, subdir, linked.get("name"))
        record = self._records.get((*key, linked.get("version"), build))  # type: ignore[arg-type]
        if record is None:
            raise ToolError(
                f"The solution has {linked.get('name')} {linked.get('version')} {build}, which was "
                "not offered.",
                'Set conda = "rattler" for this environment in [tool.elt-env].',
            )
        return record


def _allowed(
    offered: OfferedBuilds, request: SolveRequest, found: Iterable[rattler.RepoDataRecord]
) -> Iterator[tuple[int, rattler.RepoDataRecord]]:
    """Yield what a request may choose, with the position of its channel."""
    wanted = fitting([*request.specs, *request.constraints])
    hashes = {each.sha256 for each in request.keep}
    kept = {each.name.normalized: each.sha256 for each in found if _sha256(each) in hashes}
    for place, record in offered.records():
        name = record.name.normalized
        if wanted(record) and kept.get(name, record.sha256) == record.sha256:
            yield place, record


def _best_formats(
    found: Iterable[tuple[int, rattler.RepoDataRecord]],
) -> Iterator[tuple[_Key, rattler.RepoDataRecord]]:
    """Yield records by what a solver tells apart; of two formats of one build `.conda` comes last.

    That is the one that conda's programs take.
    """
    for place, record in sorted(found, key=lambda each: each[1].file_name.endswith(".conda")):
        about = (record.subdir, record.name.normalized, str(record.version), str(record.build))
        yield (place, *about), record


def _sha256(record: rattler.RepoDataRecord) -> str:
    return record.sha256.hex() if record.sha256 else ""


def _repodata(subdir: str, content: Mapping[str, Any]) -> dict[str, Any]:
    """Return repodata, as the schema of conda's repodata version 1 has them."""
    conda = {name: each for name, each in content.items() if name.endswith(".conda")}
    other = {name: each for name, each in content.items() if name not in conda}
    return {
        "info": {"subdir": subdir},
        "packages": other,
        "packages.conda": conda,
        "removed": [],
        "repodata_version": 1,
    }


def _entry(record: rattler.RepoDataRecord) -> dict[str, Any]:
    dated = as_utc(record.timestamp)
    noarch = "python" if record.noarch.python else "generic" if record.noarch.generic else None
    entry = {
        "name": record.name.normalized,
        "version": str(record.version),
        "build": str(record.build),
        "build_number": record.build_number,
        "subdir": record.subdir,
        "depends": _real(record.depends),
        "constrains": _real(record.constrains),
        "noarch": noarch,
        "md5": record.md5.hex() if record.md5 else None,
        "sha256": _sha256(record) or None,
        "size": record.size or 0,
        "timestamp": int(dated.timestamp() * 1000) if dated else None,
        "track_features": " ".join(record.track_features) or None,
    }
    return {key: value for key, value in entry.items() if value is not None}


def _real(requirements: Iterable[str]) -> list[str]:
    """Return requirements without those on virtual packages: what is offered satisfies them."""
    return [each for each in requirements if not each.lstrip().startswith("__")]
