"""Locks that count as built and proven, without anything being built or run."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

from elt_env.environment.file_list import keep_list
from elt_env.environment.prefix import Prefix, Stage
from elt_env.image.config import LOCK_DIGEST
from elt_env.image.oci.layout import Layout
from elt_env.image.record import ImageRecord
from elt_env.image.store import ImageStore
from elt_env.lockfile.document import Lock
from elt_env.machine.process import Say
from elt_env.proof.checks import CHECKS
from elt_env.proof.checks.image import IMAGE_CHECKS
from elt_env.proof.checks.inputs import check_inputs
from elt_env.proof.prove import prefix_prover
from elt_env.runtime.files import write_atomically
from elt_env.store.evidence import Evidence, Status
from elt_env.tools import Tools
from tests.support.locks import CHANNEL, INDEX, MOMENT
from tests.support.project import make_project, toolbox_of
from tests.support.releases import fake_prefix
from tests.support.small_images import make_image, random_layer


def prove(name: str, lock: Lock, toolbox: Tools, say: Say, *, again: bool = False) -> Evidence:
    """Return the evidence of one check on the lock's prefix."""
    return prefix_prover(lock, toolbox, say, again=again).attempt(name)


def prove_all(  # as above
    lock: Lock,
    toolbox: Tools,
    say: Say,
    *,
    names: Collection[str] | None = None,
    again: bool = False,
) -> tuple[Evidence, ...]:
    """Return the evidence of all checks on the lock's prefix, or of those named."""
    return prefix_prover(lock, toolbox, say, again=again).results(names)


def toolbox_at(root: Path, **environment: Any) -> Tools:
    """Return the tools of a project; `environment` are keys of its policy, with `_` for `-`."""
    own = {key.replace("_", "-"): value for key, value in environment.items()}
    return toolbox_of(make_project(root, channels=[CHANNEL], index=INDEX, environment=own))


def keep_current(lock: Lock, toolbox: Tools) -> None:
    """Make a lock its target's current one."""
    toolbox.store.write_lock(lock)
    toolbox.store.set_current(lock.target, lock.digest, MOMENT)


def pretend_built(lock: Lock, toolbox: Tools, *programs: str) -> Path:
    """Let the lock have a sealed prefix with programs that say where they are; return its path."""
    prefix = Prefix(toolbox.store.prefix_path(lock), lock)
    fake_prefix(prefix.path, *(programs or ("tool",)))
    with prefix.reaching(Stage.READY):
        keep_list(prefix.path)
    return prefix.path


def pretend_proven(
    lock: Lock,
    toolbox: Tools,
    *,
    names: Collection[str] = tuple(CHECKS),
    status: Status = "passed",
    image: str | None = None,
) -> None:
    """Record that checks have said that about the lock, or about an image of it."""
    for name in names:
        detail, inputs = (
            f"{name} is {status}",
            check_inputs(name, lock, toolbox.project, toolbox.store),
        )
        path = toolbox.store.log_path(lock.digest, name)
        write_atomically(path, f"{detail}\n")
        log = path.relative_to(toolbox.store.local_home).as_posix()
        evidence = Evidence(name, status, MOMENT, 0.1, detail, log, image=image, inputs=inputs)
        toolbox.store.record(lock.digest, evidence)


def pretend_packed(
    lock: Lock,
    toolbox: Tools,
    *,
    seed: int = 1,
    proven: bool = True,
    labelled: Lock | None = None,
) -> ImageRecord:
    """Let the lock have a small image, and evidence that it works.

    Its label names the lock, or `labelled`.
    """
    images = ImageStore(toolbox.store)
    name = f"{lock.target.environment}-{lock.target.python}"
    layer = random_layer(images.layout, 2_000, seed)
    manifest = make_image(images.layout, [layer], name, {LOCK_DIGEST: (labelled or lock).digest})
    record = ImageRecord(name, manifest, "a base", (), (layer,), (), MOMENT)
    images.record(record, lock.digest)
    if proven:
        pretend_proven(lock, toolbox, names=IMAGE_CHECKS, image=record.digest)
    return record


def lose_image(lock: Lock, toolbox: Tools) -> None:
    """Let the lock's image be collected."""
    images = ImageStore(toolbox.store)
    record = images.image(lock.digest)
    assert record is not None
    (toolbox.store.local_home / "images" / f"{lock.digest.removeprefix('sha256:')}.json").unlink()
    Layout(images.layout.path).blob_path(record.digest).unlink()


def prepare(lock: Lock, toolbox: Tools) -> Path:
    """Make a lock the current one, built and proven; return its prefix."""
    keep_current(lock, toolbox)
    prefix = pretend_built(lock, toolbox)
    pretend_proven(lock, toolbox)
    return prefix
