"""A built prefix, and a way to run its Python on a base."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from elt_env.environment.prefix import Prefix
from elt_env.image.bases import Base, provide
from elt_env.image.oci.layout import Layout
from elt_env.lockfile.document import Lock
from elt_env.machine.process import run
from tests.support.isolation import clear_settings
from tests.support.said import Said
from tests.support.sample import Sample

_PLACE = "/opt/elt"
_LIMIT = 60.0

Provide = Callable[..., Base]
RunOn = Callable[[Path, str], str]


@pytest.fixture(scope="session")
def prefix(
    shared_sample: Sample, sample_lock: Lock, tmp_path_factory: pytest.TempPathFactory
) -> Prefix:
    """A prefix with a real Python; not to be changed."""
    root = tmp_path_factory.mktemp("prefix")
    with pytest.MonkeyPatch.context() as patch:
        clear_settings(patch, keep_registry=False)
        patch.setenv("UV_CACHE_DIR", str(root / "uv"))
        return Prefix(shared_sample.build(root, sample_lock).path, sample_lock)


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout(tmp_path / "store/oci")


@pytest.fixture
def said() -> Said:
    """What was told."""
    return Said()


@pytest.fixture
def offer(prefix: Prefix, layout: Layout, tmp_path: Path, said: Said) -> Provide:
    """Asks for bases of one store."""

    def ask(wanted: str, **more: Any) -> Base:
        own: dict[str, Any] = {"compression": "zstd", "limit": 600.0, "say": said.append}
        return provide(wanted, prefix, layout, tmp_path / "store/bases", **(own | more))

    return ask


@pytest.fixture(scope="session")
def run_on(prefix: Prefix) -> RunOn:
    """Runs Python code of the prefix on the root of a base, isolated from this machine."""
    if shutil.which("bwrap") is None:
        pytest.skip("bubblewrap is not installed")

    def run_python(root: Path, code: str) -> str:
        (root / _PLACE.lstrip("/")).mkdir(parents=True, exist_ok=True)
        done = run(
            [
                *("bwrap", "--ro-bind", root, "/", "--ro-bind", prefix.path, _PLACE),
                *("--dev", "/dev", "--proc", "/proc", "--unshare-all", "--die-with-parent"),
                *("--clearenv", "--setenv", "LANG", "C.UTF-8", "--uid", "1000", "--gid", "1000"),
                *(f"{_PLACE}/bin/python", "-c", code),
            ],
            limit=_LIMIT,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run_python
