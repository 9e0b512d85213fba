"""The check that conda and pip kept out of each other's way, with planted faults."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from elt_env.environment.prefix import Prefix
from elt_env.proof.prove import Finding
from elt_env.tools import Tools
from tests.support.native import replace
from tests.support.proving import prove
from tests.support.sample import Sample, silent


def look(prefix: Prefix, toolbox: Tools) -> Finding:
    evidence = prove("mixed_managers", prefix.lock, toolbox, silent, again=True)
    return Finding(evidence.status, evidence.detail)


def test_a_prefix_as_it_was_built(prefix: Prefix, toolbox: Tools) -> None:
    found = look(prefix, toolbox)

    assert found.status == "passed", found.detail
    assert "2 pip packages" in found.detail


def test_a_file_of_conda_overwritten_by_pip(prefix: Prefix, toolbox: Tools) -> None:
    site = prefix.site_packages
    replace(site / "tally" / "__init__.py", b"def main(): return 'pip was here'\n")
    record = site / "beta-1.0.dist-info" / "RECORD"
    replace(record, record.read_bytes() + b"tally/__init__.py,,\n")

    found = look(prefix, toolbox)

    assert found.status == "failed"
    assert "tally/__init__.py of conda's tally was changed: beta of pip" in found.detail


def test_a_second_version_beside_the_first(prefix: Prefix, toolbox: Tools) -> None:
    first = prefix.site_packages / "alpha-1.0.dist-info"
    second = shutil.copytree(first, first.with_name("alpha-2.0.dist-info"))
    metadata = second / "METADATA"
    replace(metadata, metadata.read_bytes().replace(b"Version: 1.0", b"Version: 2.0"))

    found = look(prefix, toolbox)

    assert found.status == "failed"
    assert "alpha: locked 1.0, installed 1.0, 2.0" in found.detail


def test_records_of_conda_that_are_stale(prefix: Prefix, toolbox: Tools) -> None:
    record = next((prefix.path / "conda-meta").glob("tally-*.json"))
    record.rename(record.with_name("gone.txt"))

    found = look(prefix, toolbox)

    assert found.status == "failed"
    assert "conda's tally 1.0" in found.detail
    assert "is not installed" in found.detail


@pytest.mark.parametrize("fault", ["was changed", "is gone"])
def test_a_file_of_pip_that_is_not_as_installed(fault: str, prefix: Prefix, toolbox: Tools) -> None:
    file = prefix.site_packages / "beta" / "__init__.py"
    replace(file, b"edited = True\n")
    if fault == "is gone":
        file.unlink()

    found = look(prefix, toolbox)

    assert found.status == "failed"
    assert found.detail.endswith(f"beta/__init__.py of beta 1.0 {fault}")


def test_all_kinds_of_faults_are_told_at_once(prefix: Prefix, toolbox: Tools) -> None:
    site = prefix.site_packages
    shutil.copytree(site / "alpha-1.0.dist-info", site / "alpha-0.9.dist-info")
    replace(site / "tally" / "__init__.py", b"")
    replace(site / "beta" / "__init__.py", b"edited = True\n")

    detail = look(prefix, toolbox).detail

    assert "alpha: locked 1.0" in detail
    assert "tally/__init__.py" in detail
    assert "beta/__init__.py" in detail


_NAMESPACE = "__path__ = __import__('pkgutil').extend_path(__path__, __name__)\n"


def test_a_file_of_two_pip_packages_is_as_one_of_them_brought_it(
    sample: Sample, tmp_path: Path
) -> None:
    for name, content in (("left", "side = 'left'\n"), ("right", "side = 'right'\n")):
        empty = "" if name == "left" else "# of the right\n"
        licence = {"licence/LICENSE": content, "ns/__init__.py": empty and content, "ns/a.py": ""}
        licence["space/__init__.py"] = f"# {name}\n{_NAMESPACE}"
        files = {f"{name}.py": "", "hands/__init__.py": content, **licence}
        sample.offer_pip(name, files)
    lock = sample.lock(pip=["left", "right"])
    prefix = Prefix(sample.build(tmp_path, lock).path, lock)

    found = look(prefix, sample.toolbox(tmp_path))
    assert found.status == "warned", found.detail
    assert "4 files brought by several" in found.detail
    assert "hands/__init__.py of left, right: that of left is there" in found.detail
    # What is lost there is a text for people.
    assert "LICENSE" not in found.detail
    assert "space" not in found.detail

    strict = sample.toolbox(tmp_path, shared_files="refuse")
    found = look(prefix, strict)
    assert found.status == "failed"
    assert "hands/__init__.py of left, right" in found.detail

    replace(prefix.site_packages / "hands" / "__init__.py", b"side = 'neither'\n")
    found = look(prefix, sample.toolbox(tmp_path))
    assert found.status == "failed"
    assert "hands/__init__.py of left 1.0, right 1.0 was changed" in found.detail
