from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from elt_env.conda.channels import (
    CONDA_DEFAULTS,
    ChannelNames,
    find_channels,
    is_from,
    rattler_alias,
    split_subdir,
    without_login,
)
from elt_env.errors import SpecError
from elt_env.machine.condarc import CondaSettings
from elt_env.project.policy import EnvironmentPolicy, Policy

_ALIAS = "https://alias.example.invalid/conda"
_NAMES = ChannelNames(
    alias=_ALIAS,
    custom={
        "company": "https://me:secret@own.example.invalid/t/tk-12/conda",
        "company/label": "https://labels.example.invalid",
        "relative": "some/where",
    },
    multi={
        "defaults": ("https://mirror.example.invalid/pkgs/main", "pkgs/r"),
        "ours": (f"{_ALIAS}/forge", "https://h.example.invalid/x", f"{_ALIAS}/forge/"),
        "local": (),
    },
    root=Path("/project"),
)


@pytest.mark.parametrize(
    ("channel", "urls"),
    [
        ("forge", [f"{_ALIAS}/forge"]),
        ("forge/label/dev/", [f"{_ALIAS}/forge/label/dev"]),
        ("forge/linux-64", [f"{_ALIAS}/forge"]),
        ("forge/label/dev/noarch", [f"{_ALIAS}/forge/label/dev"]),
        ("company", ["https://own.example.invalid/conda/company"]),
        ("company/sub/x", ["https://own.example.invalid/conda/company/sub/x"]),
        ("company/label/x", ["https://labels.example.invalid/company/label/x"]),
        ("relative", [f"{_ALIAS}/relative"]),
        ("defaults", ["https://mirror.example.invalid/pkgs/main", f"{_ALIAS}/pkgs/r"]),
        ("defaults/linux-64", ["https://mirror.example.invalid/pkgs/main", f"{_ALIAS}/pkgs/r"]),
        ("pkgs/main", ["https://mirror.example.invalid/pkgs/main"]),
        ("pkgs/main/x", ["https://mirror.example.invalid/pkgs/main/x"]),
        ("pkgs/r", [f"{_ALIAS}/pkgs/r"]),
        ("ours", [f"{_ALIAS}/forge", "https://h.example.invalid/x"]),
        ("https://h.example.invalid/y/", ["https://h.example.invalid/y"]),
        ("https://h.example.invalid/y/osx-arm64", ["https://h.example.invalid/y"]),
        ("file:///srv/channel", ["file:///srv/channel"]),
        ("/srv/a b", ["file:///srv/a%20b"]),
        ("./channel", ["file:///project/channel"]),
        ("local", []),
    ],
)
def test_what_a_channel_stands_for(channel: str, urls: list[str]) -> None:
    assert list(_NAMES.urls(channel)) == urls


def test_defaults_are_condas_where_nothing_says_otherwise() -> None:
    main, r = ChannelNames(_ALIAS).urls("defaults")
    assert (main, r) == CONDA_DEFAULTS
    assert main.endswith("/pkgs/main")
    assert ChannelNames(_ALIAS).urls("pkgs/r") == (r,)


def test_what_cannot_be_a_channel() -> None:
    with pytest.raises(SpecError, match="ht!tp://host/x"):
        _NAMES.urls("ht!tp://host/x")


_segments = st.lists(st.from_regex(r"[a-z][a-z0-9.]{1,5}", fullmatch=True), min_size=1, max_size=3)


@given(_segments, st.sampled_from(["linux-64", "noarch", "osx-arm64", "win-32", ""]))
def test_a_platform_in_a_channel_can_be_told_from_it(parts: list[str], subdir: str) -> None:
    channel = "/".join(parts)
    assert split_subdir(f"{channel}/{subdir}") == (channel, subdir)


@given(_segments, st.sampled_from(["", "me:secret@", "me@"]), st.booleans())
def test_urls_are_without_credentials(parts: list[str], login: str, token: bool) -> None:  # noqa: FBT001
    path = "/".join(["t", "tk-99", *parts] if token else parts)
    bare = f"https://h.example.invalid/{'/'.join(parts)}"
    assert without_login(f"https://{login}h.example.invalid/{path}/") == bare
    names = ChannelNames(without_login(f"https://{login}h.example.invalid/{path}"))
    assert names.urls("forge") == (f"{bare}/forge",)


def test_a_package_lies_in_one_channel() -> None:
    url = "https://h.example.invalid/a/b/linux-64/x-1-0.conda"
    assert is_from(url, ["https://h.example.invalid/a/b"])
    assert not is_from(url, ["https://h.example.invalid/a", "https://h.example.invalid"])


def _policy(**changes: object) -> Policy:
    elt = EnvironmentPolicy(spec="elt.yml", pythons=("3.11",))
    return Policy.model_validate({"environments": {"elt": elt}, **changes})


_SETTINGS = CondaSettings(
    channels=("company", "nodefaults", "https://me:secret@h.example.invalid/x"),
    channel_alias="https://me:secret@settings.example.invalid/conda",
    default_channels=("https://settings.example.invalid/main",),
    channel_priority="flexible",
    local=("file:///opt/conda/conda-bld",),
    sources={"channels": ("/home/me/.condarc",)},
)


def test_the_settings_count_where_the_policy_is_silent() -> None:
    found = find_channels(_policy(), _SETTINGS, Path("/project"))
    assert found.names.urls("forge") == ("https://settings.example.invalid/conda/forge",)
    assert found.names.urls("defaults") == ("https://settings.example.invalid/main",)
    assert found.names.urls("local") == ("file:///opt/conda/conda-bld",)
    assert found.priority == "flexible"
    assert found.default == ("company", "https://h.example.invalid/x")
    assert found.default_source == "/home/me/.condarc"


def test_the_policy_wins() -> None:
    policy = _policy(channel_alias=_ALIAS, channels=["ours"], channel_priority="disabled")
    found = find_channels(policy, _SETTINGS, Path("/project"))
    assert found.names.urls("forge") == (f"{_ALIAS}/forge",)
    assert (found.priority, found.default) == ("disabled", ("ours",))
    assert found.default_source == "'channels' of the policy"


def test_without_settings_there_is_a_default() -> None:
    found = find_channels(_policy(), CondaSettings(), Path("/project"))
    assert (found.priority, found.default) == ("strict", ("conda-forge",))
    assert found.names.urls("x") == (f"{rattler_alias()}/x",)
    silent = replace(_SETTINGS, channels=("nodefaults",))
    assert find_channels(_policy(), silent, Path("/project")).default == ("conda-forge",)
