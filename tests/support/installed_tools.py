"""Programs of others that tests run, installed once for all runs on a machine."""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
from pathlib import Path

import uv
from filelock import FileLock

from elt_env.machine.process import run
from tests.support.isolation import MACHINE_CACHE

_TESTS = Path(__file__).parents[1]
_LIMIT = 600.0


def installed_tool(name: str) -> Path:
    """Return an environment with what tests/NAME.txt locks."""
    requirements = _TESTS / f"{name}.txt"
    digest = hashlib.sha256(requirements.read_bytes() + sys.version.encode()).hexdigest()[:16]
    place = MACHINE_CACHE / "elt-env-tests" / f"{name}-{digest}"
    place.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(place.with_suffix(".lock"), timeout=_LIMIT):
        ready = place / "ready"
        if not ready.exists():
            shutil.rmtree(place, ignore_errors=True)
            _install(place, requirements)
            ready.touch()
    return place


def _install(place: Path, requirements: Path) -> None:
    variables = {key: text for key, text in os.environ.items() if not key.startswith("PYTHON")}
    tool = uv.find_uv_bin()
    into = ["--python", str(place / "bin" / "python")]
    hashed = ["--require-hashes", "--requirements", str(requirements)]
    for command in (
        [tool, "venv", "--python", sys.executable, str(place)],
        [tool, "pip", "install", "--compile-bytecode", "--no-deps", *into, *hashed],
    ):
        done = run(command, limit=_LIMIT, env=variables)
        assert done.returncode == 0, done.stderr
