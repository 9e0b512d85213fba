"""Requirements and core metadata under one Python, without markers that ask for more.

A resolver that is given this needs to know nothing of the Python and the platform.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from email.parser import HeaderParser

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from elt_env.spec.markers import applies


def requirements_under(lines: Iterable[str], python: str) -> tuple[Requirement, ...]:
    """Return the requirements (PEP 508) that count under a full Python version, without markers."""
    found = [Requirement(line) for line in lines]
    return tuple(_bare(each) for each in found if applies(each, python))


def metadata_under(text: str, python: str) -> str:
    """Return core metadata whose requirements hold under a full Python version.

    Of a marker is left what it asks of extras, as in `extra == "x"`; Requires-Python is left out.

    https://packaging.python.org/en/latest/specifications/core-metadata/
    """
    fields = HeaderParser().parsestr(text)
    extras = [str(each) for each in fields.get_all("Provides-Extra", [])]
    lines = ["Metadata-Version: 2.1", *(f"{name}: {fields[name]}" for name in ("Name", "Version"))]
    lines += [f"Provides-Extra: {each}" for each in extras]
    for line in fields.get_all("Requires-Dist", []):
        lines += [f"Requires-Dist: {each}" for each in _needed(str(line), python, extras)]
    return "\n".join(lines) + "\n"


def needs_under(text: str, extras: Iterable[str]) -> tuple[Requirement, ...]:
    """Return what metadata, as `metadata_under` returns it, need with some extras.

    Args:
        text: the metadata.
        extras: normalized names.
    """
    asked = {"", *extras}
    lines = HeaderParser().parsestr(text).get_all("Requires-Dist", [])
    needs = [Requirement(str(line)) for line in lines]
    return tuple(_bare(each) for each in needs if _extra_of(each) in asked)


def _needed(line: str, python: str, extras: Iterable[str]) -> Iterator[str]:
    """Yield a requirement without its marker, or once for each extra that asks for it."""
    try:
        requirement = Requirement(line)
    except InvalidRequirement:
        yield line  # the resolver tells what is wrong with it
        return
    bare = _bare(requirement)
    if applies(requirement, python):
        yield str(bare)
        return
    for extra in extras:
        if applies(requirement, python, [extra]):
            yield f'{bare} ; extra == "{canonicalize_name(extra)}"'


def _bare(requirement: Requirement) -> Requirement:
    bare = Requirement(str(requirement))
    bare.marker = None
    return bare


def _extra_of(requirement: Requirement) -> str:
    marker = str(requirement.marker or "")
    return marker.partition('"')[2].rpartition('"')[0]
