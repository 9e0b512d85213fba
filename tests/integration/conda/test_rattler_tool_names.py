"""Several channels: names, aliases, what a requirement names, priorities; over http."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path

import pytest

from elt_env.conda import SolveRequest
from elt_env.conda.channels import ChannelNames, channel_of
from elt_env.conda.rattler_tool import Rattler
from elt_env.errors import UnsatisfiableError
from elt_env.lockfile.document import Package
from elt_env.project.policy import ChannelPriority
from elt_env.spec.conda_spec import CondaSpec, parse_conda_spec
from tests.support.channel import Channel, ChannelServer
from tests.support.conda_packages import make_conda_package
from tests.support.loopback import running
from tests.support.solving import PLATFORM

_LIMIT = 120.0
# What each channel has of six: the version by the channel's name.
_SIX = {"forge": "2.0", "company": "1.0", "main": "3.0", "r": "4.0"}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL below which four channels are served, each with its own six."""
    root = tmp_path_factory.mktemp("channels")
    for name, version in _SIX.items():
        make_conda_package(root / name, "six", version)
        make_conda_package(root / name, f"only-{name}", "1.0", depends=["six"])
        Channel(root / name).index()
    make_conda_package(root / "forge", "six", "2.0", subdir=PLATFORM, build="p_0")
    make_conda_package(root / "forge", "needs-old", "1.0", depends=["six <2"])
    Channel(root / "forge").index()
    with pytest.MonkeyPatch.context() as patch, running(ChannelServer(root)) as server:
        patch.setenv("NO_PROXY", "127.0.0.1")
        yield server.url


@pytest.fixture
def conda(served: str, tmp_path: Path) -> Rattler:
    """A Rattler whose names stand for the served channels."""
    names = ChannelNames(
        alias=served,
        custom={"company/label": f"{served}/labels"},
        multi={"defaults": (f"{served}/main", f"{served}/r"), "ours": ("company", "forge")},
    )
    return Rattler(tmp_path / "cache", names, _LIMIT)


def _request(
    channels: str, *specs: CondaSpec, priority: ChannelPriority = "strict"
) -> SolveRequest:
    return SolveRequest(tuple(channels.split()), specs, PLATFORM, priority=priority)


def _six(conda: Rattler, channels: str, channel: str, version: str = "") -> Package:
    spec = parse_conda_spec(f"{channel}::six {version}" if channel else f"six {version}")
    return next(each for each in conda.solve(_request(channels, spec)) if each.name == "six")


@pytest.mark.parametrize(
    ("channels", "channel", "version"),
    [
        ("forge", "", "2.0"),
        ("company forge", "", "1.0"),
        ("forge company", "company", "1.0"),
        ("forge company", "company/noarch", "1.0"),
        ("ours", "", "1.0"),
        ("ours", "forge", "2.0"),
        ("defaults", "", "3.0"),
        ("forge defaults", "defaults", "3.0"),
        ("defaults forge", "r", "4.0"),
    ],
)
def test_a_package_comes_from_the_channel_that_is_named(
    conda: Rattler, served: str, channels: str, channel: str, version: str
) -> None:
    found = _six(conda, channels, channel)
    assert found.version == version
    home = next(name for name, each in _SIX.items() if each == version)
    assert channel_of(found.url) == f"{served}/{home}"


def test_a_cut_off_and_its_exceptions_leave_the_channel_as_it_is(
    conda: Rattler, served: str
) -> None:
    spec = CondaSpec("six", channel="company")
    limits = {"exclude_newer": datetime(2030, 1, 1, tzinfo=timezone.utc), "not_held": ("six",)}
    asked = replace(_request("forge company", spec), **limits)  # type: ignore[arg-type]
    assert [channel_of(each.url) for each in conda.solve(asked)] == [f"{served}/company"]


@pytest.mark.parametrize("form", ["{url}/company", "{url}/company/", "{url}/company/noarch"])
def test_a_requirement_names_its_channel_by_url(conda: Rattler, served: str, form: str) -> None:
    assert _six(conda, "forge company", form.format(url=served)).version == "1.0"


def test_a_platform_in_a_channel_is_a_condition(conda: Rattler) -> None:
    found = _six(conda, "forge company", f"forge/{PLATFORM}")
    assert found.conda is not None
    assert (found.build, found.conda.subdir) == ("p_0", PLATFORM)
    with pytest.raises(UnsatisfiableError):
        _six(conda, "forge company", f"company/{PLATFORM}")


def test_of_several_channels_with_one_name_the_first_that_has_it(conda: Rattler) -> None:
    assert _six(conda, "defaults", "defaults", "4.*").version == "4.0"
    spec = CondaSpec("only-r", channel="defaults")
    (package,) = [each for each in conda.solve(_request("defaults", spec)) if each.name == "only-r"]
    assert package.url.endswith("/r/noarch/only-r-1.0-0.conda")
    with pytest.raises(UnsatisfiableError):
        _six(conda, "defaults", "defaults", "5.*")


@pytest.mark.parametrize(
    ("priority", "version"), [("strict", None), ("flexible", "1.0"), ("disabled", "1.0")]
)
def test_whether_a_channel_further_down_may_help(
    conda: Rattler, priority: ChannelPriority, version: str | None
) -> None:
    request = _request("forge company", CondaSpec("needs-old"), priority=priority)
    if version is None:
        with pytest.raises(UnsatisfiableError):
            conda.solve(request)
    else:
        assert {each.name: each.version for each in conda.solve(request)}["six"] == version


@pytest.mark.parametrize(
    ("priority", "version"), [("strict", "1.0"), ("flexible", "1.0"), ("disabled", "2.0")]
)
def test_whether_the_first_channel_is_preferred(
    conda: Rattler, priority: ChannelPriority, version: str
) -> None:
    found = conda.solve(_request("company forge", CondaSpec("six"), priority=priority))
    assert [each.version for each in found] == [version]


def test_what_is_kept_comes_from_the_channels(conda: Rattler, served: str) -> None:
    old = _six(conda, "company", "")
    request = _request("forge", CondaSpec("six"))
    assert [each.version for each in conda.solve(replace(request, keep=(old,)))] == ["2.0"]
    both = _request("forge company", CondaSpec("six"))
    assert [each.version for each in conda.solve(replace(both, keep=(old,)))] == ["1.0"]
    named = _request("forge company", CondaSpec("six", channel="forge"))
    assert [each.version for each in conda.solve(replace(named, keep=(old,)))] == ["2.0"]
    elsewhere = replace(old, url=old.url.replace(served, "https://mirror.example.invalid"))
    (kept,) = conda.solve(replace(both, keep=(elsewhere,)))
    assert (kept.version, kept.url) == ("1.0", old.url)


def test_a_locked_package_satisfies_what_names_its_channel(conda: Rattler) -> None:
    old = _six(conda, "company", "")
    assert conda.matches(CondaSpec("six", channel="company"), old)
    assert conda.matches(CondaSpec("six", channel="https://mirror.example.invalid/company"), old)
    assert not conda.matches(CondaSpec("six", channel="forge"), old)
    assert not conda.matches(CondaSpec("six", channel="defaults"), old)
