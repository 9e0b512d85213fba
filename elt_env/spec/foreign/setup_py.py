"""`setup.py` as a spec: what its call of `setup` says in plain lists. It is read, and never run.

https://setuptools.pypa.io/en/latest/userguide/dependency_management.html
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping

from elt_env.spec.faults import Fault, FaultsError
from elt_env.spec.foreign.told import LEFT_OUT, Asked, Listed

SETUP_FILE = "setup.py"
"""The name of such a file."""

_REMEDY = (
    "Write what it comes to into [project] dependencies of a pyproject.toml, or into a "
    "requirements.txt."
)


def asked_of(text: str, source: str) -> tuple[Asked, tuple[Fault, ...]]:
    """Return what a project asks for, and what is left out.

    Raises:
        FaultsError: it is no Python, or computes what it asks for.
    """
    tree = _parsed(text, source)
    call = next(filter(_is_setup, ast.walk(tree)), None)
    told = {each.arg: each.value for each in call.keywords} if isinstance(call, ast.Call) else {}
    names = dict(_assigned(tree))
    pip = _texts(told.get("install_requires"), names, source)
    python = _text(told.get("python_requires"), names)
    extras = told.get("extras_require")
    left_out = (
        [Fault(source, extras.lineno, "'extras_require' is left out.", LEFT_OUT)] if extras else []
    )
    conda = ((f"python {python.replace(' ', '')}".strip(), 0),)
    return Asked(_text(told.get("name"), names), conda=conda, pip=pip), tuple(left_out)


def _parsed(text: str, source: str) -> ast.Module:
    try:
        return ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        line = getattr(error, "lineno", None) or 0
        what = getattr(error, "msg", None) or str(error)
        fault = Fault(source, line, f"it is no Python: {what}.", "Correct it.")
        raise FaultsError((fault,), source) from error


def _is_setup(node: ast.AST) -> bool:
    function = node.func if isinstance(node, ast.Call) else None
    name = getattr(function, "id", None) or getattr(function, "attr", None)
    return name == "setup"


def _assigned(tree: ast.Module) -> Iterator[tuple[str, ast.expr]]:
    """Yield the names that are given a value at the top of the file."""
    for node in tree.body:
        if isinstance(node, ast.Assign):
            yield from (
                (each.id, node.value) for each in node.targets if isinstance(each, ast.Name)
            )


def _text(node: ast.expr | None, names: Mapping[str, ast.expr]) -> str:
    found = names.get(node.id, node) if isinstance(node, ast.Name) else node
    value = found.value if isinstance(found, ast.Constant) else None
    return value if isinstance(value, str) else ""


def _texts(node: ast.expr | None, names: Mapping[str, ast.expr], source: str) -> tuple[Listed, ...]:
    """Return the texts of a list, each with its line.

    Raises:
        FaultsError: it is computed.
    """
    found = names.get(node.id, node) if isinstance(node, ast.Name) else node
    if found is None:
        return ()
    items = found.elts if isinstance(found, (ast.List, ast.Tuple)) else [found]
    wrong = [each for each in items if each is found or not _text(each, names)]
    faults = tuple(
        Fault(source, each.lineno, "'install_requires' is computed, not listed.", _REMEDY)
        for each in wrong
    )
    if faults:
        raise FaultsError(faults, source)
    return tuple((_text(each, names), each.lineno) for each in items)
