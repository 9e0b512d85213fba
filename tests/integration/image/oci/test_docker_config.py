from __future__ import annotations

from pathlib import Path

import pytest

from elt_env.image.oci import docker_config as module
from elt_env.image.oci.docker_config import Login, find_login


@pytest.fixture
def helper(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, docker_config: Path) -> Path:
    """A credential helper named `test`, which the config names for every registry."""
    program = tmp_path / "bin" / "docker-credential-test"
    program.parent.mkdir()
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")
    docker_config.parent.mkdir()
    docker_config.write_text('{"credHelpers": {"r.example": "test"}}')
    return program


def _write(helper: Path, script: str) -> None:
    helper.write_text(f"#!/bin/sh\n{script}\n")
    helper.chmod(0o755)


def test_asks_the_helper_of_the_registry(helper: Path) -> None:
    _write(helper, 'read host; echo "{\\"Username\\": \\"$1\\", \\"Secret\\": \\"$host\\"}"')

    found = find_login("r.example", "elt")

    assert found.login is not None
    assert (found.login.username, found.login.password) == ("get", "r.example")
    assert found.looked_in[-1].startswith("docker-credential-test (named in ")


def test_a_helper_can_have_an_identity_token(helper: Path) -> None:
    _write(helper, """echo '{"Username": "<token>", "Secret": "t0ken"}'""")

    found = find_login("r.example", "elt")

    assert found.login == Login(found.looked_in[-1], identity_token="t0ken")  # noqa: S106


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("echo s3cret; exit 1", "which gave none"),
        ("echo s3cret", "which answered with nonsense"),
        ("echo s3cret; sleep 30", "which did not end in 0 s"),
    ],
)
def test_a_helper_that_fails_is_named_and_its_output_is_not(
    helper: Path, monkeypatch: pytest.MonkeyPatch, script: str, reason: str
) -> None:
    monkeypatch.setattr(module, "_HELPER_LIMIT", 0.3)
    _write(helper, script)

    found = find_login("r.example", "elt")

    assert found.login is None
    assert reason in found.looked_in[0]
    assert "s3cret" not in str(found)


def test_a_helper_that_is_not_installed(helper: Path) -> None:
    assert not helper.exists()

    found = find_login("r.example", "elt")

    assert "docker-credential-test" in found.looked_in[0]
    assert "which cannot be started" in found.looked_in[0]
