"""Code locations that run on a release, in the Dagster webservers that the policy names."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import Any

from elt_env.errors import EltEnvError, NetworkError
from elt_env.index.webhook import Use, post
from elt_env.machine.process import Say
from elt_env.package.target import Target
from elt_env.runtime.limits import load_json
from elt_env.runtime.masking import hidden
from elt_env.toolbox import Toolbox

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
_WEBSERVER = Use(
    "reload-locations",
    "The webserver could not be asked",
    "http://dagster.example:3000",
    180.0,  # Dagster's own time limit for a code server to start
)


def reload_locations(target: Target, toolbox: Toolbox, say: Say) -> None:
    """Reload the code locations of the policy, which run on a release that has moved.

    What does not work is a warning: the release has moved, whoever runs on it.

    Args:
        target: whose release.
        toolbox: of its environment.
        say: told of progress.
    """
    for url, location in _listed(toolbox):
        try:
            trouble = _reloaded(url, location)
        except EltEnvError as error:
            trouble = error.problem
        if trouble:
            say(f"WARNING: the code location '{location}' was not reloaded: {hidden(trouble)}")
        else:
            say(f"reload: the code location '{location}' was reloaded for {target.name}")


def _listed(toolbox: Toolbox) -> Iterator[tuple[str, str]]:
    for url, locations in toolbox.environment.reload_locations.items():
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
