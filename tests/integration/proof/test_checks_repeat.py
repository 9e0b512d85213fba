"""The checks that ask for the same once more: another build, another resolver."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from elt_env.environment.prefix import Prefix
from elt_env.lockfile.document import Lock
from elt_env.proof.checks.resolvers import solver_differences
from elt_env.proof.prove import Finding
from elt_env.tools import Tools
from tests.support.index_server import Fault
from tests.support.native import replace
from tests.support.proving import prove, prove_all
from tests.support.sample import Sample, silent
from tests.support.wheels import make_wheel


def look(name: str, prefix: Prefix, toolbox: Tools) -> Finding:
    evidence = prove(name, prefix.lock, toolbox, silent, again=True)
    return Finding(evidence.status, evidence.detail)


def test_a_build_can_be_repeated(prefix: Prefix, toolbox: Tools) -> None:
    found = look("reproducible", prefix, toolbox)

    assert found.status == "passed", found.detail
    assert list((toolbox.store.local_home / "work").iterdir()) == []
    assert prefix.ready


def _edit(site: Path) -> None:
    replace(site / "beta" / "__init__.py", b"import time\nbuilt_at = time.time()\n")


def _add(site: Path) -> None:
    (site / "beta" / "generated.py").touch()


def _remove(site: Path) -> None:
    (site / "beta" / "__init__.py").unlink()


def _allow(site: Path) -> None:
    file = site / "beta" / "__init__.py"
    replace(file, file.read_bytes())
    os.chmod(file, 0o600)  # noqa: PTH101


@pytest.mark.parametrize(
    ("plant", "culprit"),
    [
        (_edit, "beta/__init__.py differs"),
        (_add, "beta/generated.py is not there when it is built again"),
        (_remove, "beta/__init__.py is there only when it is built again"),
        (_allow, "beta/__init__.py differs"),
    ],
)
def test_what_a_second_build_does_not_give_is_named(
    plant: Callable[[Path], None], culprit: str, prefix: Prefix, toolbox: Tools
) -> None:
    plant(prefix.site_packages)

    found = look("reproducible", prefix, toolbox)

    assert found.status == "failed"
    assert found.detail.endswith(culprit)
    assert found.detail.count("\n") == 0
    assert list((toolbox.store.local_home / "work").iterdir()) == []


def test_pip_comes_to_the_same(prefix: Prefix, toolbox: Tools) -> None:
    found = look("solver_differences", prefix, toolbox)

    assert found.status == "passed", found.detail
    assert found.detail.startswith("2 packages resolved by pip as by uv")


def test_what_pip_chooses_otherwise_is_a_warning(sample: Sample, tmp_path: Path) -> None:
    sample.offer_pip("epsilon")
    lock = sample.lock(pip=["epsilon"])
    prefix = Prefix(sample.build(tmp_path, lock).path, lock)
    sample.index.add(make_wheel(sample.root / "wheels", "epsilon", "2.0"))

    found = look("solver_differences", prefix, sample.toolbox(tmp_path))

    assert found.status == "warned", found.detail
    assert "epsilon: locked 1.0, pip chooses 2.0" in found.detail


@pytest.fixture
def dated(sample: Sample, tmp_path: Path) -> Iterator[Prefix]:
    """A prefix of a lock of `gamma` 1.0 with a cool-down, after which 2.0 came out."""
    sample.offer_pip("gamma")
    sample.offer_pip("delta", requires=["gamma"])
    made = sample.lock(pip=["delta"])
    before = make_wheel(sample.root / "wheels", "gamma", "0.9")
    sample.index.add(before)
    newer = make_wheel(sample.root / "wheels", "gamma", "2.0")
    sample.index.add(newer, uploaded=made.locked_at)
    lock = dataclasses.replace(made, exclude_newer=made.locked_at - timedelta(days=3))
    yield Prefix(sample.build(tmp_path, made).path, lock)
    for each in (before, newer):
        sample.index.remove(each)


def test_with_upload_times_pip_is_offered_what_was_out_by_then(
    dated: Prefix, toolbox: Tools
) -> None:
    found = solver_differences(dated, toolbox, silent)

    assert (found.status, found.detail.splitlines()[0][:35]) == (
        "passed",
        "2 packages resolved by pip as by uv",
    )
    assert "no date" not in found.detail


@pytest.mark.parametrize("fault", ["no-upload-times", "html-only"])
def test_without_upload_times_pip_is_offered_nothing_newer_than_locked(
    fault: Fault, dated: Prefix, toolbox: Tools, sample: Sample
) -> None:
    sample.index.fault = fault

    found = solver_differences(dated, toolbox, silent)

    assert found.status == "passed", found.detail
    assert found.detail.startswith("2 packages resolved by pip as by uv")
    assert found.detail.endswith(
        "; no date says to pip what was out: it was offered nothing newer than locked"
    )


@pytest.mark.parametrize("fault", [None, "no-upload-times"])
def test_a_difference_is_told_with_both_versions(
    fault: Fault | None, dated: Prefix, toolbox: Tools, sample: Sample
) -> None:
    yanked = next((sample.root / "wheels").glob("gamma-1.0-*"))
    sample.index.yank(yanked)
    sample.index.fault = fault
    try:
        found = solver_differences(dated, toolbox, silent)
    finally:
        sample.index.add(yanked)

    assert found.status == "warned", found.detail
    assert "pip differs from uv" in found.detail
    assert "in 1 of 2 packages" in found.detail
    assert found.detail.splitlines()[1:] == ["gamma: locked 1.0, pip chooses 0.9"]
    assert ("no date" in found.detail) == (fault is not None)


def test_an_index_that_does_not_answer_leaves_not_run(
    sample: Sample, sample_lock: Lock, prefix: Prefix, toolbox: Tools
) -> None:
    sample.index.fault = "500"

    (found,) = prove_all(sample_lock, toolbox, silent, names=["solver_differences"])

    assert prefix.ready
    assert (found.status, found.holds) == ("not_run", False)
    assert "index" in found.detail
