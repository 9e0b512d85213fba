"""What is not as the lock says is never sealed, and the next call makes it good."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from elt_env.environment.build import advance, ensure_prefix
from elt_env.environment.prefix import Prefix, Stage
from elt_env.errors import EltEnvError, IntegrityError, ProofError
from elt_env.lockfile.document import Lock
from elt_env.tools import Tools
from tests.support.sample import Sample, run_in, silent
from tests.support.wheels import make_wheel

Damage = Callable[[Prefix], object]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("project")


@pytest.fixture
def project(root: Path) -> Path:
    """A project with what conda keeps between two builds, and without prefixes."""
    shutil.rmtree(root / ".elt_env/prefixes", ignore_errors=True)
    return root


def prefix_at(stage: Stage, lock: Lock, toolbox: Tools) -> Prefix:
    return Prefix(advance(lock, stage, toolbox, silent).path, lock)


def refused(lock: Lock, toolbox: Tools) -> EltEnvError:
    """Return the error of the next call; the prefix is not ready after it."""
    with pytest.raises(EltEnvError) as caught:
        ensure_prefix(lock, toolbox, silent)
    assert not Prefix(toolbox.store.prefix_path(lock), lock).ready
    return caught.value


def require_good(lock: Lock, toolbox: Tools) -> None:
    built = ensure_prefix(lock, toolbox, silent)
    prefix = Prefix(built.path, lock)
    assert built.steps
    assert prefix.ready
    assert {each.name for each in prefix.distributions()} == set(lock.distributions)
    assert run_in(built.path, "tally").stdout == f"tally in {built.path}\n"


def tally(prefix: Prefix) -> Path:
    return prefix.site_packages / "tally" / "__init__.py"


def edit_in_place(prefix: Prefix) -> None:
    with tally(prefix).open("a") as file:
        file.write("raise RuntimeError\n")


def replace_by_link(prefix: Prefix) -> None:
    copy = prefix.path / "copy"
    tally(prefix).rename(copy)
    tally(prefix).symlink_to(copy)


def turn_python_elsewhere(prefix: Prefix) -> None:
    prefix.python.unlink()
    prefix.python.symlink_to("/bin/true")


def forget_record(prefix: Prefix) -> None:
    next(prefix.path.glob("conda-meta/tally-*.json")).unlink()


def invent_record(prefix: Prefix) -> None:
    record = next(prefix.path.glob("conda-meta/tally-*.json"))
    text = record.read_text().replace('"tally"', '"stowaway"', 1)
    record.with_name("stowaway-1.0-0.json").write_text(text)


def spoil_record(prefix: Prefix) -> None:
    next(prefix.path.glob("conda-meta/tally-*.json")).write_text("{")


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (edit_in_place, "tally/__init__.py of conda's tally was changed"),
        (lambda prefix: tally(prefix).unlink(), "tally/__init__.py of conda's tally is gone"),
        (replace_by_link, "tally/__init__.py of conda's tally was changed"),
        (turn_python_elsewhere, "bin/python of conda's python was changed"),
        (forget_record, "conda's tally 1.0 0 is not installed"),
        (invent_record, "conda's stowaway 1.0 0 is not in the lock"),
        (spoil_record, "conda-meta/tally-1.0-0.json cannot be read"),
    ],
)
def test_a_change_of_conda_files_is_found_and_repaired(
    damage: Damage, words: str, sample: Sample, sample_lock: Lock, project: Path
) -> None:
    toolbox = sample.toolbox(project)
    damage(prefix_at(Stage.INSTALLED, sample_lock, toolbox))

    error = refused(sample_lock, toolbox)

    assert isinstance(error, IntegrityError)
    assert words in error.problem
    assert "elt-env build elt@" in error.remedy
    require_good(sample_lock, toolbox)


def copy_metadata(prefix: Prefix) -> None:
    info = prefix.site_packages / "alpha-1.0.dist-info"
    twin = info.with_name("alpha-0.9.dist-info")
    shutil.copytree(info, twin)
    metadata = (info / "METADATA").read_text().replace("Version: 1.0", "Version: 0.9")
    (twin / "METADATA").write_text(metadata)


def add_distribution(prefix: Prefix) -> None:
    info = prefix.site_packages / "Stow_away-2.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: Stow_away\nVersion: 2\n")


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (add_distribution, "stow-away: locked not at all, installed 2"),
        (
            lambda prefix: shutil.rmtree(prefix.site_packages / "beta-1.0.dist-info"),
            "beta: locked 1.0, installed not at all",
        ),
        (copy_metadata, "alpha: locked 1.0, installed 0.9, 1.0"),
        (
            lambda prefix: (prefix.site_packages / "beta-1.0.dist-info/METADATA").unlink(),
            "beta-1-0-dist-info: locked not at all, installed without a version",
        ),
    ],
)
def test_other_distributions_than_the_locked_are_found_and_repaired(
    damage: Damage, words: str, sample: Sample, sample_lock: Lock, project: Path
) -> None:
    toolbox = sample.toolbox(project)
    damage(prefix_at(Stage.INSTALLED, sample_lock, toolbox))

    error = refused(sample_lock, toolbox)

    assert isinstance(error, IntegrityError)
    assert words in error.problem
    require_good(sample_lock, toolbox)


def test_a_wheel_that_overwrites_a_file_of_conda_is_named(sample: Sample, tmp_path: Path) -> None:
    sample.offer_pip("usurper", {"usurper.py": "", "tally/__init__.py": "mine = True\n"})
    lock = sample.lock(conda=["tally"], pip=["usurper"])
    toolbox = sample.toolbox(tmp_path)

    error = refused(lock, toolbox)

    assert isinstance(error, IntegrityError)
    assert "tally/__init__.py of conda's tally was changed: usurper of pip" in error.problem
    assert "conda's tally or pip's usurper" in error.remedy
    # The cache that conda links from is what it was.
    require_good(sample.lock(conda=["tally"]), toolbox)


def test_conda_packages_that_miss_something_are_not_sealed(sample: Sample, tmp_path: Path) -> None:
    sample.offer_conda("needy", "1.0", {"needy.py": ""}, requires=["absentee>=3"])
    sample.index.add(make_wheel(sample.root / "wheels", "absentee", "3.0"))
    complete = sample.lock(conda=["needy"])
    lock = replace(complete, packages=tuple(p for p in complete.packages if p.name != "absentee"))
    assert lock.packages != complete.packages

    error = refused(lock, sample.toolbox(tmp_path))

    assert isinstance(error, ProofError)
    assert error.exit_code == 8
    assert re.search(r"needy.* requires .*absentee", error.problem)
    assert "relock" in error.remedy


def test_an_edit_through_a_hard_link_does_not_reach_the_next_prefix(
    sample: Sample, sample_lock: Lock, tmp_path: Path
) -> None:
    toolbox = sample.toolbox(tmp_path)
    first = prefix_at(Stage.READY, sample_lock, toolbox)
    cached = next(toolbox.store.local_home.glob("cache/conda/pkgs/tally-*/**/tally/__init__.py"))
    assert cached.samefile(tally(first))
    edit_in_place(first)

    require_good(sample.lock(conda=["tally"], pip=["beta"]), toolbox)

    assert "RuntimeError" in tally(first).read_text()


def test_a_conda_package_of_the_same_name_and_version_is_not_taken_from_the_cache(
    sample: Sample, tmp_path: Path
) -> None:
    toolbox = sample.toolbox(tmp_path)
    for content in ("edition = 1\n", "edition = 2\n"):
        sample.offer_conda("reissue", "1.0", {"reissue.py": content})
        prefix = prefix_at(Stage.READY, sample.lock(conda=["reissue"]), toolbox)
        assert (prefix.site_packages / "reissue.py").read_text() == content
