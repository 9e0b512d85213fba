"""Promotion of locks that count as built and proven."""

from __future__ import annotations

from pathlib import Path

import pytest

from elt_env.errors import InputError, PolicyError, ProofError, ToolError
from elt_env.lockfile.document import Lock
from elt_env.proof.checks import CHECKS, SMOKE_CHECKS
from elt_env.proof.proof import examine
from elt_env.release.move import MoveResult
from elt_env.release.promote import promote
from elt_env.release.store import ReleaseStore
from elt_env.tools import Tools
from tests.support.locks import lock_of, pip_package, python_package
from tests.support.proving import (
    keep_current,
    prepare,
    pretend_built,
    pretend_packed,
    pretend_proven,
    toolbox_at,
)
from tests.support.releases import a_release

pytestmark = pytest.mark.usefixtures("unsynced")

_LOCK = lock_of(python_package(), pip_package("alpha", "1.0"))
_NEXT = lock_of(python_package(), pip_package("alpha", "1.1"))
_TARGET = _LOCK.target
_APPLY = tuple(name for name in CHECKS if name not in SMOKE_CHECKS)


@pytest.fixture
def toolbox(tmp_path: Path) -> Tools:
    return toolbox_at(tmp_path)


def move(toolbox: Tools, lock: Lock | None = None, *, unasked: bool = False) -> MoveResult:
    digest = lock.digest if lock else None
    return promote(
        *(_TARGET, toolbox, print),
        digest=digest,
        unasked=unasked,
        trigger="a reason",
        by="a test",
    )


def released(toolbox: Tools) -> str | None:
    release = ReleaseStore(toolbox.store).current(_TARGET.name)
    return release.digest if release else None


def test_a_proven_lock_becomes_the_release(toolbox: Tools) -> None:
    prefix = prepare(_LOCK, toolbox)
    moved = move(toolbox)
    release = moved.release
    assert (moved.before, moved.kept) == (None, "")
    assert (release.number, release.target, release.digest) == (1, _TARGET.name, _LOCK.digest)
    assert (release.action, release.trigger, release.by) == ("promoted", "a reason", "a test")
    assert release.image is None
    assert release.evidence == dict.fromkeys(_APPLY, "passed")
    releases = ReleaseStore(toolbox.store)
    assert releases.current(_TARGET.name) == release
    assert str(prefix) in (releases.entry_points(_TARGET.name) / "tool").read_text()


def test_the_next_one_is_the_next_number(toolbox: Tools) -> None:
    prepare(_LOCK, toolbox)
    first = move(toolbox).release
    prepare(_NEXT, toolbox)
    moved = move(toolbox)
    assert moved.before == first
    assert (moved.release.number, released(toolbox)) == (2, _NEXT.digest)


def test_what_is_the_release_already_is_kept(
    toolbox: Tools, capsys: pytest.CaptureFixture[str]
) -> None:
    prepare(_LOCK, toolbox)
    first = move(toolbox).release
    again = move(toolbox)
    assert (again.release, again.before) == (first, first)
    assert again.kept
    assert len(ReleaseStore(toolbox.store).history(_TARGET.name)) == 1
    assert "it is the release already" in capsys.readouterr().out


def test_a_lock_that_is_not_the_current_one_can_be_named(toolbox: Tools) -> None:
    prepare(_LOCK, toolbox)
    prepare(_NEXT, toolbox)
    assert move(toolbox, _LOCK).release.digest == _LOCK.digest


# What is missing


def test_without_a_lock_or_a_prefix(toolbox: Tools) -> None:
    with pytest.raises(InputError, match=r"no lock of elt@3\.11"):
        move(toolbox)
    keep_current(_LOCK, toolbox)
    pretend_proven(_LOCK, toolbox)
    with pytest.raises(ToolError, match="nothing to promote") as raised:
        move(toolbox)
    assert "elt-env build elt@3.11" in raised.value.remedy


def test_a_refusal_names_every_check_and_what_to_do(toolbox: Tools) -> None:
    prepare(_LOCK, toolbox)
    move(toolbox)
    keep_current(_NEXT, toolbox)
    pretend_built(_NEXT, toolbox)
    pretend_packed(_NEXT, toolbox, proven=False)
    pretend_proven(_NEXT, toolbox, names=_APPLY[3:])
    pretend_proven(_NEXT, toolbox, names=["imports"], status="failed")
    pretend_proven(_NEXT, toolbox, names=["isolation"], status="not_run")
    with pytest.raises(ProofError) as raised:
        move(toolbox)
    assert raised.value.exit_code == 8
    for line in (
        "pip_check was not run",
        "mixed_managers was not run",
        "imports failed: imports is failed",
        "isolation could not run: isolation is not_run",
        "image_runs was not run",
    ):
        assert f"\n  {line}" in raised.value.problem
    for line in (
        "Change the spec and build again: elt-env build elt@3.11",
        "elt-env doctor elt@3.11 --check pip_check --check mixed_managers",
        "elt-env image elt@3.11",
        'accept-not-run = ["isolation"] in [tool.elt-env.environments.elt]',
    ):
        assert line in raised.value.remedy
    assert released(toolbox) == _LOCK.digest


def test_a_refusal_of_another_lock_says_how_to_make_it_the_current_one(toolbox: Tools) -> None:
    prepare(_LOCK, toolbox)
    toolbox.store.write_lock(_NEXT)
    pretend_built(_NEXT, toolbox)
    with pytest.raises(ProofError) as raised:
        move(toolbox, _NEXT)
    place = toolbox.store.lock_directory(_NEXT.digest)
    assert f"elt-env build elt@3.11 --lock {place}" in raised.value.remedy


def test_what_has_failed_since_it_was_released_leaves_the_release(toolbox: Tools) -> None:
    prepare(_LOCK, toolbox)
    move(toolbox)
    pretend_proven(_LOCK, toolbox, names=["imports"], status="failed")
    with pytest.raises(ProofError, match="imports failed"):
        move(toolbox)
    assert released(toolbox) == _LOCK.digest


# What is required


def test_a_smoke_check_applies_where_its_tools_are_locked(toolbox: Tools) -> None:
    for tool, check in (
        ("dbt-core", "dbt_smoke"),
        ("meltano", "meltano_smoke"),
        ("dagster", "dagster_smoke"),
    ):
        proof = examine(
            lock_of(python_package(), pip_package(tool)), toolbox.project, toolbox.store
        )
        assert set(proof.required) == {*_APPLY, check}
        assert f"{check}: elt@3.11 has no {tool}" not in proof.aside
        assert len(proof.aside) == 2
    nothing = examine(lock_of(python_package()), toolbox.project, toolbox.store).aside
    assert "dagster_smoke: elt@3.11 has no dagster" in nothing


def test_the_checks_on_an_image_apply_where_there_is_one(toolbox: Tools) -> None:
    prepare(_LOCK, toolbox)
    image = pretend_packed(_LOCK, toolbox, proven=False)
    with pytest.raises(ProofError, match="image_runs was not run"):
        move(toolbox)
    pretend_packed(_LOCK, toolbox)
    moved = move(toolbox)
    assert moved.release.image == image.digest
    assert moved.release.evidence["image_runs"] == "passed"


def test_evidence_on_another_image_does_not_count(toolbox: Tools) -> None:
    prepare(_LOCK, toolbox)
    pretend_packed(_LOCK, toolbox, seed=1)
    pretend_packed(_LOCK, toolbox, seed=2, proven=False)
    with pytest.raises(ProofError, match="image_runs was not run on this image"):
        move(toolbox)


def test_a_new_image_of_the_released_lock_is_a_release(toolbox: Tools) -> None:
    prepare(_LOCK, toolbox)
    assert move(toolbox).release.image is None
    image = pretend_packed(_LOCK, toolbox)
    moved = move(toolbox)
    assert (moved.kept, moved.release.number, moved.release.image) == ("", 2, image.digest)
    assert move(toolbox).kept


def test_what_the_policy_pushes_needs_an_image(tmp_path: Path) -> None:
    toolbox = toolbox_at(tmp_path, push="registry.example/team/elt")
    prepare(_LOCK, toolbox)
    with pytest.raises(ProofError, match="image_runs was not run") as raised:
        move(toolbox)
    assert "elt-env image elt@3.11" in raised.value.remedy
    assert released(toolbox) is None


def test_the_policy_chooses_the_checks(tmp_path: Path) -> None:
    toolbox = toolbox_at(tmp_path, required_checks=["pip_check", "console_scripts"])
    prepare(_LOCK, toolbox)
    pretend_packed(_LOCK, toolbox, proven=False)
    with pytest.raises(ProofError) as raised:
        move(toolbox)
    assert "console_scripts was not run" in raised.value.problem
    assert "image" not in raised.value.problem
    pretend_proven(_LOCK, toolbox, names=["console_scripts"])
    assert move(toolbox).release.evidence == {"pip_check": "passed", "console_scripts": "passed"}


def test_not_run_counts_where_the_policy_says_so(tmp_path: Path) -> None:
    toolbox = toolbox_at(tmp_path, accept_not_run=["isolation"])
    prepare(_LOCK, toolbox)
    pretend_proven(_LOCK, toolbox, names=["isolation"], status="not_run")
    assert move(toolbox).release.evidence["isolation"] == "not_run"


@pytest.mark.parametrize("key", ["required-checks", "accept-not-run"])
def test_a_check_that_there_is_none_of(tmp_path: Path, key: str) -> None:
    toolbox = toolbox_at(tmp_path, **{key: ["pip_check", "pip_chek"]})
    prepare(_LOCK, toolbox)
    with pytest.raises(PolicyError, match=f"'{key}' of the environment 'elt'") as raised:
        move(toolbox)
    assert "'pip_chek'" in raised.value.problem
    assert "pip_check, " in raised.value.remedy
    assert "image_runs" in raised.value.remedy


# By itself


def test_what_was_rolled_back_from_is_promoted_by_a_person_only(toolbox: Tools) -> None:
    for lock in (_LOCK, _NEXT):
        prepare(lock, toolbox)
        move(toolbox)
    releases = ReleaseStore(toolbox.store)
    back = a_release(3, "a", digest=_LOCK.digest, action="rolled back")
    releases.prepare(back, toolbox.store.prefix_path(_LOCK))
    releases.switch(back)

    left = move(toolbox, unasked=True)
    assert (left.release, left.before) == (back, back)
    assert "was rolled back from" in left.kept
    assert released(toolbox) == _LOCK.digest

    assert move(toolbox).release.digest == _NEXT.digest
    assert move(toolbox, unasked=True).kept == "it is the release already"


def test_what_was_not_rolled_back_from_is_promoted_by_itself(toolbox: Tools) -> None:
    prepare(_LOCK, toolbox)
    assert move(toolbox, unasked=True).release.digest == _LOCK.digest
    prepare(_NEXT, toolbox)
    assert move(toolbox, unasked=True).release.digest == _NEXT.digest
