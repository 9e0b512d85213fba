"""Conda's settings of several places as one: what wins, what is final, what comes first.

The rules are those of conda's documentation
(https://docs.conda.io/projects/conda/en/stable/user-guide/configuration/use-condarc.html).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar
from urllib.parse import urlsplit

from elt_env.errors import PolicyError

_VARIABLE = re.compile(r"\$(?:(?P<plain>\w+)|\{(?P<braced>[^}]*)\})", re.ASCII)
_Item = TypeVar("_Item")


@dataclass(frozen=True)
class Part:
    """What one place says: a text, a list or a mapping of parts, None for null; and its mark."""

    value: str | list[Part] | dict[str, Part] | None
    flag: str = ""


@dataclass(frozen=True)
class Place:
    """A file or a variable, and what it says by key."""

    name: str
    parts: Mapping[str, Part]


class MergedSettings:
    """The settings of several places as one.

    Args:
        places: where settings were found, those that win last.
        environ: the variables that values may name.
    """

    def __init__(self, places: Sequence[Place], environ: Mapping[str, str]) -> None:
        self._places = places
        self._environ = environ
        self.sources: dict[str, tuple[str, ...]] = {}

    def scalar(self, key: str) -> str | None:
        """Return a text: the first that is final, else the last."""
        found = self._found(key)
        final = [each for each in found if each[1].flag == "final"]
        if not found:
            return None
        name, part = final[0] if final else found[-1]
        self.sources[key] = (name,)
        return self._text(part, key)

    def sequence(self, key: str) -> tuple[str, ...]:
        """Return a list of all places, those that win first."""
        found = _until_final(self._found(key), lambda each: each[1].flag)
        items = self._joined([part for _, part in found], key)
        self._remember(key, found)
        return items

    def mapping(self, key: str) -> dict[str, str]:
        """Return a mapping to texts."""
        grouped, final = self._grouped(key)
        last = {name: self._text(parts[-1], key) for name, parts in grouped.items()}
        return last | {name: self._text(part, key) for name, part in final.items()}

    def sequences(self, key: str) -> dict[str, tuple[str, ...]]:
        """Return a mapping to lists."""
        grouped, final = self._grouped(key)
        joined = {name: self._joined(parts, key) for name, parts in grouped.items()}
        return joined | {
            name: tuple(item for item, _ in self._items(part, key)) for name, part in final.items()
        }

    def refuse(self, key: str, what: str) -> PolicyError:
        """Return the error for a setting that cannot be used."""
        named = [place.name for place in self._places if key in place.parts]
        return PolicyError(
            f"conda's setting '{key}' {what} ({', '.join(named)}).",
            "Correct it there, or see what counts with: elt-env show --settings",
        )

    def _found(self, key: str) -> list[tuple[str, Part]]:
        named = [(each.name, each.parts[key]) for each in self._places if key in each.parts]
        return [(name, part) for name, part in named if part.value is not None]

    def _remember(self, key: str, found: Iterable[tuple[str, Part]]) -> None:
        names = tuple(name for name, _ in reversed(list(found)))
        if names:
            self.sources[key] = names

    def _text(self, part: Part, key: str) -> str:
        if not isinstance(part.value, str):
            raise self.refuse(key, "has no text for its value")
        text = _VARIABLE.sub(self._variable, part.value.strip())
        if "://" in text and not _is_url(text):
            raise self.refuse(key, "has a value that is no URL")
        return text

    def _variable(self, found: re.Match[str]) -> str:
        return self._environ.get(found["plain"] or found["braced"], found[0])

    def _joined(self, parts: Sequence[Part], key: str) -> tuple[str, ...]:
        """Return the items of lists: those that win first, but for marks that say otherwise."""
        lists = [self._items(each, key) for each in _until_final(parts, lambda each: each.flag)]
        top = [item for each in lists for item, flag in each if flag == "top"]
        bottom = [item for each in reversed(lists) for item, flag in each if flag == "bottom"]
        items = [item for each in reversed(lists) for item, _ in each]
        ordered = list(dict.fromkeys((*top, *items)))
        return tuple(reversed(list(dict.fromkeys((*reversed(bottom), *reversed(ordered))))))

    def _items(self, part: Part, key: str) -> list[tuple[str, str]]:
        if part.value is None:
            return []
        if not isinstance(part.value, list):
            raise self.refuse(key, "is not a list")
        return [(self._text(each, key), each.flag) for each in part.value]

    def _grouped(self, key: str) -> tuple[dict[str, list[Part]], dict[str, Part]]:
        """Return the parts of mappings by name, and those of them that are final."""
        found = _until_final(self._found(key), lambda each: each[1].flag)
        grouped: dict[str, list[Part]] = {}
        final: dict[str, Part] = {}
        for _, part in found:
            if not isinstance(part.value, dict):
                raise self.refuse(key, "is not a mapping")
            for name, value in part.value.items():
                if value.value is not None:
                    grouped.setdefault(name, []).append(value)
                    if value.flag == "final":
                        final.setdefault(name, value)
        self._remember(key, found)
        return grouped, final


def _until_final(items: Sequence[_Item], flag: Callable[[_Item], str]) -> Sequence[_Item]:
    """Return the items up to the first that is final; it leaves no place for those after it."""
    for number, each in enumerate(items):
        if flag(each) == "final":
            return items[: number + 1]
    return items


def _is_url(text: str) -> bool:
    try:
        return (urlsplit(text).port or 0) >= 0
    except ValueError:  # brackets that are no IPv6 address, or a password with a slash
        return False
