"""Commits of git repositories, fetched through the machine's own git."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

from elt_env.errors import IndexUnreachableError, SpecError, ToolError
from elt_env.machine.process import Completed, Say, clean_environment, run

_PASSED = ("SSH_AUTH_SOCK", "GIT_SSH", "GIT_SSH_COMMAND", "GIT_ASKPASS", "SSH_ASKPASS")


def check_out(url: str, commit: str, directory: Path, limit: float, say: Say) -> int:
    """Check a commit out into a new directory and return its time, in seconds since 1970.

    All of the history comes along, since a project may tell its version from its tags. The user's
    own git settings and logins count; nobody is asked for a password.

    Raises:
        IndexUnreachableError: the repository cannot be fetched.
        SpecError: it has no such commit.
        ToolError: there is no git.
        TimeLimitError: it took too long.
    """
    done = _git(["clone", "--no-checkout", "--", url, str(directory)], limit, say)
    if done.returncode:
        raise IndexUnreachableError(
            f"The repository {url} cannot be fetched: {_last(done)}",
            f"Check the URL, the network and the login, with: git ls-remote {shlex.quote(url)}",
        )
    inside = ["-C", str(directory)]
    checkout = [*inside, "-c", "advice.detachedHead=false", "checkout", "--quiet", commit]
    if _git(checkout, limit, say).returncode:
        # One that no branch or tag leads to, as of a request to pull; servers may refuse it.
        _git([*inside, "fetch", "--quiet", "origin", commit], limit, say)
        done = _git(checkout, limit, say)
        if done.returncode:
            raise SpecError(
                f"The repository {url} has no commit {commit}: {_last(done)}",
                f"Name one that it has; they are told by: git ls-remote {shlex.quote(url)}",
            )
    done = _git([*inside, "submodule", "update", "--init", "--recursive", "--quiet"], limit, say)
    if done.returncode:
        raise IndexUnreachableError(
            f"The submodules of {url} cannot be fetched: {_last(done)}",
            "Check their URLs in .gitmodules, the network and the login.",
        )
    done = _git([*inside, "show", "--no-patch", "--format=%ct", commit], limit)
    return int(done.stdout.strip() or 0)


def _git(arguments: list[str], limit: float, say: Say | None = None) -> Completed:
    passed = {name: os.environ[name] for name in _PASSED if name in os.environ}
    settings = {
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_SSH_COMMAND": "ssh -o BatchMode=yes",
        "LC_ALL": "C.UTF-8",
    }
    try:
        return run(
            ["git", *arguments],
            limit=limit,
            env=clean_environment(extra=settings | passed),
            say=None if say is None else lambda line: say(f"git: {line}"),
        )
    except ToolError as error:
        if "is not there" not in error.problem:
            raise
        raise ToolError(
            "A requirement names a git repository, and this machine has no git.",
            "Install git, or name a wheel's URL in its place.",
        ) from error


def _last(done: Completed) -> str:
    lines = [line for line in done.stderr.splitlines() if line.strip()]
    told = next((line for line in lines if line.startswith(("fatal:", "error:"))), None)
    return told or (lines[-1] if lines else f"git failed with exit code {done.returncode}")
