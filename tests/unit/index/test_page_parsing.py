from __future__ import annotations

import html
import json
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from elt_env.index.page_parsing import parse_page
from elt_env.index.project_page import IndexFile, ProjectPage
from tests.support.locks import INDEX, versions

_URL = f"{INDEX}/my-lib/"
_JSON = "application/vnd.pypi.simple.v1+json"
_MOMENT = datetime(2026, 5, 4, 3, 2, 1, tzinfo=timezone.utc)


def _parse(body: str | bytes, kind: str = _JSON) -> ProjectPage:
    data = body.encode() if isinstance(body, str) else body
    return parse_page(data, kind, _URL, "my-lib", INDEX)


def _page(*files: object, **changes: object) -> str:
    page = {"meta": {"api-version": "1.4"}, "name": "My.Lib", "files": list(files)}
    return json.dumps(page | changes)


def _entry(name: str = "my_lib-1.0-py3-none-any.whl", **changes: object) -> dict[str, object]:
    return {"filename": name, "url": f"https://files.example.invalid/{name}", "hashes": {}} | {
        key.replace("_", "-"): value for key, value in changes.items()
    }


def _only(page: ProjectPage) -> IndexFile:
    (file,) = page.files
    return file


_VERSIONS = versions()
_FILES = st.builds(
    IndexFile,
    file_name=st.builds(
        str.format,
        st.sampled_from(["my_lib-{}-py3-none-any.whl", "my_lib-{}.tar.gz", "My.Lib-{}.zip"]),
        _VERSIONS,
    ),
    version=st.just(""),
    url=st.just(""),
    requires_python=st.sampled_from([None, ">=3.9", ">=3.9,<4", 'a "quoted" & <odd> one']),
    yanked=st.sampled_from([None, "", 'it\'s "broken" <&>']),
    uploaded=st.none() | st.datetimes(datetime(1980, 1, 1), timezones=st.just(timezone.utc)),  # noqa: DTZ001  # hypothesis wants it so
    has_metadata=st.booleans(),
)


def _as_json(file: IndexFile) -> dict[str, object]:
    entry = _entry(
        file.file_name,
        requires_python=file.requires_python,
        yanked=file.yanked is not None if not file.yanked else file.yanked,
        core_metadata={"sha256": "00"} if file.has_metadata else False,
    )
    if file.uploaded:
        entry["upload-time"] = file.uploaded.strftime("%Y-%m-%dT%H:%M:%S.%fZ").rjust(27, "0")
    return entry


def _as_html(file: IndexFile) -> str:
    marks = {
        "href": f"https://files.example.invalid/{file.file_name}#sha256=00",
        "data-requires-python": file.requires_python,
        "data-yanked": file.yanked,
        "data-upload-time": file.uploaded.isoformat() if file.uploaded else None,
        "data-dist-info-metadata": "sha256=00" if file.has_metadata else None,
    }
    written = (f'{name}="{html.escape(text)}"' for name, text in marks.items() if text is not None)
    return f"<a {' '.join(written)}>{file.file_name}</a>"


@given(st.lists(_FILES, min_size=1, max_size=5))
def test_json_and_html_say_the_same(files: list[IndexFile]) -> None:
    by_json = _parse(_page(*map(_as_json, files)))
    page = "<!doctype html><html><body>" + "<br>\n".join(map(_as_html, files)) + "</body></html>"
    assert _parse(page, "text/html; charset=UTF-8") == by_json
    for file, found in zip(files, by_json.files, strict=True):
        assert found.file_name == file.file_name
        assert found.url == f"https://files.example.invalid/{file.file_name}"
        assert (found.requires_python, found.yanked) == (file.requires_python, file.yanked)
        assert (found.uploaded, found.has_metadata) == (file.uploaded, file.has_metadata)


@given(st.binary() | st.text().map(str.encode), st.sampled_from([_JSON, "text/html", "", "x/y"]))
def test_nonsense_is_always_called_so(body: bytes, kind: str) -> None:
    with pytest.raises(ValueError, match="it"):
        _parse(body, kind)


@given(st.lists(_FILES, min_size=1, max_size=5), st.data())
def test_half_a_page_is_never_taken_for_a_page(files: list[IndexFile], data: st.DataObject) -> None:
    anchors = "<br>\n".join(map(_as_html, files))
    for text, kind in (
        (_page(*map(_as_json, files)), _JSON),
        (f"<!doctype html><html><body>{anchors}</body></html>", "text/html"),
    ):
        whole = text.encode()
        end = data.draw(st.integers(0, len(whole) - 1))
        with pytest.raises(ValueError, match=r"cut off|lists no file"):
            _parse(whole[:end], kind)


@pytest.mark.parametrize(
    ("name", "version"),
    [
        ("my_lib-1.0-py3-none-any.whl", "1.0"),
        ("My.Lib-1.0.0-1build-cp311-cp311-linux_x86_64.whl", "1.0.0"),
        ("my-lib-01.0.tar.gz", "1.0"),
        ("my_lib-1.0+cpu.zip", "1.0+cpu"),
        ("my_lib-1.0.post1-py3-none-any.whl", "1.0.post1"),
    ],
)
def test_the_version_of_a_file(name: str, version: str) -> None:
    assert _only(_parse(_page(_entry(name)))).version == version


@pytest.mark.parametrize(
    "name",
    [
        "my_lib-1.0-py3.11.egg",
        "my_lib-1.0.win32.exe",
        "my_lib-unknown-py3-none-any.whl",
        "my_lib-1.0.whl",
        "other-1.0-py3-none-any.whl",
        "my_lib.tar.gz",
        "",
    ],
)
def test_what_no_installer_takes_is_left_out(name: str) -> None:
    page, bare = _parse(_page(_entry(name), _entry())), _parse(_page(_entry()))
    assert page.files == bare.files
    assert page.others != bare.others == ""
    assert page.others != _parse(_page(_entry(name, yanked=True), _entry())).others


def test_an_index_may_have_no_file_left() -> None:
    assert _parse(_page()).files == ()


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-05-04T03:02:01Z", _MOMENT),
        ("2026-05-04T03:02:01.5Z", _MOMENT + timedelta(milliseconds=500)),
        ("2026-05-04T03:02:01.123456789Z", _MOMENT + timedelta(microseconds=123456)),
        ("2026-05-04T03:02:01+00:00", _MOMENT),
        ("2026-13-04T03:02:01Z", None),
        ("yesterday", None),
        ("", None),
        (7, None),
        (None, None),
    ],
)
def test_upload_times(text: object, moment: datetime | None) -> None:
    assert _only(_parse(_page(_entry(upload_time=text)))).uploaded == moment


def test_what_json_tells_beyond_html() -> None:
    assert _only(_parse(_page(_entry(size=17)))).size == 17
    assert _only(_parse(_page(_entry(size=True)))).size is None
    assert _only(_parse(_page(_entry(dist_info_metadata=True)))).has_metadata


@pytest.mark.parametrize(
    ("url", "absolute"),
    [
        ("../../f/a.whl", "https://index.example.invalid/f/a.whl"),
        ("/f/a.whl#sha256=00", "https://index.example.invalid/f/a.whl"),
        ("https://me:hunter22@files.example.invalid/a.whl", "https://files.example.invalid/a.whl"),
        ("http://files.example.invalid/a%2Bb.whl?q", "http://files.example.invalid/a%2Bb.whl?q"),
    ],
)
def test_urls_are_absolute_and_without_login(url: str, absolute: str) -> None:
    assert _only(_parse(_page(_entry() | {"url": url}))).url == absolute


def test_a_url_that_is_none_is_left_out() -> None:
    assert _parse(_page(_entry() | {"url": "http://[x/a.whl"})).files == ()


def test_the_base_of_a_page_of_html() -> None:
    page = (
        '<base href="https://b.example.invalid/x/"><a href="my_lib-1.0+c-py3-none-any.whl">it</a>'
    )
    file = _only(_parse(page, "text/html"))
    assert file.url == "https://b.example.invalid/x/my_lib-1.0+c-py3-none-any.whl"
    assert file.version == "1.0+c"


@pytest.mark.parametrize(
    ("body", "kind", "cause"),
    [
        (_page(meta={"api-version": "2.0"}), _JSON, "API version is '2.0'"),
        (_page(meta=3), _JSON, "API version is ''"),
        (_page(name="other"), _JSON, "about 'other'"),
        (_page(3), _JSON, "not all objects"),
        (_page({"url": "x"}), _JSON, "no name or no URL"),
        (_page(files={}), _JSON, "not that of a project page"),
        ("[" * 100_000, _JSON, "not valid JSON"),
        ("<a href='other-1.0.tar.gz'>", "text/html", "lists no file of my-lib"),
        ("<![odd[<a href='my_lib-1.0.tar.gz'>", "text/html", "HTML"),
        ("<html><a href='my_lib-1.0.tar.gz'>it</a>", "text/html", "cut off"),
        ("<a href='my_lib-1.0.tar.gz'>", "text/html; charset=klingon", "charset 'klingon'"),
        (_page(), "application/octet-stream", "neither JSON nor HTML"),
    ],
)
def test_what_is_no_project_page(body: str, kind: str, cause: str) -> None:
    with pytest.raises(ValueError, match=cause):
        _parse(body, kind)
