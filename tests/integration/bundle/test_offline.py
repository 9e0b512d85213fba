"""A bundle is made where there is a network, and built, proven and released where there is none."""

from __future__ import annotations

import shlex
import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from uv import find_uv_bin

from elt_env.environment.meltano_file import read_meltano
from elt_env.lock.plugin_lock import LockedPlugin, PluginLock
from elt_env.lock.plugin_locks import write_plugin_lock
from elt_env.machine.platform import this_platform
from elt_env.package.target import Target
from elt_env.pip.port import Resolved, ResolveRequest
from elt_env.project.settings import open_project
from elt_env.proof.checks.plugins import pin_plugins
from elt_env.tools import open_tools
from tests.support.channel import Channel, ChannelServer
from tests.support.commands import Site, make_site
from tests.support.conda_packages import make_conda_distribution
from tests.support.index_server import IndexServer
from tests.support.isolation import clear_settings
from tests.support.loopback import running
from tests.support.project import make_project
from tests.support.sample import silent
from tests.support.wheels import make_sdist, make_wheel

pytestmark = pytest.mark.xdist_group("bundle")  # they look at what was made once

_OF_PLUGIN = ("oddtap", "tap-own")
_MELTANO = """\
plugins:
  extractors:
    - {name: tap-own, namespace: tap_own, pip_url: tap-own, executable: tap-own}
"""
_TOOL = "def main():\n    import odd, tally\n    print('runs')\n"


@dataclass(frozen=True)
class Made:
    """A bundle, and what was there when it was made.

    Attributes:
        site: the project of which it was made; no server answers any more.
        index: URL of the index that it was made with.
        checks: the status of each check there.
    """

    site: Site
    file: Path
    target: str
    digest: str
    index: str
    checks: dict[str, str]
    said: str

    @property
    def unlisted(self) -> dict[str, str]:
        """What a person sets who writes no policy."""
        return {
            "ELT_ENV_INDEX": self.index,
            "ELT_ENV_COOLDOWN": "0",
            "ELT_ENV_ALLOW_SDIST": '["odd"]',
        }


def _project(root: Path, channel: str, index: str, python: str) -> None:
    make_project(
        root,
        channels=[channel],
        index=index,
        conda=["tally"],
        pip=["tool", "odd", "-r more.txt"],
        policy={"cooldown": "0", "allow-sdist": ["odd"]},
        pythons=[python],
    )
    (root / "environments/more.txt").write_text("part\n")


def _lock_plugins(site: Site, python: str) -> None:
    """Lock a plugin of a wheel and of an sdist, as a check that installed it does."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ELT_ENV_HOME", str(site.home))
        toolbox = open_tools(open_project(site.directory), "elt")
    wanted = [Resolved(each, "1.0", "", requested=False, required_by=()) for each in _OF_PLUGIN]
    request = ResolveRequest(requirements=(), python=python, wheels_only=False)
    packages = toolbox.resolver.files(tuple(wanted), request, silent)
    plugin = LockedPlugin("extractors", "tap-own", "tap-own", packages)
    target = Target("elt", python, this_platform())
    lock = PluginLock(python, target.platform, (plugin,))
    write_plugin_lock(toolbox.store.documents, target, "ingest", lock)


def _type(site: Site, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    home = site.home.parent / "person"
    own = {"UV_CACHE_DIR": str(home / "uv"), "HOME": str(home)}
    return site.elt_env(*arguments, variables={**own, **variables})


def _checks(shown: dict[str, Any]) -> dict[str, str]:
    return {each["check"]: each["status"] for each in shown["evidence"]}


@pytest.fixture(scope="module")
def made(shared_python: Channel, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Made]:
    """A bundle of conda's Python and `tally`, and of pip's `tool`, `part` and the sdist `odd`."""
    root = tmp_path_factory.mktemp("there")
    channel = shared_python.linked_copy(root / "channel")
    make_conda_distribution(channel.root, "tally", "1.0", files={"tally/__init__.py": ""})
    channel.index()
    python = "3.11" if list(channel.root.glob("*/python-3.11.*")) else "3.12"
    with pytest.MonkeyPatch.context() as patch:
        clear_settings(patch, keep_registry=False)
        with running(IndexServer()) as index, running(ChannelServer(channel.root)) as server:
            scripts = {"tool": "tool:main"}
            files = {"tool/__init__.py": _TOOL}
            index.add(make_wheel(root, "tool", "1.0", files=files, entry_points=scripts))
            index.add(make_wheel(root, "part", "1.0"))
            index.add(make_sdist(root, "odd", "1.0"))
            index.add(make_wheel(root, "tap-own", "1.0", files={"tap_own.py": ""}))
            index.add(make_sdist(root, "oddtap", "1.0"))
            project = root / "project"
            _project(project, server.url, index.url, python)
            site = make_site(root, project)
            target, file = f"elt@{python}", root / "elt.tar"
            built = _type(site, "build", target)
            assert built.returncode == 0, built.stderr
            _lock_plugins(site, python)
            done = _type(site, "bundle", target, "-o", str(file))
            assert done.returncode == 0, done.stderr
            shown, said = site.show(target), done.stdout + done.stderr
        digest, checks = shown["lock"]["digest"], _checks(shown)
        yield Made(site, file, target, digest, index.url, checks, said)


def _elsewhere(made: Made, root: Path) -> Site:
    """Return the same project on another machine, without its spec."""
    project = root / "project"
    project.mkdir()
    shutil.copy(made.site.directory / "pyproject.toml", project)
    (root / "person").mkdir()
    return make_site(root, project)


def test_it_holds_what_tar_lists(made: Made) -> None:
    with tarfile.open(made.file) as archive:
        names = archive.getnames()
    assert names[:4] == [
        "bundle.json",
        "lock.json",
        "spec/environments/elt.yml",
        "spec/environments/more.txt",
    ]
    assert names[4] == "plugins/ingest.json"
    assert {each.partition("/")[0] for each in names[5:]} == {"conda", "pip", "built"}
    digest, _, file = made.said.splitlines()[0].partition("  ")
    assert (len(digest), file) == (64, str(made.file))


def test_the_same_lock_makes_the_same_bytes_and_no_file_is_replaced(
    made: Made, tmp_path: Path
) -> None:
    again = tmp_path / "again.tar"
    done = _type(made.site, "bundle", made.target, "-o", str(again))
    assert done.returncode == 0, done.stderr
    assert again.read_bytes() == made.file.read_bytes()
    done = _type(made.site, "bundle", made.target, "-o", str(again))
    assert done.returncode == 2
    assert "is there already" in done.stderr


def test_without_a_network_it_is_built_proven_and_released(made: Made, tmp_path: Path) -> None:
    site = _elsewhere(made, tmp_path)
    done = _type(site, "unbundle", str(made.file))
    assert done.returncode == 0, done.stderr
    assert f"build {made.target}" in done.stderr
    done = _type(site, "build", made.target)
    assert done.returncode == 0, done.stderr
    shown = site.show(made.target)
    assert shown["release"]["current"] == shown["lock"]["digest"] == made.digest
    assert _checks(shown) == made.checks
    tool = site.home / "current" / made.target / "bin/tool"
    assert subprocess.run([tool], capture_output=True, text=True, check=True).stdout == "runs\n"
    assert "nothing to do" in _type(site, "build", made.target).stderr


def test_without_a_network_plugins_are_installed_as_they_were_locked(
    made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = _elsewhere(made, tmp_path)
    done = _type(site, "unbundle", str(made.file))
    assert done.returncode == 0, done.stderr
    assert _type(site, "build", made.target).returncode == 0
    monkeypatch.setenv("ELT_ENV_HOME", str(site.home))
    monkeypatch.setenv("HOME", str(tmp_path / "person"))
    toolbox = open_tools(open_project(site.directory), "elt")
    lock = toolbox.store.current_lock(Target("elt", made.target.partition("@")[2], this_platform()))
    assert lock is not None
    meltano = tmp_path / "meltano"
    meltano.mkdir()
    (meltano / "meltano.yml").write_text(_MELTANO)
    assert pin_plugins(meltano, "ingest", toolbox, lock)
    (plugin,) = read_meltano(meltano).plugins
    url = plugin.pip_url or ""
    words = shlex.split(url.replace("${MELTANO_PROJECT_ROOT}", str(meltano)))
    python = toolbox.store.prefix_path(lock) / "bin/python"
    place = tmp_path / "venv"
    uv = [find_uv_bin(), "--no-config", "--no-cache"]
    subprocess.run([*uv, "venv", "-q", "--python", python, place], check=True, timeout=60)
    into = ["pip", "install", "-q", "--python", str(place / "bin/python"), *words]
    subprocess.run([*uv, *into], check=True, timeout=60)
    names = {each.name for each in place.glob("lib/*/site-packages/*.dist-info")}
    assert names >= {"tap_own-1.0.dist-info", "oddtap-1.0.dist-info"}


def test_without_a_policy_it_becomes_an_environment_of_the_store(
    made: Made, tmp_path: Path
) -> None:
    site = _elsewhere(made, tmp_path)
    (site.directory / "pyproject.toml").unlink()
    done = _type(site, "unbundle", str(made.file), ELT_ENV_COOLDOWN="0")
    assert done.returncode == 2
    assert "odd 1.0 is an sdist, and the policy wants wheels only" in done.stderr
    assert not site.home.exists()
    assert not [*site.directory.iterdir()]
    done = _type(site, "unbundle", str(made.file), **made.unlisted)
    assert done.returncode == 0, done.stderr
    done = _type(site, "lock", made.target, **made.unlisted)
    assert done.stdout.startswith(f"{made.target} {made.digest} kept"), done.stderr


@pytest.mark.parametrize(
    ("path", "text", "said"),
    [
        ("elt.yml", "name: elt\ndependencies: [python, numpy]\n", "numpy is new in the spec"),
        ("more.txt", "part>7\n", "more.txt in "),
    ],
)
def test_another_spec_is_left_as_it_is(
    made: Made, tmp_path: Path, path: str, text: str, said: str
) -> None:
    site = _elsewhere(made, tmp_path)
    other = site.directory / "environments" / path
    other.parent.mkdir()
    other.write_text(text)
    done = _type(site, "unbundle", str(made.file))
    assert done.returncode == 2
    assert said in done.stderr
    assert other.read_text() == text
    assert [*other.parent.iterdir()] == [other]
    assert not site.home.exists()
