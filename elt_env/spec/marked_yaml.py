"""YAML whose values know the line that they stand on."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator
from typing import Any, NoReturn

import yaml

from elt_env.runtime.limits import MOST_DEPTH, MOST_VALUES, MOST_YAML_BYTES
from elt_env.spec.faults import Fault, FaultsError

_TEXT = "tag:yaml.org,2002:str"
_MAP = "tag:yaml.org,2002:map"
_LIST = "tag:yaml.org,2002:seq"
_WORDS = {"true": "True", "false": "False"}
_NOTHING = ("", "~", "null")
_INTEGER = re.compile(r"[-+]?[0-9][0-9_]*")
_BASED = re.compile(r"0(?:x[0-9a-f]+|o[0-7]+)", re.IGNORECASE)
_LONGEST_NUMBER = 100  # characters; beyond, and far below what Python reads, nobody means a number
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:e[-+]?[0-9]+)?", re.IGNORECASE)


def read_mapping(text: str, source: str, example: str) -> yaml.MappingNode:
    """Return the mapping at the top of a document; `example` says how one looks.

    Raises:
        FaultsError: `text` is not YAML, or has something else at its top.
    """
    try:
        node = compose(text.removeprefix("\ufeff"))
    except yaml.YAMLError as error:
        raise _syntax(error, source, text, example) from error
    if not isinstance(node, yaml.MappingNode) or node.tag != _MAP:
        fault = Fault(source, 0, "a mapping is expected at the top.", example)
        raise FaultsError((fault,), source)
    return node


def compose(text: str) -> yaml.Node | None:
    """Return the node at the top of a document; None where it is empty.

    Raises:
        yaml.YAMLError: `text` is not YAML, or goes beyond the limits of `elt_env.runtime.limits`.
    """
    if len(text) > MOST_YAML_BYTES:
        raise yaml.YAMLError(f"it is larger than {MOST_YAML_BYTES >> 20} MiB")
    loader = _Limited(text)
    try:
        return loader.get_single_node()
    finally:
        loader.dispose()


def load_all(text: str) -> list[Any]:
    """Return what each document of a text holds.

    Raises:
        yaml.YAMLError: as `compose`.
    """
    if len(text) > MOST_YAML_BYTES:
        raise yaml.YAMLError(f"it is larger than {MOST_YAML_BYTES >> 20} MiB")
    return [*yaml.load_all(text, _Limited)]  # a SafeLoader


class _Limited(yaml.SafeLoader):
    """Composes a document, and gives up on one that is too large as soon as that shows.

    An alias counts as what it stands for, so that whoever walks through the nodes meets no more
    than MOST_VALUES, and comes to an end.
    """

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._depth = 0
        self._count = 0
        self._sizes: dict[int, tuple[int, int]] = {}  # of a node: values in it, levels below it
        self._deepest = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        """Compose the next node, as the base class does."""
        if self.check_event(yaml.AliasEvent):
            return self._alias(parent, index)
        before, outer = self._count, self._deepest
        self._depth += 1
        self._deepest = self._depth
        self._add(1, 0)
        node: yaml.Node | None = super().compose_node(parent, index)
        self._sizes[id(node)] = self._count - before, self._deepest - self._depth
        self._depth -= 1
        self._deepest = max(outer, self._deepest)
        return node

    def _alias(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        node: yaml.Node | None = super().compose_node(parent, index)
        if id(node) not in self._sizes:
            self._refuse("an alias stands for what it is in")
        count, levels = self._sizes[id(node)]
        self._deepest = max(self._deepest, self._depth + 1 + levels)
        self._add(count, 1 + levels)
        return node

    def _add(self, values: int, levels: int) -> None:
        self._count += values
        if self._count > MOST_VALUES:
            self._refuse(f"it has more than {MOST_VALUES} values")
        if self._depth + levels > MOST_DEPTH:
            self._refuse(f"more than {MOST_DEPTH} values are nested in each other")

    def _refuse(self, problem: str) -> NoReturn:
        raise yaml.MarkedYAMLError(None, None, problem, self.get_mark())


def _syntax(error: yaml.YAMLError, source: str, text: str, example: str) -> FaultsError:
    mark = getattr(error, "problem_mark", None)
    what = getattr(error, "problem", None) or str(error).split("\n", maxsplit=1)[0]
    lines = text.splitlines()
    place = mark.line if mark else -1
    for number in (place, place - 1):
        line = lines[number] if 0 <= number < len(lines) else ""
        for pattern, remedy in _MENDED:
            if pattern.search(line):
                fault = Fault(source, number + 1, f"not valid YAML: {what}.", remedy)
                return FaultsError((fault,), source)
    remedy = next((then for word, then in _SAID if word in what), example)
    return FaultsError((Fault(source, place + 1, f"not valid YAML: {what}.", remedy),), source)


# What a line that no reader takes looks like, and what a parser says, with what to write instead.
_MENDED = (
    (re.compile(r"^ *\t"), "Indent it with spaces: YAML takes no tabs."),
    (re.compile(r"^\s*-(?![-\s])"), "Write a space behind the '-'."),
    (re.compile(r"^[<=>]{7}"), "Git could not merge two versions here: keep one of them."),
    (re.compile(r"\{[{%]"), "Write the value: a file is read as it stands, not as a template."),
)
_SAID = (
    ("another document", "Keep one document: a second one begins at this '---'."),
    ("expected <block end>", "Indent it as the lines of its list, or of its mapping, are."),
    ("mapping values are not allowed", "Put a text with ': ' in it into quotes."),
)


def line_of(node: yaml.Node) -> int:
    """Return the line that a value starts on, counted from 1."""
    return int(node.start_mark.line) + 1


def text_of(node: yaml.Node) -> str | None:
    """Return the text that a value is; None when it is something else."""
    if isinstance(node, yaml.ScalarNode) and node.tag == _TEXT:
        return str(node.value)
    return None


def items_of(node: yaml.Node) -> list[yaml.Node] | None:
    """Return the values of a list; None when it is something else."""
    if isinstance(node, yaml.SequenceNode) and node.tag == _LIST:
        return list(node.value)
    return None


def is_nothing(node: yaml.Node) -> bool:
    """Tell whether nothing stands behind a key."""
    return isinstance(node, yaml.ScalarNode) and not node.style and node.value.lower() in _NOTHING


def pairs_of(node: yaml.Node) -> Iterator[tuple[str, int, yaml.Node]]:
    """Yield the keys of a mapping as text, with their lines and values; nothing for another."""
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            yield str(key.value) if isinstance(key, yaml.ScalarNode) else "?", line_of(key), value


def scalar_of(node: yaml.Node) -> str | None:
    """Return a number, a truth value or a text as conda exports it; None for anything else.

    conda reads YAML 1.2, in which `yes` is a text, and writes what it read as Python does: `true`
    becomes True and `1.10` becomes 1.1.
    """
    if not isinstance(node, yaml.ScalarNode) or is_nothing(node):
        return None
    value = str(node.value)
    if node.style or len(value) > _LONGEST_NUMBER:
        return value
    if _INTEGER.fullmatch(value):
        return str(int(value))
    if _BASED.fullmatch(value):
        return str(int(value, 0))
    if _FLOAT.fullmatch(value):
        return str(float(value))
    return _WORDS.get(value.lower(), value)


def shown(node: yaml.Node) -> str:
    """Return a value as it is written, on one line and not too long for a message."""
    start, end = node.start_mark, node.end_mark
    return textwrap.shorten(str(start.buffer)[start.pointer : end.pointer], 80, placeholder=" ...")
