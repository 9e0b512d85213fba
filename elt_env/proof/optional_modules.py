"""Modules that their own distribution imports under a condition only."""

from __future__ import annotations

import ast
import contextlib
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath

from elt_env.runtime.input_files import read_content

_CONDITIONS = (ast.If, ast.Try, ast.FunctionDef, ast.AsyncFunctionDef)


def is_optional(module: str, files: Iterable[str], site_packages: Path) -> bool:
    """Tell whether other modules import one, and all of them where it can be, or in a function.

    So does a distribution with modules for several versions of another one.

    Args:
        module: its dotted name.
        files: those of its distribution, relative to site-packages.
        site_packages: where they are.
    """
    last = module.rpartition(".")[2].encode()
    found: list[bool] = []
    for path in (PurePosixPath(each) for each in files if each.endswith(".py")):
        with contextlib.suppress(OSError, SyntaxError, ValueError):
            source = read_content(site_packages / path)
            if last in source:
                package = ".".join(path.parent.parts)
                found += [
                    each
                    for name, each in _imports(ast.parse(source), package, under=False)
                    if name == module
                ]
    return bool(found) and all(found)


def _imports(node: ast.AST, package: str, *, under: bool) -> Iterator[tuple[str, bool]]:
    """Yield the names that a tree of a module in a package may import, and whether always."""
    if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
        return
    if isinstance(node, ast.Import):
        yield from ((each.name, under) for each in node.names)
    elif isinstance(node, ast.ImportFrom):
        above = package.split(".")[: len(package.split(".")) + 1 - node.level] if node.level else []
        base = ".".join(filter(None, (*above, node.module)))
        yield base, under
        yield from ((f"{base}.{each.name}", under) for each in node.names)
    for each in ast.iter_child_nodes(node):
        yield from _imports(each, package, under=under or isinstance(node, _CONDITIONS))
