"""What nobody refers to goes, what somebody wants or uses stays, whatever happens meanwhile."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest

from elt_env.environment.build import ensure_prefix
from elt_env.environment.collecting import remove_prefix
from elt_env.environment.prefix import Prefix
from elt_env.errors import IntegrityError
from elt_env.image import spec as oci
from elt_env.image.config import manifest_annotations
from elt_env.image.oci.attachments import attach
from elt_env.image.pack import pack
from elt_env.image.record import sbom_name
from elt_env.image.store import ImageStore
from elt_env.lockfile.document import Lock
from elt_env.release.collect import collect
from elt_env.release.record import Release
from elt_env.release.store import ReleaseStore
from elt_env.release.verify import verify, verify_prefix
from elt_env.store.collected import Item
from elt_env.tools import Tools
from tests.support.builder import Builder
from tests.support.images import blobs, make_root_tar
from tests.support.sample import Sample, run_in, silent

pytestmark = pytest.mark.slow

_NOW = timedelta(0)
_LIMIT = 30.0


@dataclass(frozen=True)
class World:
    """A store with two locks, each with its prefix and its image; nobody refers to either."""

    toolbox: Tools
    one: Lock
    two: Lock

    @property
    def images(self) -> ImageStore:
        return ImageStore(self.toolbox.store)

    def prefix(self, lock: Lock) -> Prefix:
        return Prefix(self.toolbox.store.prefix_path(lock), lock)

    def release(self, *locks: Lock) -> None:
        releases = ReleaseStore(self.toolbox.store)
        for lock in locks:
            name = lock.target.name
            number = len(releases.history(name)) + 1
            at = self.toolbox.store.now()
            release = Release(number, name, lock.digest, None, at, "promoted", "test", "test")
            with releases.sole_mover(name, 1.0):
                releases.prepare(release, self.prefix(lock).path)
                releases.switch(release)

    def collect(self, *, grace: timedelta = _NOW, dry_run: bool = False) -> tuple[Item, ...]:
        return collect(
            self.toolbox.project, self.toolbox.store, silent, grace=grace, dry_run=dry_run
        )


def age(home: Path, by: float = 7 * 86400.0) -> None:
    """Let everything in a store be a week old."""
    then = time.time() - by
    for directory, names, files in os.walk(home):
        for name in (*names, *files):
            os.utime(Path(directory) / name, (then, then), follow_symlinks=False)


@pytest.fixture
def world(sample: Sample, sample_lock: Lock, tmp_path: Path) -> World:
    base = str(make_root_tar(tmp_path / "root.tar"))
    toolbox = sample.toolbox(tmp_path / "project", image_base=base, keep_releases=1)
    two = sample.lock(pip=["beta"])
    for lock in (sample_lock, two):
        toolbox.store.write_lock(lock)
        ensure_prefix(lock, toolbox, silent)
        pack(lock, toolbox.project, toolbox.store, silent)
    return World(toolbox, sample_lock, two)


def kinds(items: tuple[Item, ...]) -> list[str]:
    return [each.what for each in items]


def test_what_was_used_a_moment_ago_stays(world: World) -> None:
    before = sorted(blobs(world.images.layout))
    assert world.collect(grace=timedelta(days=1)) == ()
    assert sorted(blobs(world.images.layout)) == before


def test_the_current_lock_and_its_image_stay_and_the_rest_goes(world: World) -> None:
    world.toolbox.store.set_current(world.two.target, world.two.digest, world.toolbox.store.now())
    age(world.toolbox.store.local_home)

    planned = world.collect(dry_run=True)
    assert world.prefix(world.one).ready
    done = world.collect()

    assert planned == done
    assert kinds(done) == ["prefix", "image", "layers", "archives", "bytecode"]
    kept = {each.name for each in (world.toolbox.store.local_home / "cache/wheels").iterdir()}
    assert kept == {each.sha256 for each in world.two.pip}
    assert done[0].size > 0
    assert not world.prefix(world.one).path.exists()
    assert world.images.image(world.one.digest) is None
    assert verify(world.two, world.toolbox.store, silent) == ()
    assert run_in(world.prefix(world.two).path, "python", "-c", "import beta").returncode == 0
    assert world.collect() == ()


def test_locks_stay_so_that_all_can_be_built_again(world: World) -> None:
    image = pack(world.one, world.toolbox.project, world.toolbox.store, silent).image
    age(world.toolbox.store.local_home)
    world.collect()
    assert list(blobs(world.images.layout)) == []

    ensure_prefix(world.one, world.toolbox, silent)
    assert (
        pack(world.one, world.toolbox.project, world.toolbox.store, silent).image.digest
        == image.digest
    )
    assert run_in(world.prefix(world.one).path, "alpha").returncode == 0


def test_a_release_and_the_one_before_stay(world: World) -> None:
    world.release(world.one, world.two, world.two)
    age(world.toolbox.store.local_home)
    world.collect()
    for lock in (world.one, world.two):
        assert verify(lock, world.toolbox.store, silent) == ()


def test_the_names_of_a_target_lead_to_what_stays(world: World) -> None:
    """Also those of an image that a killed `pack` had named in part."""
    world.toolbox.store.set_current(world.one.target, world.one.digest, world.toolbox.store.now())
    age(world.toolbox.store.local_home)
    assert world.collect(dry_run=True) == world.collect()
    assert verify(world.one, world.toolbox.store, silent) == ()

    # Killed after it has attached the SBOM, and before anything else.
    image = world.images.image(world.one.digest)
    assert image is not None
    digest = world.images.layout.add(b"a layer", oci.LAYER)
    config = world.images.layout.add(b"{}", oci.CONFIG)
    content = oci.Manifest(config, (digest,), manifest_annotations(world.two)).to_bytes()
    manifest = world.images.layout.add(content, oci.MANIFEST)
    attach(world.images.layout, manifest, b"what it consists of", name=sbom_name(image.name))
    assert verify(world.one, world.toolbox.store, silent) == ()
    age(world.toolbox.store.local_home)
    assert kinds(world.collect(dry_run=True)) == kinds(world.collect()) == ["layers"]
    assert verify(world.one, world.toolbox.store, silent) == ()
    assert world.collect() == ()


def test_what_a_process_runs_from_stays(world: World) -> None:
    age(world.toolbox.store.local_home)
    python = world.prefix(world.one).python
    with subprocess.Popen([python, "-c", "input()"], stdin=subprocess.PIPE) as process:
        try:
            names = [each.name for each in world.collect() if each.what == "prefix"]
        finally:
            process.communicate(b"\n", timeout=_LIMIT)
    assert names == [world.prefix(world.two).path.name]
    assert world.prefix(world.one).ready


def test_what_is_being_built_stays(world: World) -> None:
    age(world.toolbox.store.local_home)
    with world.prefix(world.one).sole_builder(1.0, silent):
        names = [each.name for each in world.collect() if each.what == "prefix"]
    assert names == [world.prefix(world.two).path.name]


def test_without_knowing_what_is_wanted_nothing_goes(world: World) -> None:
    world.release(world.one)
    releases = world.toolbox.store.local_home / "releases"
    for record in (*releases.glob("*/*/release.json"), *releases.glob(".records/*/*.json")):
        record.write_text("{")
    age(world.toolbox.store.local_home)
    with pytest.raises(IntegrityError):
        world.collect()
    assert world.prefix(world.two).ready


def test_leftovers_of_interrupted_work_go(world: World) -> None:
    home = world.toolbox.store.local_home
    for name in ("work/abc/1", "prefixes/.removed-x", "roots/.removed-y"):
        (home / name).mkdir(parents=True)
        (home / name / "file").write_bytes(bytes(5000))
    (home / "oci/blobs/sha256/.new-half").write_bytes(bytes(5000))
    half = [
        home / "targets/elt@3.11/.current.json.ab_d3fgh",
        home / "cache/conda/.part-abcdefgh",
        home / "locks/.new-abcdefgh/lock.json",
        home / "images/.collected-0123.json",
        home / ".project.json.abcdefgh",
    ]
    for path in half:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    fresh = home / "work/def/2"
    age(home)
    fresh.mkdir(parents=True)
    being_written = home / "locks/.lock.json.abcdefgh"
    being_written.touch()
    world.release(world.one, world.two)

    done = world.collect(grace=timedelta(hours=1))
    assert [each.name for each in done if each.what == "leftover"] == [
        "prefixes/.removed-x",
        "work/abc",
        "roots/.removed-y",
        "5 half-written files and directories",
    ]
    assert not any(path.exists() for path in half)
    assert not (home / "locks/.new-abcdefgh").exists()
    assert fresh.is_dir()
    assert being_written.exists()
    assert not (home / "work/abc").exists()


@pytest.mark.parametrize("moment", ["gc: prefix", "gc: image", "gc: layers"])
def test_killed_at_any_step_the_release_works_and_the_next_one_completes(
    moment: str, world: World, tmp_path: Path
) -> None:
    world.release(world.two)
    age(world.toolbox.store.local_home)
    # The builder builds what it is given before it collects, so give it what is released.
    directory = Path(world.toolbox.store.lock_directory(world.two.digest))
    builder = Builder(world.toolbox.project.root, directory, tmp_path / "place", moment, "gc")
    try:
        builder.wait_until_halted()
        builder.end_with(signal.SIGKILL)
    finally:
        builder.close()
    assert verify(world.two, world.toolbox.store, silent) == ()
    world.collect()
    assert world.collect() == ()
    assert not world.prefix(world.one).path.exists()
    assert verify(world.two, world.toolbox.store, silent) == ()


def test_beside_a_build_of_what_it_removes_the_build_wins_or_starts_anew(world: World) -> None:
    age(world.toolbox.store.local_home)
    shutil.rmtree(world.prefix(world.two).path)
    world.prefix(world.one).mark_used()
    assert kinds(world.collect(grace=timedelta(hours=1)))[0] == "image"
    assert world.prefix(world.one).ready


def test_what_conda_unpacked_and_indexes_said_goes_once_nobody_uses_it(world: World) -> None:
    cache = world.toolbox.project.caches.path
    unpacked = [*(cache / "conda/pkgs").glob("[!.]*/")]
    page = cache / "pages" / "of-a-project"
    page.parent.mkdir(exist_ok=True)
    page.write_text("what an index said")
    assert unpacked
    assert not {"conda packages", "pages"} & {*kinds(world.collect())}

    age(cache, by=40 * 86400.0)
    remove_prefix(world.prefix(world.two).path, time.time(), dry_run=False)
    ensure_prefix(world.two, world.toolbox, silent)  # marks what it links
    linked = {each for each in unpacked if each.stat().st_mtime > time.time() - 3600}
    found = kinds(world.collect())

    assert linked
    assert "pages" in found
    assert not page.exists()
    assert {each for each in unpacked if each.exists()} == linked
    age(cache, by=40 * 86400.0)
    world.collect()
    assert not [each for each in unpacked if each.exists()]
    shutil.rmtree(world.prefix(world.one).path, ignore_errors=True)
    ensure_prefix(world.one, world.toolbox, silent)
    assert verify_prefix(world.one, world.toolbox.store, silent) == ()
