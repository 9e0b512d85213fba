"""Debian's image registry on 127.0.0.1, open or closed, with TLS or without."""

from __future__ import annotations

import base64
import contextlib
import json
import shutil
import socket
import ssl
import subprocess
import time
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.loopback import LoopbackServer, Reply

USER, PASSWORD = "pusher", "s3cret/ä:of-the-test"
# bcrypt of PASSWORD with the lowest cost; the registry takes no other kind.
_HTPASSWD = "pusher:$2b$04$abcdefghijklmnopqrstuuqp6r/oyN8tc.zBoxQM3viDoxbrpr4/q\n"
_HOST = "127.0.0.1"
_START_LIMIT = 20.0
_SERVICE, _ISSUER = "registry.test", "issuer.test"

needs_registry = pytest.mark.skipif(
    shutil.which("docker-registry") is None, reason="docker-registry: make system-tools"
)


@dataclass(frozen=True)
class Certificate:
    """A self-made authority that is also the certificate of 127.0.0.1, and its key."""

    certificate: Path
    key: Path


def make_certificate(directory: Path) -> Certificate:
    """Make one with openssl."""
    made = Certificate(directory / "ca.pem", directory / "ca.key")
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"),
            *("-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"),
            *("-keyout", made.key, "-out", made.certificate),
        ],
        check=True,
        capture_output=True,
        timeout=60,
    )
    return made


@contextlib.contextmanager
def docker_registry(
    directory: Path,
    *,
    password: bool = False,
    certificate: Certificate | None = None,
    tokens: TokenServer | None = None,
) -> Iterator[str]:
    """Run a registry that keeps its images in `directory`; yield its `host:port`.

    Args:
        password: whether it wants USER and PASSWORD.
        certificate: what it speaks TLS with, if it shall.
        tokens: the server whose tokens it wants, if it shall.
    """
    directory.mkdir(parents=True, exist_ok=True)
    host = f"{_HOST}:{_free_port()}"
    config = directory / "config.json"
    config.write_text(json.dumps(_config(directory, host, password, certificate, tokens)))
    with (directory / "log").open("wb") as log:
        process = subprocess.Popen(
            ["docker-registry", "serve", config], stdout=log, stderr=subprocess.STDOUT
        )
    try:
        _wait_for(host, process, directory / "log")
        yield host
    finally:
        process.kill()
        process.wait()


def _config(
    directory: Path,
    host: str,
    password: bool,  # noqa: FBT001
    certificate: Certificate | None,
    tokens: TokenServer | None,
) -> dict[str, object]:
    web: dict[str, object] = {"addr": host, "secret": "of the test"}
    content: dict[str, object] = {
        "version": "0.1",
        "log": {"level": "warn", "accesslog": {"disabled": True}},
        "storage": {"filesystem": {"rootdirectory": str(directory / "data")}},
        "http": web,
    }
    if certificate:
        web["tls"] = {"certificate": str(certificate.certificate), "key": str(certificate.key)}
    if password:
        users = directory / "htpasswd"
        users.write_text(_HTPASSWD)
        content["auth"] = {"htpasswd": {"realm": "test", "path": str(users)}}
    if tokens:
        content["auth"] = {
            "token": {
                "realm": f"{tokens.base_url}/token",
                "service": _SERVICE,
                "issuer": _ISSUER,
                "rootcertbundle": str(tokens.certificate.certificate),
            }
        }
    return content


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((_HOST, 0))
        return int(probe.getsockname()[1])


def _wait_for(host: str, process: subprocess.Popen[bytes], log: Path) -> None:
    name, _, port = host.partition(":")
    end = time.monotonic() + _START_LIMIT
    while time.monotonic() < end and process.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection((name, int(port)), 1):
            return
        time.sleep(0.02)
    raise AssertionError(f"docker-registry does not start:\n{log.read_text()}")


class TokenServer(LoopbackServer):
    """Gives tokens for one repository to USER, in the form that Docker's registry wants.

    https://distribution.github.io/distribution/spec/auth/jwt/
    """

    def __init__(self, certificate: Certificate, repository: str) -> None:
        super().__init__()
        self.certificate = certificate
        self._repository = repository

    def answer(self, path: str, headers: Mapping[str, str]) -> Reply:
        """Answer with a token to whoever knows the password."""
        del path
        known = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        if headers.get("authorization") != f"Basic {known}":
            return Reply(401, b'{"details": "incorrect username or password"}')
        return Reply(body=json.dumps({"token": self._token(), "expires_in": 300}).encode())

    def _token(self) -> str:
        now = int(time.time())
        access = {"type": "repository", "name": self._repository, "actions": ["pull", "push"]}
        pem = self.certificate.certificate.read_text()
        der = base64.b64encode(ssl.PEM_cert_to_DER_cert(pem)).decode()
        head = _encoded(json.dumps({"typ": "JWT", "alg": "RS256", "x5c": [der]}).encode())
        claims = {
            "iss": _ISSUER,
            "sub": USER,
            "aud": _SERVICE,
            "jti": uuid.uuid4().hex,
            "iat": now,
            "nbf": now - 5,
            "exp": now + 300,
            "access": [access],
        }
        signed = f"{head}.{_encoded(json.dumps(claims).encode())}"
        done = subprocess.run(
            ["openssl", "dgst", "-sha256", "-sign", self.certificate.key],
            input=signed.encode(),
            capture_output=True,
            check=True,
            timeout=30,
        )
        return f"{signed}.{_encoded(done.stdout)}"


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")
