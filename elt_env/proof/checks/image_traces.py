"""Find what must not be in an image: places of the building machine, and secrets."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO
from urllib.parse import quote

from elt_env.environment.prefix import Prefix
from elt_env.machine.indexes import Indexes
from elt_env.project.project import Project
from elt_env.store.locks import Store

_PIECE = 8 << 20
_SHORTEST_SECRET = 8  # characters; shorter ones stand anywhere by chance
_SECRET_NAME = re.compile(
    r"TOKEN|SECRET|PASSWORD|PASSWD|PASSPHRASE|API_?KEY|ACCESS_?KEY|CREDENTIAL"
)
PRIVATE_KEY = "a private key"
_KEY_MARK = b"PRIVATE KEY-----"
# RFC 7468: what makes it a key, and not a text about keys, is what follows the first line.
_KEY = re.compile(
    rb"-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY-----(?:\s|\\n)+"
    rb"(?:[A-Za-z-]+: [^\n]*\n\s*)*(?:[A-Za-z0-9+/=](?:\s|\\n)*){64}"
)
_LONGEST = 4096  # bytes that a key's beginning, or a path, may have
_KEY_FILES = frozenset({"id_rsa", "id_dsa", "id_ecdsa", "id_ed25519", ".git-credentials"})
_WORD = re.compile(rb"[A-Za-z0-9_-]")
_LOGIN = re.compile(rb"://[^\s/:@]+:[^\s/@]+@")
# A file of this name holds credentials if it holds what the pattern matches.
_CREDENTIAL_FILES: Mapping[str, re.Pattern[bytes]] = {
    ".netrc": re.compile(rb"\bpassword\s+\S"),
    "_netrc": re.compile(rb"\bpassword\s+\S"),
    ".pypirc": re.compile(rb"^\s*password\s*[:=]\s*\S", re.MULTILINE),
    "pip.conf": _LOGIN,
    "uv.toml": _LOGIN,
    ".condarc": _LOGIN,
    "config.json": re.compile(rb'"(?:auth|identitytoken)"\s*:\s*"[^"]+"'),
    ".dockerconfigjson": re.compile(rb'"auth"\s*:\s*"[^"]+"'),
}


@dataclass(frozen=True)
class Trace:
    """A text that must not be in an image.

    Attributes:
        text: what is looked for.
        what: how it is called in messages, which never tell a secret.
        is_path: whether it counts only where it does not go on as a longer name.
    """

    text: bytes
    what: str
    is_path: bool

    def is_in(self, data: bytes) -> bool:
        """Whether the text is there."""
        start = data.find(self.text)
        while start >= 0:
            end = start + len(self.text)
            if not self.is_path or not _WORD.match(data, end, end + 1):
                return True
            start = data.find(self.text, end)
        return False


def host_traces(
    prefix: Prefix, project: Project, store: Store, inside: Iterable[str]
) -> tuple[Trace, ...]:
    """Return the places of this machine that an image must not tell of.

    The prefix and what it is a venv of, the store, the project, the user's home, and the Python
    that runs this. What has a single name, as /root, or belongs to every system, as /usr/local,
    would be found in any image.

    `inside` are directories that the image has itself.
    """
    named = {
        "the prefix": prefix.path,
        "the store": store.local_home,
        "the cache": project.caches.path,
        "the project": project.root,
        "the user's home": Path.home(),
        "this project's Python": Path(sys.base_prefix),
        **({"the interpreter": prefix.base.prefix} if prefix.base else {}),
    }
    own = set(map(Path, inside))
    found = {
        place: f"{what}, {place}"
        for what, path in named.items()
        for place in (path.absolute(), Path(os.path.realpath(path)))
        if _is_telling(place) and place not in own
    }
    # Whatever names a directory names the one above it.
    least = [each for each in found if not any(one in each.parents for one in found)]
    return tuple(Trace(os.fsencode(each), found[each], is_path=True) for each in least)


def _is_telling(place: Path) -> bool:
    return len(place.parts) > 2 and place.parts[1] != "usr"  # noqa: PLR2004  # "/" and two names


def secret_traces(indexes: Indexes, environ: Mapping[str, str]) -> tuple[Trace, ...]:
    """Return the secrets of this machine: credentials of indexes, and variables named like some."""
    found = dict(_index_secrets(indexes))
    for name, value in environ.items():
        if _SECRET_NAME.search(name.upper()) and not value.startswith("/"):
            found.setdefault(value, f"the value of the variable {name}")
    forms = {
        form: what
        for text, what in found.items()
        for form in (text, quote(text, safe=""))
        if len(text) >= _SHORTEST_SECRET
    }
    return tuple(Trace(text.encode(), what, is_path=False) for text, what in forms.items())


def _index_secrets(indexes: Indexes) -> Iterator[tuple[str, str]]:
    for each in indexes.all:
        if each.password:
            yield each.password, f"the password for {each.url}"
            yield (
                f"{quote(each.username, safe='')}:{quote(each.password, safe='')}@",
                (f"the credentials for {each.url}"),
            )
        elif each.username:
            yield each.username, f"the token for {each.url}"


def search(content: IO[bytes], traces: Iterable[Trace]) -> Iterator[str]:
    """Yield what is in a file, each thing once: of the traces, and private keys in a text.

    Libraries of cryptography hold keys to test themselves with.
    """
    left = list(traces)
    before = b""
    is_text = True
    while piece := content.read(_PIECE):
        data = before + piece if before else piece
        for each in [one for one in left if one.is_in(data)]:
            left.remove(each)
            yield each.what
        is_text = is_text and b"\0" not in piece
        if is_text and _KEY_MARK in data and _KEY.search(data):
            is_text = False  # once is enough
            yield PRIVATE_KEY
        before = data[-_LONGEST:]


def is_credential_file(name: str, read: IO[bytes]) -> bool:
    """Whether a file of that path holds credentials, as tools keep them."""
    base = PurePosixPath(name).name
    pattern = _CREDENTIAL_FILES.get(base)
    return base in _KEY_FILES or (pattern is not None and bool(pattern.search(read.read(_PIECE))))


def wants_look(name: str) -> bool:
    """Whether a file of that path may hold credentials because of its name."""
    base = PurePosixPath(name).name
    return base in _KEY_FILES or base in _CREDENTIAL_FILES
