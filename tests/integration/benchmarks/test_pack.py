"""The benchmark of prefixes and images, on a small prefix."""

from __future__ import annotations

import shutil
import tarfile
from pathlib import Path

import pytest

from benchmarks import pack
from benchmarks.run import main
from elt_env.environment.build import ensure_prefix
from elt_env.lockfile.document import Lock
from tests.support.sample import Sample, silent


def test_prefixes_and_images_are_made_beside_those_of_others(
    sample: Sample,
    sample_lock: Lock,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    base = tmp_path / "base.tar"
    with tarfile.open(base, "w") as archive:
        archive.addfile(tarfile.TarInfo("a-file"))
    toolbox = sample.toolbox(tmp_path / "project", image_base=str(base))
    toolbox.store.write_lock(sample_lock)
    toolbox.store.set_current(sample_lock.target, sample_lock.digest, sample_lock.locked_at)
    ensure_prefix(sample_lock, toolbox, silent)
    home = toolbox.store.local_home
    before = sorted(home.iterdir())
    here = shutil.which
    monkeypatch.setattr(
        shutil, "which", lambda name, **more: None if name == "buildah" else here(name, **more)
    )

    figures = tmp_path / "figures.json"
    place = str(tmp_path / "project")
    groups = ("--only=build", "--only=image", "--only=cold", "--only=disk", "--only=watch")
    assert main([place, "--rounds=1", *groups, "--json", str(figures)]) == 0

    output = capsys.readouterr().out
    assert "not measured: buildah, for want of buildah" in output
    names = (pack.FLOOR, "tar | zstd -T2 -3", pack.ANEW, pack.CHANGED, "prefix, one changed")
    for name in (*names, "uv pip install, cold caches", "tenth prefix", "sensor"):
        assert f"  {name}\n" in output
    assert "image, nothing changed: " in output
    assert figures.exists()
    assert sorted(home.iterdir()) == before


def test_without_a_built_prefix_the_remedy_is_said(
    sample: Sample, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sample.toolbox(tmp_path / "project")
    assert main([str(tmp_path / "project")]) == 2
    assert f"no built prefix of elt@{sample.python}" in capsys.readouterr().err
