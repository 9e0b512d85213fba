"""Meltano's plugins: nothing but what is pinned, and no secret left behind."""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from elt_env.environment.plugins import MeltanoProject
from elt_env.environment.prefix import Prefix
from elt_env.errors import EltEnvError
from elt_env.lock.plugin_locks import forget_plugin_lock
from elt_env.machine.indexes import Indexes, parse_index
from elt_env.machine.platform import target_here
from elt_env.project.settings import open_project
from elt_env.proof.checks.plugins import provide_locked
from elt_env.proof.checks.smoke_meltano import meltano_smoke
from elt_env.tools import Tools, open_tools
from tests.support.commands import REPOSITORY, Site
from tests.support.index_server import IndexServer
from tests.support.real_spec import copy_project
from tests.support.said import Said
from tests.support.wheels import make_wheel

# On one worker: they share what was built.
pytestmark = [pytest.mark.registry, pytest.mark.slow, pytest.mark.xdist_group("e2e")]

_PLUGINS = ("tap-jsonl", "target-jsonl")
_MAIN = "def main():\n    pass\n"
_LIMIT = 120.0
_PROJECT = """\
default_environment: dev
environments: [{name: dev}]
venv: {backend: uv}
plugins:
  extractors:
    - {name: tap-own, namespace: tap_own, pip_url: tap-own, executable: tap-own}
"""


@pytest.fixture
def toolbox(
    site: Site,
    first_run: subprocess.CompletedProcess[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Tools]:
    del first_run
    monkeypatch.setenv("ELT_ENV_HOME", str(site.home))
    yield open_tools(open_project(copy_project(site.directory, tmp_path / "project")), "elt")
    shutil.rmtree(site.home / "work", ignore_errors=True)


@pytest.fixture
def prefix(toolbox: Tools) -> Prefix:
    return _prefix(toolbox)


def _prefix(toolbox: Tools) -> Prefix:
    lock = toolbox.store.current_lock(target_here("elt", "3.11"))
    assert lock is not None
    return Prefix(toolbox.store.prefix_path(lock), lock)


@pytest.mark.parametrize(
    ("file", "package"),
    [
        ("tap-jsonl.txt", "simpleeval==1.0.7"),
        ("target-jsonl.txt", "singer-python==5.8.0"),  # an sdist
        ("build.txt", "setuptools"),  # what builds the sdists
    ],
)
def test_other_bytes_than_pinned_are_refused(
    file: str,
    package: str,
    toolbox: Tools,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if file == "build.txt":  # else what was built before is taken
        monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "uv"))
    pins = toolbox.project.root / "meltano" / "requirements" / file
    entry = re.compile(rf"^{package}.*(?:\n    --hash.*)+", re.MULTILINE)
    wrong = entry.sub(lambda found: found[0].replace("sha256:", "sha256:0000"), pins.read_text())
    pins.write_text(re.sub(r"(sha256:0000\w{60})\w{4}", r"\1", wrong))

    found = meltano_smoke(_prefix(toolbox), toolbox, print)

    assert found.status == "failed"
    assert f"the index serves other bytes of {package}" in found.detail
    assert "renew the file of pins" in found.detail


def test_every_pin_has_hashes_and_no_address() -> None:
    for path in (REPOSITORY / "meltano" / "requirements").iterdir():
        text = path.read_text()
        assert "://" not in text
        entries = text.split("\n    --hash")
        pins = [each for each in text.splitlines() if "==" in each and not each.startswith("#")]
        assert pins
        assert all(each.endswith(" \\") for each in pins)
        assert len(entries) > len(pins)


@pytest.fixture
def private(prefix: Prefix, index: IndexServer, tmp_path: Path) -> MeltanoProject:
    """A Meltano project whose plugins are small ones of an index that wants a password."""
    project = Path(shutil.copytree(REPOSITORY / "meltano", tmp_path / "meltano"))
    for name in _PLUGINS:
        module = name.replace("-", "_")
        wheel = make_wheel(
            tmp_path / "wheels",
            name,
            "1.0",
            files={f"{module}/__init__.py": _MAIN},
            entry_points={name: f"{module}:main"},
        )
        index.add(wheel)
        digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
        pins = project / "requirements" / f"{name}.txt"
        pins.write_text(f"{name}==1.0 --hash=sha256:{digest}\n")
    index.fault = "refuse-auth"
    indexes = Indexes(parse_index(index.url_with_credentials))
    return MeltanoProject(project, tmp_path / "system", prefix, indexes, _LIMIT)


def _holding(root: Path, secret: str) -> list[Path]:
    files = (each for each in root.rglob("*") if each.is_file() and not each.is_symlink())
    return [each for each in files if secret.encode() in each.read_bytes()]


def test_an_index_with_a_password_serves_plugins_and_its_password_stays_secret(
    private: MeltanoProject, index: IndexServer, tmp_path: Path
) -> None:
    said = Said()
    private.provide_plugins(tmp_path / "cache", said)

    for name, kind in zip(_PLUGINS, ("extractors", "loaders"), strict=True):
        assert (private.system / kind / name / "venv" / "bin" / name).exists()
    password = index.credentials[1]
    assert said
    assert password not in "\n".join(said)
    for root in (tmp_path / "cache", private.system, private.path):
        assert _holding(root, password) == []


def test_a_wrong_password_is_told_without_it(
    private: MeltanoProject, index: IndexServer, tmp_path: Path
) -> None:
    index.credentials = (index.credentials[0], "changed-since")
    said = Said()
    with pytest.raises(EltEnvError) as caught:
        private.provide_plugins(tmp_path / "cache", said)

    assert "cannot install tap-jsonl, target-jsonl" in caught.value.problem
    assert "open-sesame" not in "\n".join([*said, str(caught.value)])
    for root in (tmp_path / "cache", private.system, private.path):
        assert _holding(root, "open-sesame") == []


def _with_index(toolbox: Tools, index: IndexServer) -> Tools:
    project = toolbox.project
    policy = project.policy.model_copy(update={"index": index.url})
    own = open_tools(replace(project, policy=policy), "elt")
    vars(own)["indexes"] = Indexes(parse_index(index.url))
    return own


def test_what_was_locked_is_installed_until_it_is_locked_anew(
    site: Site, toolbox: Tools, prefix: Prefix, index: IndexServer, tmp_path: Path
) -> None:
    def offer(version: str) -> None:
        files = {"tap_own/__init__.py": _MAIN}
        points = {"tap-own": "tap_own:main"}
        index.add(make_wheel(tmp_path, "tap-own", version, files=files, entry_points=points))

    own = _with_index(toolbox, index)
    said = Said()
    for number, (version, anew) in enumerate([("1.0", False), ("2.0", False), ("2.0", True)]):
        offer(version)
        if anew:
            forget_plugin_lock(own.store.documents, prefix.lock.target, "ingest")
        path = tmp_path / f"project {number}"
        path.mkdir()
        (path / "meltano.yml").write_text(_PROJECT)
        project = MeltanoProject(path, tmp_path / f"system-{number}", prefix, own.indexes, _LIMIT)
        provide_locked(project, "ingest", own, prefix.lock, said)
        (installed,) = project.system.glob("*/tap-own/venv/lib/*/site-packages/tap_own-*")
        assert installed.name == f"tap_own-{'2.0' if anew else '1.0'}.dist-info"

    assert [line for line in said if "ingest: tap-own" in line] == [
        "ingest: tap-own: ^ tap-own 1.0 → 2.0 (pip, upgraded)"
    ]

    # And so does whoever runs Meltano of the release itself.
    shown = site.elt_env("plugins", "elt@3.11", "ingest", "--write", str(tmp_path / "pins"))
    url = shown.stdout.partition("pip_url: >-")[2].strip()
    offer("3.0")
    path = tmp_path / "released"
    path.mkdir()
    asked = f"pip_url: '--default-index {index.url} {url}'"
    (path / "meltano.yml").write_text(_PROJECT.replace("pip_url: tap-own", asked))
    done = site.elt_env("run", "elt@3.11", "--", "meltano", f"--cwd={path}", "install")
    assert done.returncode == 0, done.stdout + done.stderr
    (installed,) = path.glob(".meltano/*/tap-own/venv/lib/*/site-packages/tap_own-*")
    assert installed.name == "tap_own-2.0.dist-info"
