"""The requests of a file as the text of an `environment.yml`, and the reading of a TOML file."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from elt_env.runtime.credentials import without_credentials
from elt_env.runtime.limits import load_toml
from elt_env.spec.faults import Fault, FaultsError, WrittenError

Listed = tuple[str, int]
"""A requirement, and the line of the file that it stands on; 0 for one that the file has not."""

LEFT_OUT = (
    "Only what every user of the project needs is locked; name the rest in an environment.yml."
)
OWN_INDEX = (
    "Packages come from the index of your pip or uv settings; name another one as index in "
    "[tool.elt-env]."
)
_RUN_IT_THERE = (
    "No lock can name what is in a directory. Run it where it is, as in: "
    "elt-env run TARGET -- env PYTHONPATH={path} python -m MODULE; or build a wheel of it."
)
PROJECT_FILE = "pyproject.toml"
"""The name of a project's file."""

_LINE = re.compile(r"at line (\d+)")


@dataclass(frozen=True)
class Told:
    """What a file asks for, as the text of an environment.yml.

    Attributes:
        text: that text.
        lines: of each of its lines, the line of the file; 0 for one that the file does not have.
        bounds: requirements (PEP 508) that are constraints, as text with the lines of the file.
        left_out: what is in the file and not asked for, with the file's lines.
        faults: what is wrong with the file beside what is wrong with that text.
    """

    text: str
    lines: tuple[int, ...]
    bounds: str = ""
    left_out: tuple[Fault, ...] = ()
    faults: tuple[Fault, ...] = ()

    @property
    def is_include(self) -> bool:
        """Whether it asks for what the file holds as a requirements file."""
        return not any(self.lines)

    def placed(self, fault: Fault, text: str, source: str) -> Fault:
        """Return a fault in that text, which messages call `text`, as one in the file."""
        if fault.source == bounds_file(source):
            return replace(fault, source=source)
        if fault.source != text:
            return fault
        line = self.lines[fault.line - 1] if 0 < fault.line <= len(self.lines) else 0
        return replace(fault, source=source, line=line)


@dataclass(frozen=True)
class Asked:
    """What a file asks for.

    Attributes:
        name: of the environment, or "".
        channels: conda's, the first has priority.
        conda: conda requirements.
        pip: requirements for pip.
        bounds: constraints for pip.
        variables: environment variables, by name.
    """

    name: str = ""
    channels: tuple[str, ...] = ()
    conda: tuple[Listed, ...] = (("python", 0),)
    pip: tuple[Listed, ...] = ()
    bounds: tuple[Listed, ...] = ()
    variables: Mapping[str, Listed] = field(default_factory=dict)

    def told(self, source: str) -> Told:
        """Return it as an environment.yml, each requirement with the line that it stands on."""
        rows: list[Listed] = [(f"name: {json.dumps(self.name)}", 0)] if self.name else []
        rows += [("channels:", 0)] if self.channels else []
        rows += [(f"- {json.dumps(each)}", 0) for each in self.channels]
        rows += [("dependencies:", 0)]
        rows += [(f"- {json.dumps(text)}", line) for text, line in self.conda]
        pip = [*self.pip, *([(f"-c {_base(bounds_file(source))}", 0)] if self.bounds else [])]
        rows += [("- pip:", 0)] if pip else []
        rows += [(f"  - {json.dumps(text)}", line) for text, line in pip]
        rows += [("variables:", 0)] if self.variables else []
        rows += [
            (f"  {json.dumps(name)}: {json.dumps(value)}", line)
            for name, (value, line) in self.variables.items()
        ]
        lines = tuple(line for _, line in rows)
        return Told("\n".join(text for text, _ in rows) + "\n", lines, _on_lines(self.bounds))


def bounds_file(source: str) -> str:
    """Return what stands for a file of the constraints in a file."""
    return f"{source}:constraints"


def _base(source: str) -> str:
    return source.rpartition("/")[2]


def _on_lines(listed: Iterable[Listed]) -> str:
    """Return a text with each requirement on its line, or on the next that is free."""
    rows: list[str] = []
    for text, line in sorted(listed, key=lambda each: each[1]):
        rows += [""] * (line - 1 - len(rows))
        rows.append(text)
    return "\n".join(rows)


class TomlFile:
    """A TOML file that is read, with all that is wrong with it and all that is left out.

    Attributes:
        source: its name.
        content: the file as TOML holds it.
    """

    def __init__(self, text: str, source: str) -> None:
        """Read a file.

        Raises:
            FaultsError: it is not TOML.
        """
        self.source = source
        self._lines = text.splitlines()
        self._faults: list[Fault] = []
        self._left_out: list[Fault] = []
        try:
            self.content = load_toml(text)
        except ValueError as error:
            place = _LINE.search(str(error))
            fault = Fault(
                source, int(place[1]) if place else 0, f"it is not TOML: {error}.", "Correct it."
            )
            raise FaultsError((fault,), source) from error

    @property
    def left_out(self) -> tuple[Fault, ...]:
        """What is in the file and not asked for."""
        return tuple(self._left_out)

    def told(self, asked: Asked) -> Told:
        """Return what is asked for, with what is wrong with the file and what is left out."""
        told = asked.told(self.source)
        return replace(told, left_out=self.left_out, faults=(*dict.fromkeys(self._faults),))

    def refuse_faults(self) -> None:
        """Return when nothing was found to be wrong.

        Raises:
            FaultsError: something was.
        """
        if self._faults:
            raise FaultsError(tuple(self._faults), self.source)

    def at(self, *keys: str) -> Any:  # noqa: ANN401  # as TOML holds it
        """Return what stands at a path of keys; None where nothing does."""
        found: Any = self.content
        for key in keys:
            found = found.get(key) if isinstance(found, dict) else None
        return found

    def table(self, *keys: str) -> dict[str, Any]:
        """Return the table at a path of keys, empty where there is none."""
        found = self.content
        for key in keys:
            found = self.part(found, key)
        return found

    def part(self, table: object, key: str) -> dict[str, Any]:
        """Return a table in a table, empty where there is none; what is none is a fault."""
        found = table.get(key, {}) if isinstance(table, dict) else None
        if isinstance(found, dict):
            return found
        self.wrong(key, f"'{key}' is no table.", "Write it as the tool that reads it has it.")
        return {}

    def texts(self, *keys: str) -> tuple[Listed, ...]:
        """Return the texts of a list, each with its line; what is no list of texts is a fault."""
        found = self.at(*keys)
        if found is None:
            return ()
        if isinstance(found, list) and all(isinstance(each, str) for each in found):
            return tuple((each, self.line_of(each)) for each in found)
        problem = f"'{'.'.join(keys)}' is no list of texts."
        self.wrong(keys[-1], problem, f'Write it as in: {keys[-1]} = ["dbt-duckdb"]')
        return ()

    def text(self, *keys: str) -> str:
        """Return the text at a path of keys, "" where there is none."""
        found = self.at(*keys)
        return found if isinstance(found, str) else ""

    def line_of(self, text: str) -> int:
        """Return the first line on which a text stands, 0 where none has it."""
        found = (number for number, line in enumerate(self._lines, 1) if text in line)
        return next(found, 0)

    def key_line(self, key: str) -> int:
        """Return the first line that has a key or opens a table of that name."""
        pattern = re.compile(rf"""\s*(\[+[\w.\- "']*)?["']?{re.escape(key)}["']?\s*[].=]""")
        found = (number for number, line in enumerate(self._lines, 1) if pattern.match(line))
        return next(found, 0)

    def wrong(self, key: str, problem: str, remedy: str) -> None:
        """Keep a fault at a key."""
        self._faults.append(Fault(self.source, self.key_line(key), problem, remedy))

    def wrong_bound(self, name: str) -> None:
        """Keep the fault of a package that is asked for with what no tool takes as a bound."""
        problem = f"'{name}' is asked for with neither a bound nor a table."
        self.wrong(name, problem, f'Write it as in: {name} = ">=1,<2"')

    def skip(self, keys: Iterable[str], table: Mapping[str, Any], remedy: str = LEFT_OUT) -> None:
        """Tell which keys of a table are left out."""
        for key in keys:
            if table.get(key):
                problem = f"'{without_credentials(key)}' is left out."
                self._left_out.append(Fault(self.source, self.key_line(key), problem, remedy))

    def skip_of(
        self, name: str, keys: Iterable[str], table: Mapping[str, Any], remedy: str
    ) -> None:
        """Tell which keys of the table of one package are left out."""
        for key in sorted(keys):
            if table[key]:
                problem = f"'{without_credentials(key)}' of '{name}' is left out."
                self._left_out.append(Fault(self.source, self.key_line(name), problem, remedy))

    def project_at(
        self, path: str, line: int, name: str, extras: Iterable[str] = ()
    ) -> Iterator[Listed]:
        """Yield what asks for the dependencies of a project in a directory, and tell of it.

        Args:
            path: of the directory, relative to the file.
            line: that names it.
            name: of the distribution.
            extras: that are asked for, which are left out.
        """
        listed = ", ".join(map(str, extras))
        problem = f"'{name}' in {path} is not installed; what it asks for is"
        problem += f", without its extras {listed}." if listed else "."
        self._left_out.append(Fault(self.source, line, problem, _RUN_IT_THERE.format(path=path)))
        if path != "." or self.source.rpartition("/")[2] != PROJECT_FILE:
            yield f"-r {path}/{PROJECT_FILE}", line

    def converted(self, key: str, text: str, bound: Callable[[str], str]) -> str:
        """Return a bound as PEP 440 writes it; what is none is a fault at its key."""
        try:
            return bound(text)
        except WrittenError as error:
            self._faults.append(error.at(self.source, self.key_line(key)))
            return ""

    def python(self, text: object, bound: Callable[[str], str] = str) -> tuple[Listed, ...]:
        """Return conda's requirement on Python for a bound of the file."""
        text = str(text) if isinstance(text, (int, float)) else text
        if not isinstance(text, str) or not text.strip() or text == "*":
            return (("python", 0),)
        line = self.line_of(text)
        try:
            found = bound(text).replace(" ", "")
        except WrittenError as error:
            self._faults.append(error.at(self.source, line))
            found = ""
        return ((f"python {found}".strip(), line),)
