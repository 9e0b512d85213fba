"""Each resolver resolves from a local index, and names the files."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from pathlib import Path

from tests.support.index_server import IndexServer
from tests.support.loopback import running
from tests.support.resolving import OLD, Shelf, ask, tell
from tests.support.wheels import make_wheel

_YOUNG = datetime(2026, 6, 1, tzinfo=timezone.utc)
_CUT = datetime(2026, 1, 1, tzinfo=timezone.utc)
# uv is asked first whether there is an answer.
_READERS = {"uv": 1, "pip": 2, "pip-tools": 2, "poetry": 2}


def test_who_needs_what(shelf: Shelf) -> None:
    shelf.wheel("app", "1.0", requires=["Some.Lib"], extras={"fast": ["turbo"]})
    shelf.wheel("some-lib", "1.0")
    shelf.wheel("turbo", "2.0", requires=["some-lib", "via"])
    shelf.wheel("via", "0.1")
    answer = shelf.resolve("App[fast]", "via", pins=(("some-lib", "1.0"),), bounds=("app>=1",))
    told = {each.name: (each.requested, each.required_by) for each in answer}
    assert told == {
        "app": (True, ()),
        "some-lib": (False, ("app", "turbo")),
        "turbo": (False, ("app",)),
        "via": (True, ("turbo",)),
    }
    assert {each.index for each in answer} == {shelf.index.url}


def test_a_file_by_its_hash_size_and_date(shelf: Shelf) -> None:
    path = shelf.wheel("app", "1.0")
    (package,) = shelf.files("app")
    assert package.url == f"{shelf.index.base_url}/files/{path.name}"
    assert (package.size, package.released_at) == (path.stat().st_size, OLD)
    assert (package.manager, package.requested, package.index) == ("pip", True, shelf.index.url)


def test_without_upload_times_a_file_has_no_date(shelf: Shelf) -> None:
    shelf.wheel("app", "1.0")
    shelf.index.fault = "no-upload-times"
    (package,) = shelf.files("app")
    assert package.released_at is None
    assert package.size is not None


def test_a_page_of_html_will_do(shelf: Shelf) -> None:
    shelf.wheel("app", "1.0")
    shelf.index.fault = "html-only"
    (package,) = shelf.files("app")
    assert (package.version, package.size, package.released_at) == ("1.0", None, None)


def test_the_wheel_that_fits_best_is_the_file(shelf: Shelf) -> None:
    shelf.wheel("app", "1.0")
    shelf.wheel("app", "1.0", tag="cp311-cp311-win_amd64")
    best = shelf.wheel("app", "1.0", tag="cp311-cp311-manylinux_2_17_x86_64")
    shelf.wheel("app", "1.0", tag="cp312-cp312-manylinux_2_17_x86_64")
    shelf.wheel("app", "1.0", tag="cp310-abi3-manylinux_2_17_x86_64")
    (package,) = shelf.files("app")
    assert package.file_name == best.name


def test_a_file_whose_name_says_no_tags_is_passed_over(shelf: Shelf) -> None:
    made = shelf.wheel("app", "1.0")
    shelf.index.add(made.rename(made.with_name("app-2.0-py36+-none-any.whl")))
    assert shelf.versions("app") == {"app": "1.0"}


def test_the_python_asked_for_counts_not_the_running_one(shelf: Shelf) -> None:
    shelf.wheel("app", "2.0", requires_python=">=3.12")
    shelf.wheel("app", "1.0", requires=["backport; python_full_version < '3.11.6'"])
    shelf.wheel("backport", "1.0")
    assert shelf.versions("app") == {"app": "1.0", "backport": "1.0"}


def test_pins_bounds_and_what_to_keep(shelf: Shelf) -> None:
    for name in ("pinned", "bounded", "kept", "free"):
        shelf.wheel(name, "1.0")
        shelf.wheel(name, "2.0")
    answer = shelf.versions(
        *("pinned", "bounded", "kept", "free"),
        pins=(("pinned", "1.0"), ("elsewhere", "7")),
        bounds=("bounded<2",),
        keep=(("kept", "1.0"), ("pinned", "2.0"), ("gone", "3")),
    )
    expected = {"pinned": "1.0", "bounded": "1.0", "kept": "1.0", "free": "2.0"}
    assert answer == expected


def test_what_was_kept_and_is_yanked_now_is_left(shelf: Shelf) -> None:
    shelf.wheel("app", "1.0")
    shelf.index.yank(shelf.wheel("app", "2.0"))
    assert shelf.versions("app", keep=(("app", "2.0"),)) == {"app": "1.0"}


def test_a_release_too_young_is_not_chosen(shelf: Shelf) -> None:
    shelf.wheel("app", "1.0", uploaded=_CUT - timedelta(seconds=1))
    shelf.wheel("app", "2.0", uploaded=_YOUNG)
    assert shelf.versions("app", exclude_newer=_CUT) == {"app": "1.0"}
    assert shelf.versions("app") == {"app": "2.0"}


def _pages_read(shelf: Shelf) -> dict[str, int]:
    pages = {
        path: times for path, times in shelf.index.requests.items() if path.startswith("/simple/")
    }
    shelf.index.requests.clear()
    return pages


def test_a_page_is_read_once_for_many_answers(shelf: Shelf) -> None:
    shelf.wheel("app", "1.0", requires=["lib"])
    shelf.wheel("lib", "1.0")
    shelf.wheel("lib", "2.0")
    tool = shelf.tool()
    for version in ("1.0", "2.0"):
        request = ask("app", pins=(("lib", version),))
        tool.files(tool.resolve(request, tell), request, tell)
    assert _pages_read(shelf) == dict.fromkeys(
        ("/simple/app/", "/simple/lib/"), _READERS[shelf.resolver]
    )


def test_a_fresh_request_sees_what_was_released_since(shelf: Shelf) -> None:
    shelf.wheel("app", "1.0")
    tool = shelf.tool()

    def version(*, fresh: bool = False) -> str:
        return tool.resolve(ask("app", fresh=fresh), tell)[0].version

    assert version() == "1.0"
    shelf.wheel("app", "2.0")
    assert [version(), version(fresh=True), version()] == ["1.0", "2.0", "2.0"]
    shelf.index.requests.clear()
    shelf.resolve("app", fresh=True)
    assert dict(shelf.index.requests) == {"/simple/app/": _READERS[shelf.resolver]}


def test_an_sdist_is_taken_where_the_policy_allows_it(shelf: Shelf) -> None:
    path = shelf.sdist("app", "1.0")
    for options in ({"allow_sdist": ("app",)}, {"wheels_only": False}):
        (package,) = shelf.files("app", **options)
        assert package.file_name == path.name


def test_an_older_wheel_comes_before_a_newer_sdist(shelf: Shelf) -> None:
    shelf.wheel("app", "1.0")
    shelf.sdist("app", "2.0")
    assert shelf.versions("app") == {"app": "1.0"}


def test_a_further_index_comes_first(shelf: Shelf, tmp_path: Path) -> None:
    shelf.wheel("app", "1.0", requires=["inner"])
    with running(IndexServer()) as further:
        further.add(make_wheel(tmp_path, "inner", "1.0"))
        answer = shelf.tool(further.url).resolve(ask("app"), tell)
        assert {each.name: each.index for each in answer} == {
            "app": shelf.index.url,
            "inner": further.url,
        }
