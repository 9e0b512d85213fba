"""uv resolves from a local index, names the files, and says what is wrong."""

from __future__ import annotations

import sys
import tarfile
import venv
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from elt_env.errors import (
    IndexUnreachableError,
    IntegrityError,
    NoWheelError,
    PackageNotFoundError,
    PipConflictError,
    TimeLimitError,
    ToolError,
)
from elt_env.model.lock import Package
from elt_env.tools.indexes import Indexes, parse_index
from elt_env.tools.pip import InstallRequest, ResolveRequest, Uv
from elt_env.tools.pip.port import Resolved
from tests.support.index_server import Fault, IndexServer, dead_url
from tests.support.loopback import running
from tests.support.wheels import make_sdist, make_wheel

_LIMIT = 120.0
_OLD = datetime(2024, 6, 1, tzinfo=timezone.utc)
_YOUNG = datetime(2026, 6, 1, tzinfo=timezone.utc)
_CUT = datetime(2026, 1, 1, tzinfo=timezone.utc)

Offer = Callable[..., Path]


@pytest.fixture
def wheel(index: IndexServer, tmp_path: Path) -> Offer:
    """Makes a wheel and offers it."""

    def offer(name: str, version: str, *, uploaded: datetime = _OLD, **options: object) -> Path:
        path = make_wheel(tmp_path / "wheels", name, version, **options)  # type: ignore[arg-type]
        index.add(path, uploaded=uploaded)
        return path

    return offer


@pytest.fixture
def sdist(index: IndexServer, tmp_path: Path) -> Offer:
    """Makes an sdist and offers it."""

    def offer(name: str, version: str, **options: object) -> Path:
        path = make_sdist(tmp_path / "sdists", name, version, **options)  # type: ignore[arg-type]
        index.add(path, uploaded=_OLD)
        return path

    return offer


def _uv(url: str, limit: float = _LIMIT) -> Uv:
    return Uv(Indexes(parse_index(url)), limit)


def _ask(*requirements: str, **options: object) -> ResolveRequest:
    return ResolveRequest(requirements, "3.11.5", **options)  # type: ignore[arg-type]


def _resolve(index: IndexServer, *requirements: str, **options: object) -> tuple[Resolved, ...]:
    said: list[str] = []
    return _uv(index.url).resolve(_ask(*requirements, **options), said.append)


def _versions(resolved: tuple[Resolved, ...]) -> dict[str, str]:
    return {each.name: each.version for each in resolved}


def _files(index: IndexServer, *requirements: str, **options: object) -> tuple[Package, ...]:
    tool, request = _uv(index.url), _ask(*requirements, **options)
    return tool.files(tool.resolve(request, print), request, print)


def test_who_needs_what(index: IndexServer, wheel: Offer) -> None:
    wheel("app", "1.0", requires=["Some.Lib"], extras={"fast": ["turbo"]})
    wheel("some-lib", "1.0")
    wheel("turbo", "2.0", requires=["some-lib", "via"])
    wheel("via", "0.1")
    answer = _resolve(index, "App[fast]", "via", pins=(("some-lib", "1.0"),), bounds=("app>=1",))
    told = {each.name: (each.requested, each.required_by) for each in answer}
    assert told == {
        "app": (True, ()),
        "some-lib": (False, ("app", "turbo")),
        "turbo": (False, ("app",)),
        "via": (True, ("turbo",)),
    }
    assert {each.index for each in answer} == {index.url}


def test_a_file_by_its_hash_size_and_date(index: IndexServer, wheel: Offer) -> None:
    path = wheel("app", "1.0")
    (package,) = _files(index, "app")
    assert package.url == f"{index.base_url}/files/{path.name}"
    assert (package.size, package.released_at) == (path.stat().st_size, _OLD)
    assert (package.manager, package.requested, package.index) == ("pip", True, index.url)


def test_without_upload_times_a_file_has_no_date(index: IndexServer, wheel: Offer) -> None:
    wheel("app", "1.0")
    index.fault = "no-upload-times"
    (package,) = _files(index, "app")
    assert package.released_at is None
    assert package.size is not None


def test_a_page_of_html_will_do(index: IndexServer, wheel: Offer) -> None:
    wheel("app", "1.0")
    index.fault = "html-only"
    (package,) = _files(index, "app")
    assert (package.version, package.size, package.released_at) == ("1.0", None, None)


def test_the_wheel_that_fits_best_is_the_file(index: IndexServer, wheel: Offer) -> None:
    wheel("app", "1.0")
    wheel("app", "1.0", tag="cp311-cp311-win_amd64")
    best = wheel("app", "1.0", tag="cp311-cp311-manylinux_2_17_x86_64")
    wheel("app", "1.0", tag="cp312-cp312-manylinux_2_17_x86_64")
    wheel("app", "1.0", tag="cp310-abi3-manylinux_2_17_x86_64")
    (package,) = _files(index, "app")
    assert package.file_name == best.name


def test_the_python_asked_for_counts_not_the_running_one(index: IndexServer, wheel: Offer) -> None:
    wheel("app", "2.0", requires_python=">=3.12")
    wheel("app", "1.0", requires=["backport; python_full_version < '3.11.6'"])
    wheel("backport", "1.0")
    assert _versions(_resolve(index, "app")) == {"app": "1.0", "backport": "1.0"}


def test_pins_bounds_and_what_to_keep(index: IndexServer, wheel: Offer) -> None:
    for name in ("pinned", "bounded", "kept", "free"):
        wheel(name, "1.0")
        wheel(name, "2.0")
    answer = _resolve(
        *(index, "pinned", "bounded", "kept", "free"),
        pins=(("pinned", "1.0"), ("elsewhere", "7")),
        bounds=("bounded<2",),
        keep=(("kept", "1.0"), ("pinned", "2.0"), ("gone", "3")),
    )
    expected = {"pinned": "1.0", "bounded": "1.0", "kept": "1.0", "free": "2.0"}
    assert _versions(answer) == expected


def test_what_was_kept_and_is_yanked_now_is_left(index: IndexServer, wheel: Offer) -> None:
    wheel("app", "1.0")
    index.yank(wheel("app", "2.0"))
    assert _versions(_resolve(index, "app", keep=(("app", "2.0"),))) == {"app": "1.0"}


def test_a_release_too_young_is_not_chosen(index: IndexServer, wheel: Offer) -> None:
    wheel("app", "1.0", uploaded=_CUT - timedelta(seconds=1))
    wheel("app", "2.0", uploaded=_YOUNG)
    assert _versions(_resolve(index, "app", exclude_newer=_CUT)) == {"app": "1.0"}
    assert _versions(_resolve(index, "app")) == {"app": "2.0"}


def _pages_read(index: IndexServer) -> dict[str, int]:
    pages = {path: times for path, times in index.requests.items() if path.startswith("/simple/")}
    index.requests.clear()
    return pages


def test_a_page_is_read_once_for_many_answers(index: IndexServer, wheel: Offer) -> None:
    wheel("app", "1.0", requires=["lib"])
    wheel("lib", "1.0")
    wheel("lib", "2.0")
    tool = _uv(index.url)
    for version in ("1.0", "2.0"):
        request = _ask("app", pins=(("lib", version),))
        tool.files(tool.resolve(request, print), request, print)
    assert _pages_read(index) == {"/simple/app/": 1, "/simple/lib/": 1}


def test_a_fresh_request_sees_what_was_released_since(index: IndexServer, wheel: Offer) -> None:
    wheel("app", "1.0")
    assert _versions(_resolve(index, "app")) == {"app": "1.0"}
    wheel("app", "2.0")
    assert _versions(_resolve(index, "app")) == {"app": "1.0"}
    assert _versions(_resolve(index, "app", fresh=True)) == {"app": "2.0"}
    assert _versions(_resolve(index, "app")) == {"app": "2.0"}
    index.requests.clear()
    _resolve(index, "app", fresh=True)
    assert dict(index.requests) == {"/simple/app/": 1}


def test_an_sdist_is_taken_where_the_policy_allows_it(index: IndexServer, sdist: Offer) -> None:
    path = sdist("app", "1.0")
    for options in ({"allow_sdist": ("app",)}, {"wheels_only": False}):
        (package,) = _files(index, "app", **options)
        assert package.file_name == path.name


def test_an_older_wheel_comes_before_a_newer_sdist(
    index: IndexServer, wheel: Offer, sdist: Offer
) -> None:
    wheel("app", "1.0")
    sdist("app", "2.0")
    assert _versions(_resolve(index, "app")) == {"app": "1.0"}


def test_only_an_sdist(index: IndexServer, wheel: Offer, sdist: Offer) -> None:
    sdist("app", "1.0")
    wheel("user", "1.0", requires=["app"])
    for asked in ("app", "app==1.0", "user"):
        with pytest.raises(NoWheelError, match="app has no wheel") as caught:
            _resolve(index, asked)
        assert caught.value.exit_code == 3
        assert 'allow-sdist = ["app"]' in caught.value.remedy
        assert "--no-build" not in caught.value.problem


def test_an_sdist_that_does_not_build(index: IndexServer, tmp_path: Path) -> None:
    index.add(_broken_sdist(tmp_path))
    with pytest.raises(ToolError, match=r"app.*cannot be built") as caught:
        _resolve(index, "app", allow_sdist=("app",))
    assert "no compiler here" in caught.value.problem
    assert "version with a wheel" in caught.value.remedy


def _broken_sdist(place: Path) -> Path:
    made = make_sdist(place, "app", "1.0")
    with tarfile.open(made) as archive:
        archive.extractall(place / "open", filter="data")
    root = place / "open" / "app-1.0"
    info = root / "PKG-INFO"
    info.write_text(info.read_text().replace("Metadata-Version: 2.2", "Metadata-Version: 2.1"))
    (root / "backend.py").write_text("raise SystemExit('no compiler here')\n")
    with tarfile.open(made, "w:gz") as archive:
        archive.add(root, "app-1.0")
    return made


@pytest.mark.parametrize("tag", ["cp311-cp311-win_amd64", "cp39-cp39-manylinux_2_17_x86_64"])
def test_only_wheels_for_others(index: IndexServer, wheel: Offer, tag: str) -> None:
    wheel("app", "1.0", tag=tag)
    with pytest.raises(NoWheelError, match="app has no wheel for this Python and platform"):
        _resolve(index, "app")


def test_a_yanked_pin(index: IndexServer, wheel: Offer) -> None:
    index.yank(wheel("app", "1.0"), "eats data")
    with pytest.raises(PipConflictError, match=r"app==1.0 was yanked.*eats data") as caught:
        _resolve(index, "app==1.0")
    assert caught.value.remedy == "Pin another version."


def test_a_package_that_is_not_there(index: IndexServer, wheel: Offer) -> None:
    wheel("user", "1.0", requires=["gone"])
    with pytest.raises(PackageNotFoundError, match=f"'nope' on {index.url}") as caught:
        _resolve(index, "nope")
    assert "correct the name" in caught.value.remedy
    with pytest.raises(PackageNotFoundError, match="user depend on gone") as caught:
        _resolve(index, "user")
    assert "extra-indexes" in caught.value.remedy
    assert "correct the name" not in caught.value.remedy


def test_a_conflict_names_the_requirements_that_take_part(index: IndexServer, wheel: Offer) -> None:
    wheel("one", "1.0", requires=["lib<2"])
    wheel("two", "1.0", requires=["lib>=2"])
    wheel("lib", "1.0")
    wheel("lib", "2.0")
    wheel("bystander", "1.0")
    with pytest.raises(PipConflictError, match="take part: one>=1, two\n") as caught:
        _resolve(index, "one>=1", "two", "bystander")
    assert "depend on lib>=2" in caught.value.problem
    assert "bystander" not in caught.value.problem


def test_a_conflict_is_not_taken_for_a_missing_package(index: IndexServer, wheel: Offer) -> None:
    # The old release needs what is gone; that it does is not why nothing fits.
    wheel("app", "1.0", requires=["lib<2"])
    wheel("app", "0.9", requires=["gone"])
    wheel("lib", "1.0")
    wheel("lib", "2.0")
    with pytest.raises(PipConflictError, match="lib==2"):
        _resolve(index, "app", pins=(("lib", "2.0"),))


def test_all_releases_are_too_young(index: IndexServer, wheel: Offer) -> None:
    wheel("app", "1.0", uploaded=_YOUNG)
    with pytest.raises(PipConflictError, match="published at 2026-06-01") as caught:
        _resolve(index, "app", exclude_newer=_CUT)
    assert "cooldown" in caught.value.remedy
    assert "exclude-newer-package" not in caught.value.problem


def test_a_cool_down_needs_upload_times(index: IndexServer, wheel: Offer) -> None:
    wheel("app", "1.0")
    index.fault = "no-upload-times"
    with pytest.raises(PipConflictError, match="no upload times for app") as caught:
        _resolve(index, "app", exclude_newer=_CUT)
    assert 'cooldown = "0"' in caught.value.remedy


def test_what_has_no_upload_time_is_told(index: IndexServer, wheel: Offer) -> None:
    wheel("app", "1.0")
    said: list[str] = []
    index.fault = "no-upload-times"
    with pytest.raises(PipConflictError):
        _uv(index.url).resolve(_ask("app", exclude_newer=_CUT), said.append)
    assert said == ["uv: without an upload time, so left out by the cool-down: app-1.0"]


def test_a_page_that_is_not_an_index(index: IndexServer, wheel: Offer) -> None:
    wheel("app", "1.0")
    index.fault = "html-nonsense"
    with pytest.raises(IndexUnreachableError, match="no package index") as caught:
        _resolve(index, "app")
    assert index.url in caught.value.problem
    assert caught.value.exit_code == 4


def test_an_index_that_does_not_answer_in_time(index: IndexServer, wheel: Offer) -> None:
    wheel("app", "1.0")
    index.fault = "slow"
    with pytest.raises(TimeLimitError, match="time limit of 1 s") as caught:
        _uv(index.url, limit=1.0).resolve(_ask("app"), print)
    assert "tool-limit" in caught.value.remedy


def test_credentials_refused(index: IndexServer, wheel: Offer) -> None:
    wheel("app", "1.0")
    index.fault = "refuse-auth"
    for url in (index.url, index.url.replace("://", "://reader:s3cret-guess@")):
        with pytest.raises(IndexUnreachableError, match=r"other credentials.*401") as caught:
            _uv(url).resolve(_ask("app"), print)
        assert "s3cret-guess" not in str(caught.value)


def test_credentials_accepted_are_shown_nowhere(index: IndexServer, wheel: Offer) -> None:
    wheel("app", "1.0", requires=["lib"])
    wheel("lib", "1.0")
    index.fault = "refuse-auth"
    said: list[str] = []
    tool, request = _uv(index.url_with_credentials), _ask("app")
    packages = tool.files(tool.resolve(request, said.append), request, said.append)
    assert [each.name for each in packages] == ["app", "lib"]
    with pytest.raises(PackageNotFoundError) as caught:
        tool.resolve(_ask("app", "nope"), said.append)
    shown = f"{packages} {said} {caught.value}"
    assert index.url in shown
    assert index.credentials[1] not in shown
    assert index.credentials[0] + "@" not in shown


def test_a_further_index_comes_first(index: IndexServer, wheel: Offer, tmp_path: Path) -> None:
    wheel("app", "1.0", requires=["inner"])
    with running(IndexServer()) as further:
        further.add(make_wheel(tmp_path, "inner", "1.0"))
        tool = Uv(Indexes(parse_index(index.url), (parse_index(further.url),)), _LIMIT)
        answer = tool.resolve(_ask("app"), print)
        assert {each.name: each.index for each in answer} == {
            "app": index.url,
            "inner": further.url,
        }


# uv tries four times, with pauses, before it gives up: all such cases wait at the same time.
_FAILURES: dict[str, Fault | None] = {"refused": None, "500": "500", "half a page": "half-page"}


@pytest.fixture(scope="module")
def failures(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Future[object]]]:
    """What a resolve and an install end with on an index that has each of the faults."""
    place = tmp_path_factory.mktemp("failures")
    wheel = make_wheel(place, "app", "1.0")
    with pytest.MonkeyPatch.context() as patch, ThreadPoolExecutor() as pool:
        patch.setenv("UV_CACHE_DIR", str(place / "uv"))
        found = {name: pool.submit(_fail, wheel, fault) for name, fault in _FAILURES.items()}
        prefix = _prefix(place / "prefix")
        found["install"] = pool.submit(_fail_to_install, prefix)
        yield found


def _fail(wheel: Path, fault: Fault | None) -> object:
    with running(IndexServer()) as server:
        server.add(wheel)
        server.fault = fault
        return _uv(server.url if fault else dead_url()).resolve(_ask("app"), print)


def _fail_to_install(prefix: Path) -> object:
    listed = f"app==1.0 --hash=sha256:{'0' * 64}\n"
    request = InstallRequest(listed, prefix, Indexes(parse_index(dead_url())))
    return _uv(dead_url()).install(request, print)


@pytest.mark.parametrize(
    ("case", "words"),
    [
        ("refused", "Connection refused"),
        ("500", "500 Internal Server Error"),
        ("half a page", "end of file"),
        ("install", "locked files cannot be had"),
    ],
)
def test_an_index_that_cannot_be_used(
    failures: dict[str, Future[object]], case: str, words: str
) -> None:
    with pytest.raises(IndexUnreachableError, match=words) as caught:
        failures[case].result()
    assert (caught.value.exit_code, caught.value.retryable) == (4, True)
    assert "Check the network" in caught.value.remedy


def _prefix(place: Path) -> Path:
    venv.create(place, with_pip=False, symlinks=True)
    return place


def _install(index: IndexServer, prefix: Path, *packages: Package) -> str:
    lines = [f"{each.name}=={each.version} --hash=sha256:{each.sha256}\n" for each in packages]
    request = InstallRequest("".join(lines), prefix, Indexes(parse_index(index.url)))
    return _uv(index.url).install(request, print)


def _site_packages(prefix: Path) -> Path:
    major, minor = sys.version_info[:2]
    return prefix / "lib" / f"python{major}.{minor}" / "site-packages"


def test_one_command_installs_what_is_locked(
    index: IndexServer, wheel: Offer, tmp_path: Path
) -> None:
    wheel("app", "1.0", requires=["lib"])
    wheel("lib", "1.0")
    wheel("lib", "2.0")
    prefix = _prefix(tmp_path / "prefix")
    app, lib = _files(index, "app", bounds=("lib<2",))
    command = _install(index, prefix, app, lib)
    assert {"--require-hashes", "--no-deps"} <= set(command.split())
    assert (_site_packages(prefix) / "lib-1.0.dist-info").is_dir()
    assert _uv(index.url).inconsistencies(prefix, print) == ()


def test_what_a_distribution_misses(index: IndexServer, wheel: Offer, tmp_path: Path) -> None:
    wheel("app", "1.0", requires=["lib"])
    wheel("lib", "1.0")
    prefix = _prefix(tmp_path / "prefix")
    app, _ = _files(index, "app")
    _install(index, prefix, app)
    (line,) = _uv(index.url).inconsistencies(prefix, print)
    assert "app" in line
    assert "lib" in line


def test_a_wheel_of_other_bytes_is_not_installed(
    index: IndexServer, wheel: Offer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wheel("app", "1.0")
    prefix = _prefix(tmp_path / "prefix")
    (app,) = _files(index, "app")
    index.fault = "corrupt-files"
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "another-cache"))
    with pytest.raises(IntegrityError, match=r"Hash mismatch of app.*1\.0") as caught:
        _install(index, prefix, app)
    assert app.sha256 in caught.value.problem
    assert "relock" in caught.value.remedy
    assert not list(_site_packages(prefix).glob("app*"))
