"""Evidence that was edited, damaged, copied or forged releases nothing."""

from __future__ import annotations

import json
import os
import secrets
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from elt_env.errors import PolicyError, ProofError
from elt_env.machine.process import Say
from elt_env.package.canonical import digest_of
from elt_env.proof.checks.image import IMAGE_CHECKS
from elt_env.proof.proof import examine
from elt_env.proof.prove import Finding, Prover
from elt_env.release.promote import promote
from elt_env.release.store import ReleaseStore
from elt_env.report.show import show
from elt_env.store.evidence import Evidence
from elt_env.store.locks import Store
from elt_env.tools import Tools
from tests.support.locks import CHANNEL, INDEX, MOMENT, lock_of, pip_package, python_package
from tests.support.project import make_project, toolbox_of
from tests.support.proving import (
    keep_current,
    prepare,
    pretend_built,
    pretend_packed,
    pretend_proven,
    prove,
)
from tests.support.said import Said
from tests.support.sample import silent

_A, _B = (lock_of(python_package(), pip_package("alpha", f"1.{n}")) for n in range(2))
_TARGET = _A.target
_CHECK = "imports"


def project_at(root: Path, **policy: str) -> Tools:
    keys = {key.replace("_", "-"): value for key, value in policy.items()}
    return toolbox_of(make_project(root, channels=[CHANNEL], index=INDEX, policy=keys))


def record_path(toolbox: Tools, digest: str, check: str = _CHECK) -> Path:
    return toolbox.store.local_home / "evidence" / digest.removeprefix("sha256:") / f"{check}.json"


def rewrite(path: Path, **changes: object) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def refused(toolbox: Tools, **options: Any) -> ProofError:
    with pytest.raises(ProofError) as raised:
        promote(_TARGET, toolbox, silent, trigger="", by="a test", **options)
    assert ReleaseStore(toolbox.store).current(_TARGET.name) is None
    return raised.value


@pytest.fixture
def toolbox(tmp_path: Path) -> Tools:
    """A project with two locks: the current one is proven, but for one check that failed."""
    toolbox = project_at(tmp_path / "project")
    for lock in (_A, _B):
        prepare(lock, toolbox)
    pretend_proven(_B, toolbox, names=[_CHECK], status="failed")
    return toolbox


def edited(toolbox: Tools) -> None:
    rewrite(record_path(toolbox, _B.digest), status="passed")


def edited_as_text(toolbox: Tools) -> None:
    path = record_path(toolbox, _B.digest)
    path.write_text(path.read_text().replace("failed", "passed"))


def copied_from_another_lock(toolbox: Tools) -> None:
    shutil.copy(record_path(toolbox, _A.digest), record_path(toolbox, _B.digest))


def copied_from_another_check(toolbox: Tools) -> None:
    shutil.copy(
        record_path(toolbox, _B.digest, "pip_check"), record_path(toolbox, _B.digest, _CHECK)
    )


def of_an_earlier_version(toolbox: Tools) -> None:
    path = record_path(toolbox, _B.digest)
    content = json.loads(path.read_text())
    for name in ("digest", "lock", "log_digest"):
        del content[name]
    path.write_text(json.dumps(content | {"status": "passed"}))


@pytest.mark.parametrize(
    "change",
    [
        edited,
        edited_as_text,
        copied_from_another_lock,
        copied_from_another_check,
        of_an_earlier_version,
    ],
    ids=lambda each: each.__name__,
)
def test_a_record_that_is_not_as_it_was_written_releases_nothing(
    change: Callable[[Tools], None], toolbox: Tools
) -> None:
    change(toolbox)
    error = refused(toolbox)
    assert f"{_CHECK} does not hold: its record {record_path(toolbox, _B.digest)}" in error.problem
    assert f"elt-env doctor {_TARGET.name} --check {_CHECK}" in error.remedy
    shown = {each["check"]: each for each in show(_TARGET, toolbox.store).to_json()["evidence"]}
    assert shown[_CHECK]["status"] == "not_run"
    assert "its record" in shown[_CHECK]["detail"]

    pretend_proven(_B, toolbox, names=[_CHECK])
    assert promote(_TARGET, toolbox, silent, trigger="", by="a test").release.digest == _B.digest


@pytest.mark.parametrize("change", ["edited", "gone"])
def test_a_log_that_is_not_as_it_was_written_releases_nothing(change: str, toolbox: Tools) -> None:
    pretend_proven(_B, toolbox, names=[_CHECK])
    [evidence] = (each for each in toolbox.store.evidence(_B.digest) if each.check == _CHECK)
    log = toolbox.store.local_home / evidence.log
    log.unlink() if change == "gone" else log.write_text("all is well\n")
    assert f"{_CHECK} does not hold" in (problem := refused(toolbox).problem)
    assert str(log) in problem


@pytest.mark.parametrize("field", list(Evidence.__dataclass_fields__))
def test_no_field_of_a_record_can_be_edited(field: str, toolbox: Tools) -> None:
    pretend_proven(_B, toolbox, names=[_CHECK])
    path = record_path(toolbox, _B.digest)
    if field == "doubt":
        assert field not in json.loads(path.read_text())
    values = {"check": "pip_check", "status": "warned", "at": "2031-01-01T00:00:00Z", "seconds": 9}
    values |= {"counts": {"x": 1}, "inputs": {}, "table": {"name": "a", "columns": [], "rows": []}}
    rewrite(path, **{field: values.get(field, "another")})
    assert f"{_CHECK} does not hold" in refused(toolbox).problem


def test_to_accept_that_a_check_did_not_run_is_not_to_accept_an_edited_record(
    tmp_path: Path,
) -> None:
    own = {"accept-not-run": [_CHECK]}
    toolbox = toolbox_of(make_project(tmp_path, channels=[CHANNEL], index=INDEX, environment=own))
    prepare(_B, toolbox)
    pretend_proven(_B, toolbox, names=[_CHECK], status="failed")
    edited(toolbox)
    assert f"{_CHECK} does not hold" in refused(toolbox).problem


def test_the_same_of_the_evidence_on_an_image(toolbox: Tools) -> None:
    pretend_proven(_B, toolbox, names=[_CHECK])
    image = pretend_packed(_B, toolbox)
    name = next(iter(IMAGE_CHECKS))
    pretend_proven(_B, toolbox, names=[name], status="failed", image=image.digest)
    rewrite(record_path(toolbox, _B.digest, name), status="passed")
    error = refused(toolbox)
    assert f"{name} does not hold" in error.problem
    assert f"elt-env image {_TARGET.name}" in error.remedy


def checked(toolbox: Tools, log: str, say: Say = silent, *, again: bool = False) -> Evidence:
    """Run a check that passes with that log, and return its evidence."""
    finding = Finding("passed", f"saw {log}", log)
    return Prover({_CHECK: lambda *_: finding}, _B, toolbox, say, again).attempt(_CHECK)


def kept(toolbox: Tools) -> Evidence:
    [found] = (each for each in toolbox.store.evidence(_B.digest) if each.check == _CHECK)
    return found


def test_a_check_whose_record_was_edited_is_run_again(toolbox: Tools) -> None:
    first = checked(toolbox, "first")
    assert checked(toolbox, "second") == first
    rewrite(record_path(toolbox, _B.digest), detail="another")
    said = Said()
    assert checked(toolbox, "second", said).detail == "saw second"
    assert any("was changed after it was written" in line for line in said)


def test_a_run_that_ends_between_its_log_and_its_record_takes_nothing_back(
    toolbox: Tools, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = checked(toolbox, "first")

    def end(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Store, "record", end)
        with pytest.raises(KeyboardInterrupt):
            checked(toolbox, "second", again=True)
    assert kept(toolbox) == first

    third = checked(toolbox, "third", again=True)
    assert kept(toolbox) == third
    assert (toolbox.store.local_home / third.log).read_text() == "third\n"
    assert not (toolbox.store.local_home / first.log).exists()


def test_readers_beside_a_check_that_runs_again_and_again_see_no_doubt(toolbox: Tools) -> None:
    pretend_proven(_B, toolbox)
    checked(toolbox, "0", again=True)
    with ThreadPoolExecutor() as pool:
        writing = pool.submit(lambda: [checked(toolbox, str(n), again=True) for n in range(50)])
        while not writing.done():
            assert [each.doubt for each in toolbox.store.evidence(_B.digest) if each.doubt] == []
        assert len(writing.result()) == 50


# With a key


@pytest.fixture
def key(tmp_path: Path) -> Path:
    path = tmp_path / "evidence.key"
    path.write_text(secrets.token_hex(32) + "\n")
    path.chmod(0o600)
    return path


@pytest.fixture
def signed(tmp_path: Path, key: Path) -> Tools:
    """A project that signs its evidence, with a lock that is proven."""
    toolbox = project_at(tmp_path / "project", evidence_key=str(key))
    prepare(_B, toolbox)
    return toolbox


def forge(toolbox: Tools) -> None:
    """Write a record, and the digest of it, as somebody does who has read the source."""
    path = record_path(toolbox, _B.digest)
    content = json.loads(path.read_text()) | {"status": "passed"}
    said = {name: each for name, each in content.items() if name not in ("digest", "signature")}
    path.write_text(json.dumps(content | {"digest": digest_of(said)}))


def test_what_is_signed_is_released(signed: Tools) -> None:
    assert examine(_B, signed.project, signed.store).lacks == ()
    assert promote(_TARGET, signed, silent, trigger="", by="a test").release.digest == _B.digest


def test_nobody_without_the_key_writes_evidence_that_holds(signed: Tools) -> None:
    pretend_proven(_B, signed, names=[_CHECK], status="failed")
    forge(signed)
    assert "not signed with the evidence-key" in refused(signed).problem
    path = record_path(signed, _B.digest)
    content = json.loads(path.read_text())
    del content["signature"]
    path.write_text(json.dumps(content))
    assert "is not signed, and the policy has an evidence-key" in refused(signed).problem


def test_without_a_key_the_digest_is_against_accidents_alone(toolbox: Tools) -> None:
    """As docs/security.md says: somebody with write access to the store can forge it."""
    forge(toolbox)
    assert promote(_TARGET, toolbox, silent, trigger="", by="a test").release.digest == _B.digest


def test_evidence_from_before_the_key_and_of_another_key_does_not_hold(
    tmp_path: Path, key: Path
) -> None:
    unsigned = project_at(tmp_path / "project")
    prepare(_B, unsigned)
    signed = project_at(tmp_path / "project", evidence_key=str(key))
    assert "is not signed" in refused(signed).problem
    pretend_proven(_B, signed)
    assert examine(_B, signed.project, signed.store).lacks == ()
    key.write_text(secrets.token_hex(32))
    assert "not signed with the evidence-key" in refused(signed).problem


def test_the_key_in_a_variable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    secret = secrets.token_hex(32)
    toolbox = project_at(tmp_path / "project", evidence_key="${THE_KEY}")
    keep_current(_B, toolbox)
    pretend_built(_B, toolbox)
    with pytest.raises(PolicyError, match="THE_KEY, which is not set"):
        pretend_proven(_B, toolbox)
    with pytest.raises(PolicyError, match="THE_KEY, which is not set"):
        prove("isolation", _B, toolbox, silent)
    with pytest.raises(PolicyError, match="THE_KEY, which is not set"):
        examine(_B, toolbox.project, toolbox.store)
    monkeypatch.setenv("THE_KEY", secret)
    pretend_proven(_B, toolbox)
    promote(_TARGET, toolbox, silent, trigger="", by="a test")

    # Who only reads needs none, and does not take for proven what cannot be told.
    monkeypatch.delenv("THE_KEY")
    shown = show(_TARGET, toolbox.store)
    assert {each.status for each in shown.evidence} == {"not_run"}
    assert "cannot be checked" in shown.evidence[0].detail


def in_the_store(key: Path, toolbox: Tools) -> Path:
    return Path(shutil.move(key, toolbox.store.local_home / "evidence.key"))


def linked_from_outside(key: Path, toolbox: Tools) -> Path:
    inside = in_the_store(key, toolbox)
    key.symlink_to(inside)
    return key


def short(key: Path, toolbox: Tools) -> Path:
    del toolbox
    key.write_text("secret")
    return key


def gone(key: Path, toolbox: Tools) -> Path:
    del toolbox
    key.unlink()
    return key


def a_pipe(key: Path, toolbox: Tools) -> Path:
    del toolbox
    key.unlink()
    os.mkfifo(key)
    return key


def everybody_s(key: Path, toolbox: Tools) -> Path:
    del toolbox
    key.chmod(0o644)
    return key


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (in_the_store, "is in the store"),
        (linked_from_outside, "is in the store"),
        (short, "has 6 bytes"),
        (gone, "cannot be read: No such file"),
        (a_pipe, "it is a pipe"),
        (everybody_s, "every user of this machine"),
    ],
    ids=lambda each: each if isinstance(each, str) else each.__name__,
)
def test_a_key_that_protects_nothing_is_refused(
    fault: Callable[[Path, Tools], Path], said: str, signed: Tools, key: Path
) -> None:
    place = fault(key, signed)
    toolbox = project_at(signed.project.root, evidence_key=str(place))
    with pytest.raises(PolicyError, match=said) as raised:
        promote(_TARGET, toolbox, silent, trigger="", by="a test")
    assert "secret" not in raised.value.problem


def test_a_key_in_place_of_its_place_is_refused_and_not_shown(tmp_path: Path) -> None:
    secret = secrets.token_hex(32)
    with pytest.raises(PolicyError, match="evidence-key") as raised:
        project_at(tmp_path, evidence_key=secret)
    assert secret not in str(raised.value)
    assert "'${NAME}'" in raised.value.problem


def test_the_key_reaches_neither_the_store_nor_what_is_said(signed: Tools, key: Path) -> None:
    secret = key.read_text().strip()
    said = Said()
    checked(signed, f"a program that found {secret}", said, again=True)
    assert "***" in kept(signed).detail
    assert secret not in "\n".join(said)
    for path in signed.store.local_home.rglob("*"):
        if path.is_file():
            assert secret.encode() not in path.read_bytes()


def test_records_with_and_without_a_log_are_read_as_they_were_written(tmp_path: Path) -> None:
    store = Store(tmp_path)
    evidence = Evidence("imports", "warned", MOMENT, 1.5, "ä\n", counts={"a": 1}, inputs={"x": "y"})
    store.record(_B.digest, evidence)
    assert store.evidence(_B.digest) == (evidence,)
