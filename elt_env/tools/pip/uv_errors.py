"""What uv's exit codes and texts mean. Its exit code tells too little, so the text decides."""

from __future__ import annotations

import re
from pathlib import Path

from packaging.requirements import Requirement

from elt_env.errors import (
    EltEnvError,
    IndexUnreachableError,
    IntegrityError,
    NoWheelError,
    PackageNotFoundError,
    PipConflictError,
    ToolError,
)
from elt_env.model.names import normalize
from elt_env.tools.files import storage_error
from elt_env.tools.pip.port import ResolveRequest
from elt_env.tools.process import Completed, end_of

_NO_SOLUTION = "No solution found"
_NOT_FOUND = re.compile(
    r"(?:Because |and )?(?P<name>[\w.-]+) was not found in the (?:package registry|provided)",
    re.IGNORECASE,
)
_NETWORK = re.compile(
    r"error sending request|failed to fetch|could not connect|connection refused|dns error|"
    r"timed out|request failed after|HTTP status (server|client) error|client error|"
    r"network connectivity|tls|certificate",
    re.IGNORECASE,
)
_SDIST_ONLY = re.compile(
    r"(?P<name>[\w.-]+)(?:[=<>!~]=?[\w.*+,<>=!-]+)? has no (?:usable )?wheels|"
    r"(?P<other>[\w.-]+)(?:[=<>!~]=?\S+)? ha(?:s|ve) no wheels with a matching"
)
_YANKED = re.compile(
    r"`(?P<pin>[^`]+)` is yanked(?: \(reason: \"?(?P<reason>.*?)\"?\))?", re.IGNORECASE
)
_NO_DATE = re.compile(r"`(?P<file>[^`]+)` is missing an upload date")
_NO_VERSIONS = re.compile(r"(?:there are no versions of|no versions of) (?P<name>[\w.-]+)")
_MISMATCH = re.compile(r"Hash mismatch for `(?P<what>[^`]+)`", re.IGNORECASE)
_FULL = re.compile(r"No space left on device|os error 28", re.IGNORECASE)
_HEAD = 12


def check_compile(done: Completed, request: ResolveRequest) -> None:
    """Return when a resolve succeeded with an answer that may be locked.

    Raises:
        EltEnvError: of the class that Resolver states.
    """
    text = done.stderr
    yanked = _YANKED.search(text)
    if yanked:
        reason = f": {yanked['reason']}" if yanked["reason"] else ""
        raise PipConflictError(
            f"{yanked['pin']} was yanked from the index{reason}.", "Pin another version."
        )
    if done.returncode:
        dateless = {normalize(each.rpartition("-")[0]) for each in undated(text)}
        for found in _NO_VERSIONS.finditer(text):
            if normalize(found["name"]) in dateless:
                raise _no_upload_times(found["name"])
        raise _compile_error(text, done.returncode, request)


def _no_upload_times(name: str) -> PipConflictError:
    return PipConflictError(
        f"The index gives no upload times for {name}, so the cool-down leaves none of its files.",
        'Use an index with upload times (PEP 700), or set cooldown = "0" in [tool.elt-env].',
    )


def undated(text: str) -> tuple[str, ...]:
    """Return the distributions, as `name-version`, with files that lack an upload time, sorted."""
    return tuple(sorted({_release(each["file"]) for each in _NO_DATE.finditer(text)}))


def is_undated(line: str) -> bool:
    """Tell whether a line of output is about a file that lacks an upload time."""
    return _NO_DATE.search(line) is not None


def _release(file: str) -> str:
    if file.endswith(".whl"):
        return "-".join(file.split("-")[:2])
    return re.sub(r"\.(tar\.(gz|bz2)|zip)$", "", file)


def _compile_error(text: str, code: int, request: ResolveRequest) -> EltEnvError:
    text = "\n".join(line for line in text.splitlines() if not is_undated(line))
    if _FULL.search(text):
        return storage_error(Path.home() / ".cache" / "uv", "", full=True)
    missing = _NOT_FOUND.search(text)
    if missing:
        return PackageNotFoundError(
            f"No package '{missing['name']}' on the index.\n{end_of(text.strip(), 6)}",
            "Correct the name in the pip section of the spec, or add the index that has it as "
            "extra-indexes.",
        )
    if _NO_SOLUTION in text:
        return _no_solution(text, request)
    if _NETWORK.search(text):
        return IndexUnreachableError(
            f"The package index does not answer: {end_of(text.strip(), 8)}",
            "Check the network and the index URL in your pip or uv settings, then run it again.",
        )
    return other(text, code)


def other(text: str, code: int) -> ToolError:
    """Return the error for a failure of uv that has no better name."""
    return ToolError(
        f"uv failed with exit code {code}: {end_of(text.strip(), 20)}",
        "Run the same command again; if it stays, empty uv's cache: uv cache clean",
    )


def _no_solution(text: str, request: ResolveRequest) -> EltEnvError:
    asked = [line for line in request.requirements if _named(Requirement(line).name, text)]
    sdist = _SDIST_ONLY.search(text)
    explanation = end_of(text.strip(), 3, head=_HEAD)
    if sdist and request.wheels_only and len(text.splitlines()) <= _HEAD:
        name = sdist["name"] or sdist["other"]
        return NoWheelError(
            f"{name} has no wheel for this Python and platform, and the policy wants wheels only.\n"
            f"{explanation}",
            f'Ask for a version with a wheel, or set allow-sdist = ["{name}"] in [tool.elt-env].',
        )
    taking_part = ", ".join(asked) or "none by name"
    return PipConflictError(
        f"pip finds no versions that fit together. Direct requirements that take part: "
        f"{taking_part}\n{explanation}",
        "Loosen one of these requirements in the spec.",
    )


def _named(name: str, text: str) -> bool:
    return re.search(rf"(?<![\w.-]){re.escape(name)}(?![\w-])", text) is not None


def install(text: str, code: int, prefix: Path) -> EltEnvError:
    """Return the error for an install command that failed."""
    if _FULL.search(text):
        return storage_error(prefix, "", full=True)
    mismatch = _MISMATCH.search(text)
    if mismatch:
        return IntegrityError(
            f"Hash mismatch of {mismatch['what']}: the index serves other bytes than were locked.\n"
            f"{end_of(text.strip(), 10)}",
            "If the index is trusted, make a new lock: elt-env relock",
        )
    if _NETWORK.search(text) or "not found" in text:
        return IndexUnreachableError(
            f"The locked files cannot be had from the index: {end_of(text.strip(), 10)}",
            "Check the network and the index, then run the same command again.",
        )
    return ToolError(
        f"uv pip install failed with exit code {code}: {end_of(text.strip(), 20)}",
        "Run the same command again; if it stays, make a new lock: elt-env relock",
    )
