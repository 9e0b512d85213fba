"""The whole flow on the real spec, and a second run that does nothing."""

from __future__ import annotations

import asyncio
import importlib.metadata
import json
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import rattler
import uv
from rattler.explicit_environment import ExplicitEnvironmentSpec

from elt_env.proof.prove import CHECKS
from tests.support.commands import Site
from tests.support.real_spec import unwarned

# On one worker: they share what was built.
pytestmark = [pytest.mark.registry, pytest.mark.slow, pytest.mark.xdist_group("e2e")]

TARGET = "elt@3.11"


def test_the_job_builds_and_proves(content: Mapping[str, Any]) -> None:
    assert content["prefix"]["ready"]
    status = {each["check"]: each["status"] for each in content["evidence"]}
    assert unwarned({name: status[name] for name in CHECKS}) == dict.fromkeys(CHECKS, "passed")
    assert content["lock"]["packages"] == content["lock"]["conda"] + content["lock"]["pip"]
    assert content["release"]["current"] == content["lock"]["digest"]


def test_conda_yields_to_what_pip_needs(content: Mapping[str, Any]) -> None:
    lock = content["lock"]
    assert any(each.startswith("python-dateutil <3") for each in lock["negotiated"])
    # Each that is not at its newest says which requirement keeps it there.
    assert all(" needs " in each for each in lock["held_back"]), lock["held_back"]
    (pandas,) = (each for each in lock["held_back"] if each.startswith("pandas "))
    assert "dagster-duckdb-pandas" in pandas


@pytest.mark.parametrize(
    ("command", "answer"),
    [("dbt", "duckdb"), ("meltano", "meltano"), ("dagster", "dagster"), ("pip", "pip")],
)
def test_the_tools_answer(
    site: Site, content: Mapping[str, Any], command: str, answer: str
) -> None:
    script = f"command -v {command} && {command} --version"
    done = site.elt_env("run", TARGET, "--", "sh", "-c", script)
    assert done.returncode == 0, done.stderr
    where, _, said = done.stdout.partition("\n")
    assert where == f"{content['prefix']['path']}/bin/{command}"
    assert answer in said


def test_the_prefix_holds_what_the_lock_says(content: Mapping[str, Any]) -> None:
    manifest = json.loads((Path(content["lock"]["path"]) / "lock.json").read_text())
    locked = {p["name"]: p["version"] for p in manifest["packages"] if p["manager"] == "pip"}
    locked |= {
        name: version
        for package in manifest["packages"]
        if package["manager"] == "conda"
        for name, version in package["conda"]["distributions"]
    }
    listed = subprocess.run(
        [uv.find_uv_bin(), "pip", "list", "--format", "json", "--python", _python(content)],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert {each["name"]: each["version"] for each in json.loads(listed.stdout)} == locked


def _python(content: Mapping[str, Any]) -> str:
    return f"{content['prefix']['path']}/bin/python"


@pytest.mark.usefixtures("first_run")
def test_a_second_run_solves_resolves_and_installs_nothing(site: Site) -> None:
    before = site.show(TARGET)
    again = site.execute("elt_build", "3.11")
    assert again.returncode == 0, again.stderr[-5000:]
    assert "lock: kept" in again.stderr
    assert "nothing to do" in again.stderr
    assert "not run again" in again.stderr
    for work in ("conda: solving", "pip: resolving", "pip: installing", "conda: linking", "layer "):
        assert work not in again.stderr
    assert site.show(TARGET) == before


def test_other_tools_consume_the_lock(content: Mapping[str, Any], tmp_path: Path) -> None:
    folder = Path(content["lock"]["path"])
    listed = ExplicitEnvironmentSpec.from_path(folder / "conda-linux-64.lock").packages
    assert len(listed) == content["lock"]["conda"]
    empty = tmp_path / "linked"
    records = [
        asyncio.run(rattler.RepoDataRecord.from_package_archive(_local(each.url)))
        for each in listed
    ]
    asyncio.run(_install(records, empty, tmp_path / "cache"))
    synced = subprocess.run(
        [
            *(uv.find_uv_bin(), "pip", "install", "--python", str(empty / "bin" / "python")),
            *("-r", str(folder / "pylock.toml"), "--dry-run", "--no-config"),
        ],
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
    )
    assert f"Would install {content['lock']['pip']} packages" in synced.stderr


def _local(url: str) -> Path:
    return Path(url.split("#", maxsplit=1)[0].removeprefix("file://"))


async def _install(records: list[rattler.RepoDataRecord], prefix: Path, cache: Path) -> None:
    await rattler.install(records, prefix, cache_dir=cache, show_progress=False)
    await asyncio.sleep(0.2)


def test_a_lock_made_elsewhere_from_a_reordered_spec_has_the_same_digest(
    content: Mapping[str, Any], first_lock_elsewhere: str
) -> None:
    assert first_lock_elsewhere == content["lock"]["digest"]


@pytest.mark.usefixtures("first_command")
def test_the_other_python_builds_from_the_command_line(site: Site) -> None:
    ran = site.elt_env("run", "elt@3.12", "--", "python", "--version")
    assert ran.stdout.startswith("Python 3.12.")


@pytest.mark.usefixtures("first_run")
def test_a_stray_install_is_refused(site: Site) -> None:
    done = site.elt_env("run", TARGET, "--", "pip", "install", "six")
    assert done.returncode != 0
    assert "externally-managed-environment" in done.stderr
    assert "elt-env build elt@3.11" in done.stderr


def test_the_version_is_the_package_s(site: Site) -> None:
    done = site.elt_env("--version")
    assert importlib.metadata.version("elt-env") in done.stdout
