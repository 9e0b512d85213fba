"""The packages that keep a resolve from a solution, read from uv's explanation."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from packaging.requirements import Requirement

from elt_env.lock.chains import chain_to
from elt_env.package.names import normalize
from elt_env.pip import uv_errors
from elt_env.watch.readiness import Blocker

_DEPENDS = re.compile(
    r"(?P<needy>[A-Za-z0-9][\w.-]*)(?:\[[^\]]*\])?(?:[=<>!~][^\s,]*(?:,[=<>!~][^\s,]*)*)? "
    r"depends? on (?P<need>(?!(?:all|one|any) of\b)[A-Za-z0-9][\w.-]*)(?:\[[^\]]*\])?"
    r"(?P<bound>[=<>!~][^\s,]*(?:,[=<>!~][^\s,]*)*)?"
)
_PYTHON = "python"


@dataclass(frozen=True)
class _Need:
    """That something is needed, and by whom; `version` is the bound that they put on it."""

    name: str
    version: str
    required_by: tuple[str, ...]
    requested: bool


@dataclass(frozen=True)
class _Edge:
    needy: str
    need: str
    bound: str


def blockers(text: str, requirements: Iterable[str]) -> tuple[Blocker, ...]:
    """Return what an explanation blames, with the ways from `requirements` (PEP 508) to it.

    First what has no wheel or is not there, then bounds on Python, and else requirements that
    exclude each other. () where it blames nothing that can be read.
    """
    edges = _edges(text)
    needs = _needs(edges, requirements)
    lacking = [_without_wheel(each, needs) for each in uv_errors.without_wheel(text)]
    lacking += [_not_there(each, needs) for each in uv_errors.not_found(text)]
    bounds = [_python_bound(each, needs) for each in edges if each.need == _PYTHON]
    return tuple(dict.fromkeys(lacking + bounds)) or _clash(edges, needs)


def _edges(text: str) -> tuple[_Edge, ...]:
    found = (
        _Edge(normalize(each["needy"]), normalize(each["need"]), _bound(each["bound"]))
        for each in _DEPENDS.finditer(text)
    )
    return tuple(dict.fromkeys(found))


def _bound(text: str | None) -> str:
    return (text or "").rstrip(".;")


def _needs(edges: tuple[_Edge, ...], requirements: Iterable[str]) -> tuple[_Need, ...]:
    asked = {normalize(each.name): str(each.specifier) for each in map(Requirement, requirements)}
    names = dict.fromkeys([*asked, *(each.need for each in edges)])
    return tuple(_need(name, edges, asked) for name in names)


def _need(name: str, edges: tuple[_Edge, ...], asked: dict[str, str]) -> _Need:
    above = [each for each in edges if each.need == name]
    bound = asked.get(name) or next((each.bound for each in above), "")
    return _Need(name, bound, tuple(each.needy for each in above), name in asked)


def _without_wheel(name: str, needs: tuple[_Need, ...]) -> Blocker:
    return Blocker(
        "missing wheel", chain_to(name, needs), f"{name} has no wheel for this Python and platform."
    )


def _not_there(name: str, needs: tuple[_Need, ...]) -> Blocker:
    return Blocker("missing wheel", chain_to(name, needs), f"No index has a package '{name}'.")


def _python_bound(edge: _Edge, needs: tuple[_Need, ...]) -> Blocker:
    chain = (*chain_to(edge.needy, needs), f"{_PYTHON} {edge.bound}")
    return Blocker("declared bound", chain, f"{edge.needy} declares Python {edge.bound}.")


def _clash(edges: tuple[_Edge, ...], needs: tuple[_Need, ...]) -> tuple[Blocker, ...]:
    """Return the sides of the first package that several need within different bounds."""
    for name in dict.fromkeys(each.need for each in edges):
        sides = [each for each in edges if each.need == name]
        if len({each.bound for each in sides}) > 1:
            return tuple(_side(each, needs, sides) for each in sides)
    return ()


def _side(edge: _Edge, needs: tuple[_Need, ...], sides: list[_Edge]) -> Blocker:
    others = ", ".join(
        f"{each.needy} wants {each.need} {each.bound}".rstrip() for each in sides if each != edge
    )
    chain = (*chain_to(edge.needy, needs), f"{edge.need} {edge.bound}".rstrip())
    return Blocker("pin", chain, f"{edge.needy} pins {edge.need} {edge.bound}; {others}.")
