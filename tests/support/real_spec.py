"""Copies of the project and of the environment that the real spec gives, to plant faults in."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import uv

from elt_env.environment.prefix import MARKER, Prefix
from tests.support.commands import Site

Run = subprocess.CompletedProcess[str]

_PROJECT = (
    "pyproject.toml",
    "workspace.yaml",
    "environments",
    "examples",
    "dbt_project",
    "meltano",
)
_STORE = ("locks", "targets", "cache/meltano")
_LIMIT = 120.0
_WARNING = ("imports", "mixed_managers")  # modules want what nothing requires; files clash


@dataclass(frozen=True)
class SmokeJobs:
    """The three smoke jobs for 3.12, run at once.

    Attributes:
        runs: in the order of `SMOKE_CHECKS`.
        called: what reached the caller's own programs and modules, if anything did.
    """

    runs: list[Run]
    called: Path


@dataclass(frozen=True)
class FailedJob:
    """A run of `elt_dbt_smoke` for 3.11 in a project of its own, in which a test of dbt fails."""

    site: Site
    run: Run


def unwarned(statuses: Mapping[str, str]) -> dict[str, str]:
    """Return the statuses of checks with what today's packages may be warned of as passed."""
    return {
        name: "passed" if status == "warned" and name in _WARNING else status
        for name, status in statuses.items()
    }


def copy_project(source: Path, directory: Path) -> Path:
    """Copy what a user of the project works with; return `directory`, which must not exist."""
    directory.mkdir(parents=True)
    for name in _PROJECT:
        copy = shutil.copytree if (source / name).is_dir() else shutil.copy
        copy(source / name, directory / name)
    return directory


def copy_store(home: Path, directory: Path, target: str) -> Path:
    """Copy a store with the prefixes of one target; return `directory`, which must not exist.

    The evidence stays behind. The files are links to the same content: a fault is planted by
    putting another file in place of one, as installers do, never by writing into it.
    """
    prefixes = [f"prefixes/{each.name}" for each in (home / "prefixes").glob(f"{target}-*")]
    for name in (*_STORE, *prefixes):
        shutil.copytree(home / name, directory / name, symlinks=True, copy_function=os.link)
    for prefix in prefixes:
        _settle(directory / prefix)
    return directory


def _settle(prefix: Path) -> None:
    """Let the marker of a prefix that was copied say that it was built where it is."""
    marker = prefix / MARKER
    content = json.loads(marker.read_text(encoding="utf-8")) | {"place": str(prefix)}
    marker.unlink()
    marker.write_text(json.dumps(content), encoding="utf-8")


def overwrite(prefix: Prefix, *requirements: str) -> None:
    """Install other versions into a sealed prefix, as a person does who insists."""
    options = ["--no-deps", "--break-system-packages"]
    subprocess.run(
        [uv.find_uv_bin(), "pip", "install", "--python", prefix.python, *options, *requirements],
        check=True,
        capture_output=True,
        timeout=_LIMIT,
    )
