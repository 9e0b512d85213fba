"""Keeps secrets out of what is shown, logged or stored."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Iterable
from urllib.parse import quote

from elt_env.runtime.credentials import without_credentials

_HIDDEN = "***"
_TELLING = 4  # characters
_SHORTEST = 6  # characters of a secret that is hidden wherever it stands

_remembered: set[str] = set()


def spellings(values: Iterable[str]) -> tuple[str, ...]:
    """Return the texts that give away the values of variables: themselves, as JSON, line by line.

    A value or line of fewer than four characters gives nothing away, and would be found everywhere.
    """
    found: set[str] = set()
    for value in values:
        lines = value.splitlines()
        found |= {value, json.dumps(value)[1:-1], repr(value)[1:-1], *lines}
        found |= {each.strip() for each in lines}
    return tuple(sorted(each for each in found if len(each) >= _TELLING))


def remember(*secrets: str) -> None:
    """Let these be hidden from now on in all that this process shows, logs or stores."""
    _remembered.update(each for each in secrets if len(each) >= _SHORTEST)


def hidden(text: str) -> str:
    """Return `text` without the credentials of URLs, and without what `remember` was told."""
    return without_credentials(masking(tuple(_remembered))(text))


def masking(secrets: Collection[str]) -> Callable[[str], str]:
    """Return a function that replaces secrets and the certain credentials of URLs by ***.

    What it is given may be read by a program afterwards; `hidden` is for what people read.

    Args:
        secrets: texts to hide as they are and percent-encoded; empty ones are ignored.
    """
    forms = {form for each in secrets if each for form in (each, quote(each, safe=""))}
    # The longest first: a secret may be part of another.
    known = re.compile("|".join(re.escape(each) for each in sorted(forms, key=len, reverse=True)))

    def mask(text: str) -> str:
        masked = known.sub(_HIDDEN, text) if forms else text
        return without_credentials(masked, guess=False)

    return mask
