"""A bundle is used only where somebody signed it who may."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from elt_env.bundle.listing import Entry, Listing
from elt_env.bundle.signature import require_signature, sign, signature_path
from elt_env.errors import InputError, IntegrityError, ToolError

_LISTING = Listing("environment.yml", (Entry("lock.json", 2, "0" * 64),))

pytestmark = pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="needs OpenSSH")


def _key(place: Path, name: str, passphrase: str = "") -> Path:
    key = place / name
    command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", passphrase, "-C", "", "-f", str(key)]
    subprocess.run(command, check=True, timeout=30, stdin=subprocess.DEVNULL)
    return key


def _signers(place: Path, *keys: Path) -> Path:
    lines = [f"{key.name}@example.org {key.with_suffix('.pub').read_text()}" for key in keys]
    (place / "allowed_signers").write_text("".join(lines))
    return place / "allowed_signers"


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """Where a bundle would lie; its signature is by the key `ops`."""
    path = tmp_path / "elt.tar"
    signature_path(path).write_text(sign(_LISTING, _key(tmp_path, "ops")))
    return path


def test_who_signed_it_is_told(bundle: Path, tmp_path: Path) -> None:
    signers = _signers(tmp_path, _key(tmp_path, "dev"), tmp_path / "ops")
    assert require_signature(_LISTING, bundle, signers) == "ops@example.org"


def test_an_agent_signs_with_a_key_that_has_a_passphrase(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = _key(tmp_path, "safe", "a passphrase")
    with pytest.raises(InputError, match="Nothing can be signed") as raised:
        sign(_LISTING, key)
    assert f"ssh-add {key}" in raised.value.remedy
    socket = tmp_path / "agent"
    agent = subprocess.Popen(["ssh-agent", "-D", "-a", str(socket)], stdout=subprocess.DEVNULL)
    try:
        monkeypatch.setenv("SSH_AUTH_SOCK", str(socket))
        answer = tmp_path / "answer"
        answer.write_text("#!/bin/sh\necho a passphrase\n")
        answer.chmod(0o755)
        asked = {"SSH_ASKPASS": str(answer), "SSH_ASKPASS_REQUIRE": "force"}
        command = ["timeout", "20", "sh", "-c", f"until [ -S {socket} ]; do :; done; ssh-add {key}"]
        path = {"PATH": "/usr/bin:/bin", "SSH_AUTH_SOCK": str(socket)}
        subprocess.run(command, check=True, env=asked | path, timeout=30, capture_output=True)
        made = sign(_LISTING, key.with_suffix(".pub"))
    finally:
        agent.terminate()
        agent.wait(10)
    signature_path(tmp_path / "elt.tar").write_text(made)
    signers = _signers(tmp_path, key)
    assert require_signature(_LISTING, tmp_path / "elt.tar", signers) == "safe@example.org"


@pytest.mark.parametrize(
    ("signature", "said"),
    [
        (None, "has no signature elt.tar.sig"),
        ("", "is not signed by"),
        ("junk", "is not signed by"),
    ],
)
def test_a_signature_that_is_none(
    bundle: Path, tmp_path: Path, signature: str | None, said: str
) -> None:
    signature_path(bundle).unlink()
    if signature is not None:
        signature_path(bundle).write_text(signature)
    with pytest.raises(IntegrityError, match=said):
        require_signature(_LISTING, bundle, _signers(tmp_path, tmp_path / "ops"))


def test_another_list_another_key_and_another_purpose_are_refused(
    bundle: Path, tmp_path: Path
) -> None:
    signers = _signers(tmp_path, tmp_path / "ops")
    with pytest.raises(IntegrityError, match="is not signed by anybody"):
        require_signature(replace(_LISTING, spec="other.yml"), bundle, signers)
    with pytest.raises(IntegrityError, match="No principal matched"):
        require_signature(_LISTING, bundle, _signers(tmp_path, _key(tmp_path, "dev")))
    bundle.write_bytes(b"x")
    command = ["ssh-keygen", "-Y", "sign", "-n", "file", "-f", str(tmp_path / "ops"), str(bundle)]
    signature_path(bundle).unlink()
    subprocess.run(command, check=True, timeout=30, capture_output=True)
    with pytest.raises(IntegrityError, match="is not signed by anybody"):
        require_signature(_LISTING, bundle, _signers(tmp_path, tmp_path / "ops"))


def test_what_is_missing_is_named(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(InputError, match=r"no file .*/none of those who may sign"):
        require_signature(_LISTING, bundle, tmp_path / "none")
    with pytest.raises(InputError, match=r"Nothing can be signed with .*/none"):
        sign(_LISTING, tmp_path / "none")
    monkeypatch.setattr("elt_env.bundle.signature._PROGRAM", "no-ssh-keygen")
    with pytest.raises(ToolError) as raised:
        sign(_LISTING, tmp_path / "ops")
    assert "openssh-client" in raised.value.remedy
