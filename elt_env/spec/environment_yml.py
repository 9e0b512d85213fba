"""A spec read from a plain conda `environment.yml`."""

from __future__ import annotations

import difflib
import re
from dataclasses import replace
from urllib.parse import urlsplit

import yaml

from elt_env.runtime.credentials import (
    WHERE_CREDENTIALS_BELONG,
    channel_carries_credentials,
    channel_host,
    requirement_carries_credentials,
    without_credentials,
)
from elt_env.runtime.limits import MOST_FAULTS, MOST_WIDTH
from elt_env.spec.conda_join import join_specs
from elt_env.spec.conda_spec import CondaSpec, parse_conda_spec
from elt_env.spec.document import Spec
from elt_env.spec.faults import Fault, FaultsError, WrittenError, refuse_excess
from elt_env.spec.marked_yaml import (
    is_nothing,
    items_of,
    line_of,
    pairs_of,
    read_mapping,
    scalar_of,
    shown,
    text_of,
)
from elt_env.spec.pip_lines import Line, PipLines, Reader, read_pip_lines
from elt_env.spec.selectors import excluding_selector
from elt_env.spec.variables import read_variables

_KEYS = ("name", "channels", "dependencies", "prefix", "variables")
# conda-lock's, which conda ignores.
_IGNORED = ("platforms", "category")
_EXAMPLE = "Write it as conda does: name, channels, dependencies, and a 'pip:' list inside."
_PLACEHOLDER = re.compile(r"\{\{|\$\{?\w|<\w+>")
# What other tools have in their files, and what is asked for with it.
_MEANT = {
    "packages": "dependencies",
    "requirements": "dependencies",
    "requires": "dependencies",
    "deps": "dependencies",
    "conda": "dependencies",
    "env": "variables",
    "environment": "variables",
    "env_vars": "variables",
}


def parse_spec(text: str, source: str, read: Reader | None = None) -> Spec:
    """Return the spec that the YAML `text` holds.

    Args:
        text: the file's content.
        source: the file's name, for messages.
        read: gives the text of files that the spec names; without it there are none.

    Raises:
        FaultsError: it is no spec; all that is wrong is said at once, each with its line.
    """
    document = read_mapping(text, source, _EXAMPLE)
    return _Reading(source, read or _no_files, text.splitlines()).spec(document)


def _no_files(path: str) -> str:
    raise FileNotFoundError(path)


class _Reading:
    """Reads one file and collects all that is wrong with it."""

    def __init__(self, source: str, read: Reader, text: list[str]) -> None:
        self._source = source
        self._read = read
        self._text = text
        self._faults: list[Fault] = []
        self._warnings: list[Fault] = []

    def spec(self, document: yaml.MappingNode) -> Spec:
        """Return what the file asks for.

        Raises:
            FaultsError: as `parse_spec`.
        """
        values = self._values(document)
        name = values.get("name")
        channels = self._channels(values["channels"]) if "channels" in values else ()
        conda, pip = self._dependencies(values.get("dependencies"))
        variables = self._variables(values.get("variables"))
        if self._faults:
            raise FaultsError(tuple(sorted(self._faults, key=_order)), self._source)
        python = next((each for each in conda if each.name == "python"), CondaSpec("python"))
        return Spec(
            source=self._source,
            channels=channels,
            python=python.version,
            conda=tuple(sorted(each for each in conda if each.name != "python")),
            pip=pip.requirements,
            name=(scalar_of(name) or "") if name is not None else "",
            variables=variables,
            python_build=None if python == CondaSpec("python", python.version) else python,
            constraints=pip.constraints,
            directs=pip.directs,
            pip_options=pip.options,
            files=pip.files,
            warnings=tuple(sorted(self._warnings, key=_order)),
        )

    def _wrong(self, line: int, problem: str, remedy: str) -> None:
        self._faults.append(Fault(self._source, line, problem, remedy))

    def _values(self, document: yaml.MappingNode) -> dict[str, yaml.Node]:
        values: dict[str, yaml.Node] = {}
        lines: dict[str, int] = {}
        for key, line, value in pairs_of(document):
            if key in values:
                self._wrong(
                    line, f"'{key}' stands on line {lines[key]} already.", "Join the two into one."
                )
            elif key in _KEYS:
                values[key], lines[key] = value, line
            else:
                self._unknown(key, line)
            if key == "prefix" and not is_nothing(value):
                self._ignored(line, "'prefix' is ignored: each prefix lies in the store.")
        if "dependencies" not in values and not self._faults:
            self._wrong(0, "'dependencies' is missing.", _EXAMPLE)
        return values

    def _unknown(self, key: str, line: int) -> None:
        """Refuse a key that was probably meant to be another one; conda ignores all."""
        close = difflib.get_close_matches(key.lower(), _KEYS, n=1, cutoff=0.75)
        meant = _MEANT.get(key.lower()) or (close[0] if close else "")
        if key == "pip":
            remedy = "Write it as the last item of 'dependencies': - pip: [...]"
            self._wrong(line, "'pip' at the top is no key of a spec, and conda ignores it.", remedy)
        elif meant and key not in _IGNORED:
            problem = f"unknown key '{key}', which conda ignores."
            self._wrong(line, problem, f"Write it as '{meant}', or remove it.")
        else:
            self._ignored(line, f"'{key}' is ignored, as conda does.")

    def _ignored(self, line: int, problem: str) -> None:
        self._warnings.append(Fault(self._source, line, problem, "Remove it, or leave it."))

    def _channels(self, node: yaml.Node) -> tuple[str, ...]:
        if is_nothing(node):
            return ()
        items, only = items_of(node), text_of(node)
        if items is None:
            remedy = f"Write: channels: [{only}]" if only else _EXAMPLE
            self._wrong(line_of(node), "'channels' is not a list of names or URLs.", remedy)
            return ()
        found = []
        for item in items:
            channel = text_of(item)
            if not channel:
                problem = f"the channel '{_shown(item)}' is not a name or a URL."
                self._wrong(line_of(item), problem, "Write a text, as in: - conda-forge")
            elif len(channel) > MOST_WIDTH:
                problem = (
                    f"the channel '{without_credentials(channel[:40])} ...' is longer than any."
                )
                self._wrong(line_of(item), problem, "Write one channel a line.")
            elif channel != "nodefaults":
                self._refuse_credentials(channel, line_of(item))
                found.append(channel)
        return tuple(found)

    def _refuse_credentials(self, channel: str, line: int) -> None:
        if channel_carries_credentials(channel):
            host = channel_host(channel)
            problem = f"the channel{f' at {host}' if host else ''} carries a credential."
            self._wrong(line, problem, WHERE_CREDENTIALS_BELONG)
            return
        try:
            urlsplit(channel)
        except ValueError as error:
            problem = f"the channel '{without_credentials(channel)}' is not a URL: {error}."
            self._wrong(line, problem, "Write a name, a https:// URL or a file:// URL.")

    def _dependencies(self, node: yaml.Node | None) -> tuple[list[CondaSpec], PipLines]:
        if node is None:
            return [], PipLines()
        items = items_of(node)
        if items is None:
            self._wrong(line_of(node), "'dependencies' is not a list.", _EXAMPLE)
            return [], PipLines()
        conda: dict[str, tuple[CondaSpec, int]] = {}
        lines: list[Line] = []
        for item in items:
            if len(self._faults) > MOST_FAULTS:
                break
            text = text_of(item)
            if text is not None and self._is_elsewhere(item):
                continue
            if text is not None:
                self._add_conda(text, line_of(item), conda)
            else:
                lines += self._pip_lines(item)
        pip = read_pip_lines(lines, self._source, self._read)
        self._faults += pip.faults
        self._warnings += pip.warnings
        return [each for each, _ in conda.values()], pip

    def _add_conda(self, text: str, line: int, found: dict[str, tuple[CondaSpec, int]]) -> None:
        try:
            refuse_excess(text)
        except WrittenError as error:
            self._faults.append(error.at(self._source, line))
            return
        if requirement_carries_credentials(text):
            shown_as = without_credentials(text) if "://" in text else text.rpartition("::")[2]
            problem = f"the channel of '{shown_as}' carries a credential."
            self._wrong(line, problem, WHERE_CREDENTIALS_BELONG)
            return
        try:
            spec = replace(parse_conda_spec(text), lines=(text,))
        except WrittenError as error:
            what = f"'{without_credentials(text)}' is not a valid conda requirement: "
            remedy = error.remedy
            if _PLACEHOLDER.search(text):
                remedy = "Write its value: a spec is read as it stands, and no template of another."
            if " - " in text:
                remedy = "Indent all lines of the list alike: these two were read as one."
            self._wrong(line, what + without_credentials(error.problem) + ".", remedy)
            return
        if spec.name not in found:
            found[spec.name] = spec, line
            return
        first, first_line = found[spec.name]
        try:
            found[spec.name] = join_specs(first, spec), line
        except WrittenError as error:
            self._twice(spec.name, first_line, line, error.problem)

    def _twice(self, name: str, first: int, second: int, why: str) -> None:
        places = f"on lines {first} and {second}" if first != second else "twice"
        problem = f"'{name}' is asked for {places}, and {why}."
        self._wrong(second, problem, "Keep one of the two, or make them meet.")

    def _pip_lines(self, item: yaml.Node) -> list[Line]:
        """Return the lines of a `pip:` list."""
        if is_nothing(item):
            self._wrong(line_of(item), "nothing stands behind a '-'.", "Remove it.")
            return []
        keys = list(pairs_of(item))
        if [key for key, _, _ in keys] != ["pip"]:
            problem = f"'{_shown(item)}' is neither a requirement nor a 'pip:' list."
            self._wrong(line_of(item), problem, _instead(item))
            return []
        _, line, value = keys[0]
        if is_nothing(value):
            return []
        items = items_of(value)
        if items is None:
            self._wrong(
                line, "'pip' is not a list.", "Write one requirement a line, each after '- '."
            )
            return []
        lines = []
        for each in items:
            text = text_of(each)
            if text is None:
                problem = f"'{_shown(each)}' is neither a requirement nor a pip option."
                self._wrong(line_of(each), problem, _instead(each))
            elif not self._is_elsewhere(each):
                lines.append((line_of(each), text))
        return lines

    def _is_elsewhere(self, item: yaml.Node) -> bool:
        """Tell whether a selector keeps a line of a list for other platforms, and warn of it."""
        number = line_of(item)
        # YAML counts lines as few others do; a line that is not there has no selector.
        line = self._text[number - 1] if number <= len(self._text) else ""
        selector = excluding_selector(line) if line.lstrip().startswith("- ") else ""
        if selector:
            problem = f"'{text_of(item)}' is left out: [{selector}] is not this platform."
            remedy = "Leave it; without the selector it is asked for."
            self._warnings.append(Fault(self._source, number, problem, remedy))
        return bool(selector)

    def _variables(self, node: yaml.Node | None) -> tuple[tuple[str, str], ...]:
        if node is None or is_nothing(node):
            return ()
        variables, warnings, faults = read_variables(node, self._source)
        self._warnings += warnings
        self._faults += faults
        return variables


def _order(fault: Fault) -> tuple[str, int]:
    return fault.source, fault.line


def _shown(node: yaml.Node) -> str:
    return without_credentials(shown(node))


def _instead(node: yaml.Node) -> str:
    """Return what to write in place of an item that is no text."""
    if isinstance(node, yaml.MappingNode):
        astray = [key for key, _, _ in pairs_of(node) if key in _KEYS]
        if astray:
            return f"Indent '{astray[0]}' as 'dependencies' is; here it belongs to the list."
        selected = [value for key, _, value in pairs_of(node) if key.startswith("sel(")]
        names = [text for each in selected if (text := text_of(each))]
        if names:
            return f"Write '- {names[0]}' where this platform needs it; 'sel(…)' is mamba's."
        return "Write one requirement a line; what pip installs stands under '- pip:'."
    return "Write the name of a package, as in: - python=3.11"
