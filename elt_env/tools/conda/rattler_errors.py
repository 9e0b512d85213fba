"""What rattler's error texts mean."""

from __future__ import annotations

import re
from pathlib import Path

from elt_env.errors import (
    ChannelUnreachableError,
    CondaUnsatisfiableError,
    EltEnvError,
    IntegrityError,
    NetworkError,
    ToolError,
)
from elt_env.model.lock import Package
from elt_env.tools.files import storage_error
from elt_env.tools.process import end_of

_UNREACHABLE = re.compile(
    r"\(Connect\)|connection refused|dns error|timed? ?out|error sending request|"
    r"connection (reset|closed)|50\d ",
    re.IGNORECASE,
)
_MISMATCH = re.compile(
    r"(hash|sha256|checksum|digest) ?(mismatch|does not match)|mismatch", re.IGNORECASE
)


def unsatisfiable(text: str, specs: list[str]) -> CondaUnsatisfiableError:
    """Return the error for a solve without a solution; `text` is the solver's explanation."""
    asked = ", ".join(specs)
    return CondaUnsatisfiableError(
        f"conda finds no solution for: {asked}\n{end_of(text, 30)}",
        "Loosen or correct the conda requirements of the spec, then run the same command.",
    )


def channel(text: str, channels: tuple[str, ...]) -> NetworkError:
    """Return the error for repodata that could not be had."""
    names = ", ".join(channels)
    cause = end_of(text.strip(), 6)
    if _UNREACHABLE.search(text):
        return ChannelUnreachableError(
            f"The conda channel {names} cannot be reached: {cause}",
            'Check the network, or set channel-fallback = "host" in [tool.elt-env].',
        )
    return NetworkError(
        f"The conda channel {names} does not answer with repodata: {cause}",
        "Check the channel's name or URL in the spec, and the proxy in between.",
    )


def link(text: str, packages: tuple[Package, ...], prefix: Path) -> EltEnvError:
    """Return the error for packages that could not be fetched or linked."""
    cause = end_of(text.strip(), 10)
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
    if _UNREACHABLE.search(text):
        return NetworkError(
            f"{about} cannot be downloaded: {cause}", "Check the network and run it again."
        )
    return ToolError(f"conda could not link {about}: {cause}", "Run the same command again.")
