"""The checks that ask for the same once more: another build, another resolver."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from elt_env.model.lock import Lock
from elt_env.stages.prove import Finding, prove, prove_all
from elt_env.tools.prefix import Prefix
from elt_env.tools.toolbox import Toolbox
from tests.support.native import replace
from tests.support.sample import Sample, silent
from tests.support.wheels import make_wheel


@pytest.fixture
def toolbox(sample: Sample, tmp_path: Path) -> Toolbox:
    return sample.toolbox(tmp_path)


@pytest.fixture
def prefix(sample: Sample, sample_lock: Lock, toolbox: Toolbox, tmp_path: Path) -> Prefix:
    del toolbox
    return Prefix(sample.build(tmp_path, sample_lock).path, sample_lock)


def look(name: str, prefix: Prefix, toolbox: Toolbox) -> Finding:
    evidence = prove(name, prefix.lock, toolbox, silent, again=True)
    return Finding(evidence.status, evidence.detail)


def test_a_build_can_be_repeated(prefix: Prefix, toolbox: Toolbox) -> None:
    found = look("reproducible", prefix, toolbox)

    assert found.status == "passed", found.detail
    assert list((toolbox.store.home / "work").iterdir()) == []
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
    plant: Callable[[Path], None], culprit: str, prefix: Prefix, toolbox: Toolbox
) -> None:
    plant(prefix.site_packages)

    found = look("reproducible", prefix, toolbox)

    assert found.status == "failed"
    assert found.detail.endswith(culprit)
    assert found.detail.count("\n") == 0
    assert list((toolbox.store.home / "work").iterdir()) == []


def test_pip_comes_to_the_same(prefix: Prefix, toolbox: Toolbox) -> None:
    found = look("solver_differences", prefix, toolbox)

    assert found.status == "passed", found.detail
    assert found.detail.startswith("2 packages resolved by pip as by uv")


def test_what_pip_chooses_otherwise_is_a_warning(sample: Sample, tmp_path: Path) -> None:
    sample.offer_pip("gamma")
    lock = sample.lock(pip=["gamma"])
    prefix = Prefix(sample.build(tmp_path, lock).path, lock)
    sample.index.add(make_wheel(sample.root / "wheels", "gamma", "2.0"))

    found = look("solver_differences", prefix, sample.toolbox(tmp_path))

    assert found.status == "warned", found.detail
    assert "gamma: locked 1.0, pip chooses 2.0" in found.detail


def test_an_index_that_does_not_answer_leaves_not_run(
    sample: Sample, sample_lock: Lock, prefix: Prefix, toolbox: Toolbox
) -> None:
    sample.index.fault = "500"

    (found,) = prove_all(sample_lock, toolbox, silent, names=["solver_differences"])

    assert prefix.ready
    assert (found.status, found.holds) == ("not_run", False)
    assert "index" in found.detail
