"""Lock files of other tools become locks of this project."""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
from collections.abc import Callable, Iterable
from datetime import datetime, timezone
from pathlib import Path

import pytest
import tomli_w
import yaml
from uv import find_uv_bin

from elt_env.errors import InputError, IntegrityError, SpecError
from elt_env.lock.adopt import adopt
from elt_env.lock.make import lock
from elt_env.lockfile.document import Lock
from elt_env.lockfile.export import FORMATS
from elt_env.lockfile.foreign.read import open_lock_files
from elt_env.machine.process import run
from elt_env.package.platform import this_platform
from elt_env.package.target import Target
from elt_env.project.project import Project
from elt_env.project.settings import open_project
from elt_env.project.spec_paths import environment_of
from elt_env.tools import open_tools
from tests.support.channel import ChannelServer
from tests.support.locking import CONDA, LONG_AGO, Scene, lock_example
from tests.support.loopback import running
from tests.support.project import make_project, write_spec
from tests.support.real_conda import installed_conda, with_md5
from tests.support.said import Said
from tests.support.wheels import make_sdist, make_wheel

_TARGET = Target("elt", "3.11", this_platform())


def _exported(made: Lock, place: Path, *forms: str) -> list[Path]:
    """Write a lock in formats of other tools."""
    names = {
        "explicit": "conda-linux-64.lock",
        "pylock": "pylock.toml",
        "conda-lock": "conda-lock.yml",
        "pixi": "pixi.lock",
    }
    paths = [place / names.get(each, f"{each}.txt") for each in forms]
    for path, form in zip(paths, forms, strict=True):
        path.write_text(FORMATS[form].render(made), encoding="utf-8")
    return paths


def _without_store(scene: Scene) -> Project:
    shutil.rmtree(scene.root / "project/.elt_env")
    return open_project(scene.root / "project")


def _elsewhere(scene: Scene, **policy: object) -> Project:
    """Return a project that has another environment than the one that is adopted."""
    root = scene.root / "other"
    root.mkdir()
    make_project(root, channels=[scene.channel.url], index=scene.index.url, policy=policy)
    text = (root / "pyproject.toml").read_text().replace("environments.elt]", "environments.own]")
    (root / "pyproject.toml").write_text(text.replace("/elt.yml", "/own.yml"))
    (root / "environments/elt.yml").rename(root / "environments/own.yml")
    return open_project(root)


def _versions(packages: Iterable[object]) -> dict[str, str]:
    return {each.name: each.version for each in packages}  # type: ignore[attr-defined]


@pytest.mark.parametrize("pip", ["pylock", "requirements"])
def test_what_was_exported_is_adopted_as_the_same_lock(filled: Scene, pip: str) -> None:
    made = lock_example(filled).lock
    files = _exported(made, filled.root, "explicit", pip)
    project = _without_store(filled)
    found = adopt(open_lock_files(files), made.target, project, open_tools, filled.said)
    assert found.locked.lock.digest == made.digest
    again = open_tools(open_project(project.root), "elt")
    kept = lock(made.target, again, Said())
    assert (kept.kept, kept.lock) == (True, found.locked.lock)
    before = {each.name: (each.requested, each.required_by) for each in made.packages}
    now = {each.name: (each.requested, each.required_by) for each in kept.lock.packages}
    assert before == now


def _poetry(made: Lock) -> str:
    packages = [
        {
            "name": each.name,
            "version": each.version,
            "description": "",
            "optional": False,
            "python-versions": "*",
            "groups": ["main"],
            "files": [{"file": each.file_name, "hash": f"sha256:{each.sha256}"}],
        }
        for each in made.pip
    ]
    metadata = {"lock-version": "2.1", "python-versions": ">=3.11", "content-hash": "0" * 64}
    return tomli_w.dumps({"package": packages, "metadata": metadata})


def _pipenv(made: Lock) -> str:
    sources = [{"name": "own", "url": made.indexes[0], "verify_ssl": True}]
    packages = {
        each.name: {
            "hashes": [f"sha256:{each.sha256}"],
            "index": "own",
            "version": f"=={each.version}",
        }
        for each in made.pip
    }
    meta = {"hash": {"sha256": "0" * 64}, "pipfile-spec": 6, "requires": {}, "sources": sources}
    return json.dumps({"_meta": meta, "default": packages, "develop": {}})


def _uv(made: Lock) -> str:
    packages: list[dict[str, object]] = [
        {
            "name": each.name,
            "version": each.version,
            "source": {"registry": made.indexes[0]},
            "wheels": [{"url": each.url, "hash": f"sha256:{each.sha256}"}],
        }
        for each in made.pip
    ]
    needs = [{"name": each.name} for each in made.pip]
    root = {"name": "own", "version": "0", "source": {"virtual": "."}, "dependencies": needs}
    return tomli_w.dumps({"version": 1, "requires-python": ">=3.11", "package": [root, *packages]})


@pytest.mark.parametrize(
    ("name", "render"), [("poetry.lock", _poetry), ("Pipfile.lock", _pipenv), ("uv.lock", _uv)]
)
def test_the_pip_half_of_another_tool_beside_conda_s(
    filled: Scene, name: str, render: Callable[[Lock], str]
) -> None:
    made = lock_example(filled).lock
    path = filled.root / name
    path.write_text(render(made), encoding="utf-8")
    files = [*_exported(made, filled.root, "explicit"), path]
    project = _without_store(filled)
    found = adopt(open_lock_files(files), made.target, project, open_tools, filled.said)
    assert found.locked.lock.digest == made.digest
    assert lock(made.target, open_tools(open_project(project.root), "elt"), Said()).kept


def _pixi(made: Lock) -> str:
    """Return a lock as pixi writes it."""
    kinds = {"conda": "conda", "pip": "pypi"}
    references = [{kinds[each.manager]: each.url} for each in made.packages]
    environment = {
        "channels": [{"url": f"{each}/"} for each in made.channels],
        "indexes": list(made.indexes),
        "packages": {"linux-64": references},
    }
    packages = [
        {
            kinds[each.manager]: each.url,
            "sha256": each.sha256,
            **({"name": each.name, "version": each.version} if each.manager == "pip" else {}),
        }
        for each in made.packages
    ]
    return yaml.safe_dump(
        {"version": 6, "environments": {"default": environment}, "packages": packages}
    )


@pytest.mark.parametrize(
    ("name", "render"),
    [
        ("conda-lock.yml", FORMATS["conda-lock"].render),
        ("pixi.lock", FORMATS["pixi"].render),
        ("pixi.lock", _pixi),
    ],
    ids=["conda-lock", "pixi", "as pixi writes it"],
)
def test_both_halves_of_one_file_are_the_same_lock(
    filled: Scene, name: str, render: Callable[[Lock], str]
) -> None:
    made = lock_example(filled).lock
    path = filled.root / name
    path.write_text(render(made), encoding="utf-8")
    project = _elsewhere(filled)
    found = adopt(open_lock_files([path]), made.target, project, open_tools, filled.said)
    assert found.locked.lock.digest == made.digest
    assert found.locked.lock.channels == made.channels
    assert {each.name: each.required_by for each in found.locked.lock.packages} == {
        each.name: each.required_by for each in made.packages
    }
    assert lock(made.target, open_tools(open_project(project.root), "elt"), Said()).kept


@pytest.mark.slow
def test_what_conda_lock_locks_is_adopted(filled: Scene, tmp_path: Path) -> None:
    filled.toolbox()
    conda = installed_conda(tmp_path / "home")
    spec = filled.root / "project/environments/elt.yml"
    write_spec(
        filled.root / "project", channels=[filled.channel.url], conda=["python=3.11", "pandas"]
    )
    path = conda.conda_lock(spec, tmp_path / "conda-lock.yml")
    project = open_project(filled.root / "project")
    found = adopt(open_lock_files([path]), _TARGET, project, open_tools, filled.said)
    assert {each.name: each.version for each in found.locked.lock.packages} == {
        "pandas": "2.0",
        "dateutil": "4.0",
        "six": "1.16",
        "python": found.locked.lock.python.version,
    }


@pytest.mark.parametrize("pip", ["pylock", "requirements"])
def test_a_spec_is_written_of_what_nothing_else_needs(filled: Scene, pip: str) -> None:
    with running(ChannelServer(filled.channel.root)) as server:
        filled.channel_url = server.url
        made = lock_example(filled).lock
        files = _exported(made, filled.root, "explicit", pip)
        project = _elsewhere(filled)
        found = adopt(open_lock_files(files), made.target, project, open_tools, filled.said)
        assert found.locked.lock.digest == made.digest
        spec = (project.root / "environments/elt.yml").read_text()
        assert spec == (
            f"name: elt\nchannels:\n- {server.url}\ndependencies:\n- python=3.11\n- pandas\n"
            "- pip:\n  - click\n  - dbt\n"
        )
        project = open_project(project.root)
        assert environment_of(project.root / "environments/elt.yml", project) == "elt"
        assert lock(made.target, open_tools(project, "elt"), Said()).kept


def test_pips_half_alone_gets_a_python_that_is_solved(filled: Scene) -> None:
    made = lock_example(filled, conda=()).lock
    files = _exported(made, filled.root, "pylock")
    found = adopt(
        open_lock_files(files),
        made.target,
        _elsewhere(filled, channels=[filled.channel.url]),
        open_tools,
        filled.said,
    )
    assert found.locked.lock.digest == made.digest
    assert "no file has a conda half; it is solved" in filled.told


def test_a_file_without_packages_is_said(filled: Scene) -> None:
    path = filled.root / "pylock.toml"
    path.write_text('lock-version = "1.0"\ncreated-by = "a tool"\npackages = []\n')
    project = _elsewhere(filled, channels=[filled.channel.url])
    found = adopt(open_lock_files([path]), _TARGET, project, open_tools, filled.said)
    assert f"{path} has no packages for {_TARGET}" in filled.told
    assert not found.locked.lock.pip


def test_what_does_not_fit_the_spec_is_said_and_nothing_is_written(filled: Scene) -> None:
    made = lock_example(filled).lock
    files = _exported(made, filled.root, "explicit", "requirements")
    filled.toolbox(conda=["pandas<2", "six"], pip=["dbt", "extra-tool", "click>8"])
    project = _without_store(filled)
    with pytest.raises(SpecError) as refused:
        adopt(open_lock_files(files), made.target, project, open_tools, filled.said)
    for part in ("pandas 2.0 is locked", "extra-tool is new", "click 8.0 is locked"):
        assert part in refused.value.problem
    assert "--as elt-2@3.11" in refused.value.remedy
    assert open_tools(project, "elt").store.current_lock(made.target) is None


def _changed(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


@pytest.mark.parametrize("form", ["explicit", "pylock", "requirements"])
def test_a_wrong_hash_is_refused(filled: Scene, form: str) -> None:
    made = lock_example(filled).lock
    files = _exported(made, filled.root, "explicit", "requirements" if form != "pylock" else form)
    package = made.conda[0] if form == "explicit" else made.pip[0]
    _changed(files[form != "explicit"], package.sha256, "0" * 64)
    project = _elsewhere(filled)
    with pytest.raises(IntegrityError, match=package.name) as refused:
        adopt(open_lock_files(files), made.target, project, open_tools, filled.said)
    assert refused.value.exit_code == 5
    _nothing_is_there(project)


def _nothing_is_there(project: Project) -> None:
    assert not (project.root / "environments/elt.yml").exists()
    assert not (project.root / ".elt_env/locks").exists()
    assert not (project.root / ".elt_env/unlisted").exists()


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("pylock.toml", 'lock-version = "1.0"\ncreated-by = "x"\n[[packages', "not valid TOML"),
        ("pylock.toml", 'lock-version = "2.0"\n', "version 2.0"),
        ("pylock.toml", 'lock-version = "1.0"\n', "created-by"),
        ("requirements.txt", "dbt==1.0\n", "no exact version with a hash"),
        ("requirements.txt", "", "it is empty"),
        ("requirements.txt", f"dbt>=1.0 --hash=sha256:{'0' * 64}\n", "no exact version"),
        ("explicit.txt", "@EXPLICIT\nsome-package\n", "line 2"),
        ("explicit.txt", "@EXPLICIT\nhttps://x.invalid/a-1-0.conda\n", "no URLs of conda packages"),
        ("explicit.txt", "@EXPLICIT\n", "names no package"),
        ("unknown.lock", "some: thing\n", "no lock file of a known format"),
        ("environment.yml", "dependencies: [python]\n", "elt-env build"),
    ],
)
def test_a_file_that_is_none_is_refused(scene: Scene, name: str, text: str, words: str) -> None:
    path = scene.root / name
    path.write_text(text)
    scene.toolbox()
    project = _elsewhere(scene)
    with pytest.raises(InputError) as refused:
        adopt(open_lock_files([path]), _TARGET, project, open_tools, scene.said)
    assert words in str(refused.value)
    assert refused.value.exit_code == 2
    _nothing_is_there(project)


_PYPROJECT = """
[project]
name = "team-stack"
version = "0.1.0"
requires-python = ">=3.10"
dependencies = ["dbt", "click>=7", "rich-log[cron]"]
[dependency-groups]
dev = ["agate"]
"""


def _lock_with_uv(place: Path, scene: Scene) -> None:
    """Let the real uv lock a project."""
    scene.offer_pip("rich-log", "1.0", requires=["cron-tab; extra == 'cron'"])
    scene.offer_pip("cron-tab", "2.0", requires=["dead; python_version < '3'"])
    place.mkdir()
    (place / "pyproject.toml").write_text(_PYPROJECT)
    command = [find_uv_bin(), "lock", "--default-index", scene.index.url]
    done = run([*command, "--python", sys.executable], limit=60.0, cwd=place)
    assert done.returncode == 0, done.stderr


def test_what_uv_locks_is_adopted_with_what_a_person_asked_for(filled: Scene) -> None:
    place = filled.root / "team"
    _lock_with_uv(place, filled)
    project = _elsewhere(filled, channels=[filled.channel.url])
    found = adopt(
        open_lock_files([place / "uv.lock"]),
        Target("elt", "3.11", this_platform()),
        project,
        open_tools,
        filled.said,
    )
    assert {each.name: each.version for each in found.locked.lock.pip} == {
        "agate": "1.7",
        "click": "8.0",
        "dateutil": "2.9",
        "dbt": "1.0",
        "six": "1.16",
        "rich-log": "1.0",
        "cron-tab": "2.0",
    }
    assert found.locked.lock.package("pip", "cron-tab").required_by == ("rich-log",)
    assert found.locked.lock.indexes == (filled.index.url,)
    spec = (project.root / "environments/elt.yml").read_text()
    assert "- pip:\n  - click>=7\n  - dbt\n  - rich-log[cron]\n" in spec


@pytest.mark.parametrize(
    "forms", [("explicit", "pylock"), ("explicit", "requirements"), ("conda-lock",), ("pixi",)]
)
def test_what_a_url_names_is_named_by_the_spec(filled: Scene, forms: tuple[str, ...]) -> None:
    wheel = make_wheel(filled.root / "served", "own-lib", "1.0", requires=["agate"])
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    line = f"own-lib @ {wheel.as_uri()}#sha256={digest}"
    made = lock_example(filled, pip=["dbt", line]).lock
    files = _exported(made, filled.root, *forms)
    project = _elsewhere(filled)
    found = adopt(open_lock_files(files), made.target, project, open_tools, filled.said)
    assert found.locked.lock.digest == made.digest
    assert found.locked.lock.package("pip", "agate").required_by == ("dbt", "own-lib")
    assert f"- {line}\n" in (project.root / "environments/elt.yml").read_text()
    filled.toolbox(conda=CONDA, pip=["dbt"])
    with pytest.raises(SpecError, match=r"own-lib comes from file:.*the spec names no URL"):
        adopt(open_lock_files(files), made.target, _without_store(filled), open_tools, filled.said)


def _hashed(*wheels: Path) -> str:
    lines = []
    for each in wheels:
        name, version = each.name.removesuffix(".tar.gz").split("-")[:2]
        digest = hashlib.sha256(each.read_bytes()).hexdigest()
        lines.append(f"{name}=={version} --hash=sha256:{digest}\n")
    return "".join(lines)


def test_what_does_not_hold_together_is_noted(filled: Scene) -> None:
    (tool,) = filled.offer_pip("tool", "1.0", requires=["click>=9", "gone", "six"])
    (click,) = filled.offer_pip("click", "8.1")
    old = make_wheel(filled.root / "wheels", "old", "1.0", requires_python="<3.9")
    filled.index.add(old, uploaded=LONG_AGO)
    (six,) = filled.offer_pip("six", "1.15")
    path = filled.root / "requirements.txt"
    path.write_text(_hashed(tool, click, old, six))
    filled.toolbox(conda=["six"], pip=["tool"])
    project = open_project(filled.root / "project")
    found = adopt(open_lock_files([path]), _TARGET, project, open_tools, filled.said).locked.lock
    assert found.notes[1:] == (
        "six 1.15 is left out: conda's six has it as 1.16",
        "tool needs click>=9, and 8.1 is there",
        "tool needs gone, which is not there",
        f"old 1.0 is for Python <3.9, not {found.python.version}",
    )
    assert found.package("conda", "six").required_by == ("tool",)


def test_two_files_that_contradict_each_other_are_refused(filled: Scene) -> None:
    paths = [filled.root / "a.txt", filled.root / "b.txt"]
    for path, version in zip(paths, ("8.0", "8.1"), strict=True):
        path.write_text(_hashed(*filled.offer_pip("click", version)))
    project = _elsewhere(filled, channels=[filled.channel.url])
    with pytest.raises(InputError, match=r"two versions: click in 8\.0 and 8\.1"):
        adopt(open_lock_files(paths), _TARGET, project, open_tools, filled.said)
    _nothing_is_there(project)


def test_an_sdist_is_locked_where_the_policy_lets_it_be_built(filled: Scene) -> None:
    sdist = make_sdist(filled.root / "sdists", "tool", "1.0")
    filled.index.add(sdist, uploaded=LONG_AGO)
    path = filled.root / "requirements.txt"
    path.write_text(_hashed(sdist))
    places = {"channels": [filled.channel.url]}
    with pytest.raises(InputError, match=r"tool 1\.0: it is there as an sdist only") as refused:
        adopt(
            open_lock_files([path]),
            _TARGET,
            _elsewhere(filled, **places),
            open_tools,
            filled.said,
        )
    assert "allow-sdist" in refused.value.remedy
    shutil.rmtree(filled.root / "other")
    allowing = _elsewhere(filled, **{"allow-sdist": ["tool"]}, **places)
    found = adopt(open_lock_files([path]), _TARGET, allowing, open_tools, filled.said)
    assert found.locked.lock.package("pip", "tool").file_name == "tool-1.0.tar.gz"


def test_what_is_too_young_for_the_policy_is_said(filled: Scene) -> None:
    (click,) = filled.offer_pip("click", "9.0", released=datetime.now(timezone.utc))
    path = filled.root / "requirements.txt"
    path.write_text(_hashed(click))
    project = _elsewhere(filled, channels=[filled.channel.url], cooldown="3 days")
    with pytest.raises(SpecError, match=r"click 9\.0 was younger than the cool-down"):
        adopt(open_lock_files([path]), _TARGET, project, open_tools, filled.said)
    _nothing_is_there(project)


def test_an_md5_is_enough_where_the_channel_lists_the_package(filled: Scene) -> None:
    made = lock_example(filled, pip=()).lock
    (path,) = _exported(made, filled.root, "explicit")
    path.write_text(with_md5(made, path.read_text()))
    found = adopt(open_lock_files([path]), made.target, _elsewhere(filled), open_tools, filled.said)
    assert found.locked.lock.digest == made.digest


def test_a_package_that_its_channel_lists_no_longer_describes_itself(filled: Scene) -> None:
    made = lock_example(filled, pip=()).lock
    (path,) = _exported(made, filled.root, "explicit")
    for repodata in filled.channel.root.glob("*/repodata.json"):
        content = json.loads(repodata.read_text())
        content["packages.conda"] = {}
        repodata.write_text(json.dumps(content))
    found = adopt(open_lock_files([path]), made.target, _elsewhere(filled), open_tools, filled.said)
    assert found.locked.lock.digest == made.digest
    assert found.locked.lock.distributions == made.distributions


def test_a_group_that_no_file_has_is_named_with_those_that_there_are(filled: Scene) -> None:
    place = filled.root / "team"
    _lock_with_uv(place, filled)
    files = open_lock_files([place / "uv.lock"])
    project = _elsewhere(filled, channels=[filled.channel.url])
    with pytest.raises(InputError, match="No file has a group prod") as refused:
        adopt(files, _TARGET, project, open_tools, filled.said, groups=("prod",))
    assert refused.value.remedy == "Name one of these: dev"
    found = adopt(files, _TARGET, project, open_tools, filled.said, groups=("dev",))
    assert found.locked.lock.package("pip", "agate").requested


def test_packages_for_another_platform_are_refused(filled: Scene) -> None:
    made = lock_example(filled, pip=()).lock
    (path,) = _exported(made, filled.root, "explicit")
    _changed(path, "/linux-64/", "/osx-arm64/")
    project = _elsewhere(filled)
    with pytest.raises(InputError, match="are for osx-arm64, and this machine is linux-64"):
        adopt(open_lock_files([path]), made.target, project, open_tools, filled.said)
    _nothing_is_there(project)
