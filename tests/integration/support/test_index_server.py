from __future__ import annotations

import hashlib
import importlib.util
import subprocess
import sys
import urllib.error
import urllib.request
import zipfile
from datetime import datetime, timezone
from pathlib import Path

import pytest
import uv

from tests.support.index_server import Fault, IndexServer, dead_url
from tests.support.loopback import corrupted
from tests.support.wheels import make_sdist, make_wheel

_LIMIT = 120.0
_UV: str = uv.find_uv_bin()
needs_pip = pytest.mark.skipif(
    importlib.util.find_spec("pip") is None, reason="pip is not installed beside the tests"
)


def _run(*command: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(part) for part in command], check=False, capture_output=True, text=True, timeout=_LIMIT
    )


def _compile(
    url: str, place: Path, requirements: str, *options: str
) -> subprocess.CompletedProcess[str]:
    listed = place / "requirements.in"
    listed.write_text(requirements)
    return _run(
        *(_UV, "pip", "compile", "--no-config", "--python", sys.executable),
        *("--no-header", "--generate-hashes", "--default-index", url, *options, listed),
    )


def _download(url: str, place: Path, *options: str | Path) -> subprocess.CompletedProcess[str]:
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "download", "--no-deps")
    return _run(*pip, "--retries", "0", "--index-url", url, "--dest", place / "got", *options)


def test_uv_resolves_with_the_files_own_hashes(index: IndexServer, tmp_path: Path) -> None:
    wheels = [
        make_wheel(tmp_path, "app", "1.0", requires=["Some.Lib>=2"]),
        make_wheel(tmp_path, "some-lib", "1.0"),
        make_wheel(tmp_path, "some-lib", "2.5"),
    ]
    for wheel in wheels:
        index.add(wheel)
    done = _compile(index.url, tmp_path, "app")
    assert done.returncode == 0, done.stderr
    assert "some-lib==2.5" in done.stdout
    for taken in (wheels[0], wheels[2]):
        assert hashlib.sha256(taken.read_bytes()).hexdigest() in done.stdout
    assert index.requests["/simple/some-lib/"] == 1


def test_uv_keeps_to_a_date(index: IndexServer, tmp_path: Path) -> None:
    for version, year in (("1.0", 2024), ("2.0", 2025)):
        uploaded = datetime(year, 6, 1, tzinfo=timezone.utc)
        index.add(make_wheel(tmp_path, "a", version), uploaded=uploaded)
    assert "a==2.0" in _compile(index.url, tmp_path, "a").stdout
    dated = ("--exclude-newer", "2025-01-01T00:00:00Z")
    assert "a==1.0" in _compile(index.url, tmp_path, "a", *dated).stdout
    index.fault = "no-upload-times"
    without = _compile(index.url, tmp_path, "a", *dated, "--refresh")
    assert without.returncode == 1
    assert "upload" in without.stderr


def test_a_yanked_file_is_only_for_who_pins_it(index: IndexServer, tmp_path: Path) -> None:
    index.add(make_wheel(tmp_path, "a", "1.0"))
    newest = make_wheel(tmp_path, "a", "2.0")
    index.add(newest)
    index.yank(newest, "wrong metadata")
    assert "a==1.0" in _compile(index.url, tmp_path, "a").stdout
    pinned = _compile(index.url, tmp_path, "a==2.0")
    assert pinned.returncode == 0
    assert "wrong metadata" in pinned.stderr


def test_a_removed_file_is_gone(index: IndexServer, tmp_path: Path) -> None:
    wheel = make_wheel(tmp_path, "a", "1.0")
    index.add(wheel)
    assert _compile(index.url, tmp_path, "a").returncode == 0
    index.remove(wheel)
    assert "was not found" in _compile(index.url, tmp_path, "a", "--refresh").stderr


def test_requires_python_is_honoured(index: IndexServer, tmp_path: Path) -> None:
    index.add(make_wheel(tmp_path, "a", "1.0"))
    index.add(make_wheel(tmp_path, "a", "2.0", requires_python=">=4"))
    faults: tuple[Fault | None, ...] = (None, "html-only")
    for fault in faults:
        index.fault = fault
        assert "a==1.0" in _compile(index.url, tmp_path, "a", "--refresh").stdout


def test_uv_takes_the_metadata_beside_a_wheel(index: IndexServer, tmp_path: Path) -> None:
    index.core_metadata = True
    wheel = make_wheel(tmp_path, "a", "1.0")
    index.add(wheel)
    assert _compile(index.url, tmp_path, "a").returncode == 0
    assert index.requests[f"/files/{wheel.name}.metadata"] == 1
    assert index.requests[f"/files/{wheel.name}"] == 0


@needs_pip
@pytest.mark.parametrize("fault", [None, "html-only"])
def test_pip_downloads(index: IndexServer, tmp_path: Path, fault: Fault | None) -> None:
    index.fault = fault
    index.add(make_wheel(tmp_path, "a", "1.0"))
    done = _download(index.url, tmp_path, "a")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "got" / "a-1.0-py3-none-any.whl").exists()


def test_an_installed_wheel_works(index: IndexServer, tmp_path: Path) -> None:
    code = "def main():\n    print('hello')\n"
    index.add(
        make_wheel(tmp_path, "a", "1", files={"a.py": code}, entry_points={"say-a": "a:main"})
    )
    prefix = _install(index, tmp_path, "a")
    assert _run(prefix / "bin" / "say-a").stdout == "hello\n"


def test_an_sdist_builds_without_a_download(index: IndexServer, tmp_path: Path) -> None:
    index.add(make_sdist(tmp_path, "a", "1.0", requires=["b"]))
    index.add(make_wheel(tmp_path, "b", "1.0"))
    only_wheels = _compile(index.url, tmp_path, "a", "--only-binary", ":all:")
    assert only_wheels.returncode == 1
    prefix = _install(index, tmp_path, "a")
    shown = _run(prefix / "bin" / "python", "-c", "import a, b; print(a.__version__)")
    assert shown.stdout == "1.0\n", shown.stderr


def _install(index: IndexServer, place: Path, name: str) -> Path:
    prefix = place / "prefix"
    _run(_UV, "venv", "--no-config", "--python", sys.executable, prefix)
    done = _run(
        *(_UV, "pip", "install", "--no-config", "--default-index", index.url),
        *("--python", prefix / "bin" / "python", name),
    )
    assert done.returncode == 0, done.stderr
    return prefix


@needs_pip
def test_corrupt_files_fail_by_their_hash(index: IndexServer, tmp_path: Path) -> None:
    index.add(make_wheel(tmp_path, "a", "1.0"))
    locked = _compile(index.url, tmp_path, "a").stdout
    requirements = tmp_path / "requirements.txt"
    requirements.write_text(locked)
    index.fault = "corrupt-files"
    done = _download(index.url, tmp_path, "--require-hashes", "-r", requirements)
    assert done.returncode == 1
    assert "THESE PACKAGES DO NOT MATCH THE HASHES" in done.stderr


def test_a_corrupt_wheel_can_be_read_and_has_the_same_size(tmp_path: Path) -> None:
    wheel = make_wheel(tmp_path, "a", "1.0")
    before = wheel.read_bytes()
    wheel.write_bytes(corrupted(before))
    with zipfile.ZipFile(wheel) as archive:
        assert archive.testzip() is None
    assert wheel.read_bytes() != before
    assert wheel.stat().st_size == len(before)


def test_wrong_credentials_are_refused(index: IndexServer, tmp_path: Path) -> None:
    index.add(make_wheel(tmp_path, "a", "1.0"))
    index.fault = "refuse-auth"
    refused = _compile(index.url, tmp_path, "a")
    assert refused.returncode != 0
    assert "401" in refused.stderr
    assert _compile(index.url_with_credentials, tmp_path, "a").returncode == 0


@needs_pip
@pytest.mark.parametrize("fault", ["500", "html-nonsense", "half-page"])
def test_pip_fails_on_a_broken_index(index: IndexServer, tmp_path: Path, fault: Fault) -> None:
    index.add(make_wheel(tmp_path, "a", "1.0"))
    index.fault = fault
    assert _download(index.url, tmp_path, "a").returncode != 0
    index.fault = None
    assert _download(index.url, tmp_path, "a").returncode == 0


def test_a_slow_index_lets_the_client_wait(index: IndexServer) -> None:
    index.patience = 60.0
    index.fault = "slow"
    with pytest.raises(TimeoutError):
        urllib.request.urlopen(f"{index.url}/a/", timeout=0.2)


def test_part_of_a_file_can_be_asked_for(index: IndexServer, tmp_path: Path) -> None:
    wheel = make_wheel(tmp_path, "a", "1.0")
    index.add(wheel)
    url = f"{index.base_url}/files/{wheel.name}"
    for asked, part in (("bytes=2-5", slice(2, 6)), ("bytes=-7", slice(-7, None))):
        request = urllib.request.Request(url, headers={"Range": asked})
        with urllib.request.urlopen(request, timeout=_LIMIT) as answer:
            assert answer.status == 206
            assert answer.read() == wheel.read_bytes()[part]


def test_nobody_answers_at_the_dead_url() -> None:
    with pytest.raises(urllib.error.URLError, match="refused"):
        urllib.request.urlopen(dead_url(), timeout=_LIMIT)
