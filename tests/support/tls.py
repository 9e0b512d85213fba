"""Servers on 127.0.0.1 that speak TLS, and an authority of their own."""

from __future__ import annotations

import ssl
from datetime import datetime, timezone
from pathlib import Path
from typing import TypeVar

import trustme

from tests.support.loopback import LoopbackServer

_Server = TypeVar("_Server", bound=LoopbackServer)
_HOST = "127.0.0.1"


class Authority:
    """An authority that nobody trusts until told to.

    Args:
        bundle: where its certificate is written, in PEM form.
    """

    def __init__(self, bundle: Path) -> None:
        self.bundle = bundle
        self._authority = trustme.CA()
        self._authority.cert_pem.write_to_path(str(bundle))

    def good(self) -> trustme.LeafCert:
        """Return a certificate for servers here."""
        return self._authority.issue_cert(_HOST)

    def expired(self) -> trustme.LeafCert:
        """Return one that was good until 2020."""
        end = datetime(2020, 1, 1, tzinfo=timezone.utc)
        return self._authority.issue_cert(_HOST, not_before=end.replace(year=2019), not_after=end)

    def other_host(self) -> trustme.LeafCert:
        """Return one that is for another host."""
        return self._authority.issue_cert("other.example.invalid")


def over_tls(server: _Server, certificate: trustme.LeafCert) -> _Server:
    """Let a server that does not run yet speak TLS."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    server.use_tls(context)
    return server
