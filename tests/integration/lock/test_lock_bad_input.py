"""Locks that cannot be made: said in one message, and nothing half-made or lost."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from elt_env.errors import (
    ChannelUnreachableError,
    CondaUnsatisfiableError,
    IndexUnreachableError,
    IntegrityError,
    PipConflictError,
    PolicyError,
    StorageError,
)
from elt_env.lock.make import lock
from elt_env.machine.platform import target_here
from tests.support.index_server import dead_url
from tests.support.locking import (
    CONDA,
    PIP,
    Scene,
    lock_example,
    target_of,
)


def test_only_what_is_locked_can_be_upgraded(filled: Scene) -> None:
    lock_example(filled)
    with pytest.raises(PolicyError, match=r"'nope' is not in the lock of elt@3\.11") as caught:
        lock_example(filled, upgrade=("click", "nope"))
    assert caught.value.exit_code == 2
    assert "elt-env show elt@3.11 --packages" in caught.value.remedy


def test_a_python_that_the_policy_does_not_list(scene: Scene) -> None:
    toolbox = scene.toolbox(conda=CONDA)
    with pytest.raises(PolicyError, match=r"Python 3\.12 is not listed for 'elt'"):
        lock(target_here("elt", "3.12"), toolbox, print)


def test_an_index_without_upload_times(scene: Scene) -> None:
    scene.offer_pip("tool", "1.0")
    scene.index.fault = "no-upload-times"
    with pytest.raises(PipConflictError, match=r"1\.0 has no upload time"):
        scene.lock(pip=["tool"])
    made = scene.lock(pip=["tool"], policy={"cooldown": "0"})
    assert made.lock.package("pip", "tool").released_at is None


def test_credentials_are_written_nowhere(filled: Scene) -> None:
    filled.index.fault = "refuse-auth"
    filled.index_url = filled.index.url_with_credentials
    locked = lock_example(filled)
    assert locked.lock.indexes == (filled.index.url,)
    _, password = filled.index.credentials
    home = filled.root / "project" / ".elt_env"
    texts = [each.read_bytes() for each in home.rglob("*") if each.is_file()]
    assert len(texts) > 5
    assert not [each for each in texts if password.encode() in each]
    assert password not in f"{filled.told} {locked}"
    filled.index_url = filled.index.url.replace("://", "://reader:wrong-guess@")
    with pytest.raises(IndexUnreachableError, match="credentials") as caught:
        lock_example(filled, upgrade=None)
    assert "wrong-guess" not in f"{caught.value} {filled.told}"


def _break_channel(scene: Scene) -> dict[str, Any]:
    scene.channel_url = dead_url()
    return {}


def _break_index(scene: Scene) -> dict[str, Any]:
    scene.index.fault = "html-nonsense"
    return {"upgrade": None}


def _ask_conda_for_too_much(scene: Scene) -> dict[str, Any]:
    del scene
    return {"conda": ["pandas>=9"]}


@pytest.mark.parametrize(
    ("breaks", "error"),
    [
        (_break_channel, ChannelUnreachableError),
        (_break_index, IndexUnreachableError),
        (_ask_conda_for_too_much, CondaUnsatisfiableError),
    ],
)
def test_a_failure_leaves_the_lock_as_it_was(
    filled: Scene, breaks: Callable[[Scene], dict[str, Any]], error: type[Exception]
) -> None:
    made = lock_example(filled)
    options = breaks(filled)
    with pytest.raises(error):
        lock_example(filled, **options)
    toolbox = filled.toolbox(conda=CONDA, pip=PIP)
    assert toolbox.store.current_lock(made.lock.target) == made.lock
    assert len(list(Path(made.path).parent.iterdir())) == 1


def test_a_disk_without_space_holds_no_half_of_a_lock(filled: Scene, no_space: Path) -> None:
    toolbox = filled.toolbox(conda=CONDA, pip=PIP, policy={"home": str(no_space / "home")})
    (no_space / "filler").write_bytes(bytes(256 * 1024))
    with pytest.raises(StorageError, match="No space left"):
        filled.lock_with(toolbox)
    assert toolbox.store.current_lock(target_of(toolbox)) is None
    (no_space / "filler").unlink()


def test_a_store_that_cannot_be_written(filled: Scene, unwritable: Path) -> None:
    home = {"home": str(unwritable / "home")}
    with pytest.raises(StorageError, match="cannot be written"):
        lock_example(filled, policy=home)


def test_a_lock_changed_by_hand_is_not_built_upon(filled: Scene) -> None:
    made = lock_example(filled)
    manifest = Path(made.path) / "lock.json"
    manifest.write_text(manifest.read_text().replace('"8.0"', '"8.1"'))
    with pytest.raises(IntegrityError, match="changed by hand") as caught:
        lock_example(filled)
    assert "elt-env relock elt@3.11" in caught.value.remedy
    again = lock_example(filled, upgrade=None)
    assert again.lock.digest == made.lock.digest
    assert "WARNING" in filled.told
    assert lock_example(filled).kept
