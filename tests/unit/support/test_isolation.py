from __future__ import annotations

import os
import socket
import subprocess
import sys

import pytest

from tests.support.isolation import clear_settings


def test_a_unit_test_starts_no_process() -> None:
    with pytest.raises(pytest.fail.Exception, match="must not start a process"):
        subprocess.run([sys.executable, "-c", ""], check=True)


def test_a_unit_test_opens_no_connection() -> None:
    with socket.socket() as connection, pytest.raises(pytest.fail.Exception, match="socket"):
        connection.connect(("127.0.0.1", 1))


def test_a_unit_test_looks_up_no_name() -> None:
    with pytest.raises(pytest.fail.Exception, match="socket"):
        socket.getaddrinfo("example.invalid", 443)


def test_settings_of_the_machine_are_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    names = ("ELT_ENV_HOME", "PIP_INDEX_URL", "UV_INDEX_URL", "CONDA_PREFIX", "DAGSTER_HOME")
    for name in names:
        monkeypatch.setenv(name, "x")
    clear_settings(monkeypatch, keep_registry=False)
    assert not set(names) & set(os.environ)


def test_a_test_of_the_registry_keeps_where_the_registry_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", "x")
    monkeypatch.setenv("ELT_ENV_HOME", "x")
    clear_settings(monkeypatch, keep_registry=True)
    assert os.environ["PIP_INDEX_URL"] == "x"
    assert "ELT_ENV_HOME" not in os.environ
