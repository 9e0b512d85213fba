"""The smallest world that shows the same fault."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields, replace
from typing import Any

from tests.support.worlds import World

_SECONDS = 40.0


def shrunk(
    world: World, fault: str, faults_in: Callable[[World], list[str]], seconds: float = _SECONDS
) -> tuple[World, str]:
    """Return a world that shows a fault of the same kind and loses it with anything less.

    Args:
        fault: its text up to the first colon is its kind.
        faults_in: what is wrong with a world.
        seconds: after which the smallest so far is returned.

    Returns:
        the world, and the fault as it shows there.
    """
    end = time.monotonic() + seconds
    kind = fault.partition(":")[0]
    smaller = True
    while smaller:
        smaller = False
        for each in _less(world):
            if time.monotonic() > end:
                return world, fault
            same = next((one for one in faults_in(each) if one.startswith(kind)), None)
            if same is not None:
                world, fault, smaller = each, same, True
                break
    return world, fault


def _less(world: World) -> Iterator[World]:
    """Yield the worlds that lack one thing, the largest things first."""
    for part in ("conda", "index"):
        names = getattr(world, part)
        for name in names:
            asked = (*world.spec.conda, *world.spec.pip)
            if not any(name in line for line in asked):
                yield _with(world, part, {k: v for k, v in names.items() if k != name})
    for part in ("spec", "policy"):
        for each in _shorter(getattr(world, part)):
            yield _with(world, part, each)
    for part in ("conda", "index"):
        names = getattr(world, part)
        for name, entries in names.items():
            for less in _entries(entries):
                yield _with(world, part, {**names, name: less})
    if len(world.pythons) > 1:
        yield replace(world, pythons=world.pythons[:1])


def _with(value: Any, field: str, content: Any) -> Any:
    return replace(value, **{field: content})


def _entries(entries: tuple[Any, ...]) -> Iterator[tuple[Any, ...]]:
    if len(entries) > 1:
        for number in range(len(entries)):
            yield (*entries[:number], *entries[number + 1 :])
    for number, entry in enumerate(entries):
        for each in _shorter(entry):
            yield (*entries[:number], each, *entries[number + 1 :])


def _shorter(value: Any) -> Iterator[Any]:
    """Yield a dataclass's values with one item less in one field."""
    for field in fields(value):
        content = getattr(value, field.name)
        if isinstance(content, tuple):
            for number, item in enumerate(content):
                if str(item).startswith("python "):
                    continue  # no package carries a distribution without it
                yield _with(value, field.name, (*content[:number], *content[number + 1 :]))
        elif isinstance(content, Mapping) and field.name != "carries":
            for name, inner in content.items():
                if inner:
                    rest = {k: v for k, v in content.items() if k != name}
                    yield _with(value, field.name, rest)
        elif content and field.name in ("yanked", "requires_python"):
            yield _with(value, field.name, type(content)() or None)


def shown(world: World) -> str:
    """Return a world as a person reads it; what is as it is by default is left out."""
    lines = [f"  {_plain(world.spec)}", f"  {_plain(world.policy)}", f"  {world.pythons}"]
    for part in ("conda", "index"):
        for name, entries in getattr(world, part).items():
            lines += [f"  {part} {name}: {_plain(each)}" for each in entries]
    return "\n".join(lines)


def _plain(value: Any) -> str:
    shown = []
    for field in fields(value):
        content = getattr(value, field.name)
        if content and content != field.default:
            shown.append(f"{field.name}={content!r}")
    return f"{type(value).__name__}({', '.join(shown)})"
