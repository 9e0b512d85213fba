"""Keeps secrets out of what is shown, logged or stored."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from urllib.parse import quote

_HIDDEN = "***"
# RFC 3986, 3.2.1: what stands before the @ of an authority. It is hidden whole, since indexes take
# tokens as the user name too; only "git" is everybody's name on ssh hosts. Quotes and brackets
# end it, or a URL without credentials would be masked up to the next @ of a JSON text.
_USERINFO = re.compile(r"""(?<=://)(?!git@)[^\s/?#"'<>\\`]+@""")


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
        return _USERINFO.sub(f"{_HIDDEN}@", hidden)

    return mask
