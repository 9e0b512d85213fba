"""Ask pip's own resolver for its choice, without installing it."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Collection
from datetime import timezone
from pathlib import Path

from elt_env.errors import IndexUnreachableError, PipConflictError, ToolError
from elt_env.index.http_errors import refusal
from elt_env.machine.indexes import Indexes
from elt_env.machine.logins import completed
from elt_env.machine.process import Say, clean_environment, end_of, run
from elt_env.machine.scratch import scratch_directory
from elt_env.package.names import normalize
from elt_env.pip.formats import format_options
from elt_env.pip.port import ResolveRequest
from elt_env.runtime.files import write_atomically
from elt_env.runtime.input_files import read_stored_text

# pip says of an index that does not answer that it has no version of the package.
_UNREACHABLE = re.compile(
    r"Connection|timed out|HTTP error|Max retries|No matching distribution|Could not find a version"
)

_UNDATED = "does not provide upload-time metadata"


def resolve_with_pip(  # noqa: PLR0913  # what a resolve is made of
    request: ResolveRequest,
    prefix: Path,
    indexes: Indexes,
    limit: float,
    say: Say,
    *,
    links: Collection[Path] = (),
) -> dict[str, str] | None:
    """Return the version of every distribution that pip would install, as it reports it.

    None when the index tells pip no upload times, and `exclude_newer` needs them: some answer
    with HTML, which has none, as soon as it is among what a client takes (PEP 691).

    https://pip.pypa.io/en/stable/reference/installation-report/

    Args:
        request: the question; `python`, `keep` and `fresh` are not used.
        prefix: whose interpreter it is for; nothing in it changes.
        indexes: where packages come from.
        limit: seconds it may take.
        say: hears what pip says.
        links: directories of files that no index has.

    Raises:
        IndexUnreachableError: an index does not answer, or has no package list.
        PipConflictError: pip finds no solution.
        ToolError: pip failed in another way.
        TimeLimitError: it took longer than `limit`.
    """
    indexes = completed(indexes)
    with scratch_directory("pip") as place:
        write_atomically(place / "requirements.txt", "\n".join(request.requirements) + "\n")
        pins = [f"{name}=={version}" for name, version in request.pins]
        write_atomically(place / "constraints.txt", "\n".join([*pins, *request.bounds]) + "\n")
        done = run(
            [*_command(prefix), *_options(request, place)],
            limit=limit,
            env=clean_environment(extra=_settings(indexes, links)),
            cwd=place,
            say=say,
            secrets=indexes.secrets,
        )
        if done.returncode and _UNDATED in done.stderr:
            return None
        if done.returncode:
            raise _error(done.stdout + done.stderr, done.returncode)
        report = json.loads(read_stored_text(place / "report.json"))
    chosen = (each["metadata"] for each in report["install"])
    return {normalize(each["name"]): each["version"] for each in chosen}


def _command(prefix: Path) -> list[str]:
    return [sys.executable, "-m", "pip", "--python", str(prefix / "bin" / "python"), "install"]


def _options(request: ResolveRequest, place: Path) -> list[str]:
    newest = request.exclude_newer
    moment = newest.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ") if newest else None
    return [
        *("--dry-run", "--ignore-installed", "--quiet", "--no-input"),
        "--break-system-packages",  # PEP 668 forbids to install, which a dry run does not
        *("--report", str(place / "report.json")),
        *format_options(
            wheels_only=request.wheels_only,
            allow=request.allow_sdist,
            only_binary=request.only_binary,
            no_binary=request.no_binary,
        ),
        *(["--pre"] if request.pre else []),
        *(["--uploaded-prior-to", moment] if moment else []),
        *("--requirement", str(place / "requirements.txt")),
        *("--constraint", str(place / "constraints.txt")),
    ]


def _settings(indexes: Indexes, links: Collection[Path]) -> dict[str, str]:
    # On the command line, a URL with credentials would stand in the list of processes.
    extra = " ".join(each.url_with_credentials for each in indexes.extra)
    default = indexes.default.url_with_credentials if indexes.default else ""
    found = {
        "PIP_INDEX_URL": default,
        "PIP_EXTRA_INDEX_URL": extra,
        "PIP_FIND_LINKS": " ".join(each.as_uri() for each in links),
        "PIP_NO_INDEX": "1" if indexes.no_index else "",
    }
    return {name: value for name, value in found.items() if value}


def _error(text: str, code: int) -> Exception:
    shown = end_of(text.strip(), 10)
    if "ResolutionImpossible" in text:
        return PipConflictError(f"pip finds no solution: {shown}", "Compare with: elt-env show")
    stopped = refusal(text)
    if stopped:
        return stopped
    if _UNREACHABLE.search(text):
        return IndexUnreachableError(
            f"pip gets no packages from the index: {shown}",
            "Check the network and the index, then run the same command again.",
        )
    return ToolError(f"pip failed with exit code {code}: {shown}", "Run the same command again.")
