"""What to do about a team's own check that failed, of what its tools said."""

from __future__ import annotations

import re
from collections.abc import Iterator
from os.path import normpath
from pathlib import Path

_UNSET = re.compile(
    r"KeyError: ['\"](?P<key>[A-Z][A-Z0-9_]+)['\"]|"
    r"(?:environment variable|not provided:) ['\"](?P<name>\w+)['\"]",
    re.IGNORECASE,
)


def advice(text: str, copy: Path, handed_on: tuple[str, ...], table: str) -> Iterator[str]:
    """Yield what mends a failure, a sentence each.

    Args:
        text: what was said of it.
        copy: the copy of the project's directory, as its tools saw it.
        handed_on: the variables that it was given.
        table: where the check stands in the policy.
    """
    outside = _outside(text, copy)
    if outside:
        yield (
            f"It reads {outside}, which lies outside of its directory; that alone is copied. Name "
            "in `project` the directory that holds both, and in `directory` where the project "
            f"lies in it: {table}"
        )
    found = (each["key"] or each["name"] for each in _UNSET.finditer(text))
    unset = sorted({each for each in found if each == each.upper()} - {*handed_on})
    if unset:
        listed = ", ".join(f'"{each}"' for each in unset)
        yield (
            "It sees the variables that are handed on to it alone; where these are some, set them "
            f"and hand them on: environment = [{listed}] in {table}"
        )


def _outside(text: str, copy: Path) -> str:
    """Return a path that leads from the copy to what lies beside it; "" where none is named."""
    for found in re.finditer(re.escape(f"{copy.parent}/") + r"[^\s'\":,;()]+", text):
        path = Path(normpath(found[0]))
        if not path.is_relative_to(copy) and path != copy.parent:
            return f"../{path.relative_to(copy.parent)}"
    return ""
