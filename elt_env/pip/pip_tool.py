"""The pip half's installer through pip itself: slower than uv, and what everybody knows."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable
from pathlib import Path

from elt_env.errors import (
    EltEnvError,
    IndexUnreachableError,
    IntegrityError,
    ToolError,
)
from elt_env.index.http_client import diagnosis, patiently
from elt_env.index.http_errors import busy, refusal
from elt_env.machine.indexes import Indexes
from elt_env.machine.logins import Logins, completed
from elt_env.machine.process import Completed, Say, clean_environment, end_of, run
from elt_env.machine.scratch import scratch_directory
from elt_env.pip.port import InstallRequest
from elt_env.runtime.files import storage_error, write_atomically

_MISMATCH = re.compile(r"DO NOT MATCH THE HASHES.*?\n\s+(?P<what>\S+)", re.DOTALL)
_TRIES = 2  # of a command that met a busy server which does not say for how long
_FULL = "No space left on device"
_UNREACHABLE = re.compile(
    r"No matching distribution|Could not find a version|Connection|timed out|HTTP error|"
    r"Max retries|certificate"
)


class Pip:
    """Installer as `pip install`, run by this process's own interpreter for the prefix's.

    Args:
        limit: seconds that one command may take.
    """

    name = "pip"

    def __init__(self, limit: float) -> None:
        self._limit = limit

    def install(self, request: InstallRequest, say: Say) -> str:
        """Install everything in one command; see Installer."""
        return self._install(request, [], say)

    def unpack(self, request: InstallRequest, directory: Path, say: Say) -> None:
        """Install what is requested into `directory`; see Installer.

        pip cannot be told to stay offline; what it asks the index for, it takes from its cache.
        """
        self._install(request, ["--target", str(directory)], say)

    def forget(self, names: Iterable[str]) -> None:
        """Leave the cache as it is: pip unpacks from it, and no prefix shares its files."""

    def _install(self, request: InstallRequest, more: list[str], say: Say) -> str:
        with scratch_directory("pip") as place:
            listed = place / "requirements.txt"
            write_atomically(listed, request.requirements)
            options = [
                *("install", "--require-hashes", "--no-deps", "--no-compile", "--no-input"),
                *("--root-user-action", "ignore", *more),
                *("--only-binary", ":all:", "--requirement", str(listed)),
            ]
            done = self._pip(request.prefix, options, request.indexes, say, request.links)
            if done.returncode:
                raise _install_error(done.stdout + done.stderr, done.returncode, request)
        shown = ["pip", "--python", str(request.prefix), *options[:-1], listed.name]
        return " ".join(shown)

    def inconsistencies(self, prefix: Path, say: Say) -> tuple[str, ...]:
        """Return what the distributions in `prefix` miss of each other; see Installer."""
        done = self._pip(prefix, ["check"], Indexes(), say)
        if done.returncode == 0:
            return ()
        lines = [line for line in done.stdout.splitlines() if line.strip()]
        if not lines:
            raise ToolError(
                f"pip check failed with exit code {done.returncode}: {end_of(done.stderr, 10)}",
                "Run the same command again.",
            )
        return tuple(lines)

    def _pip(
        self,
        prefix: Path,
        options: list[str],
        indexes: Indexes,
        say: Say,
        links: Iterable[Path] = (),
    ) -> Completed:
        indexes = completed(indexes)
        # On the command line, a URL with credentials would stand in the list of processes.
        settings = {"PIP_EXTRA_INDEX_URL": " ".join(i.url_with_credentials for i in indexes.extra)}
        settings["PIP_FIND_LINKS"] = " ".join(each.as_uri() for each in links)
        if indexes.no_index:
            settings["PIP_NO_INDEX"] = "1"
        if indexes.default is not None:
            settings["PIP_INDEX_URL"] = indexes.default.url_with_credentials
        extra = {key: value for key, value in settings.items() if value}

        def once() -> Completed:
            with scratch_directory("pip") as place:
                done = run(
                    [sys.executable, "-m", "pip", "--python", prefix / "bin" / "python", *options],
                    limit=self._limit,
                    env=clean_environment(extra={**extra, "TMPDIR": str(place)}),
                    say=say,
                    secrets=indexes.secrets,
                )
            later = busy(done.stdout + done.stderr) if done.returncode else None
            if later:
                raise later
            return done

        return patiently(once, logins=Logins(indexes), tries=_TRIES, limit=self._limit, say=say)


def _install_error(text: str, code: int, request: InstallRequest) -> EltEnvError:
    if _FULL in text:
        return storage_error(request.prefix, "", full=True)
    mismatch = _MISMATCH.search(text)
    if mismatch:
        return IntegrityError(
            f"Hash mismatch of {mismatch['what']}: the index serves other bytes than were locked.\n"
            f"{end_of(text.strip(), 10)}",
            "If the index is trusted, make a new lock: elt-env relock",
        )
    if _UNREACHABLE.search(text):
        return (
            refusal(text)
            or _stopped(request.indexes)
            or IndexUnreachableError(
                f"The locked files cannot be had from the index: {end_of(text.strip(), 10)}",
                "Check the network, the index and the proxy in between, then run it again.",
            )
        )
    return ToolError(
        f"pip install failed with exit code {code}: {end_of(text.strip(), 20)}",
        "Run the same command again; if it stays, make a new lock: elt-env relock",
    )


def _stopped(indexes: Indexes) -> EltEnvError | None:
    """Return what stands between here and an index: pip says only that there is no package."""
    remote = (each.url for each in indexes.all if not each.url.startswith("file:"))
    return next((found for found in map(diagnosis, remote) if found), None)
