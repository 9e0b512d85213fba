"""Each resolver under a cool-down: exceptions by name, and files without an upload time."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest

from elt_env.errors import PipConflictError
from tests.support.resolving import OLD, Shelf, ask, tell

_YOUNG = datetime(2026, 6, 1, tzinfo=timezone.utc)
_CUT = datetime(2026, 1, 1, tzinfo=timezone.utc)


@pytest.fixture
def stocked(shelf: Shelf) -> Shelf:
    """An index with `app`, which needs `lib`, which needs `base`: two of each."""
    for version, moment in (("1.0", OLD), ("2.0", _YOUNG)):
        shelf.wheel("app", version, requires=["lib"], uploaded=moment)
        shelf.wheel("lib", version, requires=["base"], uploaded=moment)
        shelf.wheel("base", version, uploaded=moment)
    return shelf


def test_what_is_not_held_may_be_young(stocked: Shelf) -> None:
    held = {"app": "1.0", "lib": "1.0", "base": "1.0"}
    assert stocked.versions("app", exclude_newer=_CUT) == held
    freed = stocked.versions("app", exclude_newer=_CUT, not_held=("lib", "nobody"))
    assert freed == held | {"lib": "2.0"}
    files = stocked.files("app", exclude_newer=_CUT, not_held=("lib",))
    assert {each.name: each.released_at for each in files}["lib"] == _YOUNG
    assert stocked.versions("app", not_held=("lib",))["base"] == "2.0"


def test_what_came_at_the_moment_of_the_cut_off_is_too_young(stocked: Shelf) -> None:
    for cut, version in ((_YOUNG, "1.0"), (_YOUNG + timedelta(milliseconds=1), "2.0")):
        assert stocked.versions("app", exclude_newer=cut)["app"] == version
    stocked.index.undated = {"lib-1.0-py3-none-any.whl"}
    assert stocked.versions("lib", exclude_newer=_YOUNG, undated="take")["lib"] == "1.0"


@pytest.mark.parametrize("fault", ["no-upload-times", "html-only"])
def test_files_without_an_upload_time_are_taken_where_the_policy_says_so(
    stocked: Shelf, fault: str
) -> None:
    stocked.index.fault = fault  # type: ignore[assignment]
    with pytest.raises(PipConflictError, match="no upload times for app"):
        stocked.resolve("app", exclude_newer=_CUT)
    with pytest.raises(PipConflictError, match="no upload times for lib"):
        stocked.resolve("app", exclude_newer=_CUT, not_held=("app",))
    taken = stocked.files("app", exclude_newer=_CUT, undated="take")
    assert [(each.name, each.version) for each in taken] == [
        ("app", "2.0"),
        ("base", "2.0"),
        ("lib", "2.0"),
    ]
    assert {each.released_at for each in taken} == {None}


def test_only_what_has_no_date_is_freed_of_the_cool_down(stocked: Shelf) -> None:
    stocked.index.project_faults["lib"] = "no-upload-times"
    tool = stocked.tool()
    request = ask("app", exclude_newer=_CUT, undated="take")
    answer = {each.name: each.version for each in tool.resolve(request, tell)}
    assert answer == {"app": "1.0", "lib": "2.0", "base": "1.0"}
    # The same tool under a policy that holds: what it learned is of no use there.
    with pytest.raises(PipConflictError, match="no upload times for lib"):
        tool.resolve(ask("app", exclude_newer=_CUT), tell)


def test_a_dated_file_is_held_back_beside_one_without_a_date(stocked: Shelf) -> None:
    """As where an index tells upload times since a while ago only."""
    stocked.index.undated = {"lib-1.0-py3-none-any.whl"}
    assert stocked.versions("lib", exclude_newer=_CUT, undated="take")["lib"] == "1.0"
    kept = (("lib", "1.0"), ("base", "1.0"))
    assert stocked.versions("lib", exclude_newer=_CUT, undated="take", keep=kept)["lib"] == "1.0"
    freed = stocked.versions("lib", exclude_newer=_CUT, undated="take", not_held=("lib",))
    assert freed["lib"] == "2.0"


def test_what_is_kept_stays_while_dates_are_found_to_be_missing(stocked: Shelf) -> None:
    stocked.index.fault = "no-upload-times"
    kept = (("lib", "1.0"),)
    found = stocked.versions("app", exclude_newer=_CUT, undated="take", keep=kept)
    assert found == {"app": "2.0", "lib": "1.0", "base": "2.0"}
