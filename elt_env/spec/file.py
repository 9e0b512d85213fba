"""Specs and the files that they include, read from disk."""

from __future__ import annotations

import codecs
from pathlib import Path

from elt_env.errors import SpecError
from elt_env.runtime.input_files import cause, read_bytes
from elt_env.spec.document import Spec, parse_spec

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
    return parse_spec(text, name, lambda path: _read_text(root / path))


def _read_text(path: Path) -> str:
    """Return a text that any editor wrote: UTF-8 with or without a mark, or UTF-16 with one.

    The latter is what `conda env export >` makes in PowerShell.

    Raises:
        OSError: it cannot be read.
        UnicodeDecodeError: it is neither.
    """
    content = read_bytes(path)
    return content.decode("utf-16" if content.startswith(_UTF_16) else "utf-8-sig")
