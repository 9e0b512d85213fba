"""The failures of each resolver, each in one message with the remedy."""

from __future__ import annotations

import tarfile
import venv
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path

import pytest

from elt_env.errors import (
    IndexUnreachableError,
    NoWheelError,
    PackageNotFoundError,
    PipConflictError,
    StorageError,
    TimeLimitError,
    ToolError,
)
from elt_env.machine.indexes import Indexes, parse_index
from elt_env.pip import InstallRequest
from tests.support.index_server import Fault, IndexServer, dead_url
from tests.support.loopback import running
from tests.support.resolving import Shelf, ask, tell, uv_at
from tests.support.said import Said
from tests.support.wheels import make_sdist, make_wheel

_YOUNG = datetime(2026, 6, 1, tzinfo=timezone.utc)
_CUT = datetime(2026, 1, 1, tzinfo=timezone.utc)


def test_only_an_sdist(shelf: Shelf) -> None:
    shelf.sdist("app", "1.0")
    shelf.wheel("user", "1.0", requires=["app"])
    for asked in ("app", "app==1.0", "user"):
        with pytest.raises(NoWheelError, match="app has no wheel") as caught:
            shelf.resolve(asked)
        assert caught.value.exit_code == 3
        assert 'allow-sdist = ["app"]' in caught.value.remedy
        assert "--no-build" not in caught.value.problem


def test_an_sdist_that_does_not_build(shelf: Shelf, tmp_path: Path) -> None:
    shelf.index.add(_broken_sdist(tmp_path))
    with pytest.raises(ToolError, match=r"app.*(cannot be built|does not build)") as caught:
        shelf.resolve("app", allow_sdist=("app",))
    assert "no compiler here" in caught.value.problem
    assert "a wheel" in caught.value.remedy


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
def test_only_wheels_for_others(shelf: Shelf, tag: str) -> None:
    shelf.wheel("app", "1.0", tag=tag)
    with pytest.raises(NoWheelError, match="app has no wheel for this Python and platform"):
        shelf.resolve("app")


def test_a_yanked_pin(shelf: Shelf) -> None:
    shelf.index.yank(shelf.wheel("app", "1.0"), "eats data")
    with pytest.raises(PipConflictError, match=r"app==1.0 was yanked.*eats data") as caught:
        shelf.resolve("app==1.0", yanked="refuse")
    assert 'yanked = "take"' in caught.value.remedy
    assert shelf.versions("app==1.0") == {"app": "1.0"}


def test_a_package_that_is_not_there(shelf: Shelf) -> None:
    shelf.wheel("user", "1.0", requires=["gone"])
    with pytest.raises(PackageNotFoundError, match=f"'nope' on {shelf.index.url}") as caught:
        shelf.resolve("nope")
    assert "correct the name" in caught.value.remedy
    with pytest.raises(PackageNotFoundError, match="user depend on gone") as caught:
        shelf.resolve("user")
    assert "extra-indexes" in caught.value.remedy
    assert "correct the name" not in caught.value.remedy


def test_a_conflict_names_the_requirements_that_take_part(shelf: Shelf) -> None:
    shelf.wheel("one", "1.0", requires=["lib<2"])
    shelf.wheel("two", "1.0", requires=["lib>=2"])
    shelf.wheel("lib", "1.0")
    shelf.wheel("lib", "2.0")
    shelf.wheel("bystander", "1.0")
    with pytest.raises(PipConflictError, match="take part: one>=1, two\n") as caught:
        shelf.resolve("one>=1", "two", "bystander")
    assert "depend on lib>=2" in caught.value.problem
    assert "bystander" not in caught.value.problem


def test_a_conflict_is_not_taken_for_a_missing_package(shelf: Shelf) -> None:
    # The old release needs what is gone; that it does is not why nothing fits.
    shelf.wheel("app", "1.0", requires=["lib<2"])
    shelf.wheel("app", "0.9", requires=["gone"])
    shelf.wheel("lib", "1.0")
    shelf.wheel("lib", "2.0")
    with pytest.raises(PipConflictError, match="lib==2"):
        shelf.resolve("app", pins=(("lib", "2.0"),))


def test_all_releases_are_too_young(shelf: Shelf) -> None:
    shelf.wheel("app", "1.0", uploaded=_YOUNG)
    with pytest.raises(PipConflictError, match="published at 2026-06-01") as caught:
        shelf.resolve("app", exclude_newer=_CUT)
    assert "cooldown" in caught.value.remedy
    assert "exclude-newer-package" not in caught.value.problem


def test_a_cool_down_needs_upload_times(shelf: Shelf) -> None:
    shelf.wheel("app", "1.0")
    shelf.index.fault = "no-upload-times"
    with pytest.raises(PipConflictError, match="no upload times for app") as caught:
        shelf.resolve("app", exclude_newer=_CUT)
    assert 'undated-releases = "take"' in caught.value.remedy
    assert "app in cooldown-exceptions" in caught.value.remedy


def test_what_has_no_upload_time_is_told(shelf: Shelf) -> None:
    shelf.wheel("app", "1.0")
    said = Said()
    shelf.index.fault = "no-upload-times"
    with pytest.raises(PipConflictError):
        shelf.tool().resolve(ask("app", exclude_newer=_CUT), said)
    (line,) = said
    assert line.startswith("uv: the index gives no upload times for app; ")
    assert "undated-releases in [tool.elt-env]" in line


def test_a_page_that_is_not_an_index(shelf: Shelf) -> None:
    shelf.wheel("app", "1.0")
    shelf.index.fault = "html-nonsense"
    with pytest.raises(IndexUnreachableError, match=r"no package index|page of 'app'") as caught:
        shelf.resolve("app")
    assert shelf.index.url in caught.value.problem
    assert caught.value.exit_code == 4


def test_an_index_that_does_not_answer_in_time(shelf: Shelf) -> None:
    shelf.wheel("app", "1.0")
    shelf.index.fault = "slow"
    with pytest.raises(TimeLimitError, match="time limit of 1 s") as caught:
        shelf.tool(limit=1.0).resolve(ask("app"), tell)
    assert "tool-limit" in caught.value.remedy


def test_credentials_refused(shelf: Shelf) -> None:
    shelf.wheel("app", "1.0")
    shelf.index.fault = "refuse-auth"
    for url in (shelf.index.url, shelf.index.url.replace("://", "://reader:s3cret-guess@")):
        with pytest.raises(IndexUnreachableError, match=r"other credentials.*401") as caught:
            shelf.tool(url=url).resolve(ask("app"), tell)
        assert "s3cret-guess" not in str(caught.value)


def test_credentials_accepted_are_shown_nowhere(shelf: Shelf) -> None:
    shelf.wheel("app", "1.0", requires=["lib"])
    shelf.wheel("lib", "1.0")
    shelf.index.fault = "refuse-auth"
    said = Said()
    tool, request = shelf.tool(url=shelf.index.url_with_credentials), ask("app")
    packages = tool.files(tool.resolve(request, said), request, said)
    assert [each.name for each in packages] == ["app", "lib"]
    with pytest.raises(PackageNotFoundError) as caught:
        tool.resolve(ask("app", "nope"), said)
    shown = f"{packages} {said} {caught.value}"
    assert shelf.index.url in shown
    assert shelf.index.credentials[1] not in shown
    assert shelf.index.credentials[0] + "@" not in shown


def test_a_disk_that_is_too_small_for_the_cache(
    shelf: Shelf, no_space: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf.wheel("app", "1.0")
    monkeypatch.setenv("UV_CACHE_DIR", str(no_space / "uv"))
    (no_space / "filler").write_bytes(bytes(256 * 1024))
    with pytest.raises(StorageError, match=f"No space left on the disk of {no_space}"):
        replace(shelf, root=no_space).resolve("app")


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
        found["install"] = pool.submit(_fail_to_install, place / "prefix")
        yield found


def _fail(wheel: Path, fault: Fault | None) -> object:
    with running(IndexServer()) as server:
        server.add(wheel)
        server.fault = fault
        return uv_at(server.url if fault else dead_url()).resolve(ask("app"), tell)


def _fail_to_install(prefix: Path) -> object:
    venv.create(prefix, with_pip=False, symlinks=True)
    listed = f"app==1.0 --hash=sha256:{'0' * 64}\n"
    request = InstallRequest(listed, prefix, Indexes(parse_index(dead_url())))
    return uv_at(dead_url()).install(request, tell)


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
