"""The benchmark of packing, on a small prefix."""

from __future__ import annotations

import shutil
import tarfile
from pathlib import Path

import pytest

from benchmarks import pack
from elt_env.environment.build import ensure_prefix
from elt_env.lockfile.document import Lock
from tests.support.sample import Sample, silent

_OURS = ("elt-env, nothing to reuse", "elt-env, nothing changed")


def test_every_packer_that_is_here_is_in_the_table(
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
    monkeypatch.setattr(shutil, "which", lambda name: None if name == "buildah" else here(name))

    assert pack.main([str(tmp_path / "project"), "--rounds", "1"]) == 0

    output = capsys.readouterr().out
    assert "not measured: buildah from, copy, commit, for want of buildah" in output
    rows = output[output.index(str(sample_lock.target)) :].splitlines()[2:]
    names = ("floor: read and sha256 every file", "tar | zstd -T2 -3", *_OURS)
    assert [each[: each.index("  ")] for each in rows] == list(names)
    fresh, unchanged = (each.split()[-2] for each in rows[-2:])
    assert fresh == unchanged
    assert sorted(home.iterdir()) == before


def test_without_a_built_prefix_the_remedy_is_said(
    sample: Sample, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sample.toolbox(tmp_path / "project")
    assert pack.main([str(tmp_path / "project")]) == 2
    assert f"no built prefix of elt@{sample.python}" in capsys.readouterr().err
