"""Selectors of conda-build behind requirements, as in `- pywin32  # [win]`.

conda-lock reads them in an `environment.yml`; to conda they are comments
(https://docs.conda.io/projects/conda-build/en/stable/resources/define-metadata.html#preprocessing-selectors).
"""

from __future__ import annotations

import ast
import re

_HERE = frozenset({"linux", "linux64", "unix", "x86", "x86_64"})
_ELSEWHERE = frozenset(
    {"win", "win32", "win64", "osx", "osx64", "linux32", "arm64", "aarch64", "ppc64le", "s390x"}
)
_SELECTOR = re.compile(r"\s#\s*\[([^\[\]]{1,80})\]\s*$")


def excluding_selector(line: str) -> str:
    """Return the selector at the end of a line that excludes linux-64; "" where none does."""
    found = _SELECTOR.search(line)
    if found is None:
        return ""
    try:
        holds = _holds(ast.parse(found[1].strip(), mode="eval").body)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return ""  # a comment of a person
    return "" if holds else found[1].strip()


def _holds(node: ast.expr) -> bool:
    """Tell whether a selector holds on linux-64.

    Raises:
        ValueError: it is none that conda-lock knows.
    """
    if isinstance(node, ast.Name) and node.id in _HERE | _ELSEWHERE:
        return node.id in _HERE
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        return not _holds(node.operand)
    if isinstance(node, ast.BoolOp):
        values = [_holds(each) for each in node.values]
        return all(values) if isinstance(node.op, ast.And) else any(values)
    raise ValueError(ast.dump(node)[:40])
