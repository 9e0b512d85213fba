"""Credentials that a person wrote into a URL, kept out of messages."""

from __future__ import annotations

import re

# RFC 3986, 3.2.1: what stands before the @ of an authority; and the token of a conda channel, which
# is a path segment after /t/. Indexes take tokens as the user name too, so all of it is hidden.
_USERINFO = re.compile(r"(?<=://)[^\s/?#\"'<>\\`]+@")
_TOKEN = re.compile(r"(?<=/t/)[^\s/?#\"']+")


def without_credentials(text: str) -> str:
    """Return `text` with `***` where its URLs carry a user name, a password or a token."""
    return _TOKEN.sub("***", _USERINFO.sub("***@", text))
