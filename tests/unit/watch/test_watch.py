from __future__ import annotations

from dataclasses import replace
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from elt_env.lock.releases import News
from elt_env.lockfile.changes import compare
from elt_env.watch.state import (
    TRIES,
    Ask,
    Cursor,
    LostPackage,
    RunEnd,
    Sight,
    TargetState,
    listed,
    read_cursor,
    settled,
    shortened,
    trigger_text,
)
from tests.support.locks import conda_package, lock_of, pip_package

_ASK = Ask("sha256:1", "build", "3.11", "dagster 1.0 → 1.1", "sha256:1", ("dagster",))


def _news(name: str, version: str, *, reason: str = "") -> News:
    return News(name, "1.0", version, None, usable=not reason, reason=reason)


_news_of_anything = st.builds(
    _news, st.sampled_from(["alpha", "beta", "gamma"]), st.sampled_from(["1.1", "2.0", "3.0"])
)
_lost = st.builds(
    LostPackage,
    st.sampled_from(["alpha", "beta"]),
    st.just("1.0"),
    st.sampled_from(["was yanked", "is gone"]),
    st.sampled_from([("current",), ("released",), ("current", "released")]),
)
_memories = st.builds(
    TargetState,
    st.text(max_size=5),
    st.text(max_size=5),
    st.none() | st.builds(replace, st.just(_ASK), trigger=st.text(max_size=5)),
)


@given(st.lists(_news_of_anything), st.lists(_lost), st.randoms())
def test_a_fingerprint_knows_what_counts_and_no_order(
    usable: list[News], lost: list[LostPackage], random: Random
) -> None:
    one = Sight("2 packages", tuple(usable), (), tuple(lost))
    random.shuffle(usable)
    random.shuffle(lost)
    ignored = (_news("delta", "9", reason="9 is a pre-release"),)
    other = Sight("3 packages", tuple(usable), ignored, tuple(lost))
    assert one.fingerprint("lock", "spec") == other.fingerprint("lock", "spec")
    assert one.fingerprint("lock", "spec") != one.fingerprint("lock", "other spec")
    more = replace(one, usable=(*one.usable, _news("delta", "2.0")))
    assert more.fingerprint("lock", "spec") != one.fingerprint("lock", "spec")


def test_what_is_to_move_has_news_or_was_lost_by_the_current_lock() -> None:
    sight = Sight(
        "4 packages",
        usable=(_news("beta", "2.0"), _news("beta", "1.1"), _news("alpha", "1.1")),
        lost=(
            LostPackage("gamma", "1.0", "was yanked", ("current", "released")),
            LostPackage("delta", "1.0", "was yanked", ("released",)),
        ),
    )
    assert sight.upgrade == ("alpha", "beta", "gamma")
    assert sight.found == (
        "gamma 1.0 was yanked, delta 1.0 was yanked (in the released lock), beta 1.0 → 2.0 "
        "and 1 more"
    )


def test_what_does_not_count_is_listed_with_its_reason() -> None:
    reasons = [_news(name, "2.0", reason="2.0 is a pre-release") for name in "abcde"]
    assert Sight("5 packages", ignored=tuple(reasons)).ignored_text() == (
        "a: 2.0 is a pre-release; b: 2.0 is a pre-release; c: 2.0 is a pre-release and 2 more"
    )
    assert not Sight("5 packages").ignored_text()


@given(st.dictionaries(st.text(max_size=5), _memories, max_size=3), st.lists(st.text(max_size=3)))
def test_a_cursor_comes_back_as_it_was(targets: dict[str, TargetState], late: list[str]) -> None:
    cursor = Cursor(targets, tuple(late))
    assert read_cursor(cursor.to_json()) == (cursor, "")


@pytest.mark.parametrize(
    ("text", "note"),
    [
        (None, ""),
        ("", ""),
        ("{", "the cursor could not be read, starting anew"),
        ('{"targets": {"elt@3.11": 5}}', "the cursor could not be read, starting anew"),
        ('{"version": 7}', "the cursor is of version 7, starting anew"),
    ],
)
def test_a_cursor_that_cannot_be_used_starts_anew_and_says_so(text: str | None, note: str) -> None:
    assert read_cursor(text) == (Cursor(), note)


def test_a_cursor_remembers_each_target_by_itself() -> None:
    cursor = (
        Cursor().with_memory("elt@3.11", TargetState("1")).with_memory("elt@3.12", TargetState("2"))
    )
    cursor = cursor.with_memory("elt@3.11", TargetState("3"))
    names = ("elt@3.11", "elt@3.12", "elt@3.13")
    assert [cursor.of(name).fingerprint for name in names] == ["3", "2", ""]


_LOST = RunEnd("1a2b3c4d", "lost", "the index did not answer")


@pytest.mark.parametrize(
    ("ends", "failed", "what"),
    [
        ([], (), None),
        ([RunEnd("1a2b3c4d", "succeeded")], (), ""),
        ([_LOST], (), None),
        ([_LOST] * (TRIES - 1), (), None),
        ([_LOST, RunEnd("5e", "succeeded")], (), ""),
        (
            [_LOST] * TRIES,
            (),
            "run 1a2b3c4d for dagster 1.0 → 1.1 failed: the index did not answer, after 3 tries",
        ),
        (
            [RunEnd("1a2b3c4d", "cancelled")],
            (),
            "run 1a2b3c4d for dagster 1.0 → 1.1 was cancelled",
        ),
        (
            [RunEnd("1a2b3c4d", "failed", "no space")],
            (),
            "run 1a2b3c4d for dagster 1.0 → 1.1 failed: no space",
        ),
        (
            [RunEnd("1a2b3c4d", "failed", "a step")],
            ("imports", "pip_check"),
            "the lock for dagster 1.0 → 1.1 failed imports, pip_check",
        ),
    ],
)
def test_what_came_of_a_run_decides_whether_it_is_asked_for_again(
    ends: list[RunEnd], failed: tuple[str, ...], what: str | None
) -> None:
    told = settled(_ASK, ends, failed)
    assert told == (what and f"{what}; it is not tried again until something changes")


def test_a_trigger_names_what_a_person_asked_for_first() -> None:
    old = lock_of(pip_package("alpha"), pip_package("beta"), pip_package("zeta", requested=True))
    new = lock_of(
        pip_package("alpha", "2.0"),
        pip_package("delta"),
        pip_package("zeta", "1.1", requested=True),
    )
    sight = Sight("3 packages", (_news("zeta", "1.1"), _news("alpha", "2.0")))
    assert trigger_text(compare(old, new), sight) == "zeta 1.0 → 1.1 and 3 more"


def test_a_trigger_names_what_has_news_before_what_follows_from_it() -> None:
    old = lock_of(pip_package("alpha"), pip_package("beta"))
    new = lock_of(pip_package("alpha", "2.0"), pip_package("beta", "1.1"))
    sight = Sight("2 packages", (_news("beta", "1.1"),))
    assert trigger_text(compare(old, new), sight) == "beta 1.0 → 1.1 and 1 more"


def test_a_trigger_says_that_something_was_yanked() -> None:
    old = lock_of(pip_package("alpha", requested=True), pip_package("beta", "2.0"))
    new = lock_of(pip_package("alpha", "2.0", requested=True), pip_package("beta", "1.0"))
    lost = LostPackage("beta", "2.0", "was yanked (loses rows)", ("current",))
    text = trigger_text(
        compare(old, new), Sight("2 packages", (_news("alpha", "2.0"),), (), (lost,))
    )
    assert text == "beta 2.0 was yanked (loses rows): beta 2.0 → 1.0 and 1 more"


def test_a_trigger_says_what_came_or_went_or_changed_hands() -> None:
    alpha, sight = pip_package("alpha"), Sight("1 package")
    nothing = lock_of()
    assert trigger_text(compare(nothing, lock_of(alpha)), sight) == "alpha 1.0 (added)"
    assert trigger_text(compare(lock_of(alpha), nothing), sight) == "alpha 1.0 (removed)"
    conda = lock_of(conda_package("alpha"))
    assert "(moved)" in trigger_text(compare(lock_of(alpha), conda), sight)


@given(st.text(max_size=400))
def test_a_line_is_one_line_and_not_too_long(text: str) -> None:
    line = shortened(text)
    assert len(line) <= 200
    assert len(line.splitlines()) <= 1
    assert shortened(line) == line


@pytest.mark.parametrize(
    ("count", "text"), [(0, ""), (1, "0"), (3, "0, 1, 2"), (5, "0, 1, 2 and 2 more")]
)
def test_a_list_says_how_many_it_leaves_out(count: int, text: str) -> None:
    assert listed(map(str, range(count))) == text
