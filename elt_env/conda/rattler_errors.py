"""Turn rattler's error texts into errors of this program."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from elt_env.errors import (
    ChannelUnreachableError,
    CondaUnsatisfiableError,
    EltEnvError,
    IntegrityError,
    NetworkError,
    PackageNotFoundError,
    ToolError,
    UnsatisfiableError,
)
from elt_env.index.http_errors import TryAgainError, busy_url, refusal
from elt_env.lockfile.document import Package
from elt_env.machine.process import end_of
from elt_env.runtime.credentials import without_credentials
from elt_env.runtime.files import storage_error

_UNREACHABLE = re.compile(
    r"\(Connect\)|connection refused|dns error|timed? ?out|error sending request|"
    r"connection (reset|closed)|server error \(5\d\d",
    re.IGNORECASE,
)
_REFUSED = re.compile(r"client error \((?P<status>40[13] \w+)\)")
_GONE = re.compile(r"\(404 |No such file")
# Who else links from the cache, or a link that was interrupted, unpacks the package anew.
_UNPACKED_ANEW = re.compile(r"failed to link .*No such file", re.DOTALL)
_UNKNOWN = re.compile(
    r"^Cannot solve the request because of: No candidates .* for (?P<name>\S+) \*"
)
_SHOWN = 10  # lines
_TOO_YOUNG = "excluded because the package is uploaded after the cutoff"
_MISMATCH = re.compile(
    r"(hash|sha256|checksum|digest) ?(mismatch|does not match)|mismatch|invalid zip archive",
    re.IGNORECASE,
)


def unsatisfiable(text: str, specs: list[str], channels: tuple[str, ...]) -> UnsatisfiableError:
    """Return the error for a solve without a solution; `text` is the solver's explanation."""
    unknown = _UNKNOWN.match(text)
    if unknown:
        return PackageNotFoundError(
            f"No package '{unknown['name']}' on the conda channel {', '.join(channels)}.",
            "Correct the name in the spec, or list the channel that has it.",
        )
    remedy = "Loosen or correct the conda requirements of the spec, then run the same command."
    if _TOO_YOUNG in text:
        remedy += " Or shorten the cool-down: cooldown or cooldown-exceptions in [tool.elt-env]."
    asked = ", ".join(specs)
    problem = f"conda finds no solution for: {asked}\n{end_of(text, _SHOWN)}"
    error = CondaUnsatisfiableError(problem, remedy)
    error.explanation = f"conda finds no solution for: {asked}\n{text}"
    return error


def passing(error: EltEnvError, text: str) -> EltEnvError | TryAgainError:
    """Return an error as one that may be gone at the next attempt, if rattler's text says so."""
    url = busy_url(text)
    network = error.retryable and (url or _UNREACHABLE.search(text))
    may_pass = network or _UNPACKED_ANEW.search(text)
    return TryAgainError(error, url) if may_pass else error


def channel(text: str, channels: tuple[str, ...]) -> NetworkError:
    """Return the error for repodata that could not be had."""
    return refusal(text) or _channel(without_credentials(text), channels)


def _channel(text: str, channels: tuple[str, ...]) -> NetworkError:
    names = ", ".join([each for each in channels if each in text] or channels)
    if _UNREACHABLE.search(text):
        cause = text.strip().rpartition("Caused by: ")[2]
        return ChannelUnreachableError(
            f"The conda channel {names} cannot be reached: {end_of(cause, 3)}.",
            'Check the network, or set channel-fallback = "host" in [tool.elt-env].',
        )
    refused = _REFUSED.search(text)
    if refused:
        return _no_access(f"The conda channel {names} refuses access", refused["status"])
    return NetworkError(
        f"The conda channel {names} does not answer with repodata: {end_of(text.strip(), 6)}",
        "Check the channel's name or URL in the spec, and the proxy in between.",
    )


def _no_access(problem: str, status: str) -> NetworkError:
    return NetworkError(
        f"{problem} ({status}).",
        "Put valid credentials for it into ~/.netrc or into the file that RATTLER_AUTH_FILE "
        "names, and check the proxy in between.",
    )


def archive(text: str, url: str) -> NetworkError:
    """Return the error for a package that repodata lists and that cannot be looked into."""
    refused = _REFUSED.search(text)
    if refused:
        return _no_access(f"The download of {url} is refused", refused["status"])
    return refusal(text, url) or NetworkError(
        f"The conda package {url} cannot be read: {end_of(without_credentials(text).strip(), 3)}.",
        "Run it again; if it stays, the channel lists what it does not have: tell its owner, and "
        "ask for another version in the spec.",
    )


def unreadable(error: Exception, urls: Sequence[str]) -> NetworkError:
    """Return the error for one of several packages that cannot be looked into."""
    about = next((each for each in urls if each in str(error)), urls[0])
    return archive(str(error), about)


def page(url: str) -> NetworkError:
    """Return the error for a web page in place of an archive."""
    return NetworkError(
        f"{url} answers with a web page in place of the conda package.",
        "Does a proxy want you to sign in? Open the URL in a browser, and check the proxy.",
    )


def link(text: str, packages: tuple[Package, ...], prefix: Path) -> EltEnvError:
    """Return the error for packages that could not be fetched or linked."""
    cause = end_of(without_credentials(text).strip(), 10)
    if "No space left" in text or "os error 28" in text:
        return storage_error(prefix, "", full=True)
    if "ermission denied" in text or "ead-only file system" in text:
        return storage_error(prefix, cause, full=False)
    culprits = [each.file_name for each in packages if each.file_name in text] or [
        each.file_name for each in packages if each.name in text
    ]
    about = culprits[0] if culprits else "a conda package"
    if _MISMATCH.search(text):
        return IntegrityError(
            f"Hash mismatch of {about}: {cause}",
            "The channel serves other bytes than were locked. Make a new lock: elt-env relock",
        )
    network = None if _UNPACKED_ANEW.search(text) else _download(text, about, cause)
    return network or ToolError(
        f"conda could not link {about}: {cause}", "Run the same command again."
    )


def _download(text: str, about: str, cause: str) -> NetworkError | None:
    """Return the error for a package that could not be downloaded, or None."""
    stopped = refusal(text)
    if stopped:
        return stopped
    refused = _REFUSED.search(text)
    if refused:
        return _no_access(f"The download of {about} is refused", refused["status"])
    if _UNREACHABLE.search(text) or busy_url(text):
        return NetworkError(
            f"{about} cannot be downloaded: {cause}", "Check the network and run it again."
        )
    if _GONE.search(text):
        return NetworkError(
            f"{about} is no longer on its channel: {cause}",
            "Make a new lock with: elt-env relock",
        )
    return None
