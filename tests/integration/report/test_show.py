"""What is known about a target, which lock a person means, and which Python can be had."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from elt_env.cli import main
from elt_env.environment.build import ensure_prefix
from elt_env.errors import InputError, IntegrityError, PolicyError
from elt_env.lockfile.document import Lock
from elt_env.python.interpreters import list_interpreters
from elt_env.report.show import find_lock, pick_python, previous_lock, show
from elt_env.tools import Tools
from tests.support.channel import Channel
from tests.support.index_server import dead_url
from tests.support.locks import lock_of, pip_package
from tests.support.project import make_project, toolbox_of
from tests.support.proving import prove
from tests.support.sample import Sample, silent


@pytest.fixture
def toolbox(tmp_path: Path) -> Tools:
    """Tools of a project without a lock."""
    return toolbox_of(make_project(tmp_path, channels=[dead_url()], index=dead_url()))


def keep(lock: Lock, toolbox: Tools) -> Lock:
    """Make a lock the current one of its target."""
    toolbox.store.write_lock(lock)
    toolbox.store.set_current(lock.target, lock.digest, toolbox.store.now())
    return lock


def test_a_target_from_nothing_to_proven(
    sample: Sample,
    sample_lock: Lock,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    toolbox = sample.toolbox(tmp_path)
    target = sample_lock.target
    empty = show(target, toolbox.store).to_json()
    assert (empty["lock"], empty["prefix"], empty["evidence"]) == (None, None, [])

    keep(sample_lock, toolbox)
    locked = show(target, toolbox.store).to_json()
    assert locked["lock"]["digest"] == sample_lock.digest
    assert (locked["lock"]["conda"], locked["lock"]["pip"]) == (2, 2)
    assert locked["prefix"] == {
        "path": str(toolbox.store.prefix_path(sample_lock)),
        "ready": False,
    }

    ensure_prefix(sample_lock, toolbox, silent)
    evidence = prove("pip_check", sample_lock, toolbox, silent)
    monkeypatch.setenv("ELT_ENV_PROJECT", str(tmp_path))
    with pytest.raises(SystemExit) as ended:
        main(["show", target.name, "--json"])
    assert ended.value.code == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["prefix"]["ready"] is True
    assert [(each["check"], each["status"]) for each in shown["evidence"]] == [
        ("pip_check", "passed")
    ]
    assert shown["evidence"][0]["detail"] == evidence.detail
    assert shown == show(target, toolbox.store).to_json()


def test_a_lock_is_found_by_target_digest_and_directory(toolbox: Tools) -> None:
    lock = keep(lock_of(pip_package("alpha")), toolbox)
    bare = lock.digest.removeprefix("sha256:")
    directory = toolbox.store.lock_directory(lock.digest)

    for text in (lock.target.name, lock.digest, bare, bare[:12], directory):
        assert find_lock(text, toolbox.store) == lock


def test_a_relative_directory_is_found(toolbox: Tools, monkeypatch: pytest.MonkeyPatch) -> None:
    lock = keep(lock_of(), toolbox)
    directory = Path(toolbox.store.lock_directory(lock.digest))
    monkeypatch.chdir(directory.parent)
    assert find_lock(f"./{directory.name}", toolbox.store) == lock


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("elt@3.12", "no lock of elt@3.12"),
        ("elt", "'elt' is no target"),
        ("0000", "'0000' is no target"),
        ("", "'' is no target"),
        ("*", "'*' is no target"),
        ("../..", "'../..' is no target"),
        ("no/such/directory", "is no target"),
    ],
)
def test_a_lock_that_is_not_there(
    text: str, words: str, toolbox: Tools, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep(lock_of(), toolbox)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=re.escape(words)):
        find_lock(text, toolbox.store)


def test_the_start_of_several_digests(toolbox: Tools) -> None:
    # With 17 locks two start with the same of 16 digits.
    locks = [keep(lock_of(pip_package("alpha", f"1.{n}")), toolbox) for n in range(17)]
    starts = [lock.digest.removeprefix("sha256:")[0] for lock in locks]
    twice = next(each for each in starts if starts.count(each) > 1)

    with pytest.raises(InputError, match="several locks") as caught:
        find_lock(twice, toolbox.store)
    assert "a directory with a lock.json" in caught.value.remedy


def test_the_lock_before(toolbox: Tools) -> None:
    first, second, third = (lock_of(pip_package("alpha", f"1.{n}")) for n in range(3))
    target = first.target
    assert previous_lock(target, toolbox.store) is None
    keep(first, toolbox)
    assert previous_lock(target, toolbox.store) is None
    keep(second, toolbox)
    assert previous_lock(target, toolbox.store) == first
    keep(second, toolbox)
    assert previous_lock(target, toolbox.store) == first
    keep(third, toolbox)
    assert previous_lock(target, toolbox.store) == second


def test_the_lock_before_was_edited(toolbox: Tools) -> None:
    first = keep(lock_of(pip_package("alpha", "1.0")), toolbox)
    keep(lock_of(pip_package("alpha", "1.1")), toolbox)
    path = Path(toolbox.store.lock_directory(first.digest)) / "lock.json"
    path.write_text(path.read_text().replace('"1.0"', '"1.2"'))
    with pytest.raises(IntegrityError, match="changed by hand"):
        previous_lock(first.target, toolbox.store)


def python_here() -> str:
    usable, _ = list_interpreters()
    if not usable:
        pytest.skip("no Python that a conda package can be made of")
    return usable[0].minor


def picking(root: Path, channel: str, fallback: str, *pythons: str) -> str:
    project = make_project(
        root,
        channels=[channel],
        index=dead_url(),
        pythons=pythons,
        policy={"channel-fallback": fallback},
    )
    return pick_python("elt", toolbox_of(project))


def test_without_a_fallback_the_first_python_is_picked(tmp_path: Path) -> None:
    assert picking(tmp_path, dead_url(), "none", "3.98", python_here()) == "3.98"


def test_a_channel_that_answers_has_the_first_python(tmp_path: Path, channel: Channel) -> None:
    assert picking(tmp_path, channel.url, "host", "3.98", python_here()) == "3.98"


def test_without_a_channel_the_first_python_of_this_machine_is_picked(tmp_path: Path) -> None:
    here = python_here()
    assert picking(tmp_path, dead_url(), "host", here, "3.98") == here
    assert picking(tmp_path, dead_url(), "host", "3.98", "3.99", here) == here


def test_no_python_can_be_had(tmp_path: Path) -> None:
    here = python_here()
    with pytest.raises(PolicyError, match=r"3\.98, 3\.99") as caught:
        picking(tmp_path, dead_url(), "host", "3.98", "3.99")
    assert here in caught.value.problem
    assert "pythons" in caught.value.remedy
