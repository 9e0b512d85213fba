"""A pixi.lock is read by rattler, pixi's own library."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from rattler import LockFile

from elt_env.lockfile import pixi_lock
from tests.support.locks import conda_package, lock_of, owning, pip_package, python_package


def test_rattler_reads_both_halves_and_all_platforms(tmp_path: Path) -> None:
    lock = lock_of(
        python_package(),
        owning(conda_package("pip", "26.0"), ("pip", "26.0")),
        pip_package("alpha"),
    )
    other = replace(lock, target=replace(lock.target, platform="linux-aarch64"))
    path = tmp_path / "pixi.lock"
    path.write_text(pixi_lock.render(lock, other))
    environment = LockFile.from_path(path).default_environment()
    assert environment is not None
    platforms = environment.platforms()
    assert {each.name for each in platforms} == {"linux-64", "linux-aarch64"}
    for platform in platforms:
        found = environment.packages(platform) or []
        assert {(each.name, each.location) for each in found} == {
            (each.name, each.url) for each in lock.packages
        }
    assert lock.channels[0] in repr(environment.channels())
