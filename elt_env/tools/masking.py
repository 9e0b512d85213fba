"""Keeps secrets out of what is shown, logged or stored."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from urllib.parse import quote

from elt_env.model.credentials import without_credentials

_HIDDEN = "***"


def masking(secrets: Collection[str]) -> Callable[[str], str]:
    """Return a function that replaces secrets and the credentials of URLs by ***.

    Args:
        secrets: texts to hide as they are and percent-encoded; empty ones are ignored.
    """
    forms = {form for each in secrets if each for form in (each, quote(each, safe=""))}
    # The longest first: a secret may be part of another.
    known = re.compile("|".join(re.escape(each) for each in sorted(forms, key=len, reverse=True)))

    def mask(text: str) -> str:
        hidden = known.sub(_HIDDEN, text) if forms else text
        return without_credentials(hidden)

    return mask
