"""rattler solves from a local channel, links what was locked, and says what is wrong."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
import textwrap
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from elt_env.errors import (
    ChannelUnreachableError,
    CondaUnsatisfiableError,
    EltEnvError,
    IntegrityError,
    NetworkError,
    PackageNotFoundError,
    SpecError,
    StorageError,
    TimeLimitError,
)
from elt_env.model.conda_spec import CondaSpec, parse_conda_spec
from elt_env.model.lock import Package
from elt_env.tools.conda import Rattler, SolveRequest
from elt_env.tools.process import clean_environment
from tests.support.channel import Channel, ChannelServer, Fault
from tests.support.conda_packages import make_conda_distribution, make_conda_package
from tests.support.index_server import dead_url
from tests.support.loopback import Reply, corrupted, running

_LIMIT = 120.0
_PLATFORM = "linux-64"
_OLD = datetime(2024, 6, 1, tzinfo=timezone.utc)
_YOUNG = datetime(2026, 6, 1, tzinfo=timezone.utc)
_CUT = datetime(2026, 1, 1, tzinfo=timezone.utc)


@pytest.fixture(scope="module")
def shared_packages(tmp_path_factory: pytest.TempPathFactory) -> Channel:
    """A channel with a Python that holds nothing, and a few packages; not to be changed."""
    channel = Channel(tmp_path_factory.mktemp("shared") / "channel")
    root = channel.root
    make_conda_package(root, "python", "3.11.5", subdir=_PLATFORM, timestamp=_OLD)
    make_conda_package(root, "python", "3.12.1", subdir=_PLATFORM, timestamp=_OLD)
    make_conda_distribution(root, "lib", "1.0", timestamp=_OLD)
    make_conda_distribution(root, "lib", "2.0", timestamp=_YOUNG)
    make_conda_distribution(root, "app", "1.0", depends=["python", "lib"], timestamp=_OLD)
    make_conda_distribution(
        root, "python-dateutil", "2.9", package="pydateutil", timestamp=_OLD, files={"d.py": "x=1"}
    )
    channel.index()
    return channel


@pytest.fixture
def packages(shared_packages: Channel, tmp_path: Path) -> Channel:
    """A copy of it, of this test's own."""
    return shared_packages.linked_copy(tmp_path / "channel")


@pytest.fixture
def server(packages: Channel) -> Iterator[ChannelServer]:
    """A server of that copy."""
    with running(ChannelServer(packages.root)) as server:
        yield server


@pytest.fixture
def conda(tmp_path: Path) -> Rattler:
    """The tool, with caches of the test's own."""
    return Rattler(tmp_path / "cache", None, _LIMIT)


def _request(channel: str, *specs: str, **options: object) -> SolveRequest:
    wanted = tuple(parse_conda_spec(each) for each in specs)
    return SolveRequest((channel,), wanted, _PLATFORM, **options)  # type: ignore[arg-type]


def _replace(archive: Path, data: bytes) -> None:
    # It shares its bytes with the channel that all tests of this module share.
    archive.unlink()
    archive.write_bytes(data)


def _versions(packages: tuple[Package, ...]) -> dict[str, str]:
    return {each.name: each.version for each in packages}


def test_what_a_solution_tells(packages: Channel, server: ChannelServer, conda: Rattler) -> None:
    app, lib, dateutil, python = conda.solve(
        _request(server.url, "python=3.11", "app", "pydateutil")
    )
    assert (app.requested, lib.requested, python.requested) == (True, False, True)
    assert (app.version, lib.version, python.version) == ("1.0", "2.0", "3.11.5")
    assert app.url == f"{server.url}/noarch/app-1.0-0.conda"
    assert python.url == f"{server.url}/{_PLATFORM}/python-3.11.5-0.conda"
    assert app.size == (packages.root / "noarch" / app.file_name).stat().st_size
    assert (app.released_at, lib.released_at) == (_OLD, _YOUNG)
    assert app.conda is not None
    assert app.conda.depends == ("python", "lib")
    assert dateutil.conda is not None
    assert dateutil.conda.distributions == (("python-dateutil", "2.9"),)


def test_a_directory_and_a_server_give_the_same(
    packages: Channel, server: ChannelServer, conda: Rattler
) -> None:
    local, remote = (
        conda.solve(_request(url, "python=3.11", "app")) for url in (packages.url, server.url)
    )
    assert [replace(each, url="") for each in local] == [replace(each, url="") for each in remote]


def test_constraints_bind_only_what_is_there(packages: Channel, conda: Rattler) -> None:
    constraints = (CondaSpec("lib", "<2"), CondaSpec("pydateutil", "<1"))
    found = conda.solve(_request(packages.url, "python=3.11", "app", constraints=constraints))
    assert _versions(found) == {"app": "1.0", "lib": "1.0", "python": "3.11.5"}


def test_what_is_to_be_kept_stays_where_nothing_forbids_it(
    packages: Channel, conda: Rattler
) -> None:
    old = conda.solve(
        _request(packages.url, "python=3.11", "app", constraints=(CondaSpec("lib", "<2"),))
    )
    kept = conda.solve(_request(packages.url, "python=3.11", "app", keep=old))
    assert _versions(kept)["lib"] == "1.0"
    moved = conda.solve(_request(packages.url, "python=3.11", "app", "lib>=2", keep=old))
    assert _versions(moved)["lib"] == "2.0"


@pytest.mark.parametrize(
    "cut",
    [
        _CUT,
        # Five hours ahead of UTC: as UTC it would be after the young release.
        (_YOUNG - timedelta(hours=1)).astimezone(timezone(timedelta(hours=5))),
    ],
)
def test_a_package_too_young_is_not_chosen(
    packages: Channel, server: ChannelServer, conda: Rattler, cut: datetime
) -> None:
    make_conda_distribution(packages.root, "undated", "1.0")
    packages.index()
    found = conda.solve(_request(server.url, "python=3.11", "app", "undated", exclude_newer=cut))
    assert _versions(found)["lib"] == "1.0"
    assert _versions(found)["undated"] == "1.0"


def test_all_that_fits_is_too_young(packages: Channel, conda: Rattler) -> None:
    with pytest.raises(CondaUnsatisfiableError, match="lib >=2") as caught:
        conda.solve(_request(packages.url, "python=3.11", "lib>=2", exclude_newer=_CUT))
    assert "cooldown" in caught.value.remedy


def test_a_channel_indexed_anew_is_read_anew(packages: Channel, conda: Rattler) -> None:
    conda.solve(_request(packages.url, "lib"))
    make_conda_distribution(packages.root, "lib", "3.0")
    packages.index()
    assert _versions(conda.solve(_request(packages.url, "lib")))["lib"] == "3.0"


def test_no_solution(packages: Channel, conda: Rattler) -> None:
    make_conda_distribution(packages.root, "old", "1.0", depends=["python", "lib <2"])
    packages.index()
    with pytest.raises(CondaUnsatisfiableError, match="python =3.11, lib >=2, old") as caught:
        conda.solve(_request(packages.url, "python=3.11", "lib>=2", "old"))
    assert "lib <2" in caught.value.problem
    assert "Loosen" in caught.value.remedy
    assert caught.value.exit_code == 3


def test_no_version_of_it(packages: Channel, conda: Rattler) -> None:
    with pytest.raises(CondaUnsatisfiableError, match="No candidates were found for lib >=7"):
        conda.solve(_request(packages.url, "python=3.11", "lib>=7"))


def test_a_package_that_is_not_there(packages: Channel, conda: Rattler) -> None:
    with pytest.raises(PackageNotFoundError, match=rf"'nope' on .*{packages.url}") as caught:
        conda.solve(_request(packages.url, "python=3.11", "nope"))
    assert "Correct the name" in caught.value.remedy


def test_a_requirement_that_rattler_cannot_read(packages: Channel, conda: Rattler) -> None:
    with pytest.raises(SpecError, match="not valid"):
        conda.solve(replace(_request(packages.url), specs=(CondaSpec("lib", ">=1.0.0.*.1"),)))


def test_something_that_cannot_be_a_channel(conda: Rattler) -> None:
    with pytest.raises(SpecError, match=r"'ht!tp://' is not a channel"):
        conda.channel_url("ht!tp://")


def test_a_channel_name_follows_the_alias(tmp_path: Path) -> None:
    conda = Rattler(tmp_path, "https://channels.example.invalid/conda", _LIMIT)
    assert conda.channel_url("forge") == "https://channels.example.invalid/conda/forge"
    assert conda.channel_url("https://a.example.invalid/x/") == "https://a.example.invalid/x"


@pytest.mark.parametrize(
    ("fault", "error", "words"),
    [
        ("404", NetworkError, "does not answer with repodata"),
        ("nonsense", NetworkError, "does not answer with repodata"),
        ("500", ChannelUnreachableError, "cannot be reached"),
    ],
)
def test_a_channel_with_a_fault(
    *,
    packages: Channel,
    server: ChannelServer,
    conda: Rattler,
    fault: Fault,
    error: type[EltEnvError],
    words: str,
) -> None:
    del packages
    server.fault = fault
    with pytest.raises(EltEnvError, match=f"{server.url} {words}") as caught:
        conda.solve(_request(server.url, "lib"))
    assert type(caught.value) is error
    assert (caught.value.exit_code, caught.value.retryable) == (4, True)
    assert not conda.reachable((server.url,))


def test_repodata_that_are_not_json_are_not_taken_for_an_unreachable_channel(
    packages: Channel, server: ChannelServer, conda: Rattler
) -> None:
    # An error in column 500 is no HTTP status 500.
    for repodata in packages.root.glob("*/repodata.json"):
        repodata.write_text("{" + " " * 498 + "?")
    with pytest.raises(NetworkError) as caught:
        conda.solve(_request(server.url, "lib"))
    assert type(caught.value) is NetworkError


def test_a_channel_where_nobody_answers_is_named(packages: Channel, conda: Rattler) -> None:
    dead = dead_url()
    request = replace(_request(packages.url, "lib"), channels=(packages.url, dead))
    with pytest.raises(ChannelUnreachableError, match=f"channel {dead} cannot") as caught:
        conda.solve(request)
    assert 'channel-fallback = "host"' in caught.value.remedy
    assert not conda.reachable((dead,))
    assert conda.reachable((packages.url,))


def test_a_channel_that_does_not_answer_in_time(server: ChannelServer, tmp_path: Path) -> None:
    server.fault = "slow"
    with pytest.raises(TimeLimitError, match="longer than 1 s") as caught:
        Rattler(tmp_path / "cache", None, 1.0).solve(_request(server.url, "lib"))
    assert "tool-limit" in caught.value.remedy


class _PrivateServer(ChannelServer):
    """Lets in who knows the password."""

    def answer(self, path: str, headers: Mapping[str, str]) -> Reply:
        login = "Basic " + base64.b64encode(b"reader:open-sesame").decode()
        if headers.get("authorization") == login:
            return super().answer(path, headers)
        return Reply(401, b"log in first", "text/plain", {"WWW-Authenticate": "Basic"})


def test_a_private_channel(
    packages: Channel, conda: Rattler, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    login = {"BasicHTTP": {"username": "reader", "password": "open-sesame"}}
    with running(_PrivateServer(packages.root)) as server:
        with pytest.raises(NetworkError, match=r"refuses access \(401") as caught:
            conda.solve(_request(server.url, "lib=1"))
        assert type(caught.value) is NetworkError
        assert "RATTLER_AUTH_FILE" in caught.value.remedy
        (tmp_path / "auth.json").write_text(json.dumps({"127.0.0.1": login}))
        monkeypatch.setenv("RATTLER_AUTH_FILE", str(tmp_path / "auth.json"))
        found = conda.solve(_request(server.url, "lib=1", "python=3.11"))
        _link(conda, found, tmp_path / "prefix")
    assert "open-sesame" not in repr(found)
    assert not [
        record
        for record in (tmp_path / "prefix" / "conda-meta").iterdir()
        if record.is_file() and "open-sesame" in record.read_text()
    ]


@pytest.mark.parametrize("served", [True, False])
@pytest.mark.parametrize("damage", ["gone", "cut"])
def test_a_package_that_is_listed_and_cannot_be_read(
    packages: Channel, server: ChannelServer, conda: Rattler, damage: str, *, served: bool
) -> None:
    archive = packages.root / "noarch" / "lib-2.0-0.conda"
    if damage == "gone":
        archive.unlink()
    else:
        _replace(archive, archive.read_bytes()[:100])
    url = server.url if served else packages.url
    with pytest.raises(
        NetworkError, match=f"{url}/noarch/lib-2.0-0.conda cannot be read"
    ) as caught:
        conda.solve(_request(url, "lib"))
    assert "another version" in caught.value.remedy


def test_a_cache_that_cannot_be_written(packages: Channel, unwritable: Path) -> None:
    conda = Rattler(unwritable / "cache", None, _LIMIT)
    found = conda.solve(_request(packages.url, "lib=1"))
    with pytest.raises(StorageError, match="cannot be written"):
        conda.link(found, unwritable.parent / "prefix", (), print)


def _link(conda: Rattler, found: tuple[Package, ...], prefix: Path) -> list[str]:
    said: list[str] = []
    conda.link(found, prefix, ("lib",), said.append)
    return said


def test_a_prefix_holds_what_was_asked_for(
    packages: Channel, server: ChannelServer, conda: Rattler, tmp_path: Path
) -> None:
    for version in ("1.0", "2.0"):
        files = {"share/lib/VERSION": version}
        make_conda_package(packages.root, "lib", version, files=files)
    make_conda_package(packages.root, "other", "1.0", files={"share/other/x": "y"})
    packages.index()
    prefix = tmp_path / "prefix"
    said = _link(conda, conda.solve(_request(server.url, "lib=1", "other")), prefix)
    assert said[0] == "conda: linking 2 packages"
    assert said[-1] == "conda: linked 2 of 2 packages"
    record = json.loads((prefix / "conda-meta" / "lib-1.0-0.json").read_text())
    assert record["requested_specs"] == ["lib"]
    assert record["url"] == f"{server.url}/noarch/lib-1.0-0.conda"
    _link(conda, conda.solve(_request(server.url, "lib=2")), prefix)
    assert (prefix / "share/lib/VERSION").read_text() == "2.0"
    assert not (prefix / "share/other/x").exists()
    assert len(list((prefix / "conda-meta").glob("*.json"))) == 1


def test_a_damaged_cache_is_not_linked(
    packages: Channel, server: ChannelServer, conda: Rattler, tmp_path: Path
) -> None:
    make_conda_package(packages.root, "data", "1.0", files={"share/data": "right"})
    packages.index()
    found = conda.solve(_request(server.url, "data"))
    _link(conda, found, tmp_path / "one")
    # The prefix's file is a hard link into the cache.
    (tmp_path / "one/share/data").write_text("wrong")
    _link(conda, found, tmp_path / "two")
    assert (tmp_path / "two/share/data").read_text() == "right"


def test_other_bytes_from_a_server_are_not_linked(
    packages: Channel, server: ChannelServer, conda: Rattler, tmp_path: Path
) -> None:
    del packages
    found = conda.solve(_request(server.url, "lib=1", "python=3.11"))
    server.fault = "corrupt-packages"
    with pytest.raises(IntegrityError, match=r"Hash mismatch of (lib|python)-\S+\.conda") as caught:
        _link(conda, found, tmp_path / "prefix")
    assert "relock" in caught.value.remedy
    assert caught.value.exit_code == 5
    assert not list((tmp_path / "prefix").glob("conda-meta/*.json"))


def test_other_bytes_in_a_directory_are_not_linked(
    packages: Channel, conda: Rattler, tmp_path: Path
) -> None:
    found = conda.solve(_request(packages.url, "lib=1", "python=3.11"))
    archive = packages.root / "noarch" / "lib-1.0-0.conda"
    _replace(archive, corrupted(archive.read_bytes()))
    with pytest.raises(IntegrityError, match=r"Hash mismatch .*lib-1.0-0.conda") as caught:
        _link(conda, found, tmp_path / "prefix")
    assert found[0].sha256 in caught.value.problem
    archive.unlink()
    with pytest.raises(IntegrityError, match=r"lib-1.0-0.conda .*is gone"):
        _link(conda, found, tmp_path / "prefix")
    assert not (tmp_path / "prefix").exists()


@pytest.mark.parametrize(
    ("fault", "words"), [("404", "is no longer on its channel"), ("500", "cannot be downloaded")]
)
def test_a_package_that_cannot_be_downloaded(
    *,
    packages: Channel,
    server: ChannelServer,
    conda: Rattler,
    tmp_path: Path,
    fault: Fault,
    words: str,
) -> None:
    del packages
    found = conda.solve(_request(server.url, "lib=1", "python=3.11"))
    server.fault = fault
    with pytest.raises(NetworkError, match=rf"\.conda {words}"):
        _link(conda, found, tmp_path / "prefix")


def test_a_disk_that_is_too_small_for_a_prefix(
    packages: Channel, conda: Rattler, no_space: Path
) -> None:
    files = {"share/big": bytes(range(256)) * 4000}
    make_conda_package(packages.root, "big", "1.0", files=files)
    packages.index()
    found = conda.solve(_request(packages.url, "big"))
    with pytest.raises(StorageError, match="No space left"):
        _link(conda, found, no_space / "prefix")


def test_matches(packages: Channel, conda: Rattler) -> None:
    lib, _ = conda.solve(_request(packages.url, "python=3.11", "lib=1"))
    for text, expected in {"lib": True, "lib>=1,<2": True, "lib=2": False, "app": False}.items():
        assert conda.matches(parse_conda_spec(text), lib) is expected


# py-rattler can crash the interpreter when it exits, after all work is done; see `Rattler._run`.
_SOLVE = """
    import sys
    from pathlib import Path
    from elt_env.model.conda_spec import CondaSpec
    from elt_env.tools.conda import Rattler, SolveRequest

    conda = Rattler(Path(sys.argv[2]), None, 60.0)
    request = SolveRequest((sys.argv[1],), (CondaSpec("app"),), "linux-64")
    print(len(conda.solve(request)))
"""


def test_an_interpreter_that_solved_ends_well(packages: Channel, tmp_path: Path) -> None:
    def solve(number: int) -> tuple[int, str]:
        done = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(_SOLVE), packages.url, tmp_path / f"{number}"],
            env=clean_environment(extra={"PYTHONPATH": ":".join(filter(None, sys.path))}),
            check=False,
            capture_output=True,
            text=True,
            timeout=_LIMIT,
        )
        return done.returncode, done.stdout

    with ThreadPoolExecutor(2) as pool:
        assert set(pool.map(solve, range(20))) == {(0, "3\n")}
