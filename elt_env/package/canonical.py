"""Canonical JSON and the digests made of it."""

from __future__ import annotations

import hashlib
import json


def digest_of(content: object) -> str:
    """Return `sha256:` and the hex digest of `content` as canonical JSON.

    Canonical: UTF-8, keys sorted, no white space. `content` holds only what JSON can.
    """
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()


def short(digest: str) -> str:
    """Return the first 12 hex digits of a digest, for file names and people."""
    return digest.removeprefix("sha256:")[:12]
