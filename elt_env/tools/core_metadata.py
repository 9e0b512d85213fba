"""The `Project-URL` fields of distributions: of installed ones, and beside wheels on an index.

https://packaging.python.org/en/latest/specifications/core-metadata/
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from email.parser import HeaderParser
from pathlib import Path

import httpx

from elt_env.tools.http_client import open_client
from elt_env.tools.indexes import Indexes
from elt_env.tools.logins import Logins
from elt_env.tools.prefix import Prefix, Stage

ProjectUrls = tuple[str, ...]
"""The fields of one distribution, as in `Changelog, https://project.example/news`."""

_AT_ONCE = 8
_LARGEST = 2_000_000  # bytes; a description stands in it, but no book
_SILENCE = 5.0
_LIMIT = 20.0  # seconds for all together


def installed_project_urls(prefix: Prefix) -> dict[str, ProjectUrls]:
    """Return the fields of every distribution in a prefix, by its name; none of one half built."""
    if prefix.stage < Stage.INSTALLED:
        return {}
    return {each.name: _read(each.info / "METADATA") for each in prefix.distributions()}


def _read(path: Path) -> ProjectUrls:
    try:
        return _parse(path.read_text(encoding="utf-8", errors="replace"))
    except OSError:
        return ()


def _parse(metadata: str) -> ProjectUrls:
    fields = HeaderParser().parsestr(metadata).get_all("Project-URL", [])
    return tuple(str(each) for each in fields)


def offered_project_urls(wheels: Iterable[str], indexes: Indexes) -> dict[str, ProjectUrls]:
    """Return the fields of wheels, by the wheels' URLs, from the metadata beside them (PEP 658).

    No wheel is downloaded. What cannot be had in time is left out: nothing depends on it.
    """
    end = time.monotonic() + _LIMIT
    with (
        open_client(Logins(indexes), silence=_SILENCE) as client,
        ThreadPoolExecutor(_AT_ONCE) as pool,
    ):
        urls = list(wheels)
        texts = pool.map(lambda url: _get(client, url, end), urls)
        return {
            url: _parse(text) for url, text in zip(urls, texts, strict=True) if text is not None
        }


def _get(client: httpx.Client, wheel: str, end: float) -> str | None:
    content = bytearray()
    if time.monotonic() > end:
        return None
    try:
        with client.stream("GET", f"{wheel}.metadata") as answer:
            answer.raise_for_status()
            for chunk in answer.iter_bytes():
                content += chunk
                if len(content) > _LARGEST or time.monotonic() > end:
                    return None
    except (httpx.HTTPError, httpx.InvalidURL):
        return None
    return content.decode("utf-8", errors="replace")
