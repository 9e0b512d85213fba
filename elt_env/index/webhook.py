"""Posts JSON to a URL that may carry secrets."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from elt_env.errors import NetworkError, PolicyError
from elt_env.package.names import REFERENCE
from elt_env.runtime.masking import masking, remember


@dataclass(frozen=True)
class Use:
    """What is posted for, as messages say it.

    Attributes:
        key: of the policy, whose value the URL is.
        failed: the begin of the sentence that says what did not work.
        example: a URL.
        silence: seconds that the server may be silent.
    """

    key: str
    failed: str
    example: str
    silence: float


NOTICE = Use(
    "notify-webhook",
    "The notice could not be delivered",
    "https://chat.example/hooks/${CHAT_TOKEN}",
    10.0,
)
"""Tell of an outcome."""


def post(url: str, content: Mapping[str, Any], variables: Mapping[str, str], use: Use) -> bytes:
    """Post `content` to a URL in which `${NAME}` stands for the value of a variable.

    Returns the body of the answer.

    Raises:
        PolicyError: a variable is not set, or the URL is none; no value is in the message.
        NetworkError: nobody answers, or with anything else than success.
    """
    import httpx  # slow to load, and most projects have no webhook

    from elt_env.index.http_client import open_client, refused

    names = [found["name"] for found in REFERENCE.finditer(url)]
    for name in names:
        if not variables.get(name):
            raise PolicyError(
                f"{use.key} names the variable {name}, which is not set.",
                "Set it where Dagster runs, or correct the URL in [tool.elt-env].",
            )
    remember(*(variables[name] for name in names))
    mask = masking([variables[name] for name in names])
    address = REFERENCE.sub(lambda found: variables[found["name"]], url)
    try:
        # The URL is the credential, and a redirect is no delivery.
        with open_client(silence=use.silence) as client:
            answer = client.post(
                address,
                content=json.dumps(content, ensure_ascii=False).encode(),
                headers={"Content-Type": "application/json"},
                follow_redirects=False,
            )
    except (httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
        raise PolicyError(
            f"{use.key} is not a URL that can be posted to: {mask(str(error))}",
            f"Write it as in {use.example}",
        ) from None
    except httpx.HTTPError as error:
        stopped = refused(error, address)
        if stopped:
            raise stopped from None
        cause = mask(str(error)) or type(error).__name__
        raise _undelivered(use, f"{_host(address)} does not take it: {cause}") from None
    if not answer.is_success:
        raise _undelivered(use, f"{_host(address)} answers with HTTP status {answer.status_code}")
    return answer.content


def _host(address: str) -> str:
    return urlsplit(address).hostname or ""


def _undelivered(use: Use, cause: str) -> NetworkError:
    return NetworkError(f"{use.failed}: {cause}.", f"Look at {use.key} in [tool.elt-env].")
