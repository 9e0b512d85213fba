from __future__ import annotations

import os
import textwrap
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from elt_env.errors import PolicyError
from elt_env.machine.condarc import CondaSettings, read_conda_settings


def _write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(textwrap.dedent(text), encoding="utf-8")
    return path


def _environ(tmp_path: Path, **more: str) -> dict[str, str]:
    return {"HOME": str(tmp_path / "home"), "PATH": "/nowhere", **more}


def _read(tmp_path: Path, text: str, **more: str) -> CondaSettings:
    _write(tmp_path / "home" / ".condarc", text)
    return read_conda_settings(_environ(tmp_path, **more))


def test_nothing_is_set_where_there_is_no_file(tmp_path: Path) -> None:
    assert read_conda_settings(_environ(tmp_path)) == CondaSettings()


def test_every_setting_of_one_file(tmp_path: Path) -> None:
    settings = _read(
        tmp_path,
        """
        channels:
          - company
          - ${FORGE}
        channel_alias: https://mirror.example.invalid/conda/
        default_channels: [https://mirror.example.invalid/main]
        custom_channels:
          company: https://conda.example.invalid
        custom_multichannels:
          ours:
            - company
            - https://other.example.invalid/x
        channel_priority: flexible
        ssl_verify: $HOME/ca.pem
        proxy_servers:
          https: http://me:secret@proxy.example.invalid:3128
          http:
        offline: true
        """,
        FORGE="conda-forge",
    )
    source = (str(tmp_path / "home" / ".condarc"),)
    assert settings == CondaSettings(
        channels=("company", "conda-forge"),
        channel_alias="https://mirror.example.invalid/conda",
        default_channels=("https://mirror.example.invalid/main",),
        custom_channels={"company": "https://conda.example.invalid"},
        custom_multichannels={"ours": ("company", "https://other.example.invalid/x")},
        channel_priority="flexible",
        ssl_verify=f"{tmp_path}/home/ca.pem",
        proxy_servers={"https": "http://me:secret@proxy.example.invalid:3128"},
        sources=dict.fromkeys(
            (
                "channels",
                "channel_alias",
                "default_channels",
                "custom_channels",
                "custom_multichannels",
                "channel_priority",
                "ssl_verify",
                "proxy_servers",
            ),
            source,
        ),
    )
    assert "secret" not in repr(settings)


# Where conda looks, what wins last (conda.base.constants.SEARCH_PATH).
_PLACES = (
    "root/.condarc",
    "root/condarc",
    "root/condarc.d/a.yml",
    "root/condarc.d/b.yaml",
    "xdg/conda/.condarc",
    "home/.config/conda/condarc",
    "home/.conda/.condarc",
    "home/.conda/condarc.d/a.yml",
    "home/.condarc",
    "prefix/.condarc",
    "prefix/condarc.d/a.yml",
    "named.yml",
)


def _everywhere(tmp_path: Path) -> dict[str, str]:
    return _environ(
        tmp_path,
        CONDA_ROOT=str(tmp_path / "root"),
        XDG_CONFIG_HOME=str(tmp_path / "xdg"),
        CONDA_PREFIX=str(tmp_path / "prefix"),
        CONDARC=str(tmp_path / "named.yml"),
    )


@pytest.mark.parametrize("first", range(len(_PLACES)))
def test_the_files_are_read_in_condas_order(first: int, tmp_path: Path) -> None:
    for place in _PLACES[first:]:
        _write(tmp_path / place, f"channels: [c{place}]\nchannel_alias: https://{place}\n")
        settings = read_conda_settings(_everywhere(tmp_path))
        assert settings.channel_alias == f"https://{place}"
        assert settings.sources["channel_alias"] == (str(tmp_path / place),)
    expected = tuple(f"c{each}" for each in reversed(_PLACES[first:]))
    assert settings.channels == expected
    assert settings.sources["channels"] == tuple(
        str(tmp_path / each) for each in reversed(_PLACES[first:])
    )


@pytest.mark.parametrize("place", ["root/condarc.yml", "home/condarc", "home/.conda/other.txt"])
def test_other_files_are_not_read(place: str, tmp_path: Path) -> None:
    _write(tmp_path / place, "channels: [elsewhere]\n")
    assert read_conda_settings(_everywhere(tmp_path)) == CondaSettings()


@pytest.mark.parametrize("how", ["CONDA_EXE", "PATH"])
def test_the_file_beside_the_conda_that_is_there(how: str, tmp_path: Path) -> None:
    _write(tmp_path / "forge" / ".condarc", "channels: [conda-forge]\n")
    command = _write(tmp_path / "forge" / "bin" / "conda", "#!/bin/sh\n")
    command.chmod(0o755)
    value = command if how == "CONDA_EXE" else command.parent
    settings = read_conda_settings({**_environ(tmp_path), how: str(value)})
    assert settings.channels == ("conda-forge",)


def test_no_file_is_read_where_condarc_names_the_null_device(tmp_path: Path) -> None:
    environ = {**_everywhere(tmp_path), "CONDARC": os.devnull, "CONDA_CHANNELS": "one"}
    for place in _PLACES:
        _write(tmp_path / place, "channels: [elsewhere]\n")
    settings = read_conda_settings(environ)
    assert (settings.channels, settings.sources) == (
        ("one",),
        {"channels": ("CONDA_CHANNELS",)},
    )


def test_variables_win_over_files(tmp_path: Path) -> None:
    settings = _read(
        tmp_path,
        "channels: [file]\nchannel_alias: https://file.invalid\nssl_verify: /x\n",
        CONDA_CHANNELS="one, two,,file",
        CONDA_CHANNEL_ALIAS="https://variable.invalid!important",
        CONDA_CHANNEL_PRIORITY="disabled",
        CONDA_SSL_VERIFY="no",
        CONDA_DEFAULT_CHANNELS="https://d.invalid",
    )
    assert settings.channels == ("one", "two", "file")
    assert settings.channel_alias == "https://variable.invalid"
    assert settings.channel_priority == "disabled"
    assert settings.ssl_verify is False
    assert settings.default_channels == ("https://d.invalid",)
    assert settings.sources["ssl_verify"] == ("CONDA_SSL_VERIFY",)


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        ("channels: [a, b]", "channels: [c, a]", {"channels": ("c", "a", "b")}),
        ("channels: #!final\n  - a", "channels: [c]", {"channels": ("a",)}),
        ("channels:\n  - a #!top\n  - b", "channels: [c]", {"channels": ("a", "c", "b")}),
        ("channels: [a]", "channels:\n  - c\n  - b #!bottom", {"channels": ("c", "a", "b")}),
        ("channels: [a]", "channels: ~", {"channels": ("a",)}),
        ("channel: [a]", "channels: [b]", {"channels": ("b", "a")}),
        (
            "channel_alias: https://a.invalid #!final",
            "channel_alias: https://b.invalid",
            {"channel_alias": "https://a.invalid"},
        ),
        (
            "custom_channels:\n  x: https://a.invalid #!final\n  y: https://a.invalid",
            "custom_channels:\n  x: https://b.invalid\n  y: https://b.invalid",
            {"custom_channels": {"x": "https://a.invalid", "y": "https://b.invalid"}},
        ),
        (
            "custom_multichannels:\n  m: [a, b]",
            "custom_multichannels:\n  m: [c]\n  n: [d]",
            {"custom_multichannels": {"m": ("c", "a", "b"), "n": ("d",)}},
        ),
    ],
)
def test_two_files_become_one_setting_as_conda_says(
    low: str, high: str, expected: Mapping[str, object], tmp_path: Path
) -> None:
    _write(tmp_path / "home" / ".conda" / ".condarc", low)
    settings = _read(tmp_path, high)
    assert {key: getattr(settings, key) for key in expected} == expected


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("true", True),
        ("yes", True),
        ("1", True),
        ("false", False),
        ("no", False),
        ("0", False),
        ("'off'", False),
        ("truststore", "truststore"),
        ("/etc/ssl/company.pem", "/etc/ssl/company.pem"),
        ("~", None),
    ],
)
def test_certificates(text: str, value: object, tmp_path: Path) -> None:
    assert _read(tmp_path, f"ssl_verify: {text}\n").ssl_verify == value
    assert _read(tmp_path, f"verify_ssl: {text}\n").ssl_verify == value


@pytest.mark.parametrize(
    ("text", "value"),
    [("strict", "strict"), ("true", "flexible"), ("false", "disabled"), ("Strict", "strict")],
)
def test_priorities(text: str, value: str, tmp_path: Path) -> None:
    assert _read(tmp_path, f"channel_priority: {text}\n").channel_priority == value


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("channels: conda-forge", "'channels' is not a list"),
        ("channels: [{a: b}]", "'channels' has no text for its value"),
        ("channel_alias: conda.example.invalid", "is no URL: 'conda.example.invalid'"),
        ("channel_alias: [a]", "'channel_alias' has no text"),
        ("channel_priority: sometimes", "is 'sometimes', not strict, flexible or disabled"),
        ("custom_channels: [a]", "'custom_channels' is not a mapping"),
        ("proxy_servers: http://me:secret@proxy.invalid", "'proxy_servers' is not a mapping"),
    ],
)
def test_a_value_that_cannot_be_used_is_named_with_its_file(
    text: str, words: str, tmp_path: Path
) -> None:
    with pytest.raises(PolicyError, match=words) as caught:
        _read(tmp_path, text)
    assert str(tmp_path / "home" / ".condarc") in caught.value.problem
    assert "secret" not in caught.value.problem


@pytest.mark.parametrize("text", ["channels: [a", "channels: x: y", "- a\n- b", "", "just words"])
def test_a_file_that_is_not_yaml_is_left_aside_and_named(text: str, tmp_path: Path) -> None:
    _write(tmp_path / "home" / ".conda" / ".condarc", "channels: [kept]\n")
    settings = _read(tmp_path, text)
    assert settings.channels == ("kept",)
    broken = text.startswith("channels")
    assert [str(tmp_path / "home" / ".condarc") in each for each in settings.ignored] == (
        [True] if broken else []
    )


def test_the_credentials_in_urls_are_those_of_their_hosts(tmp_path: Path) -> None:
    settings = _read(
        tmp_path,
        """
        channels: [forge, "https://h.example.invalid/t/tk-1/x"]
        channel_alias: https://me:p%40ss@mirror.example.invalid:8443/conda
        custom_channels: {x: "https://late@h.example.invalid", y: "https://none.example.invalid"}
        custom_multichannels: {z: ["https://deep.example.invalid/conda/t/tk-2/y"]}
        """,
    )
    assert settings.logins == {
        "mirror.example.invalid": {"BasicHTTP": {"username": "me", "password": "p@ss"}},
        "h.example.invalid": {"CondaToken": "tk-1"},
    }


def test_what_conda_build_made_is_the_local_channel(tmp_path: Path) -> None:
    for place in ("root/conda-bld", "home/conda-bld", "own"):
        (tmp_path / place).mkdir(parents=True)
    text = f"croot: {tmp_path}/own\nbld_path: ~/no-such\n"
    settings = _read(tmp_path, text, CONDA_ROOT=str(tmp_path / "root"))
    assert settings.local == tuple(
        (tmp_path / each).as_uri() for each in ("own", "root/conda-bld", "home/conda-bld")
    )


@given(st.text(max_size=60))
def test_no_text_breaks_the_reader(text: str) -> None:
    try:
        settings = read_conda_settings({"CONDARC": os.devnull, "CONDA_CHANNELS": text})
    except PolicyError:
        return
    assert all(each == each.strip() and each for each in settings.channels)
