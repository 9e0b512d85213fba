"""Requirements that stand in tables of Poetry, Pipenv and pixi, as PEP 508 writes them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from packaging.markers import default_environment
from packaging.version import InvalidVersion, Version

from elt_env.spec.direct import ARCHIVES, is_url
from elt_env.spec.faults import WrittenError
from elt_env.spec.foreign.told import Listed, TomlFile

_REFERENCES = ("rev", "ref", "tag", "branch")
# Pipenv has the variables of markers (PEP 508) as keys.
_VARIABLES = tuple(default_environment())
_MARKERS = ("markers", "env-markers")
_CONDITIONS = {"python", "platform", *_VARIABLES, *_MARKERS}
_READ = {
    *("version", "extras", "optional", "source", "index"),
    *("git", "subdirectory", "url", "file", "path", "editable", "develop"),
    *(*_CONDITIONS, *_REFERENCES),
}
_UNREAD = "Its tool alone keeps it; the policy in [tool.elt-env] has pre-releases and more."


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
                file.skip_of(name, {*table} - _READ, table, _UNREAD)
                if path := local_path(table):
                    yield from file.project_at(
                        path, file.key_line(name), name, table.get("extras") or ()
                    )
                else:
                    yield _requirement(file, name, table, bound or plain_bound), file.key_line(name)


def _requirement(
    file: TomlFile, name: str, table: Mapping[str, Any], bound: Callable[[str], str]
) -> str:
    listed = table.get("extras") or []
    extras = f"[{','.join(map(str, listed))}]" if isinstance(listed, list) and listed else ""
    markers = [str(table.get(each) or "") for each in _MARKERS]
    markers += [f"{each} {table[each]}" for each in _VARIABLES if table.get(each)]
    if table.get("python"):
        markers.append(file.converted(name, str(table["python"]), _python_marker))
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
    place = str(table.get("url") or table.get("file") or table.get("path") or "")
    return f" @ {place if is_url(place) else _as_path(place)}" if place else ""


def local_path(table: Mapping[str, Any]) -> str:
    """Return the directory in which a table says that its package lies, on every platform.

    It is "" for another place, and where the table has conditions.
    """
    place = str(table.get("path") or table.get("file") or "")
    if not place or place.endswith(ARCHIVES) or {"git", "url", *_CONDITIONS} & {*table}:
        return ""
    return _as_path(place)


def _as_path(place: str) -> str:
    """Return a path as no reader takes it for a name."""
    place = place.rstrip("/") or place
    return place if place.startswith((".", "/", "~")) else f"./{place}"


def poetry_python(text: str) -> str:
    """Return a bound of Poetry on Python as conda writes it, which knows alternatives.

    Raises:
        WrittenError: it is none.
    """
    alternatives = _alternatives(text)
    return "|".join(alternatives) if all(alternatives) else ""


def _python_marker(text: str) -> str:
    """Return the marker for a bound of Poetry on Python, "" where it admits all."""
    alternatives = _alternatives(text)
    return " or ".join(map(_compared, alternatives)) if all(alternatives) else ""


def _alternatives(text: str) -> list[str]:
    return [poetry_bound(each) for each in re.split(r"\|\|?", text)]


def _compared(bound: str) -> str:
    """Return a bound's parts as markers; the full version alone tells a patch release."""
    found = re.findall(r"(===|~=|[=!<>]=|[<>])\s*([^,\s]+)", bound)
    return " and ".join(
        f'python_{"full_" if version.count(".") > 1 else ""}version {operator} "{version}"'
        for operator, version in found
    )


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
