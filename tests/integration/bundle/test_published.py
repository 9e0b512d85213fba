"""Bundles in a store: who may have signed one that is taken from there."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from elt_env.bundle.published import publish_bundle, take_bundle
from elt_env.errors import IntegrityError
from elt_env.lockfile.document import Lock
from elt_env.store.locks import Store
from elt_env.tools import Tools
from tests.support.locking import Scene
from tests.support.sample import silent

pytestmark = pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="needs OpenSSH")


def _key(place: Path, name: str) -> Path:
    command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(place / name)]
    subprocess.run(command, check=True, timeout=30, stdin=subprocess.DEVNULL)
    return place / name


@pytest.fixture
def tools(scene: Scene) -> Tools:
    scene.offer_pip("tool", "1.0")
    return scene.toolbox(pip=["tool"], policy={"cooldown": "0"})


@pytest.fixture
def lock(scene: Scene, tools: Tools) -> Lock:
    return scene.lock_with(tools).lock


def _with(tools: Tools, **policy: str) -> Tools:
    changed = tools.project.policy.model_copy(update=policy)
    return replace(tools, project=replace(tools.project, policy=changed))


@pytest.fixture
def follower(tools: Tools, tmp_path: Path) -> Tools:
    """Who takes bundles, of those alone that `ops` signed."""
    signers = tmp_path / "allowed_signers"
    signers.write_text(f"ops {_key(tmp_path, 'ops').with_suffix('.pub').read_text()}")
    told = _with(tools, bundle_signers=str(signers))
    return replace(told, store=Store(tmp_path / "follower"))


def test_one_that_nobody_signed_is_refused_until_it_is_signed(
    tools: Tools, follower: Tools, lock: Lock, tmp_path: Path
) -> None:
    publish_bundle(lock, tools, silent)
    with pytest.raises(IntegrityError, match="has no signature"):
        take_bundle(lock, tools.store, follower, silent)
    publish_bundle(lock, tools, silent, tmp_path / "ops")
    said: list[str] = []
    assert take_bundle(lock, tools.store, follower, lambda line, *_: said.append(line))
    assert "bundle: signed by ops" in said
    said.clear()
    publish_bundle(lock, tools, lambda line, *_: said.append(line), tmp_path / "ops")
    assert len(said) == 1
    assert said[0].endswith(f"{lock.digest[7:]}.tar is there already")


def test_one_that_another_one_signed_is_refused(
    tools: Tools, follower: Tools, lock: Lock, tmp_path: Path
) -> None:
    publish_bundle(lock, _with(tools, bundle_key=str(_key(tmp_path, "dev"))), silent)
    with pytest.raises(IntegrityError, match="is not signed by anybody"):
        take_bundle(lock, tools.store, follower, silent)
    assert take_bundle(lock, tools.store, replace(tools, store=follower.store), silent)
