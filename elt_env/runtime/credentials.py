"""Credentials in URLs: one rule for what is refused and for what is hidden."""

from __future__ import annotations

import re
from urllib.parse import quote, unquote, urlsplit

_HIDDEN = "***"
# Quotes and brackets end a URL, or one without credentials would be masked up to the next @ of a
# JSON text.
_URL = re.compile(r"""(?<=://)[^\s"'<>\\`]+""")
_ENCODED_URL = re.compile(r"""(?<=%3A%2F%2F)[^\s"'<>\\`&/]+""", re.IGNORECASE)
# RFC 3986, 3.2.1: what stands before the @ of an authority. It is hidden whole, since servers take
# tokens as the user name too; only "git" is everybody's name on ssh hosts.
_USERINFO = re.compile(r"(?!git@)[^/?#]+(?:@|%40)")
# A password with a slash, a question mark or a hash in it, which has to be percent-encoded: what
# is no port stands behind the colon of a name, or a host behind an @ that no path has there.
_PORT = re.compile(r"[^/?#@:]*(?:$|[/?#]|:(?:[0-9]*|\$\{\w+\}|PORT)(?=[/?#.,;:)\]}]|$))|\[")
_MALFORMED = re.compile(r"[^/?#@:]+:[^@][^@/?#]*[/?#].*@|[^/?#@:]+:[^/?#@]+(?=[/?#]|$)")
_SPLIT_LOGIN = re.compile(
    r"[^/?#@:.]+(?::[0-9]+)?[/?#][^@]*[^/@]@(?=[\w-]+(?:\.[\w-]+)*\.[a-z]{2,}[:/])"
)
# The token of a conda channel is a path segment after /t/: conda.common.url.split_anaconda_token.
_TOKEN = re.compile(r"(?<=/t/)[^/?#]+")
# A parameter of a query or a fragment: its name and its value.
_PARAMETER = re.compile(r"(?P<name>[?&;#][^?&;#=]*)=(?P<value>[^&;#]+)")
_SECRET = re.compile(
    r"token|secret|passw|passphrase|signature|credential|jwt|(?:api|access|private)[._-]?key|"
    r"authorization|(?<![a-z])(?:auth|key|sig|pass|pat|pwd|sas|session|user|login)(?![a-z])",
    re.IGNORECASE,
)
# A token in a path, as some indexes have: letters of both cases and digits, in no words.
_SEGMENT = re.compile(r"(?<=/)[A-Za-z0-9_=-]{16,}(?=[/?#]|$)")
# One that says whose it is: GitHub's, npm's, GitLab's, Docker's, and a JSON web token (RFC 7519).
_ISSUED = re.compile(
    r"(?<=/)(?:(?:gh[opusr]_|npm_)[A-Za-z0-9]{30,}|github_pat_\w{40,}|(?:glpat-|dckr_pat_)[\w-]{20,}"
    r"|eyJ[\w-]+\.eyJ[\w-]+\.[\w-]*)(?=[/?#]|$)"
)
_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|[0-9]+")
_LENGTH_OF_WORDS = 3  # on average, of what people name; random texts have about 2
_RELATIVE_TOKEN = re.compile(r"/*t/[^/?#]+")
_LEVELS = 3  # how often a URL may be percent-encoded

WHERE_CREDENTIALS_BELONG = (
    "Take it out of the URL and put it where every download finds it: a user name and password "
    "into ~/.netrc (machine HOST login USER password PASSWORD), a token of a conda channel into "
    'the file that RATTLER_AUTH_FILE names ({"HOST": {"CondaToken": "TOKEN"}}).'
)
"""The remedy for a URL with a credential in it."""


def without_credentials(text: str, *, guess: bool = True) -> str:
    """Return `text` with `***` where its URLs carry a user name, a password or a token.

    Those are what stands before the `@` of an authority, also where a password has a `/` that
    should be encoded; the segment after `/t/` in a path, and one that looks random or is of a known
    form; the values of parameters such as `token` or `X-Amz-Signature`, also percent-encoded. In a
    `file://` URL nothing but the first can be one.

    Args:
        text: any text, with or without URLs.
        guess: whether what looks random counts.
    """
    masked = _URL.sub(_mask_url, text)
    masked = _ENCODED_URL.sub(_mask_encoded, masked)
    return _URL.sub(_mask_guessed, masked) if guess else masked


def carries_credentials(text: str, *, guess: bool = True) -> bool:
    """Tell whether a URL in `text` carries a credential; see `without_credentials`."""
    return without_credentials(text, guess=guess) != text


def channel_carries_credentials(channel: str) -> bool:
    """Tell whether a channel, a URL or what is relative to the channel alias, has a credential.

    A query counts as one: no channel needs it, and what else would it be?
    """
    if carries_credentials(channel):
        return True
    plain = _unquoted(channel)
    has_scheme = "://" in plain
    if has_scheme and plain.lower().startswith("file:"):
        return False
    start = plain.lstrip("/").split("/", maxsplit=1)[0]
    relative = not has_scheme and ("@" in start or bool(_RELATIVE_TOKEN.match(plain)))
    return relative or "?" in plain


def requirement_carries_credentials(text: str) -> bool:
    """Tell whether a conda requirement has a credential, as in `https://me:pass@host/c::name`."""
    channel, separator, _ = text.partition("::")
    in_channel = bool(separator) and channel_carries_credentials(channel)
    return in_channel or carries_credentials(text)


def channel_host(channel: str) -> str:
    """Return the host of a channel whose credential is not to be shown, or "" if it has none."""
    try:
        return urlsplit(channel).hostname or ""
    except ValueError:
        return ""


def _mask_url(found: re.Match[str]) -> str:
    """Mask a URL, of which the match is what follows `://`."""
    is_local = found.string[: found.start()].endswith("file://")
    return _masked(found[0], is_local=is_local)


def _mask_encoded(found: re.Match[str]) -> str:
    plain = unquote(found[0])
    masked = _masked(plain, is_local=False)
    return found[0] if masked == plain else quote(masked, safe="*")


def _masked(rest: str, *, is_local: bool) -> str:
    for _ in range(_LEVELS):
        rest = _masked_once(rest, is_local=is_local)
        plain = unquote(rest)
        if _masked_once(plain, is_local=is_local) != plain:
            rest = plain
    return rest


def _masked_once(rest: str, *, is_local: bool) -> str:
    userinfo = _USERINFO.match(rest) or _malformed(rest)
    if userinfo:
        at = "@" if userinfo[0].lower().endswith(("@", "%40")) else ""
        rest = f"{_HIDDEN}{at}{rest[userinfo.end() :]}"
    if is_local:
        return rest
    return _PARAMETER.sub(_mask_parameter, _TOKEN.sub(_HIDDEN, rest))


def _malformed(rest: str) -> re.Match[str] | None:
    """Return the login that is no userinfo, for what should be percent-encoded in it."""
    is_port = _PORT.match(rest) is not None
    return _SPLIT_LOGIN.match(rest) or (None if is_port else _MALFORMED.match(rest))


def _mask_guessed(found: re.Match[str]) -> str:
    is_local = found.string[: found.start()].endswith("file://")
    if is_local:
        return found[0]
    return _SEGMENT.sub(_mask_random, _ISSUED.sub(_HIDDEN, found[0]))


def _mask_random(found: re.Match[str]) -> str:
    kinds = all(re.search(kind, found[0]) for kind in ("[a-z]", "[A-Z]", "[0-9]"))
    words = _WORD.findall(found[0])
    return _HIDDEN if kinds and len(found[0]) < _LENGTH_OF_WORDS * len(words) else found[0]


def _mask_parameter(found: re.Match[str]) -> str:
    return f"{found['name']}={_HIDDEN}" if _SECRET.search(found["name"]) else found[0]


def _unquoted(text: str) -> str:
    for _ in range(_LEVELS):
        text = unquote(text)
    return text
