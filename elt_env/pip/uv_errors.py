"""Turn uv's failures into errors. Its exit code tells too little, so the text decides."""

from __future__ import annotations

import os
import re
from pathlib import Path

from packaging.requirements import Requirement

from elt_env.errors import (
    EltEnvError,
    IndexUnreachableError,
    IntegrityError,
    NoReleaseError,
    NoWheelError,
    PackageNotFoundError,
    PipConflictError,
    StorageError,
    ToolError,
    UnsatisfiableError,
)
from elt_env.index.http_errors import refusal
from elt_env.machine.indexes import Indexes
from elt_env.machine.process import Completed, end_of
from elt_env.package.names import normalize
from elt_env.pip.port import ResolveRequest
from elt_env.runtime.files import storage_error

_NO_SOLUTION = "No solution found"
_CHECKED = re.compile(r"^(?P<fault>The package .*)(?P<places>(?:\n  - .*)*)", re.MULTILINE)
_PLACE = re.compile(r"^  - (.*)$", re.MULTILINE)
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
    r"`(?P<name>[^`=]+)==(?P<version>[^`]+)` is yanked(?: \(reason: \"?(?P<reason>.*?)\"?\))?",
    re.IGNORECASE,
)
_NO_DATE = re.compile(r"`(?P<file>[^`]+)` is missing an upload date")
_NO_VERSIONS = re.compile(r"there are no versions of (?P<name>[\w.-]+)(?P<bound>[=<>!~]?)")
_LOGIN = re.compile(
    r"An index URL \((?P<url>\S+)\) could not be queried due to a lack of valid authentication "
    r"credentials \((?P<status>[^)]*)\)"
)
_TOO_YOUNG = "was filtered by `exclude-newer`"
# Hints that name options of uv: a person here has none of them to set.
_OWN_HINTS = re.compile(
    r"^hint: Wheels are required for .*\n?| Consider using `exclude-newer-package`.*| "
    r"Consider using a higher `--python-version` value\.",
    re.MULTILINE,
)
_MISMATCH = re.compile(r"Hash mismatch for `(?P<what>[^`]+)`", re.IGNORECASE)
_NOT_BUILT = re.compile(r"Failed to (?:download and )?build `(?P<what>[^`]+)`")
_FULL = re.compile(
    r"(?:`(?P<file>/[^`]+)`: )?(?:No space left on device|.*os error 28)", re.IGNORECASE
)
_NO_MEMORY = re.compile(
    r"failed to spawn thread|memory allocation of \d+ bytes failed|Cannot allocate memory"
)
_NO_CACHE = re.compile(r"Failed to initialize cache at `(?P<place>[^`]+)`")
_HEAD = 12
_SHORT = 5


def check_compile(done: Completed, request: ResolveRequest, indexes: Indexes) -> None:
    """Return when a resolve succeeded with an answer that may be locked.

    Raises:
        EltEnvError: of the class that Resolver states.
    """
    text = done.stderr
    found = _YANKED.search(text)
    if found and request.yanked == "refuse":
        reason = f": {found['reason']}" if found["reason"] else ""
        raise PipConflictError(
            f"{found['name']}=={found['version']} was yanked from the index{reason}.",
            'Pin another version, or set yanked = "take" in [tool.elt-env].',
        )
    if done.returncode:
        names = dateless(text)
        for none in _NO_VERSIONS.finditer(text):
            if normalize(none["name"]) in names:
                raise _no_upload_times(none["name"])
        where = ", ".join(each.url for each in indexes.all) or "the package index"
        raise _compile_error(text, done.returncode, request, where)


def _no_upload_times(name: str) -> PipConflictError:
    return PipConflictError(
        f"The index gives no upload times for {name}, so the cool-down leaves none of its files.",
        "Use an index with upload times (PEP 700), or, in [tool.elt-env], set undated-releases = "
        f'"take" or list {name} in cooldown-exceptions.',
    )


def yanked_notes(text: str) -> tuple[str, ...]:
    """Return what there is to say of each version of an answer that its index has withdrawn."""
    return tuple(
        f"{each['name']} {each['version']} was yanked from its index"
        + (f": {each['reason']}" if each["reason"] else "")
        for each in _YANKED.finditer(text)
    )


def yanked(text: str) -> set[tuple[str, str]]:
    """Return the (name, version) pairs of an answer that their index has withdrawn."""
    return {(each["name"], each["version"]) for each in _YANKED.finditer(text)}


def without_wheel(text: str) -> tuple[str, ...]:
    """Return the names of which an explanation says that no wheel fits, in its order."""
    found = (each["name"] or each["other"] for each in _SDIST_ONLY.finditer(text))
    return tuple(dict.fromkeys(map(normalize, found)))


def not_found(text: str) -> tuple[str, ...]:
    """Return the names of which an explanation says that no index has them, in its order."""
    return tuple(dict.fromkeys(normalize(each["name"]) for each in _NOT_FOUND.finditer(text)))


def dateless(text: str) -> set[str]:
    """Return the names of the distributions with files that lack an upload time."""
    releases = (_release(each["file"]) for each in _NO_DATE.finditer(text))
    return {normalize(each.rpartition("-")[0]) for each in releases}


TWICE = "has multiple installed distributions"
"""What `uv pip check` says of a distribution that is installed more than once."""


def inconsistencies(text: str) -> tuple[list[str], bool]:
    """Return what `uv pip check` finds wrong, a line each, and whether it looked at everything.

    No fault is what conda packages have, and uv looks no further at: a distribution without the
    file WHEEL, of which METADATA alone has to be there once it is installed
    (https://packaging.python.org/en/latest/specifications/recording-installed-packages/), and an
    `.egg-info` beside a `.dist-info`.
    """
    faults, complete = [], True
    for found in _CHECKED.finditer(text):
        places = _PLACE.findall(found["places"])
        if "(unable to read `WHEEL` file)" in found["fault"] or _is_one_with_egg(places):
            complete = False
        else:
            faults.append(" ".join([found["fault"].strip(), *places]))
    return faults, complete


def _is_one_with_egg(places: list[str]) -> bool:
    """Tell whether the places of a distribution are one `.dist-info` and one `.egg-info`."""
    return sorted(each.rpartition(".")[2] for each in places) == ["dist-info", "egg-info"]


def is_undated(line: str) -> bool:
    """Tell whether a line of output is about a file that lacks an upload time."""
    return _NO_DATE.search(line) is not None


def _release(file: str) -> str:
    if file.endswith(".whl"):
        return "-".join(file.split("-")[:2])
    return re.sub(r"\.(tar\.(gz|bz2)|zip)$", "", file)


def _compile_error(text: str, code: int, request: ResolveRequest, where: str) -> EltEnvError:
    text = "\n".join(line for line in text.splitlines() if not is_undated(line))
    if _FULL.search(text):
        return storage_error(_cache(), "", full=True)
    refused = _LOGIN.search(text)
    if refused:
        return IndexUnreachableError(
            f"The package index {refused['url']} wants other credentials ({refused['status']}).",
            "Put a valid user name and password into the index URL of your pip or uv settings, "
            "or into ~/.netrc.",
        )
    broken = _NOT_BUILT.search(text)
    if broken:
        return ToolError(
            f"{broken['what']} cannot be built from its sdist: {end_of(text.strip(), 20)}",
            "Ask for a version with a wheel, or install what its build needs on this machine.",
        )
    if _NO_SOLUTION in text:
        return _no_solution(_OWN_HINTS.sub("", text).strip(), request, where)
    return refusal(text) or _unanswered(text, where) or other(text, code)


def _unanswered(text: str, where: str) -> IndexUnreachableError | None:
    if not _NETWORK.search(text):
        return None
    return IndexUnreachableError(
        f"The package index {where} does not answer: {end_of(text.strip(), 8)}",
        "Check the network and the index URL in your pip or uv settings, then run it again.",
    )


def _cache() -> Path:
    """Return where uv keeps what it downloads (https://docs.astral.sh/uv/concepts/cache/)."""
    own = os.environ.get("UV_CACHE_DIR")
    shared = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(own) if own else Path(shared) / "uv"


def other(text: str, code: int) -> EltEnvError:
    """Return the error for a failure of uv that has no better name."""
    without_cache = _NO_CACHE.search(text)
    if without_cache:
        return StorageError(
            f"uv cannot keep what it downloads in {without_cache['place']}.",
            "Set UV_CACHE_DIR to a directory that this user can write: export UV_CACHE_DIR=…",
        )
    if _NO_MEMORY.search(text):
        return ToolError(
            "uv had not enough memory, or was not allowed to start a further thread.",
            "Free some, or raise the limits: ulimit -v, ulimit -u",
        )
    return ToolError(
        f"uv failed with exit code {code}: {end_of(text.strip(), 20)}",
        "Run the same command again; if it stays, empty uv's cache: uv cache clean",
    )


def _no_solution(text: str, request: ResolveRequest, where: str) -> EltEnvError:
    explanation = end_of(text, 3, head=_HEAD)
    found = (
        _missing(text, request, where)
        or _no_wheel(text, request, explanation)
        or _conflict(text, request, explanation)
    )
    if isinstance(found, UnsatisfiableError):
        found.explanation = text
    return found


def _missing(text: str, request: ResolveRequest, where: str) -> EltEnvError | None:
    """Return the error for a package without which there can be no answer, if one is missing."""
    unknown = _NOT_FOUND.search(text)
    if unknown and _decides(unknown["name"], text, request):
        asked = unknown["name"] in _names(request)
        return PackageNotFoundError(
            f"No package '{unknown['name']}' on {where}.\n{end_of(text, 6)}",
            "Add the index that has it as extra-indexes in [tool.elt-env]"
            + (", or correct the name in the spec." if asked else "."),
        )
    empty = _NO_VERSIONS.search(text)
    if (
        empty
        and not empty["bound"]
        and _TOO_YOUNG not in text
        and _decides(empty["name"], text, request)
    ):
        return NoReleaseError(
            normalize(empty["name"]),
            f"{where} answers with no file of '{empty['name']}': the package has no release there, "
            "or what answers is no package index.",
            "Look at that page in a browser; check the index URL in your pip or uv settings and "
            "the proxy in between.",
            text,
        )
    return None


def _decides(name: str, text: str, request: ResolveRequest) -> bool:
    """Tell whether a missing package is the cause, not one of many that a long search met."""
    return name in _names(request) or len(text.splitlines()) <= _SHORT


def _names(request: ResolveRequest) -> set[str]:
    return {normalize(Requirement(line).name) for line in request.requirements}


def _no_wheel(text: str, request: ResolveRequest, explanation: str) -> EltEnvError | None:
    sdist = _SDIST_ONLY.search(text)
    if sdist is None or not request.wheels_only or len(text.splitlines()) > _HEAD:
        return None
    name = sdist["name"] or sdist["other"]
    found = NoWheelError(
        f"{name} has no wheel for this Python and platform, and the policy wants wheels only.\n"
        f"{explanation}",
        f'Ask for a version with a wheel, or set allow-sdist = ["{name}"] in [tool.elt-env].',
    )
    found.sdist_only = (normalize(name),)
    return found


def _conflict(text: str, request: ResolveRequest, explanation: str) -> EltEnvError:
    asked = [line for line in request.requirements if _named(Requirement(line).name, text)]
    remedy = "Loosen one of these requirements in the spec"
    if _TOO_YOUNG in text:
        remedy += ", or shorten the cool-down: cooldown or cooldown-exceptions in [tool.elt-env]"
    return PipConflictError(
        f"pip finds no versions that fit together. Direct requirements that take part: "
        f"{', '.join(asked) or 'none by name'}\n{explanation}",
        f"{remedy}.",
    )


def _named(name: str, text: str) -> bool:
    return re.search(rf"(?<![\w.-]){re.escape(name)}(?![\w-])", text) is not None


def build(text: str, code: int, origin: str) -> EltEnvError:
    """Return the error for a build of a wheel that failed; `origin` names its source."""
    if _FULL.search(text):
        return storage_error(_cache(), "", full=True)
    if _NETWORK.search(text):
        return IndexUnreachableError(
            f"What the build of {origin} needs cannot be had: {end_of(text.strip(), 8)}",
            "Check the network and the package index, then run the same command again.",
        )
    return ToolError(
        f"{origin} does not build, exit code {code}: {end_of(text.strip(), 20)}",
        "Install what its build needs on this machine, or name a wheel of it in the spec.",
    )


def install(text: str, code: int, prefix: Path) -> EltEnvError:
    """Return the error for an install command that failed."""
    full = _FULL.search(text)
    if full:
        return storage_error(Path(full["file"] or prefix), "", full=True)
    mismatch = _MISMATCH.search(text)
    if mismatch:
        return IntegrityError(
            f"Hash mismatch of {mismatch['what']}: the index serves other bytes than were locked.\n"
            f"{end_of(text.strip(), 10)}",
            "If the index is trusted, make a new lock: elt-env relock",
        )
    stopped = refusal(text)
    if stopped:
        return stopped
    if _NETWORK.search(text) or "not found" in text:
        return IndexUnreachableError(
            f"The locked files cannot be had from the index: {end_of(text.strip(), 10)}",
            "Check the network and the index, then run the same command again.",
        )
    return ToolError(
        f"uv pip install failed with exit code {code}: {end_of(text.strip(), 20)}",
        "Run the same command again; if it stays, make a new lock: elt-env relock",
    )
