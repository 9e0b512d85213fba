"""Random worlds made real, locked by the real tools, and held against what trying finds."""

from __future__ import annotations

import functools
import hashlib
import json
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from elt_env.conda import SolveRequest
from elt_env.errors import UnsatisfiableError
from elt_env.lock.make import Resolution, resolve, solve_unless_kept
from elt_env.lockfile.document import Lock
from elt_env.machine.platform import target_here
from elt_env.spec.conda_spec import parse_conda_spec
from elt_env.spec.faults import FaultsError
from elt_env.tools import Tools
from tests.support.conda_packages import make_conda_package
from tests.support.index_server import IndexServer
from tests.support.loopback import running
from tests.support.project import ENVIRONMENT, make_project, toolbox_of
from tests.support.said import Said
from tests.support.wheels import core_metadata, escaped, make_sdist, make_wheel
from tests.support.world_reasons import false_conflict, false_reasons
from tests.support.worlds import COOLDOWN, Answer, Build, Release, Spec, World

_MAKERS: Mapping[str, Callable[..., Path]] = {
    "wheel": make_wheel,
    "other": functools.partial(make_wheel, tag="cp311-cp311-win_amd64"),
    "sdist": make_sdist,
}
_TODAY = datetime.now(timezone.utc).replace(hour=0, minute=0, second=0, microsecond=0)


@dataclass(frozen=True)
class Outcome:
    """What locking a world came to.

    Attributes:
        lock: None where it was refused.
        error: why it was refused.
        said: what was said meanwhile.
    """

    lock: Lock | None
    error: UnsatisfiableError | None
    said: tuple[str, ...]


def check_world(
    world: World, place: Path, monkeypatch: pytest.MonkeyPatch, **tools: str
) -> list[str]:
    """Return what is wrong with what becomes of a world; [] when nothing is.

    Args:
        world: the world.
        place: an empty directory.
        monkeypatch: sets the cache of uv.
        tools: keys of the environment's policy, as `resolver`.
    """
    monkeypatch.setenv("UV_CACHE_DIR", str(_uv_cache(place / "uv")))
    with running(IndexServer()) as index:
        index.core_metadata = True
        scene = _Locking(world, place, index, tools)
        found = scene.lock(world.spec)
        faults = [*faults_of(world, found)]
        if found.lock is not None and not faults and world.seed % 2 == 0:
            spec = Spec(*(each[::-1] for each in (world.spec.conda, world.spec.pip)))
            again = scene.lock(replace(spec, constraints=world.spec.constraints[::-1]))
            if again.lock is None or again.lock.digest != found.lock.digest:
                faults.append(f"another order of lines, another lock: {_listed(again.lock)}")
    return faults


def conda_request(world: World, place: Path) -> SolveRequest:
    """Make the channels of a world at a place, and return what it asks of them for conda's half."""
    scene = _Scene(world, place)
    return SolveRequest(
        scene.channels,
        tuple(parse_conda_spec(scene.with_channel(each)) for each in world.spec.conda),
        "linux-64",
        exclude_newer=_day(COOLDOWN),
        not_held=world.policy.exceptions,
        priority=world.policy.priority,
    )


def _uv_cache(own: Path) -> Path:
    """Return a cache in which nothing is known but the interpreter, which takes long to ask."""
    shared = Path(os.environ.get("UV_CACHE_DIR") or Path.home() / ".cache" / "uv")
    own.mkdir(parents=True)
    for known in shared.glob("interpreter-*"):
        (own / known.name).symlink_to(known)
    return own


def faults_of(world: World, found: Outcome) -> Iterator[str]:
    """Yield what is wrong with an outcome."""
    if found.lock is None:
        possible = next(world.answers(), None)
        if possible is not None:
            yield f"missed: {possible}\n{found.error}"
        elif found.error is not None:
            yield from false_conflict(world, found.error)
        return
    best = min(world.answers(), key=world.key, default=None)
    answer = _read(world, found.lock)
    if best is None or answer is None or not _is_answer(world, answer):
        yield f"unsound: {_listed(found.lock)}"
        return
    if answer.python != best.python:
        yield f"another Python than {best}"
    elif world.key(answer) != world.key(best):
        yield (
            f"not the best: {_asked(world, answer)} {world.key(answer)}, "
            f"and {_asked(world, best)} {world.key(best)} is possible"
        )
    yield from _needless_sdists(answer, found.lock)
    yield from false_reasons(world, answer, found.lock, found.said)


def _is_answer(world: World, answer: Answer) -> bool:
    """Tell whether trying finds that answer."""
    only = replace(world, pythons=(answer.python,))
    return any(each == answer for each in only.answers())


def _asked(world: World, answer: Answer) -> dict[str, str]:
    versions = answer.versions
    return {name: versions[name] for name in world.requested(answer.python)}


def _needless_sdists(answer: Answer, lock: Lock) -> Iterator[str]:
    for package in lock.pip:
        is_wheel = package.file_name.endswith(".whl")
        if is_wheel == answer.releases[package.name].needs_build:
            yield f"a file of the wrong kind: {package.file_name}"


def _listed(lock: Lock | None) -> list[str]:
    if lock is None:
        return ["refused"]
    return [f"{each.manager}:{each.name}={each.version}={each.build}" for each in lock.packages]


def _read(world: World, found: Lock) -> Answer | None:
    """Return the answer that a lock is; None where it holds what the world has not."""
    builds: dict[str, Build] = {}
    for package in found.conda:
        if package.name == "python":
            continue
        channel = int(re.findall(r"/channel(\d)/", package.url)[0])
        wanted = (package.version, package.build, channel)
        builds[package.name] = next(
            each
            for each in world.conda[package.name]
            if (each.version, each.string, each.channel) == wanted
        )
    releases: dict[str, Release] = {}
    for package in found.pip:
        offered = world.index.get(package.name, ())
        releases[package.name] = next(r for r in offered if r.version == package.version)
    answer = Answer(found.python.version, builds, releases)
    return None if set(answer.owned) & set(releases) else answer


class _Scene:
    """The channels of a world."""

    def __init__(self, world: World, place: Path) -> None:
        self._world = world
        self._place = place
        for number in range(world.channels):
            self._fill_channel(number)

    @property
    def channels(self) -> tuple[str, ...]:
        """Their URLs."""
        return tuple(self._channel(each).as_uri() for each in range(self._world.channels))

    def with_channel(self, line: str) -> str:
        """Return a requirement that names its channel, if any, by URL."""
        channel, _, rest = line.rpartition("::")
        return f"{self.channels[int(channel)]}::{rest}" if channel else line

    def _channel(self, number: int) -> Path:
        return self._place / f"channel{number}"

    def _fill_channel(self, number: int) -> None:
        channel = self._channel(number)
        pythons = self._world.pythons if number == 0 else ()
        packages = [_package(channel, "python", each, Build(each, native=True)) for each in pythons]
        packages += [
            _package(channel, name, each.version, each)
            for name, builds in self._world.conda.items()
            for each in builds
            if each.channel == number
        ]
        _write_repodata(channel, packages)


class _Locking(_Scene):
    """The channels, the index and the project of a world."""

    def __init__(
        self, world: World, place: Path, index: IndexServer, tools: Mapping[str, str]
    ) -> None:
        super().__init__(world, place)
        self._tools = tools
        self._index = index
        self._locks = 0
        for name, releases in world.index.items():
            for each in releases:
                self._publish(name, each)

    def lock(self, spec: Spec) -> Outcome:
        """Lock a spec, without writing the lock."""
        self._locks += 1
        said = Said()
        toolbox = self._toolbox(spec)
        target = target_here(ENVIRONMENT, "3.11")
        try:
            found = resolve(solve_unless_kept(target, toolbox, said), toolbox, said)
        except UnsatisfiableError as error:
            return Outcome(None, error, tuple(said))
        except FaultsError:  # two lines on one name that nothing satisfies
            return Outcome(None, None, tuple(said))
        if not isinstance(found, Resolution):
            raise TypeError(found)
        return Outcome(found.lock, None, tuple(said))

    def _toolbox(self, spec: Spec) -> Tools:
        root = self._place / f"project{self._locks}"
        pip = [*spec.pip]
        if spec.constraints:
            pip.append("-c constraints.txt")
            (root / "environments").mkdir(parents=True)
            lines = "\n".join(spec.constraints)
            (root / "environments" / "constraints.txt").write_text(lines, encoding="utf-8")
        policy = self._world.policy
        project = make_project(
            root,
            channels=self.channels,
            index=self._index.url,
            conda=[self.with_channel(each) for each in spec.conda],
            pip=pip,
            policy={
                "channel-priority": policy.priority,
                "prefer": list(policy.prefer),
                "pre-releases": list(policy.pre_releases),
                "allow-sdist": list(policy.allow_sdist),
                "cooldown-exceptions": list(policy.exceptions),
                "yanked": policy.yanked,
            },
            environment=self._tools,
        )
        return toolbox_of(project)

    def _publish(self, name: str, release: Release) -> None:
        kinds = "wheel and sdist" if release.files == "both" else release.files
        for kind in kinds.split(" and "):
            file = _MAKERS[kind](
                self._place / "files",
                name,
                release.version,
                requires=release.requires,
                requires_python=release.requires_python,
                extras=release.extras,
            )
            self._index.add(
                file, uploaded=_day(release.age), yanked="broken" if release.yanked else None
            )


def _day(age: int) -> datetime:
    return _TODAY - timedelta(days=age)


def _package(channel: Path, name: str, version: str, build: Build) -> tuple[Path, dict[str, Any]]:
    """Make a package, and return it with its entry for the repodata."""
    files = {}
    for each, own in build.carries.items():
        info = f"site-packages/{escaped(each)}-{own}.dist-info"
        extras = build.extras.get(each, {})
        metadata = core_metadata(each, own, build.requires.get(each, ()), None, extras)
        files[f"{info}/METADATA"] = metadata
    prefix = "" if not build.native else "lib/python3.11/"
    fields: dict[str, Any] = {
        "subdir": "linux-64" if build.native else "noarch",
        "depends": [*build.depends],
        "constrains": [*build.constrains],
    }
    if not build.native:
        fields["noarch"] = "python" if build.carries else "generic"
    path = make_conda_package(
        channel,
        name,
        version,
        files={f"{prefix}{path}": text for path, text in files.items()},
        build=build.string,
        build_number=build.number,
        timestamp=_day(build.age),
        **fields,
    )
    data = path.read_bytes()
    entry = {
        "name": name,
        "version": version,
        "build": build.string,
        "build_number": build.number,
        "timestamp": int(_day(build.age).timestamp() * 1000),
        "sha256": hashlib.sha256(data).hexdigest(),
        "size": len(data),
    }
    return path, entry | fields


def _write_repodata(channel: Path, packages: Iterable[tuple[Path, dict[str, Any]]]) -> None:
    """Write what conda-index would, without its look into each archive."""
    packages = list(packages)
    for subdir in ("noarch", "linux-64"):
        found = {path.name: entry for path, entry in packages if path.parent.name == subdir}
        content = {"info": {"subdir": subdir}, "packages": {}, "packages.conda": found}
        content["repodata_version"] = 1
        (channel / subdir).mkdir(parents=True, exist_ok=True)
        (channel / subdir / "repodata.json").write_text(json.dumps(content), encoding="utf-8")
