"""Many looks at an index that a test fills, breaks and mends."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime
from pathlib import Path

import pytest
import zstandard

from elt_env.errors import IndexUnreachableError, StorageError
from elt_env.index.package_index import IndexAnswers, PackageIndex
from elt_env.index.page_parsing import ACCEPT
from elt_env.machine.indexes import Indexes, parse_index
from tests.support.index_server import Fault, IndexServer, dead_url
from tests.support.loopback import SERVER_ERROR, LoopbackServer, Reply, running
from tests.support.wheels import make_sdist, make_wheel

_MOMENT = datetime(2026, 5, 4, 3, 2, 1, 654321, tzinfo=timezone.utc)


@dataclass(frozen=True)
class _Looker:
    """Somebody who looks at an index; what was seen is kept below `cache`."""

    index: IndexServer
    cache: Path

    def look(self, *names: str, url: str | None = None, limit: float = 30.0) -> IndexAnswers:
        known = Indexes(parse_index(url or self.index.url))
        return PackageIndex(known, self.cache, limit).look(dict.fromkeys(names, self.index.url))


@pytest.fixture
def looker(index: IndexServer, tmp_path: Path) -> _Looker:
    index.add(make_wheel(tmp_path, "alpha", "1.0"), uploaded=_MOMENT)
    index.add(make_wheel(tmp_path, "beta", "2.0", requires_python=">=3.9"))
    return _Looker(index, tmp_path / "cache")


@pytest.mark.parametrize("fault", [None, "html-only"])
def test_a_page_tells_all_of_its_files(
    looker: _Looker, tmp_path: Path, fault: Fault | None
) -> None:
    index = looker.index
    index.core_metadata, index.fault = True, fault
    index.add(make_sdist(tmp_path, "beta", "2.1"), yanked="it <burns>")
    index.add(make_wheel(tmp_path, "beta", "2.0.1", tag="cp311-cp311-linux_x86_64"), yanked="")
    looked = looker.look("beta")
    first, sdist, third = looked.pages["beta"].files
    assert (looked.pages["beta"].name, looked.pages["beta"].index) == ("beta", index.url)
    assert [each.version for each in (first, sdist, third)] == ["2.0", "2.1", "2.0.1"]
    assert first.url == f"{index.base_url}/files/beta-2.0-py3-none-any.whl"
    assert (first.requires_python, first.yanked, first.has_metadata) == (">=3.9", None, True)
    assert (sdist.is_wheel, sdist.yanked) == (False, "it <burns>")
    assert third.is_wheel
    assert looked.gone == ()


def test_json_tells_dates_and_sizes(looker: _Looker) -> None:
    (file,) = looker.look("alpha").pages["alpha"].files
    assert file.uploaded == _MOMENT
    assert file.size
    looker.index.fault = "no-upload-times"
    (file,) = looker.look("alpha").pages["alpha"].files
    assert file.uploaded is None


def test_a_second_look_at_200_projects_moves_nothing(looker: _Looker, tmp_path: Path) -> None:
    index = looker.index
    index.validators = True
    names = [f"p{number}" for number in range(200)]
    for name in names:
        index.add(make_wheel(tmp_path, name, "1.0"))
    first = looker.look(*names)
    assert (first.requests, index.statuses[200], first.unchanged) == (200, 200, ())
    assert first.received == index.sent
    second = looker.look(*names)
    assert (second.requests, index.statuses[304]) == (200, 200)
    assert (second.received, index.sent) == (0, first.received)
    assert second.unchanged == tuple(sorted(names))
    assert second.pages == first.pages


def test_only_what_changed_is_sent_again(looker: _Looker, tmp_path: Path) -> None:
    looker.index.validators = True
    looker.look("alpha", "beta")
    looker.index.add(make_wheel(tmp_path, "alpha", "1.1"))
    again = looker.look("alpha", "beta")
    assert again.unchanged == ("beta",)
    assert [each.version for each in again.pages["alpha"].files] == ["1.0", "1.1"]
    assert looker.look("alpha", "beta").unchanged == ("alpha", "beta")


def test_an_index_without_validators_is_read_whole_each_time(looker: _Looker) -> None:
    first, second = looker.look("alpha"), looker.look("alpha")
    assert first.pages == second.pages
    assert second.received == first.received > 0
    assert (first.unchanged, second.unchanged) == ((), ("alpha",))


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"of": 3}', '{"of": [1, "alpha"]}', "\0"])
def test_a_damaged_cache_is_read_anew(looker: _Looker, damage: str) -> None:
    looker.index.validators = True
    looker.look("alpha")
    (kept,) = looker.cache.iterdir()
    good = kept.read_bytes()
    for text in (damage, good.decode().replace(_MOMENT.isoformat(), "soon")):
        kept.write_text(text)
        looked = looker.look("alpha")
        assert looked.unchanged == ()
        assert looked.pages["alpha"].files[0].uploaded == _MOMENT
        assert kept.read_bytes() == good


def test_a_project_that_is_not_there_any_more(looker: _Looker) -> None:
    looked = looker.look("alpha", "lost")
    assert (looked.gone, tuple(looked.pages)) == (("lost",), ("alpha",))
    assert looker.look("lost").gone == ("lost",)


def test_an_index_that_has_nothing_of_all_is_not_believed(looker: _Looker) -> None:
    with pytest.raises(IndexUnreachableError, match="'lost', 'never', 'none' and 1 more") as caught:
        looker.look("lost", "never", "none", "zero")
    assert looker.index.url in caught.value.problem


@pytest.mark.parametrize(
    ("fault", "cause"),
    [
        ("500", "500 Internal Server Error"),
        ("html-nonsense", "lists no file of alpha"),
        ("half-page", "closed connection"),
        ("half-body", "cut off"),
        ("other-json", "not that of a project page"),
        ("other-project", "it is about 'not-alpha'"),
    ],
)
def test_a_page_that_cannot_be_read_is_an_error_and_recovers(
    looker: _Looker, fault: Fault, cause: str
) -> None:
    before = looker.look("alpha", "beta")
    looker.index.validators = True
    looker.index.project_faults["alpha"] = fault
    with pytest.raises(IndexUnreachableError, match=cause) as caught:
        looker.look("alpha", "beta")
    assert looker.index.url in caught.value.problem
    assert "alpha" in caught.value.problem
    assert caught.value.retryable
    looker.index.project_faults.clear()
    assert looker.look("alpha", "beta").pages == before.pages


def test_half_a_page_of_html(looker: _Looker, tmp_path: Path) -> None:
    for number in range(9):
        looker.index.add(make_wheel(tmp_path, "alpha", f"1.{number}"))
    looker.index.fault = "html-only"
    page = looker.look("alpha").pages["alpha"]
    whole = looker.index.answer("/simple/alpha/", {})
    looker.index.stumbles = [Reply(200, whole.body[: len(whole.body) * 2 // 3], "text/html")]
    with pytest.raises(IndexUnreachableError, match="cut off"):
        looker.look("alpha")
    assert looker.look("alpha").pages["alpha"] == page


@pytest.mark.parametrize(
    ("coding", "compress"), [("gzip", gzip.compress), ("zstd", zstandard.compress)]
)
def test_a_page_may_come_compressed(
    looker: _Looker, coding: str, compress: Callable[[bytes], bytes]
) -> None:
    plain = looker.index.answer("/simple/alpha/", {"accept": ACCEPT})
    body, headers = compress(plain.body), {"Content-Encoding": coding}
    looker.index.stumbles = [replace(plain, body=body, headers=headers)]
    looked = looker.look("alpha")
    assert looked.pages == looker.look("alpha").pages
    assert looked.received == len(body) != len(plain.body)
    looker.index.stumbles = [replace(plain, body=body[:-30], headers=headers)] * 3
    with pytest.raises(IndexUnreachableError, match=r"cut off|incomplete"):
        looker.look("alpha")


def test_a_slow_index_ends_the_look_in_time(looker: _Looker) -> None:
    looker.index.project_faults["beta"] = "slow"
    with pytest.raises(IndexUnreachableError, match="'beta'") as caught:
        looker.look("alpha", "beta", limit=4.0)
    assert looker.index.url in caught.value.problem
    assert "'alpha'" not in caught.value.problem


def test_an_index_where_nobody_answers(tmp_path: Path) -> None:
    url = dead_url()
    watcher = PackageIndex(Indexes(parse_index(url)), tmp_path)
    with pytest.raises(IndexUnreachableError, match="Connection refused") as caught:
        watcher.look({"alpha": url})
    assert url in caught.value.problem


@pytest.mark.parametrize(
    "after",
    [{}, {"Retry-After": "0"}, {"Retry-After": "soon"}, {"Retry-After": format_datetime(_MOMENT)}],
)
def test_what_passes_is_tried_again(looker: _Looker, after: Mapping[str, str]) -> None:
    looker.index.stumbles = [Reply(429, headers=after), SERVER_ERROR]
    looked = looker.look("alpha")
    assert (looked.requests, tuple(looked.pages)) == (3, ("alpha",))


def test_who_wants_a_long_rest_is_left_alone(looker: _Looker) -> None:
    later = datetime.now(timezone.utc) + timedelta(hours=2)
    for value in ("3600", format_datetime(later)):
        looker.index.stumbles = [Reply(429, headers={"Retry-After": value})]
        with pytest.raises(IndexUnreachableError, match=r"asked again after \d{4} s"):
            looker.look("alpha")
    assert looker.index.statuses.total() == 2


def test_a_page_in_another_form_is_no_page(looker: _Looker) -> None:
    for status, kind, cause in (
        (200, "text/plain", "'text/plain', neither JSON nor HTML"),
        (304, "text/html", "HTTP status 304"),
        (418, "text/html", "HTTP status 418"),
    ):
        looker.index.stumbles = [Reply(status, b"", kind)]
        with pytest.raises(IndexUnreachableError, match=cause):
            looker.look("alpha")


class _Elsewhere(LoopbackServer):
    """Sends everybody on to another server, and remembers who brought a login."""

    def __init__(self, target: str) -> None:
        super().__init__()
        self.logins: list[str | None] = []
        self._target = target

    def answer(self, path: str, headers: Mapping[str, str]) -> Reply:
        self.logins.append(headers.get("authorization"))
        return Reply(302, headers={"Location": self._target + path})


@pytest.fixture
def elsewhere(index: IndexServer) -> Iterator[_Elsewhere]:
    # Another host name, so another origin.
    with running(_Elsewhere(index.base_url.replace("127.0.0.1", "localhost"))) as server:
        yield server


def test_credentials_go_to_their_own_origin_only(looker: _Looker, elsewhere: _Elsewhere) -> None:
    index = looker.index
    index.fault = "refuse-auth"
    url = index.url_with_credentials
    assert tuple(looker.look("alpha", url=url).pages) == ("alpha",)
    with pytest.raises(IndexUnreachableError, match="401") as caught:
        looker.look("alpha")
    assert "password" in caught.value.remedy
    other = f"{elsewhere.base_url}/simple"
    with pytest.raises(IndexUnreachableError, match="401") as caught:
        PackageIndex(Indexes(parse_index(url)), looker.cache).look({"alpha": other})
    assert elsewhere.logins == [None]
    own = parse_index(other.replace("://", f"://{':'.join(index.credentials)}@"))
    with pytest.raises(IndexUnreachableError, match="401") as caught:
        PackageIndex(Indexes(own), looker.cache).look({"alpha": other})
    assert elsewhere.logins[1] is not None
    assert index.credentials[1] not in str(caught.value)


def test_a_login_of_netrc(looker: _Looker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    user, password = looker.index.credentials
    file = tmp_path / "netrc"
    file.write_text(f"machine 127.0.0.1 login {user} password {password}\n")
    monkeypatch.setenv("NETRC", str(file))
    looker.index.fault = "refuse-auth"
    assert tuple(looker.look("alpha").pages) == ("alpha",)


def test_an_index_of_files(tmp_path: Path) -> None:
    page = tmp_path / "my simple" / "alpha" / "index.html"
    page.parent.mkdir(parents=True)
    page.write_text('<a href="../../alpha-1.0-py3-none-any.whl#sha256=00">it</a>')
    url = (tmp_path / "my simple").as_uri()
    index = PackageIndex(Indexes(), tmp_path / "cache")
    looked = index.look({"alpha": url, "lost": url})
    assert looked.gone == ("lost",)
    (file,) = looked.pages["alpha"].files
    assert file.url == (tmp_path / "alpha-1.0-py3-none-any.whl").as_uri()
    with pytest.raises(IndexUnreachableError, match="No such file"):
        index.look({"alpha": (tmp_path / "nowhere").as_uri()})


def test_pages_that_cannot_be_kept(looker: _Looker, unwritable: Path) -> None:
    looker.index.validators = True
    index = PackageIndex(Indexes(parse_index(looker.index.url)), unwritable / "pages")
    with pytest.raises(StorageError, match="cannot be written"):
        index.look({"alpha": looker.index.url})


def test_nothing_is_asked_about_nothing(looker: _Looker) -> None:
    looked = looker.look()
    assert (looked.pages, looked.requests) == ({}, 0)
