from __future__ import annotations

import os
import textwrap
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from elt_env.errors import PolicyError
from elt_env.machine import indexes
from elt_env.machine.indexes import Index, Indexes, find_indexes, parse_index
from elt_env.project.policy import EnvironmentPolicy, Policy

_MAIN = "https://main.example.invalid/simple"
_OTHER = "https://other.example.invalid/simple"


def _policy(index: str | None = None, extra: tuple[str, ...] = ()) -> Policy:
    elt = EnvironmentPolicy(spec="elt.yml", pythons=("3.11",))
    return Policy(environments={"elt": elt}, index=index, extra_indexes=extra)


def _write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(textwrap.dedent(text), encoding="utf-8")
    return path


def _pip_conf(url: str) -> str:
    return f"[global]\nindex-url = {url}\n"


@pytest.mark.parametrize(
    ("text", "index"),
    [
        (_MAIN, Index(_MAIN)),
        (f" {_MAIN}/ ", Index(_MAIN)),
        ("https://host.invalid/simple?a=b#c", Index("https://host.invalid/simple")),
        ("https://me:pw@host.invalid:8080/s", Index("https://host.invalid:8080/s", "me", "pw")),
        ("https://token@host.invalid/s", Index("https://host.invalid/s", "token")),
        ("https://:pw@host.invalid/s", Index("https://host.invalid/s", "", "pw")),
        ("https://m%40e:p%2Fw@host.invalid/s", Index("https://host.invalid/s", "m@e", "p/w")),
        ("http://[::1]:8080/s", Index("http://[::1]:8080/s")),
        ("file:///srv/simple", Index("file:///srv/simple")),
    ],
)
def test_an_index_is_a_url_and_its_credentials(text: str, index: Index) -> None:
    assert parse_index(text) == index


@pytest.mark.parametrize(
    "text",
    ["", "main", "ftp://host.invalid", "https://", "https:///simple", "http://[::1/simple",
     "file:", "git+https://host.invalid/simple", "me:hunter22@host.invalid/simple",
     "ftp://me:hunter22@host.invalid", "https://me:hunter22@", "http://me:hunter22@[::1/simple"],
)  # fmt: skip
def test_what_is_no_index_is_refused_without_its_password(text: str) -> None:
    with pytest.raises(PolicyError) as caught:
        parse_index(text, "PIP_INDEX_URL")
    assert "PIP_INDEX_URL" in caught.value.problem
    assert "simple" in caught.value.remedy
    assert "hunter22" not in str(caught.value)


_ODD = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), min_size=1, max_size=12
)


@given(st.just("") | _ODD, st.just("") | _ODD)
@example("", "p:w@/?#[]%")
@example("a/b?c#d", "")
def test_credentials_come_back_as_they_were_whatever_their_characters(
    username: str, password: str
) -> None:
    index = Index("https://host.invalid:8080/simple", username, password)
    assert parse_index(index.url_with_credentials) == index


@given(st.from_regex(r"[A-Z@:/%!$]{6,12}", fullmatch=True))
def test_credentials_are_neither_in_the_url_nor_in_what_is_printed(secret: str) -> None:
    written = f"https://{quote(secret, safe='')}:{quote(secret, safe='')}@host.invalid/simple"
    index = parse_index(written)
    for shown in (index.url, repr(index), str(index), repr(Indexes(index, (index,)))):
        assert secret not in shown
        assert quote(secret, safe="") not in shown
    assert Indexes(index).secrets == (secret,)


def test_an_index_without_credentials_has_no_secret() -> None:
    assert Indexes(Index(_MAIN), (Index(_OTHER, "me"),)).secrets == ()


def test_further_indexes_are_asked_first() -> None:
    indexes = Indexes(Index(_MAIN), (Index(_OTHER),))
    assert [each.url for each in indexes.all] == [_OTHER, _MAIN]
    assert Indexes().all == ()


def test_a_lock_decides_where_to_install_from_and_the_user_with_which_credentials() -> None:
    mine = Indexes(Index(_MAIN, "me", "pw"), (Index(_OTHER),))
    assert mine.locked_to((_MAIN,)) == Indexes(Index(_MAIN, "me", "pw"))
    assert mine.locked_to((_OTHER, _MAIN)) == mine
    assert mine.locked_to((_MAIN, _OTHER)) == mine
    assert mine.locked_to(("https://third.invalid",)) == Indexes(Index("https://third.invalid"))
    assert mine.locked_to(()) == mine


def test_a_lock_of_several_unknown_indexes_uses_them_all() -> None:
    locked = Indexes().locked_to((_MAIN, _OTHER))
    assert sorted(each.url for each in locked.all) == [_MAIN, _OTHER]
    assert locked.default is not None


def test_the_policy_wins_over_everything(tmp_path: Path) -> None:
    _write(tmp_path / ".config/pip/pip.conf", _pip_conf(_OTHER))
    environ = {"HOME": str(tmp_path), "UV_DEFAULT_INDEX": _OTHER, "PIP_INDEX_URL": _OTHER}
    found = find_indexes(_policy(_MAIN, (_OTHER,)), environ)
    assert found == Indexes(Index(_MAIN), (Index(_OTHER),))


def test_the_places_of_the_users_settings_in_their_order(tmp_path: Path) -> None:
    """Take away the winner, and the next one wins."""
    variables = {
        "UV_DEFAULT_INDEX": "https://one.invalid/simple",
        "UV_INDEX_URL": "https://two.invalid/simple",
        "PIP_INDEX_URL": "https://three.invalid/simple",
    }
    uv = _write(
        tmp_path / ".config/uv/uv.toml",
        """
        index-url = "https://five.invalid/simple"
        [[index]]
        url = "https://not-default.invalid/simple"
        [[index]]
        url = "https://four.invalid/simple"
        default = true
        """,
    )
    new = _write(
        tmp_path / ".config/pip/pip.conf",
        """
        [global]
        index-url = https://seven.invalid/simple
        [install]
        index-url = https://six.invalid/simple
        """,
    )
    _write(tmp_path / ".pip/pip.conf", _pip_conf("https://eight.invalid/simple"))

    def winner() -> str:
        found = find_indexes(_policy(), {"HOME": str(tmp_path), **variables}).default
        assert found is not None
        return found.url.split("/")[2].split(".")[0]

    winners = []
    while variables:
        winners.append(winner())
        variables.pop(next(iter(variables)))
    winners.append(winner())
    uv.write_text('index-url = "https://five.invalid/simple"', encoding="utf-8")
    winners.append(winner())
    uv.unlink()
    winners.append(winner())
    new.write_text(_pip_conf("https://seven.invalid/simple"), encoding="utf-8")
    winners.append(winner())
    new.unlink()
    winners.append(winner())
    assert winners == ["one", "two", "three", "four", "five", "six", "seven", "eight"]


def _alone(tmp_path: Path, **environ: str) -> dict[str, str]:
    """Return variables of a user without settings; what /etc says is not this test's."""
    return {"HOME": str(tmp_path), "PIP_CONFIG_FILE": os.devnull, **environ}


_NO_SYSTEM_UV = pytest.mark.skipif(
    Path("/etc/uv/uv.toml").exists(), reason="this machine has an index for all users"
)


@_NO_SYSTEM_UV
def test_without_settings_the_tool_decides(tmp_path: Path) -> None:
    assert find_indexes(_policy(), _alone(tmp_path)) == Indexes(None)


@_NO_SYSTEM_UV
def test_an_empty_variable_is_no_setting(tmp_path: Path) -> None:
    assert find_indexes(_policy(), _alone(tmp_path, UV_INDEX_URL="")) == Indexes(None)


def test_a_named_pip_configuration_stands_in_for_the_users(tmp_path: Path) -> None:
    _write(tmp_path / ".config/pip/pip.conf", _pip_conf(_OTHER))
    named = _write(tmp_path / "mine.conf", _pip_conf(_MAIN))
    environ = {"HOME": str(tmp_path), "PIP_CONFIG_FILE": str(named)}
    assert find_indexes(_policy(), environ).default == Index(_MAIN)


@_NO_SYSTEM_UV
def test_the_null_device_stands_in_for_all_pip_configurations(tmp_path: Path) -> None:
    _write(tmp_path / ".config/pip/pip.conf", _pip_conf(_OTHER))
    assert find_indexes(_policy(), _alone(tmp_path)) == Indexes(None)
    assert indexes._pip_files(os.devnull, tmp_path, tmp_path) == ()


def test_another_configuration_directory_is_respected(tmp_path: Path) -> None:
    _write(tmp_path / "xdg/pip/pip.conf", _pip_conf(_MAIN))
    environ = {"HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path / "xdg")}
    assert find_indexes(_policy(), environ).default == Index(_MAIN)


@_NO_SYSTEM_UV
@pytest.mark.parametrize(
    "text",
    ["index = 3", "index = [1]", "index = 'x'", "not toml", "[[index]]\ndefault = true", "\0",
     "[pip]\nindex-url = 'https://host.invalid'"],
)  # fmt: skip
def test_uv_settings_that_name_no_index_are_passed_over(tmp_path: Path, text: str) -> None:
    _write(tmp_path / ".config/uv/uv.toml", text)
    assert find_indexes(_policy(), _alone(tmp_path)) == Indexes(None)


@pytest.mark.parametrize("content", [b"index-url = x", b"[global]\n[global]\n", b"\xff\xfe"])
def test_a_broken_pip_configuration_is_passed_over(tmp_path: Path, content: bytes) -> None:
    broken = tmp_path / ".config/pip/pip.conf"
    _write(broken, "").write_bytes(content)
    _write(tmp_path / ".pip/pip.conf", _pip_conf(_MAIN))
    assert find_indexes(_policy(), {"HOME": str(tmp_path)}).default == Index(_MAIN)


def test_a_setting_that_is_no_url_is_named_by_its_place(tmp_path: Path) -> None:
    path = _write(tmp_path / ".config/pip/pip.conf", _pip_conf("me:hunter22@packages"))
    with pytest.raises(PolicyError, match="'packages' is not the URL") as caught:
        find_indexes(_policy(), {"HOME": str(tmp_path)})
    assert str(path) in caught.value.problem
    with pytest.raises(PolicyError, match="extra-indexes: 'nonsense'"):
        find_indexes(_policy(_MAIN, ("nonsense",)), {})
