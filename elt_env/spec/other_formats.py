"""Files of other tools that say what is asked for, told as an `environment.yml` says it.

They are `pyproject.toml` (PEP 621; the tables of Poetry and of pixi), `pixi.toml`, `Pipfile`, and
requirements files. What stands in groups, extras and features is left out, and told.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from fnmatch import fnmatch
from typing import Any

from packaging.version import InvalidVersion, Version

from elt_env.errors import SpecError
from elt_env.spec.faults import Fault, FaultsError, WrittenError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

NAMES = ("pyproject.toml", "pixi.toml", "Pipfile", "*.txt", "*.in")
"""Patterns of the names of files that are told as specs."""

_LOCKS = ("*.lock", "*conda-lock*.y*ml", "pylock*.toml")
_LINE = re.compile(r"at line (\d+)")
_LEFT_OUT = (
    "Only what every user of the project needs is locked; name the rest in an environment.yml."
)


_OWN_INDEX = (
    "Packages come from the index of your pip or uv settings; name another one as index in "
    "[tool.elt-env]."
)


@dataclass(frozen=True)
class Told:
    """What a file asks for, as the text of an environment.yml.

    Attributes:
        text: that text.
        lines: of each of its lines, the line of the file; 0 for one that the file does not have.
        left_out: what is in the file and not asked for, with the file's lines.
        faults: what is wrong with the file beside what is wrong with that text.
    """

    text: str
    lines: tuple[int, ...]
    left_out: tuple[Fault, ...] = ()
    faults: tuple[Fault, ...] = ()

    @property
    def is_include(self) -> bool:
        """Whether it asks for what the file holds as a requirements file."""
        return not any(self.lines)

    def placed(self, fault: Fault, text: str, source: str) -> Fault:
        """Return a fault in that text, which messages call `text`, as one in the file."""
        if fault.source != text:
            return fault
        line = self.lines[fault.line - 1] if 0 < fault.line <= len(self.lines) else 0
        return replace(fault, source=source, line=line)


def is_other_format(name: str) -> bool:
    """Tell whether a file's name is one of another tool's."""
    base = name.rpartition("/")[2]
    return any(fnmatch(base, each) for each in (*NAMES, *_LOCKS))


def tell(text: str, source: str) -> Told:
    """Return what a file asks for.

    Args:
        text: its content.
        source: its name, which tells its format.

    Raises:
        SpecError: it is a lock, or asks for nothing.
        FaultsError: it is not TOML.
    """
    base = source.rpartition("/")[2]
    is_lock = any(fnmatch(base, each) for each in _LOCKS) or text.startswith("@EXPLICIT")
    if is_lock or "\n@EXPLICIT" in text:
        raise SpecError(
            f"{source} is a lock: what a tool chose, and not what was asked for.",
            f"Start from it as it is: elt-env adopt {source} --as NAME@3.11",
        )
    if base.endswith((".txt", ".in")):
        return _written("", (), [("python", 0)], [(f"-r {base}", 0)])
    return _Table(text, source).told()


def _written(
    name: str,
    channels: Iterable[str],
    conda: Iterable[tuple[str, int]],
    pip: Iterable[tuple[str, int]],
) -> Told:
    """Return an environment.yml; each requirement with the line that it stands on."""
    rows = [(f"name: {json.dumps(name)}", 0)] if name else []
    rows += [("channels:", 0), *((f"- {json.dumps(each)}", 0) for each in channels)]
    rows = [each for each in rows if each[0] != "channels:" or channels]
    rows.append(("dependencies:", 0))
    rows += [(f"- {json.dumps(text)}", line) for text, line in conda]
    listed = [(f"  - {json.dumps(text)}", line) for text, line in pip]
    rows += [("- pip:", 0), *listed] if listed else []
    return Told("\n".join(text for text, _ in rows) + "\n", tuple(line for _, line in rows))


class _Table:
    """Reads one TOML file and collects all that is wrong with it."""

    def __init__(self, text: str, source: str) -> None:
        self._source = source
        self._lines = text.splitlines()
        self._faults: list[Fault] = []
        self._left_out: list[Fault] = []
        try:
            self._content: dict[str, Any] = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            place = _LINE.search(str(error))
            fault = Fault(
                source, int(place[1]) if place else 0, f"it is not TOML: {error}.", "Correct it."
            )
            raise FaultsError((fault,), source) from error

    def told(self) -> Told:
        """Return what the file asks for."""
        if self._source.endswith("Pipfile"):
            told = self._pipfile()
        elif self._at("tool", "pixi") or self._source.endswith("pixi.toml"):
            told = self._pixi(self._at("tool", "pixi") or self._content)
        elif self._at("project", "dependencies") is not None or not self._at("tool", "poetry"):
            told = self._project()
        else:
            told = self._poetry()
        return replace(told, left_out=tuple(self._left_out), faults=tuple(self._faults))

    def _at(self, *keys: str) -> Any:  # noqa: ANN401  # as TOML holds it
        found: Any = self._content
        for key in keys:
            found = found.get(key) if isinstance(found, dict) else None
        return found

    def _line_of(self, text: str) -> int:
        """Return the first line on which a text stands, 0 where none has it."""
        found = (number for number, line in enumerate(self._lines, 1) if text in line)
        return next(found, 0)

    def _key_line(self, key: str) -> int:
        """Return the first line that has a key or opens a table of that name."""
        pattern = re.compile(rf"""\s*(\[+[\w.\- "']*)?["']?{re.escape(key)}["']?\s*[].=]""")
        found = (number for number, line in enumerate(self._lines, 1) if pattern.match(line))
        return next(found, 0)

    def _skip(self, key: str, what: object, remedy: str = _LEFT_OUT) -> None:
        if what:
            problem = f"'{key}' is left out."
            self._left_out.append(Fault(self._source, self._key_line(key), problem, remedy))

    def _project(self) -> Told:
        asked = self._at("project", "dependencies")
        if not isinstance(asked, list) or not all(isinstance(each, str) for each in asked):
            raise SpecError(
                f"{self._source} asks for nothing: it has no list [project] dependencies.",
                'Write them there (PEP 621), as in: dependencies = ["dbt-duckdb"]',
            )
        self._skip("optional-dependencies", self._at("project", "optional-dependencies"))
        self._skip("dependency-groups", self._at("dependency-groups"))
        python = self._python(self._at("project", "requires-python"), lambda text: text)
        pip = [(each, self._line_of(each)) for each in asked]
        return _written(self._name("project"), (), python, pip)

    def _name(self, *table: str) -> str:
        name = self._at(*table, "name")
        return name if isinstance(name, str) else ""

    def _python(self, text: object, bound: Callable[[str], str]) -> list[tuple[str, int]]:
        """Return the requirement on Python."""
        if not isinstance(text, str) or text == "*":
            return [("python", 0)]
        found = self._converted("python", text, bound)
        return [(f"python {found}".replace(", ", ",").strip(), self._line_of(text))]

    def _converted(self, name: str, text: str, bound: Callable[[str], str]) -> str:
        try:
            return bound(text)
        except WrittenError as error:
            self._faults.append(error.at(self._source, self._key_line(name)))
            return ""

    def _poetry(self) -> Told:
        asked = dict(self._at("tool", "poetry", "dependencies") or {})
        for name in ("group", "extras", "dev-dependencies"):
            self._skip(name, self._at("tool", "poetry", name))
        python = self._python(asked.pop("python", None), poetry_bound)
        pip = self._named(asked, poetry_bound)
        return _written(self._name("tool", "poetry"), (), python, pip)

    def _pipfile(self) -> Told:
        self._skip("source", self._content.get("source"), _OWN_INDEX)
        self._skip("dev-packages", self._content.get("dev-packages"))
        asked = self._content.get("packages") or {}
        requires = self._content.get("requires") or {}
        python = self._python(requires.get("python_version"), lambda minor: f"=={minor}.*")
        if requires.get("python_full_version"):
            python = self._python(requires["python_full_version"], lambda full: f"=={full}")
        return _written("", (), python, self._named(asked, str))

    def _pixi(self, table: Mapping[str, Any]) -> Told:
        head = table.get("workspace") or table.get("project") or {}
        for name in ("feature", "environments"):
            self._skip(name, table.get(name))
        here: dict[str, Any] = table.get("target", {}).get("linux-64", {})
        conda = {**table.get("dependencies", {}), **here.get("dependencies", {})}
        pip = {**table.get("pypi-dependencies", {}), **here.get("pypi-dependencies", {})}
        lines = [(_conda_line(name, each), self._key_line(name)) for name, each in conda.items()]
        channels = [
            each.get("channel", "") if isinstance(each, dict) else each
            for each in head.get("channels", [])
        ]
        asked = self._at("project", "dependencies") or ()
        listed = [*((each, self._line_of(each)) for each in asked), *self._named(pip, str)]
        return _written(str(head.get("name") or ""), channels, lines, listed)

    def _named(
        self, asked: Mapping[str, Any], bound: Callable[[str], str]
    ) -> Iterator[tuple[str, int]]:
        """Yield what a table of names and bounds asks pip for."""
        for name, told in asked.items():
            for each in told if isinstance(told, list) else [told]:
                table = each if isinstance(each, dict) else {"version": str(each)}
                if not table.get("optional"):
                    yield self._requirement(name, table, bound), self._key_line(name)

    def _requirement(self, name: str, table: Mapping[str, Any], bound: Callable[[str], str]) -> str:
        extras = f"[{','.join(table['extras'])}]" if table.get("extras") else ""
        markers = [str(table.get("markers") or "")]
        if table.get("python"):
            python = self._converted(name, str(table["python"]), poetry_bound)
            markers += [f"python_version {each}" for each in _parts(python)]
        marker = " and ".join(f"({each})" for each in markers if each)
        asked = f"{name}{extras}{self._where(name, table, bound)}"
        return f"{asked} ; {marker}" if marker else asked

    def _where(self, name: str, table: Mapping[str, Any], bound: Callable[[str], str]) -> str:
        """Return the bound or the place of what is asked for."""
        if table.get("git"):
            ref = next(
                (table[each] for each in ("rev", "ref", "tag", "branch") if each in table), ""
            )
            part = f"#subdirectory={table['subdirectory']}" if table.get("subdirectory") else ""
            return f" @ git+{table['git']}{f'@{ref}' if ref else ''}{part}"
        place = table.get("url") or table.get("file") or table.get("path")
        if place:
            return f" @ {place}"
        version = str(table.get("version") or "*")
        return "" if version == "*" else self._converted(name, version, bound)


def _conda_line(name: str, asked: object) -> str:
    """Return a conda requirement of pixi: a bound, or a table with version, build and channel."""
    table = asked if isinstance(asked, dict) else {"version": str(asked)}
    channel = f"{table['channel']}::" if table.get("channel") else ""
    version = str(table.get("version") or "*")
    # MatchSpec takes a version by itself for itself alone; so does pixi for `==`.
    parts = [f"{channel}{name}", *([version] if version != "*" or table.get("build") else [])]
    return " ".join([*parts, *([str(table["build"])] if table.get("build") else [])])


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
