"""The imports among the modules of a distribution: always, under a condition, after another."""

from __future__ import annotations

import ast
import contextlib
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from elt_env.runtime.input_files import read_content

_CONDITIONS = (ast.If, ast.Try, ast.FunctionDef, ast.AsyncFunctionDef)


@dataclass(frozen=True)
class OwnImports:
    """What the modules of one distribution import.

    Attributes:
        files: those of the distribution, relative to site-packages.
        site_packages: where they are.
    """

    files: Collection[str]
    site_packages: Path

    def is_optional(self, module: str, failed: Collection[str] = ()) -> bool:
        """Tell whether other modules import one, and all of them where it can be, or in a function.

        So does a distribution with modules for several versions of another one, or with one in C
        that another in Python stands in for.

        Args:
            module: its dotted name.
            failed: modules that did not import; one that is optional itself may need it always.
        """
        return self._is_optional(module, {*failed}, {module})

    def _is_optional(self, module: str, failed: set[str], seen: set[str]) -> bool:
        found = [
            under or (importer in failed and self._is_optional(importer, failed, {*seen, importer}))
            for importer, names in self._importers(module)
            for name, under in names
            if name == module and importer not in seen
        ]
        return bool(found) and all(found)

    def comes_after(self, module: str, other: str) -> bool:
        """Tell whether other modules import one, and each of them imports a further one as well."""
        found = [
            any(f"{name}.".startswith(f"{other}.") for name, _ in names)
            for _, names in self._importers(module)
            if any(name == module for name, _ in names)
        ]
        return bool(found) and all(found)

    def _importers(self, module: str) -> Iterator[tuple[str, list[tuple[str, bool]]]]:
        """Yield modules whose source has the name of one, and what each of them imports."""
        last = module.rpartition(".")[2].encode()
        for path in (PurePosixPath(each) for each in self.files if each.endswith(".py")):
            with contextlib.suppress(OSError, SyntaxError, ValueError):
                source = read_content(self.site_packages / path)
                if last in source:
                    package = ".".join(path.parent.parts)
                    names = _imports(ast.parse(source), package, under=False)
                    importer = package if path.stem == "__init__" else f"{package}.{path.stem}"
                    yield importer.lstrip("."), [*names]


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
