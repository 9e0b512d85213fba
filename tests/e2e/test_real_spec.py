"""The whole flow on the real spec, and a second run that does nothing."""

from __future__ import annotations

import asyncio
import importlib.metadata
import json
import shutil
import subprocess
from pathlib import Path

import pytest
import rattler
import uv
import yaml
from rattler.explicit_environment import ExplicitEnvironmentSpec

from elt_env.stages.prove import CHECKS
from tests.support.commands import Site, make_site

# On one worker: they share what was built.
pytestmark = [pytest.mark.registry, pytest.mark.xdist_group("e2e")]

TARGET = "elt@3.11"


def test_the_job_builds_and_proves(site: Site, first_run: subprocess.CompletedProcess[str]) -> None:
    assert first_run.returncode == 0, first_run.stderr[-5000:]
    content = site.show(TARGET)
    assert content["prefix"]["ready"]
    status = {each["check"]: each["status"] for each in content["evidence"]}
    assert {name: status[name] for name in CHECKS} == dict.fromkeys(CHECKS, "passed")
    assert content["lock"]["packages"] == content["lock"]["conda"] + content["lock"]["pip"]
    assert content["release"] is None


def test_conda_yields_to_what_pip_needs(
    site: Site, first_run: subprocess.CompletedProcess[str]
) -> None:
    del first_run
    lock = site.show(TARGET)["lock"]
    assert any(each.startswith("python-dateutil <3") for each in lock["negotiated"])
    assert lock["held_back"] == []


@pytest.mark.parametrize(
    ("command", "answer"),
    [("dbt", "duckdb"), ("meltano", "meltano"), ("dagster", "dagster"), ("pip", "pip")],
)
def test_the_tools_answer(
    site: Site, first_run: subprocess.CompletedProcess[str], command: str, answer: str
) -> None:
    del first_run
    done = site.elt_env("run", TARGET, "--", command, "--version")
    assert done.returncode == 0, done.stderr
    assert answer in done.stdout
    where = site.elt_env("run", TARGET, "--", "sh", "-c", f"command -v {command}")
    assert where.stdout.strip() == f"{site.show(TARGET)['prefix']['path']}/bin/{command}"


def test_the_prefix_holds_what_the_lock_says(
    site: Site, first_run: subprocess.CompletedProcess[str]
) -> None:
    del first_run
    content = site.show(TARGET)
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


def _python(content: dict[str, dict[str, str]]) -> str:
    return f"{content['prefix']['path']}/bin/python"


def test_a_second_run_solves_resolves_and_installs_nothing(
    site: Site, first_run: subprocess.CompletedProcess[str]
) -> None:
    del first_run
    before = site.show(TARGET)
    again = site.execute("elt_build", "3.11")
    assert again.returncode == 0, again.stderr[-5000:]
    assert "lock: kept" in again.stderr
    assert "nothing to do" in again.stderr
    assert "not run again" in again.stderr
    for work in ("conda: solving", "pip: resolving", "pip: installing", "conda: linking", "layer "):
        assert work not in again.stderr
    assert site.show(TARGET) == before


def test_other_tools_consume_the_lock(
    site: Site, first_run: subprocess.CompletedProcess[str], tmp_path: Path
) -> None:
    del first_run
    content = site.show(TARGET)
    folder = Path(content["lock"]["path"])
    listed = ExplicitEnvironmentSpec.from_path(folder / "conda.lock").packages
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
    site: Site, first_run: subprocess.CompletedProcess[str], tmp_path: Path
) -> None:
    del first_run
    other = tmp_path / "project"
    shutil.copytree(site.directory, other)
    path = other / "environments" / "elt.yml"
    spec = yaml.safe_load(path.read_text())
    spec["dependencies"] = list(reversed(spec["dependencies"]))
    path.write_text(yaml.safe_dump(spec))
    elsewhere = make_site(tmp_path, other)
    done = elsewhere.elt_env("lock", TARGET)
    assert done.returncode == 0, done.stderr
    assert elsewhere.show(TARGET)["lock"]["digest"] == site.show(TARGET)["lock"]["digest"]


def test_the_other_python_builds_from_the_command_line(
    site: Site, first_command: subprocess.CompletedProcess[str]
) -> None:
    assert first_command.returncode == 0, first_command.stderr[-5000:]
    ran = site.elt_env("run", "elt@3.12", "--", "python", "--version")
    assert ran.stdout.startswith("Python 3.12.")


def test_a_stray_install_is_refused(
    site: Site, first_run: subprocess.CompletedProcess[str]
) -> None:
    del first_run
    done = site.elt_env("run", TARGET, "--", "pip", "install", "six")
    assert done.returncode != 0
    assert "externally-managed-environment" in done.stderr
    assert "elt-env build elt@3.11" in done.stderr


def test_the_version_is_the_package_s(site: Site) -> None:
    done = site.elt_env("--version")
    assert importlib.metadata.version("elt-env") in done.stdout
