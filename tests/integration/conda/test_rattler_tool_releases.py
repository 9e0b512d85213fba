"""What channels offer of single packages, and cut-offs with exceptions."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from elt_env.conda.rattler_tool import Rattler
from elt_env.errors import ChannelUnreachableError, NetworkError
from tests.support.channel import Channel, ChannelServer, Fault
from tests.support.conda_packages import make_conda_distribution, make_conda_package
from tests.support.index_server import dead_url
from tests.support.loopback import running
from tests.support.solving import OLD, PLATFORM, YOUNG, make_small_channel, request, versions

_CUT = datetime(2025, 1, 1, tzinfo=timezone.utc)


@pytest.fixture
def packages(tmp_path: Path) -> Channel:
    return make_small_channel(tmp_path / "forge")


@pytest.fixture
def conda(tmp_path: Path) -> Rattler:
    return Rattler(tmp_path / "cache", None, 60.0)


def test_every_build_newest_version_first(packages: Channel, conda: Rattler) -> None:
    for number in (0, 1):
        make_conda_package(
            packages.root, "lib", "1.10", build=f"h{number}", build_number=number, timestamp=OLD
        )
    packages.index()
    found = conda.releases((packages.url,), ("lib",), PLATFORM)["lib"]
    told = [(each.version, each.build_number) for each in found]
    assert told == [("2.0", 0), ("1.10", 1), ("1.10", 0), ("1.0", 0)]
    assert [each.released_at for each in found] == [YOUNG, OLD, OLD, OLD]
    (app,) = conda.releases((packages.url,), ("app",), PLATFORM)["app"]
    assert (app.name, app.depends) == ("app", ("python", "lib"))


def test_many_names_at_once(packages: Channel, conda: Rattler) -> None:
    found = conda.releases((packages.url,), ("python", "nothing", "lib"), PLATFORM)
    assert [each.version for each in found["python"]] == ["3.12.1", "3.11.5"]
    assert len(found["lib"]) == 2
    assert found["nothing"] == ()


def test_a_build_without_a_date(packages: Channel, conda: Rattler) -> None:
    make_conda_package(packages.root, "undated", "1.0")
    packages.index()
    (found,) = conda.releases((packages.url,), ("undated",), PLATFORM)["undated"]
    assert found.released_at is None


def test_the_first_channel_that_has_a_package_tells(
    packages: Channel, conda: Rattler, tmp_path: Path
) -> None:
    other = Channel(tmp_path / "other")
    make_conda_package(other.root, "lib", "9.0", timestamp=OLD)
    make_conda_package(other.root, "extra", "1.0", timestamp=OLD)
    other.index()
    found = conda.releases((packages.url, other.url), ("lib", "extra"), PLATFORM)
    assert [each.version for each in found["lib"]] == ["2.0", "1.0"]
    assert [each.version for each in found["extra"]] == ["1.0"]


def test_news_are_seen_at_once(packages: Channel, conda: Rattler) -> None:
    conda.releases((packages.url,), ("lib",), PLATFORM)
    make_conda_distribution(packages.root, "lib", "3.0", timestamp=YOUNG)
    packages.index()
    assert conda.releases((packages.url,), ("lib",), PLATFORM)["lib"][0].version == "3.0"


@pytest.mark.parametrize("fault", ["404", "500", "nonsense"])
def test_a_channel_that_cannot_be_read_is_an_error(
    packages: Channel, conda: Rattler, fault: Fault
) -> None:
    with running(ChannelServer(packages.root)) as server:
        server.fault = fault
        with pytest.raises(NetworkError, match="conda channel") as caught:
            conda.releases((server.url,), ("lib",), PLATFORM)
        assert server.url in caught.value.problem
        server.fault = None
        assert len(conda.releases((server.url,), ("lib",), PLATFORM)["lib"]) == 2


def test_a_channel_where_nobody_answers(conda: Rattler) -> None:
    with pytest.raises(ChannelUnreachableError, match="cannot be reached"):
        conda.releases((dead_url(),), ("lib",), PLATFORM)


def test_what_is_not_held_may_be_young(packages: Channel, conda: Rattler) -> None:
    make_conda_distribution(packages.root, "app", "2.0", depends=["lib"], timestamp=YOUNG)
    packages.index()
    held = conda.solve(request(packages.url, "app", exclude_newer=_CUT))
    assert versions(held) == {"app": "1.0", "lib": "1.0", "python": "3.12.1"}
    freed = conda.solve(request(packages.url, "app", exclude_newer=_CUT, not_held=("lib",)))
    assert versions(freed) == {"app": "1.0", "lib": "2.0", "python": "3.12.1"}
    assert {each.name: each.released_at for each in freed}["lib"] == YOUNG
    both = conda.solve(request(packages.url, "app", exclude_newer=_CUT, not_held=("lib", "app")))
    assert versions(both) == {"app": "2.0", "lib": "2.0", "python": "3.12.1"}
    assert all(each.url.startswith(packages.url) for each in both)


def test_a_name_that_is_normalized_is_the_same_package(packages: Channel, conda: Rattler) -> None:
    make_conda_package(packages.root, "my_lib", "1.0", timestamp=OLD)
    make_conda_package(packages.root, "my_lib", "2.0", timestamp=YOUNG)
    packages.index()
    found = conda.solve(request(packages.url, "my_lib", exclude_newer=_CUT, not_held=("my-lib",)))
    assert versions(found) == {"my_lib": "2.0"}


def test_of_equal_builds_the_youngest_is_taken_held_or_not(
    packages: Channel, conda: Rattler
) -> None:
    for hour in range(4):
        make_conda_package(
            *(packages.root, "twin", "1.0"),
            build=f"h{'cadb'[hour]}",
            timestamp=YOUNG + timedelta(hours=hour),
        )
    packages.index()
    (free,) = conda.solve(request(packages.url, "twin"))
    (found,) = conda.solve(
        request(packages.url, "twin", exclude_newer=_CUT, not_held=("twin", "other"))
    )
    assert found == free
    assert found.build == "hb"


def test_of_two_channels_the_first_has_priority_for_what_is_not_held(
    packages: Channel, conda: Rattler, tmp_path: Path
) -> None:
    other = Channel(tmp_path / "other")
    make_conda_distribution(other.root, "lib", "9.0", timestamp=YOUNG)
    other.index()
    asked = request(packages.url, "lib", exclude_newer=_CUT, not_held=("lib",))
    for channels, version in (
        ((packages.url, other.url), "2.0"),
        ((other.url, packages.url), "9.0"),
    ):
        found = conda.solve(replace(asked, channels=channels))
        assert versions(found)["lib"] == version
