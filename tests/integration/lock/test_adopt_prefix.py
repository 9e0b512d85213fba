"""An environment that is installed becomes a lock, and what no lock can hold is said."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from elt_env.errors import InputError
from elt_env.lock.adopt import adopt
from elt_env.lock.adopt_prefix import open_prefix
from elt_env.lockfile.document import Lock
from elt_env.machine.process import run
from elt_env.package.target import Target
from elt_env.python.interpreters import find_interpreter
from elt_env.tools import open_tools
from tests.support.project import make_project
from tests.support.said import Said
from tests.support.sample import Sample


def _adopted(
    sample: Sample, prefix: Path, root: Path, conda: tuple[str, ...] = ("tally",), **policy: object
) -> Lock:
    project = make_project(
        root,
        channels=[sample.channel.url],
        index=sample.index.url,
        conda=conda,
        pip=["alpha"],
        policy={"cooldown": "0", **policy},
        pythons=[sample.python],
    )
    target = Target("elt", sample.python, "linux-64")
    return adopt([open_prefix(prefix)], target, project, open_tools, Said()).locked.lock


def _put(path: Path, text: str) -> None:
    """Write a file anew: in its place, it may share its bytes with a cache."""
    path.unlink(missing_ok=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def _distribution(site: Path, name: str, version: str, **direct: object) -> None:
    info = site / f"{name}-{version}.dist-info"
    _put(info / "METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    _put(info / "RECORD", "")
    if direct:
        _put(info / "direct_url.json", json.dumps(direct))


def test_what_is_installed_is_the_same_lock(sample: Sample, tmp_path: Path) -> None:
    made = sample.lock(conda=["tally"], pip=["alpha"])
    prefix = sample.build(tmp_path / "built", made).path
    found = _adopted(sample, prefix, tmp_path / "project")
    assert found.digest == made.digest
    assert found.notes == (f"adopted from {prefix}",)


def test_what_is_broken_is_said_and_what_no_lock_holds_is_left_out(
    sample: Sample, tmp_path: Path
) -> None:
    made = sample.lock(conda=["tally"], pip=["alpha"])
    prefix = tmp_path / "copied"
    shutil.copytree(sample.build(tmp_path / "built", made).path, prefix, symlinks=True)
    run(["chmod", "-R", "u+w", prefix], limit=60.0)
    site = prefix / f"lib/python{sample.python}/site-packages"
    _put(site / "alpha/__init__.py", "print('by hand')\n")
    (site / "tally/__init__.py").unlink()
    _distribution(site, "own-lib", "0.1", url="file:///src/own", dir_info={"editable": True})
    wheel = "file:///downloads/some-1.0-py3-none-any.whl"
    hashes = {"hashes": {"sha256": "0" * 64}}
    _distribution(site, "some-local", "1.0", url=wheel, archive_info=hashes)
    _distribution(site, "no-hash", "1.0", url="https://x.invalid/no_hash.zip", archive_info={})
    _distribution(site, "beta", "0.9")
    _distribution(site, "nowhere", "1.0")
    _put(site / "ghost-1.0.dist-info/RECORD", "")
    _put(site / "linked.egg-link", "/src/linked\n")
    _put(prefix / "conda-meta/odd-1-0.json", "{")
    found = _adopted(sample, prefix, tmp_path / "project")
    notes = "\n".join(found.notes)
    for words in (
        "own-lib 0.1: it is an editable install of the directory file:///src/own",
        f"some-local 1.0: it is from {wheel}, a file of this machine",
        "no-hash 1.0: it is from https://x.invalid/no_hash.zip, without a hash",
        "beta is there twice, as 0.9 and 1.0; the newest is taken",
        "nowhere 1.0 is on no index",
        "ghost-1.0.dist-info has no metadata",
        "linked.egg-link is on the path by a link",
        "conda-meta/odd-1-0.json cannot be read",
        "site-packages/alpha/__init__.py of alpha 1.0 was changed",
        "site-packages/tally/__init__.py of conda's tally is gone",
    ):
        assert words in notes
    assert {each.name for each in found.pip} == {"alpha", "beta"}
    assert {each.name for each in found.conda} == {each.name for each in made.conda}


def test_a_venv_gets_the_half_of_conda_that_the_spec_asks_for(
    sample: Sample, tmp_path: Path
) -> None:
    interpreter = find_interpreter(sample.python).executable
    venv = tmp_path / "venv"
    done = run([interpreter, "-m", "venv", "--without-pip", venv], limit=60.0)
    assert done.returncode == 0, done.stderr
    _distribution(venv / f"lib/python{sample.python}/site-packages", "alpha", "1.0")
    _distribution(venv / f"lib/python{sample.python}/site-packages", "beta", "1.0")
    found = _adopted(sample, venv, tmp_path / "project")
    assert {each.name: each.version for each in found.pip} == {"alpha": "1.0", "beta": "1.0"}
    assert found.package("conda", "tally").requested


def test_a_directory_that_is_no_environment_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"neither a conda-meta nor a pyvenv\.cfg"):
        open_prefix(tmp_path)


def test_another_python_is_refused(sample: Sample, tmp_path: Path) -> None:
    (tmp_path / "env/conda-meta").mkdir(parents=True)
    (tmp_path / "env/lib/python3.6/site-packages").mkdir(parents=True)
    with pytest.raises(InputError, match=r"no site-packages of Python .*, but of python3\.6"):
        _adopted(sample, tmp_path / "env", tmp_path / "project")
