"""Files that name the place of their prefix, as installers write them for another place."""

from __future__ import annotations

import base64
import re
import sys
from collections.abc import Mapping

_LONGEST = 100
"""Bytes of a place with which the first line of no script is longer than the 127 of Linux."""
_HASH = re.compile(
    rb"\bsha256=(?P<row>[\w-]{43}),\d+"
    rb'|"(?P<hex>[0-9a-f]{64})"(?P<size>,\s*"size_in_bytes": )?(?(size)\d+)'
)


def is_plain(place: bytes) -> bool:
    """Tell whether installers write a place as it is; see `elt_env.python.first_line`."""
    return len(place) <= _LONGEST and len(place.split()) == 1


def moved(content: bytes, old: bytes, new: bytes) -> bytes | None:
    """Return what a file of one place is in another, as conda and pip write it; None if unknown.

    Text names the place as it is. In a program each string that does is filled up with zeros to
    its length (conda-build's `binary_has_prefix_files`), so that a longer place may not fit; and a
    Mac's are signed.
    """
    if b"\0" not in content:
        return content.replace(old, new)
    if len(new) > len(old) or sys.platform == "darwin":
        return None

    def filled(found: re.Match[bytes]) -> bytes:
        return found[0].replace(old, new).ljust(len(found[0]), b"\0")

    return re.sub(re.escape(old) + rb"[^\0]*\0", filled, content)


def recorded(content: bytes, changed: Mapping[str, tuple[str, int]]) -> bytes:
    """Return a RECORD, or a file of conda-meta, that states other hashes and sizes.

    Args:
        content: what states a sha256, in base64 or in hex, and behind it a size, or none.
        changed: by the sha256 of a file, in hex, what takes its place, and the size of that.
    """

    def stated(found: re.Match[bytes]) -> bytes:
        row = found["row"]
        sha256 = base64.urlsafe_b64decode(row + b"=").hex() if row else found["hex"].decode()
        if sha256 not in changed:
            return found[0]
        other, size = changed[sha256]
        if row:
            digest = base64.urlsafe_b64encode(bytes.fromhex(other)).rstrip(b"=")
            return b"sha256=%b,%d" % (digest, size)
        return b'"%b"' % other.encode() + (found["size"] + b"%d" % size if found["size"] else b"")

    return _HASH.sub(stated, content)
