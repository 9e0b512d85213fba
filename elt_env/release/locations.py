"""Code locations that run on a release, in the Dagster webservers that the policy names."""

from __future__ import annotations

import json
import logging
import os
import sys
from collections.abc import Iterator, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from elt_env import probes
from elt_env.errors import EltEnvError, NetworkError, ProofError
from elt_env.index.webhook import Use, post
from elt_env.lockfile.document import Lock
from elt_env.machine.process import Say, end_of, run
from elt_env.machine.scratch import scratch_directory
from elt_env.package.canonical import short
from elt_env.package.target import Target
from elt_env.project.policy import EnvironmentPolicy
from elt_env.project.project import Project
from elt_env.runtime.files import write_atomically
from elt_env.runtime.limits import load_json
from elt_env.runtime.masking import hidden

# https://docs.dagster.io/api/graphql/mutations#reload-repository-location
_RELOAD = """
mutation Reload($location: String!) {
  reloadRepositoryLocation(repositoryLocationName: $location) {
    __typename
    ... on WorkspaceLocationEntry {
      locationOrLoadError {
        ... on PythonError { message }
      }
    }
    ... on ReloadNotSupported { message }
    ... on RepositoryLocationNotFound { message }
    ... on UnauthorizedError { message }
    ... on PythonError { message }
  }
}
"""
_VERSION = "{ version }"
_VALIDATE = ("-m", "dagster", "definitions", "validate")
_LAST_LINES = 20
_WEBSERVER = Use(
    "reload-locations",
    "The webserver could not be asked",
    "http://dagster.example:3000",
    180.0,  # Dagster's own time limit for a code server to start
)


def require_loadable(lock: Lock, prefix: Path, project: Project, say: Say) -> None:
    """Return when the webservers of the policy can load what the Dagster of a prefix serves.

    Dagster has no rule about versions: what one side does not know it leaves out, and 1.5 and 1.13
    go together either way. So where they differ it is tried, with the Dagster of this project if
    that is the webserver's. What is not known is said, and keeps nothing from being released.

    Raises:
        ProofError: the webserver's Dagster cannot load it.
    """
    served = lock.distributions.get("dagster")
    own = metadata.version("dagster")
    for url in project.environment(lock.target.environment).reload_locations if served else ():
        try:
            asking = str(ask(url, _VERSION)["version"])
        except EltEnvError as error:
            say(f"promote: the Dagster of a webserver is not known: {hidden(error.problem)}")
            continue
        if asking not in (served, own):
            say(f"promote: not tried, as {own} is here: Dagster {asking} loading {served}")
        elif asking != served:
            say(f"promote: trying whether Dagster {asking} loads what {served} serves")
            _try_to_load(lock, prefix, project, f"Dagster {asking} of the webserver")


def _try_to_load(lock: Lock, prefix: Path, project: Project, asking: str) -> None:
    """Let the Dagster of this project load a code location of a prefix."""
    location = {
        "relative_path": str(probes.DIRECTORY / "dagster_location.py"),
        "executable_path": str(prefix / "bin" / "python"),
    }
    with scratch_directory("dagster") as place:
        write_atomically(
            place / "workspace.yaml", json.dumps({"load_from": [{"python_file": location}]})
        )
        done = run(
            [sys.executable, *_VALIDATE, "-w", "workspace.yaml"],
            limit=project.policy.tool_limit.total_seconds(),
            cwd=place,
            merge=True,
        )
    if done.returncode:
        spec = project.environment(lock.target.environment).spec
        raise ProofError(
            f"{asking} cannot load code locations of {lock.target.name} with the lock "
            f"{short(lock.digest)}, whose Dagster is {lock.distributions['dagster']}:\n"
            f"{end_of(done.stdout.strip(), _LAST_LINES)}",
            f"Ask for a dagster nearer to it in {spec}, upgrade the webserver, or take it out of "
            "reload-locations if nothing of the release runs there.",
        )


def reload_locations(target: Target, environment: EnvironmentPolicy, say: Say) -> None:
    """Reload the code locations of the policy, which run on a release that has moved.

    What does not work is a warning: the release has moved, whoever runs on it.

    Args:
        target: whose release.
        environment: whose locations they are.
        say: told of progress.
    """
    for url, location in _listed(environment):
        try:
            trouble = _reloaded(url, location)
        except EltEnvError as error:
            trouble = error.problem
        if trouble:
            why = f"the code location '{location}' was not reloaded: {hidden(trouble)}"
            say(why, logging.WARNING)
        else:
            say(f"reload: the code location '{location}' was reloaded for {target.name}")


def _listed(environment: EnvironmentPolicy) -> Iterator[tuple[str, str]]:
    for url, locations in environment.reload_locations.items():
        yield from ((url, each) for each in locations)


def _reloaded(url: str, location: str) -> str:
    """Reload a code location; return why it is not loaded anew, or ""."""
    found = ask(url, _RELOAD, location=location)["reloadRepositoryLocation"]
    error = found.get("locationOrLoadError") or found
    return str(error.get("message") or "").strip().partition("\n")[0]


def ask(url: str, query: str, **variables: str) -> Mapping[str, Any]:
    """Return the data of a webserver's answer to a GraphQL query.

    Raises:
        PolicyError: the URL is none, or names a variable that is not set.
        NetworkError: nobody answers, or not as Dagster does.
    """
    content = {"query": query, "variables": variables}
    answer = post(f"{url.rstrip('/')}/graphql", content, os.environ, _WEBSERVER)
    try:
        parsed = load_json(answer.decode())
    except ValueError:
        parsed = None
    data = parsed.get("data") if isinstance(parsed, dict) else None
    if not isinstance(data, dict):
        raise NetworkError(
            f"{url} does not answer as a Dagster webserver does.",
            f"Look at {_WEBSERVER.key} in [tool.elt-env].",
        )
    return data
