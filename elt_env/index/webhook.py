"""Posts JSON to a URL that may carry secrets."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

import httpx

from elt_env.errors import NetworkError, PolicyError
from elt_env.index.http_client import open_client, refused
from elt_env.runtime.masking import masking

_VARIABLE = re.compile(r"\$\{(?P<name>[A-Za-z_][A-Za-z0-9_]*)\}")
_SILENCE = 10.0
_KEY = "notify-webhook"


def post(url: str, content: Mapping[str, Any], variables: Mapping[str, str]) -> None:
    """Post `content` to a URL in which `${NAME}` stands for the value of a variable.

    Raises:
        PolicyError: a variable is not set, or the URL is none; no value is in the message.
        NetworkError: nobody answers, or with anything else than success.
    """
    names = [found["name"] for found in _VARIABLE.finditer(url)]
    for name in names:
        if not variables.get(name):
            raise PolicyError(
                f"{_KEY} names the variable {name}, which is not set.",
                "Set it where Dagster runs, or correct the URL in [tool.elt-env].",
            )
    mask = masking([variables[name] for name in names])
    address = _VARIABLE.sub(lambda found: variables[found["name"]], url)
    try:
        # The URL is the credential, and a redirect is no delivery.
        with open_client(silence=_SILENCE) as client:
            answer = client.post(
                address,
                content=json.dumps(content, ensure_ascii=False).encode(),
                headers={"Content-Type": "application/json"},
                follow_redirects=False,
            )
    except (httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
        raise PolicyError(
            f"{_KEY} is not a URL that can be posted to: {mask(str(error))}",
            "Write it as in https://chat.example/hooks/${CHAT_TOKEN}",
        ) from None
    except httpx.HTTPError as error:
        stopped = refused(error, address)
        if stopped:
            raise stopped from None
        cause = mask(str(error)) or type(error).__name__
        raise _undelivered(f"{_host(address)} does not take it: {cause}") from None
    if not answer.is_success:
        raise _undelivered(f"{_host(address)} answers with HTTP status {answer.status_code}")


def _host(address: str) -> str:
    return httpx.URL(address).host


def _undelivered(cause: str) -> NetworkError:
    return NetworkError(
        f"The notice could not be delivered: {cause}.", f"Look at {_KEY} in [tool.elt-env]."
    )
