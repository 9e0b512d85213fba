"""Specs and the files that they include, read from disk."""

from __future__ import annotations

import codecs
from dataclasses import replace
from pathlib import Path

from elt_env.errors import SpecError
from elt_env.runtime.input_files import cause, read_bytes
from elt_env.spec.document import Spec
from elt_env.spec.environment_yml import parse_spec
from elt_env.spec.faults import FaultsError
from elt_env.spec.foreign.read import is_foreign, tell
from elt_env.spec.foreign.told import bounds_file

_UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def read_spec(root: Path, name: str, remedy: str = "Name a file that is there.") -> Spec:
    """Return the spec in a file.

    Args:
        root: what the name, and the names of the files that it includes, are relative to.
        name: path of the file, for messages too.
        remedy: what to do where there is none.

    Raises:
        SpecError: the file is missing or cannot be used; all that is wrong is said at once.
    """
    try:
        text = _read_text(root / name)
    except FileNotFoundError as error:
        raise SpecError(f"The spec {name} does not exist in {root.absolute()}.", remedy) from error
    except (OSError, UnicodeDecodeError) as error:
        raise SpecError(
            f"The spec {name} cannot be read: {cause(error)}.",
            "Make it a readable UTF-8 text file.",
        ) from error
    if is_foreign(name):
        return _read_other(text, root, name)
    return parse_spec(text, name, lambda path: _read_text(root / path))


def _read_other(text: str, root: Path, name: str) -> Spec:
    """Return the spec in a file of another tool; what is wrong is told with the file's lines."""
    told = tell(text, name)
    # What includes a file is not that file itself.
    outer = f"{name}:" if told.is_include else name
    spec, faults, bounds = None, told.faults, bounds_file(name)

    def read(path: str) -> str:
        return told.bounds if path == bounds else _read_text(root / path)

    try:
        spec = parse_spec(told.text, outer, read)
    except FaultsError as error:
        faults += tuple(told.placed(each, outer, name) for each in error.faults)
    if spec is None or faults:
        raise FaultsError(tuple(sorted(faults)), name)
    warnings = (told.placed(each, outer, name) for each in spec.warnings)
    files = tuple(each for each in spec.files if each != bounds)
    return replace(spec, source=name, files=files, warnings=(*warnings, *told.left_out))


def _read_text(path: Path) -> str:
    """Return a text that any editor wrote: UTF-8 with or without a mark, or UTF-16 with one.

    The latter is what `conda env export >` makes in PowerShell.

    Raises:
        OSError: it cannot be read.
        UnicodeDecodeError: it is neither.
    """
    content = read_bytes(path)
    return content.decode("utf-16" if content.startswith(_UTF_16) else "utf-8-sig")
