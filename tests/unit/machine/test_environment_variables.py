from __future__ import annotations

import os
from pathlib import Path

import pytest

from elt_env.machine.environment_variables import clean_environment, user_environment

FIXED = {
    "PYTHONNOUSERSITE": "1",
    "PYTHONDONTWRITEBYTECODE": "1",
    "PIP_CONFIG_FILE": os.devnull,
    "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    "UV_NO_CONFIG": "1",
    "UV_PYTHON_DOWNLOADS": "never",
    "UV_SYSTEM_CERTS": "true",
    "DO_NOT_TRACK": "1",
}
SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


# No configuration files of this machine.
_NO_FILES = {"PIP_CONFIG_FILE": os.devnull, "CONDARC": os.devnull, "XDG_CONFIG_HOME": os.devnull}


def test_a_base_that_says_nothing_gives_the_fixed_variables_and_the_system_path() -> None:
    found = clean_environment(base=_NO_FILES)
    assert found == FIXED | {"PATH": SYSTEM_PATH, "XDG_CONFIG_HOME": os.devnull}


@pytest.mark.parametrize(
    "name",
    [
        "HOME",
        "USER",
        "LOGNAME",
        "LANG",
        "LC_ALL",
        "TZ",
        "TMPDIR",
        "TERM",
        "http_proxy",
        "HTTPS_PROXY",
        "no_proxy",
        "ALL_PROXY",
        "NETRC",
        "UV_CACHE_DIR",
        "XDG_CACHE_HOME",
        "XDG_RUNTIME_DIR",
        "XDG_CONFIG_DIRS",
        "RATTLER_AUTH_FILE",
    ],
)
def test_what_describes_user_and_network_is_kept(name: str) -> None:
    assert clean_environment(base={name: "value"})[name] == "value"


@pytest.mark.parametrize(
    "name",
    [
        "PYTHONPATH",
        "PYTHONHOME",
        "PYTHONSTARTUP",
        "PYTHONPYCACHEPREFIX",
        "LD_LIBRARY_PATH",
        "LD_PRELOAD",
        "PIP_INDEX_URL",
        "PIP_FIND_LINKS",
        "UV_INDEX_URL",
        "UV_CONFIG_FILE",
        "UV_EXCLUDE_NEWER",
        "CONDA_PREFIX",
        "VIRTUAL_ENV",
        "XDG_SESSION_ID",
        "LCX",
        "SECRET_TOKEN",
    ],
)
def test_everything_else_is_left_out(name: str) -> None:
    assert name not in clean_environment(base={name: "value"})


@pytest.mark.parametrize("name", FIXED)
def test_the_caller_cannot_change_a_fixed_variable(name: str) -> None:
    assert clean_environment(base={name: "other"})[name] == FIXED[name]


def test_given_directories_come_before_the_system_and_the_path_of_the_base_is_dropped() -> None:
    found = clean_environment(path=[Path("/a"), Path("/b c")], base={"PATH": "/elsewhere"})
    assert found["PATH"] == f"/a:/b c:{SYSTEM_PATH}"


def test_extra_variables_win_over_everything() -> None:
    extra = {"PATH": "/only", "UV_NO_CONFIG": "0", "HOME": "/new", "MORE": "yes"}
    found = clean_environment(base={"HOME": "/old"}, extra=extra)
    assert extra.items() <= found.items()


def test_the_base_is_the_environment_of_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Antarctica/Troll")
    monkeypatch.setenv("PYTHONPATH", "/elsewhere")
    found = clean_environment()
    assert found["TZ"] == "Antarctica/Troll"
    assert "PYTHONPATH" not in found


def test_a_person_s_command_gets_nothing_of_an_activated_environment() -> None:
    for name in ("CONDA_PREFIX", "VIRTUAL_ENV"):
        base = {
            name: "/env",
            "PATH": "/env/bin:/mine/bin:/env/bin/",
            "SSL_CERT_FILE": "/env/ssl/cacert.pem",
            "PROJ_DATA": "/env/share/proj",
            "HOME": "/env/home",
            "EDITOR": "vi",
            "NOTES": "/environment/notes",
        }
        assert user_environment(Path("/prefix"), base) == {
            "PATH": "/prefix/bin:/mine/bin",
            "HOME": "/env/home",
            "EDITOR": "vi",
            "NOTES": "/environment/notes",
            "PYTHONNOUSERSITE": "1",
            "PYTHONDONTWRITEBYTECODE": "1",
        }


@pytest.mark.parametrize(
    "name",
    ["PYTHONPATH", "PYTHONHOME", "PYTHONUSERBASE", "LD_LIBRARY_PATH", "LD_PRELOAD", "PIP_TARGET"],
)
def test_a_person_s_command_gets_no_variable_of_python_or_the_loader(name: str) -> None:
    assert name not in user_environment(Path("/prefix"), {name: "/elsewhere"})
