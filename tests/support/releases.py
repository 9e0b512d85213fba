"""Releases that nobody promoted: examples."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

from elt_env.environment.launchers import launcher_files
from elt_env.release.record import Release
from elt_env.runtime.files import write_atomically
from tests.support.locks import MOMENT, TARGET


def digest(letter: str) -> str:
    """Return a digest that can be told from others by its letter, of a to f."""
    return "sha256:" + letter * 64


def a_release(number: int, letter: str, **changes: Any) -> Release:
    """Return a release of the lock with that letter, an hour after the one before it."""
    values: dict[str, Any] = {
        "number": number,
        "target": TARGET.name,
        "digest": digest(letter),
        "image": None,
        "at": MOMENT + timedelta(hours=number),
        "action": "promoted",
        "trigger": f"reason {number}",
        "by": "elt-env promote",
        "evidence": {"pip_check": "passed"},
    }
    return Release(**(values | changes))


def history_of(letters: str) -> tuple[Release, ...]:
    """Return a history: a release for each letter, rolled back where the letter is a capital."""
    return tuple(
        a_release(number, each.lower(), action="rolled back" if each.isupper() else "promoted")
        for number, each in enumerate(letters, 1)
    )


def fake_prefix(directory: Path, *programs: str) -> Path:
    """Return a prefix whose programs are shell scripts that say their path, and what they got."""
    bin_ = directory / "bin"
    bin_.mkdir(parents=True, exist_ok=True)
    for name in programs:
        path = bin_ / name
        path.write_text('#!/bin/sh\nprintf "%s\\n" "$0" "$@"\n', encoding="utf-8")
        path.chmod(0o755)
    return directory


def write_launchers(place: Path, prefix: Path, name: str, digest: str) -> None:
    """Write the launchers of a prefix into a directory, where they stay."""
    for path, (content, mode) in launcher_files(place, prefix, name, digest).items():
        write_atomically(place / path, content, mode)
