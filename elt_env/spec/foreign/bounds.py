"""Requirements that stand in tables of Poetry, Pipenv and pixi, as PEP 508 writes them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from packaging.version import InvalidVersion, Version

from elt_env.spec.faults import WrittenError
from elt_env.spec.foreign.told import Listed, TomlFile

_REFERENCES = ("rev", "ref", "tag", "branch")


def named(
    file: TomlFile, asked: Mapping[str, Any], bound: Callable[[str], str] | None = None
) -> Iterator[Listed]:
    """Yield what a table of names and bounds asks pip for; optional ones are not asked for.

    Args:
        file: where the table stands.
        asked: by name a bound, a table, or a list of these.
        bound: returns a bound of the tool as PEP 440 writes it, or raises WrittenError;
            `plain_bound` by default.
    """
    for name, told in asked.items():
        for each in told if isinstance(told, list) else [told]:
            table = each if isinstance(each, dict) else {"version": str(each)}
            if isinstance(each, (bool, list)):
                file.wrong_bound(name)
            elif not table.get("optional"):
                yield _requirement(file, name, table, bound or plain_bound), file.key_line(name)


def _requirement(
    file: TomlFile, name: str, table: Mapping[str, Any], bound: Callable[[str], str]
) -> str:
    listed = table.get("extras") or []
    extras = f"[{','.join(map(str, listed))}]" if isinstance(listed, list) and listed else ""
    markers = [str(table.get("markers") or "")]
    if table.get("python"):
        python = file.converted(name, str(table["python"]), poetry_bound)
        markers += [f"python_version {each}" for each in _parts(python)]
    if table.get("platform"):
        markers.append(f'sys_platform == "{table["platform"]}"')
    marker = " and ".join(f"({each})" for each in markers if each)
    place = place_of(table)
    version = str(table.get("version") or "*")
    bounds = "" if version == "*" else file.converted(name, version, bound)
    asked = f"{name}{extras}{place or bounds}"
    return f"{asked} ; {marker}" if marker else asked


def plain_bound(text: str) -> str:
    """Return a bound of PEP 440; a version by itself means that version alone, as to Pipenv."""
    return f"=={text}" if text[:1].isdigit() else text


def place_of(table: Mapping[str, Any]) -> str:
    """Return where a table says that its package is taken from, as ` @ URL`; "" for an index."""
    if table.get("git"):
        ref = next((table[each] for each in _REFERENCES if each in table), "")
        part = f"#subdirectory={table['subdirectory']}" if table.get("subdirectory") else ""
        return f" @ git+{table['git']}{f'@{ref}' if ref else ''}{part}"
    place = table.get("url") or table.get("file") or table.get("path")
    return f" @ {place}" if place else ""


def _parts(bound: str) -> list[str]:
    """Return a bound's parts as a marker compares them, as in `>= "3.10"`."""
    found = re.findall(r"(===|~=|[=!<>]=|[<>])\s*([^,\s]+)", bound)
    return [f'{operator} "{version}"' for operator, version in found]


def poetry_bound(text: str) -> str:
    """Return a bound of Poetry as PEP 440 writes it.

    https://python-poetry.org/docs/dependency-specification/

    Raises:
        WrittenError: it is none, or one that PEP 440 cannot write.
    """
    if "|" in text:
        raise WrittenError(
            f"'{text}' has alternatives, which a requirement cannot have (PEP 440)",
            "Write one range with what is excluded from it, as in >=1.2,<3,!=2.0.*",
        )
    parts = [
        each.strip() for each in re.split(r",|(?<=[\w*])\s+(?=[<>=!~^])", text) if each.strip()
    ]
    return ",".join(each for part in parts for each in _poetry_part(part))


def _poetry_part(part: str) -> Iterator[str]:
    if part == "*":
        return
    if part[0] == "^" or (part[0] == "~" and not part.startswith("~=")):
        first = _release(part[1:].strip(), part)
        yield from (f">={part[1:].strip()}", f"<{_next(first, caret=part[0] == '^')}")
    elif part[0].isdigit():
        _release(part.removesuffix(".*"), part)
        yield f"=={part}"
    else:
        yield part.replace(" ", "")


def _release(text: str, part: str) -> tuple[int, ...]:
    try:
        return Version(text).release
    except InvalidVersion as error:
        raise WrittenError(
            f"'{part}' is no bound of Poetry", "Write it as in ^1.2, ~1.2 or >=1.2,<2"
        ) from error


def _next(release: tuple[int, ...], *, caret: bool) -> str:
    """Return the first release that a caret or a tilde excludes."""
    if caret:
        kept = next((place for place, each in enumerate(release) if each), len(release) - 1)
    else:
        kept = min(1, len(release) - 1)
    return ".".join(map(str, (*release[:kept], release[kept] + 1)))
