"""Random worlds made real, locked by the real tools, and held against what trying finds."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from elt_env.errors import UnsatisfiableError
from elt_env.model.lock import HeldBack, Lock
from elt_env.stages.lock import lock
from elt_env.tools.conda import rattler_tool
from elt_env.tools.toolbox import Toolbox
from tests.support.conda_packages import make_conda_package
from tests.support.index_server import IndexServer
from tests.support.locking import LONG_AGO
from tests.support.loopback import running
from tests.support.project import ENVIRONMENT, make_project, toolbox_of
from tests.support.wheels import core_metadata, escaped, make_wheel
from tests.support.worlds import PYTHON, VERSIONS, Answer, Build, World, WorldMaker


def check_world(seed: int, place: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return what is wrong with the lock of the world of a seed; () when nothing is."""
    monkeypatch.setattr(rattler_tool, "_BREATH", 0.0)
    monkeypatch.setenv("UV_CACHE_DIR", str(place / "uv"))
    world = WorldMaker(seed).make()
    answers = list(world.answers())
    with running(IndexServer()) as index:
        index.core_metadata = True
        made = _made(world, place, index)
        try:
            found = lock(made.target(ENVIRONMENT, "3.11"), made, lambda _: None).lock
        except UnsatisfiableError as error:
            if not answers:
                return []
            return [f"missed: {_shown(world, answers[0])}\n{error}"]
    return list(_faults(world, found, answers))


def _faults(world: World, found: Lock, answers: list[Answer]) -> Iterator[str]:
    answer = _read(world, found)
    if answer is None or answer not in answers:
        packages = [f"{each.manager}:{each.name}={each.version}" for each in found.packages]
        yield f"unsound: {packages}"
        return
    vectors = {each.vector(world.requested) for each in answers}
    mine = answer.vector(world.requested)
    for other in sorted(vectors):
        if other != mine and all(a >= b for a, b in zip(other, mine, strict=True)):
            yield f"needlessly old: {world.requested} {mine}, and {other} is possible"
            break
    for each in found.held_back:
        yield from _false_reason(world, each, answer)


_REASON = re.compile(
    r"(?P<who>\S+) (?P<version>\S+) needs (?P<need>\S+) (?P<bound>[^\s,]+(?:,[<>=!~][^\s,]+)*)"
    r"(?:, which is (?P<other>\S+))?"
)


def _false_reason(world: World, held: HeldBack, answer: Answer) -> Iterator[str]:
    """Yield what is not so of the reason for which something is older than its newest version."""
    found = _REASON.fullmatch(held.reason)
    if not held.reason or found is None:
        if held.reason:
            yield f"a reason of another form: {held.reason}"
        return
    # A resolver writes a bound in the shortest way that leaves the same of the known versions.
    known = {*VERSIONS, *(f"{each}.80" for each in VERSIONS)}
    said = set(SpecifierSet(found["bound"]).filter(known))
    needs = _needs(world, found["who"], found["version"])
    left = [set(each.specifier.filter(known)) for each in needs if each.name == found["need"]]
    offered = {each.version for each in world.index.get(found["need"], ())}
    offered |= {each.version for each in world.conda.get(found["need"], ())}
    if not any(each & offered == said & offered for each in left):
        yield f"a false reason: {held.reason}"
    chosen = {name: each.version for name, each in answer.builds.items()}
    chosen |= dict(answer.owned)
    chosen |= {name: each.version for name, each in answer.releases.items()}
    if found["other"] and chosen.get(found["need"]) != found["other"]:
        yield f"a reason about another version: {held.reason}"


def _needs(world: World, name: str, version: str) -> Iterator[Requirement]:
    for build in (each for builds in world.conda.values() for each in builds):
        if build in world.conda.get(name, ()) and build.version == version:
            yield from map(Requirement, (*build.depends, *build.constrains))
        if build.carries.get(name) == version:
            yield from map(Requirement, build.requires.get(name, ()))
    for release in world.index.get(name, ()):
        if release.version == version:
            yield from map(Requirement, (*release.requires, *release.extra))


def _read(world: World, found: Lock) -> Answer | None:
    builds: dict[str, Build] = {}
    for package in found.conda:
        if package.name != "python":
            offered = world.conda[package.name]
            fitting = (each for each in offered if each.version == package.version)
            builds[package.name] = next(fitting)
    owned = {name: one for each in builds.values() for name, one in each.carries.items()}
    releases = {}
    for package in found.pip:
        released = world.index[package.name]
        releases[package.name] = next(r for r in released if r.version == package.version)
    if set(owned) & set(releases):
        return None
    return Answer(builds, releases, owned)


def _shown(world: World, answer: Answer) -> str:
    del world
    builds = [f"{name} {each.version}" for name, each in answer.builds.items()]
    releases = [f"{name} {each.version}" for name, each in answer.releases.items()]
    return f"conda: {', '.join(builds)}; pip: {', '.join(releases)}"


def _made(world: World, place: Path, index: IndexServer) -> Toolbox:
    channel = place / "channel"
    now = datetime.now(timezone.utc)
    python = {"subdir": "linux-64", "timestamp": LONG_AGO}
    packages = [_package(channel, "python", PYTHON, python, {})]
    for name, builds in world.conda.items():
        for each in builds:
            released = now if each.young else LONG_AGO
            packages.append(_package(channel, name, each.version, *_content(each, released)))
    _write_repodata(channel, packages)
    for name, releases in world.index.items():
        for release in releases:
            wheel = make_wheel(
                place / "wheels",
                name,
                release.version,
                requires=release.requires,
                requires_python=release.requires_python,
                extras={"x": release.extra},
            )
            uploaded = now if release.young else LONG_AGO
            index.add(wheel, uploaded=uploaded, yanked="broken" if release.yanked else None)
    project = make_project(
        place / "project",
        channels=[channel.as_uri()],
        index=index.url,
        conda=[_spaced(each) for each in world.spec_conda],
        pip=world.spec_pip,
    )
    return toolbox_of(project)


def _spaced(text: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[<>=!])", " ", text, count=1)


def _content(build: Build, released: datetime) -> tuple[dict[str, Any], dict[str, str]]:
    files = {}
    for each, version in build.carries.items():
        info = f"site-packages/{escaped(each)}-{version}.dist-info"
        files[f"{info}/METADATA"] = core_metadata(each, version, build.requires.get(each, ()))
    index = {
        "subdir": "noarch",
        "depends": [*(("python",) if build.carries else ()), *map(_spaced, build.depends)],
        "constrains": [*map(_spaced, build.constrains)],
        "noarch": "python" if build.carries else "generic",
        "timestamp": released,
    }
    return index, files


def _package(
    channel: Path, name: str, version: str, index: dict[str, Any], files: dict[str, str]
) -> tuple[Path, dict[str, Any]]:
    """Make a package, and return it with its entry for the repodata."""
    path = make_conda_package(channel, name, version, files=files, **index)
    data = path.read_bytes()
    entry = {"name": name, "version": version, "build": "0", "build_number": 0, "depends": []}
    entry |= index | {"timestamp": int(index["timestamp"].timestamp() * 1000)}
    sums = {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data)}
    return path, entry | sums


def _write_repodata(channel: Path, packages: list[tuple[Path, dict[str, Any]]]) -> None:
    """Write what conda-index would, without its look into each archive."""
    for subdir in ("noarch", "linux-64"):
        found = {path.name: entry for path, entry in packages if path.parent.name == subdir}
        content = {"info": {"subdir": subdir}, "packages": {}, "packages.conda": found}
        content["repodata_version"] = 1
        (channel / subdir).mkdir(parents=True, exist_ok=True)
        (channel / subdir / "repodata.json").write_text(json.dumps(content), encoding="utf-8")
