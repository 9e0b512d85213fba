"""A prefix: the directory an environment is installed in, and how far its building has come."""

from __future__ import annotations

import contextlib
import csv
import importlib.metadata
import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from email.message import Message
from email.parser import HeaderParser
from enum import IntEnum
from pathlib import Path
from typing import Any

from elt_env.errors import IntegrityError
from elt_env.lockfile.document import Lock
from elt_env.machine.process import Say
from elt_env.package.names import normalize
from elt_env.python.venv_base import VenvBase, read_base
from elt_env.runtime.file_lock import file_lock
from elt_env.runtime.files import remove_tree, write_atomically, writing
from elt_env.runtime.input_files import read_stored_text
from elt_env.runtime.limits import load_json
from elt_env.store.last_use import mark_used

MARKER = ".elt-env.json"
"""Name of the file that says how far a prefix has come."""
FORMAT = 6  # of how prefixes are built; one that was built otherwise is built again


class Stage(IntEnum):
    """How far the building of a prefix has come; every value is a complete state."""

    ABSENT = 0
    LINKED = 1
    INSTALLED = 2
    READY = 3


class _Installed(importlib.metadata.PathDistribution):
    def __init__(self, info: Path) -> None:
        super().__init__(info)
        self._info = info

    def read_text(self, filename: str | os.PathLike[str]) -> str | None:
        """Return a file of the metadata; None where it cannot be read."""
        try:
            return read_stored_text(self._info / filename)
        except (OSError, UnicodeDecodeError):
            return None


@dataclass(frozen=True)
class Distribution:
    """A Python distribution that was found in a prefix.

    Attributes:
        name: its normalized name; that of its directory where the metadata give none.
        version: as its metadata say, or "".
        info: its `.dist-info` or `.egg-info`.
    """

    name: str
    version: str
    info: Path

    @property
    def files(self) -> tuple[str, ...]:
        """The paths of its files, relative to site-packages, as it recorded them."""
        return tuple(path for path, _, _ in self.rows)

    @property
    def rows(self) -> tuple[tuple[str, str, str], ...]:
        """Its files: the path, the hash as in `sha256=…`, and the size, "" where it states none.

        Also those that are gone, which importlib.metadata leaves out since Python 3.12.
        """
        text = self.installed.read_text("RECORD")
        if not text:
            return tuple((str(each), "", "") for each in self.installed.files or ())
        rows = ((*row, "", "") for row in csv.reader(text.splitlines()) if row)
        return tuple((path, stated, size) for path, stated, size, *_ in rows)

    @property
    def installed(self) -> importlib.metadata.Distribution:
        """What it says of itself; what is no file counts as absent."""
        return _Installed(self.info)


class Prefix:
    """The prefix of one lock on this machine.

    A marker inside names the stage it has reached. A step removes the marker before it changes
    anything and writes the next one after everything; a prefix without a marker was interrupted.

    Its files name the place it was built in. The marker does too: moved or copied to another
    place, a prefix is absent.
    """

    def __init__(self, path: Path, lock: Lock) -> None:
        self.path = path
        self.lock = lock

    @property
    def python(self) -> Path:
        """The interpreter."""
        return self.path / "bin" / "python"

    @property
    def library(self) -> Path:
        """The standard library's directory."""
        return self.path / "lib" / f"python{self.lock.target.python}"

    @property
    def site_packages(self) -> Path:
        """Where distributions are installed (`python_site_packages_path`, CEP 17)."""
        detail = self.lock.python.conda
        stated = detail.python_site_packages_path if detail else None
        return self.path / stated if stated else self.library / "site-packages"

    @property
    def bytecode_tag(self) -> str:
        """What the names of its bytecode end with before `.pyc` (PEP 3147)."""
        return f"cpython-{self.lock.target.python.replace('.', '')}"

    @property
    def stage(self) -> Stage:
        """The stage that was reached; ABSENT also for a prefix that was interrupted."""
        found = self._marked()
        if found is None:
            return Stage.ABSENT
        stage, place = found
        return stage if self._is_at(place) and not self.base_fault else Stage.ABSENT

    @property
    def base(self) -> VenvBase | None:
        """The interpreter that the prefix is a venv of; None where conda brought one into it."""
        return read_base(self.path) if self.lock.interpreter else None

    @property
    def interpreter_digest(self) -> str:
        """The hash of its interpreter: of conda's package, or of what it is a venv of."""
        return self.base.identity if self.base else self.lock.python.sha256

    @property
    def base_fault(self) -> str:
        """What became of the interpreter that it is a venv of; "" where it is as it was."""
        return self.base.fault if self.base else ""

    @property
    def made_for(self) -> str | None:
        """The place that it was built in, when that is another than where it is; else None."""
        found = self._marked()
        return None if found is None or self._is_at(found[1]) else found[1]

    @property
    def is_spelled_otherwise(self) -> bool:
        """Whether its files name its place by another path than it has, which leads to it."""
        found = self._marked()
        return found is not None and self._is_at(found[1]) and found[1] != str(self.path)

    def _marked(self) -> tuple[Stage, str] | None:
        return marked(self.path, self.lock.digest)

    def _is_at(self, place: str) -> bool:
        """Tell whether a path leads to this directory, be it through links."""
        try:
            return Path(place).samefile(self.path)
        except (OSError, ValueError):
            return False

    @property
    def ready(self) -> bool:
        """Whether it was sealed."""
        return self.stage is Stage.READY

    def mark_used(self) -> None:
        """Note that it is used now: what was used a moment ago is not collected."""
        mark_used(self.path / MARKER)

    @contextlib.contextmanager
    def reaching(self, stage: Stage) -> Iterator[None]:
        """Mark the prefix as interrupted while the block runs, and as at `stage` after it."""
        marker = self.path / MARKER
        with writing(self.path):
            self.path.mkdir(parents=True, exist_ok=True)
            marker.unlink(missing_ok=True)
            yield
            self.mark(stage)

    def mark(self, stage: Stage) -> None:
        """Note that the prefix has reached a stage at the place where it is.

        Raises:
            StorageError: it cannot be written.
        """
        content = {
            "stage": stage.name,
            "digest": self.lock.digest,
            "format": FORMAT,
            "place": str(self.path.absolute()),
        }
        write_atomically(self.path / MARKER, json.dumps(content) + "\n")

    def wipe(self) -> None:
        """Remove the directory."""
        remove_tree(self.path)

    @contextlib.contextmanager
    def sole_builder(self, limit: float, say: Say) -> Iterator[None]:
        """Let one builder at a time into the block; the others wait.

        Raises:
            BusyError: another one is still at work after `limit` seconds.
        """
        with file_lock(
            self.path.parent / f".{self.path.name}.lock",
            limit,
            f"building {self.path}",
            "Wait for it or end it, then run the same command; or raise busy-limit.",
            waiting=lambda: say(f"waiting: another process is building {self.path.name}"),
        ):
            yield

    def distributions(self) -> tuple[Distribution, ...]:
        """Return every distribution found in site-packages, even one that lost its metadata.

        An `.egg-info` that a conda package has beside the `.dist-info` of the same distribution
        is left out.
        """
        found = [_distribution(each) for each in sorted(self.site_packages.glob("*.*-info"))]
        twice = {each.name for each in found if _is_egg(each) and _has_dist_info(each.name, found)}
        if twice:
            brought = self._brought_with_dist_info()
            found = [each for each in found if each.name not in twice or each.info not in brought]
        return tuple(found)

    def conda_records(self) -> Iterator[tuple[Path, dict[str, Any]]]:
        """Yield the files of conda-meta, and what each says of its package.

        Raises:
            IntegrityError: one is not what conda writes.
        """
        for path in sorted((self.path / "conda-meta").glob("*.json")):
            try:
                content = load_json(read_stored_text(path))
                named = {"name", "version", "build"} <= content.keys()
            except (OSError, ValueError, AttributeError):
                named = False
            if not named:
                raise IntegrityError(
                    f"The prefix {self.path} is not what the lock says:\n"
                    f"  conda-meta/{path.name} cannot be read",
                    f"Remove it, then build it again: elt-env build {self.lock.target.name}",
                )
            yield path, content

    def _brought_with_dist_info(self) -> set[Path]:
        """Return each `.egg-info` of a conda package that has a `.dist-info` of that name too."""
        brought: set[Path] = set()
        for _, record in self.conda_records():
            infos = {
                part
                for file in record.get("files", ())
                for part in (self.path / file, (self.path / file).parent)
                if part.parent == self.site_packages and part.suffix.endswith("-info")
            }
            mine = [_distribution(each) for each in infos]
            brought |= {e.info for e in mine if _is_egg(e) and _has_dist_info(e.name, mine)}
        return brought


def marked(path: Path, digest: str) -> tuple[Stage, str] | None:
    """Return the stage and the place that the marker of a prefix names, where it is of a lock."""
    try:
        content = json.loads(read_stored_text(path / MARKER))
        stage, place = Stage[content["stage"]], str(content["place"])
        same = (content["digest"], content["format"]) == (digest, FORMAT)
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return (stage, place) if same else None


def _is_egg(distribution: Distribution) -> bool:
    return distribution.info.suffix == ".egg-info"


def _has_dist_info(name: str, distributions: Iterable[Distribution]) -> bool:
    return any(each.name == name and not _is_egg(each) for each in distributions)


def _distribution(info: Path) -> Distribution:
    metadata = _metadata(info)
    return Distribution(
        normalize(metadata.get("Name", info.name)), metadata.get("Version", ""), info
    )


def _metadata(info: Path) -> Message:
    """Read what importlib.metadata reads, which ends in other ways where nothing is there."""
    for path in (info / "METADATA", info / "PKG-INFO", info):
        if path.is_file():
            headers, _, _ = read_stored_text(path, errors="replace").partition("\n\n")
            return HeaderParser().parsestr(headers)
    return Message()
