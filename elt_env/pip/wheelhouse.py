"""A wheelhouse: a directory of wheels that locks take from, beside the indexes.

It is one for `--find-links`, and has a simple API (PEP 503) in `simple`, which any static server
serves. `wheelhouse.json` says of each wheel that was built of what, and with which build
requirements: what is there is not built again.
"""

from __future__ import annotations

import html
import json
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from packaging.utils import parse_wheel_filename

from elt_env.errors import StorageError
from elt_env.machine.indexes import WHEELHOUSE_RECORD
from elt_env.package.names import normalize
from elt_env.python.wheel_metadata import read_wheel_metadata
from elt_env.runtime.file_lock import file_lock
from elt_env.runtime.files import sha256_of, write_atomically, writing, writing_atomically
from elt_env.runtime.input_files import read_text

_PAGE = "<!DOCTYPE html>\n<html><body>\n{}</body></html>\n"
_LIMIT = 60.0  # seconds that another one may take to write


@dataclass(frozen=True)
class Wheelhouse:
    """A directory of wheels; it is made when needed."""

    root: Path

    def find(self, key: str) -> Path | None:
        """Return the wheel that was built under a key, where it is there, whole; else None."""
        known = self._record().get(key)
        path = self.root / str(known["wheel"]) if known else None
        whole = path is not None and path.is_file() and sha256_of(path) == (known or {})["sha256"]
        return path if whole else None

    def add(self, wheel: Path, key: str = "", origin: str = "", requirements: str = "") -> Path:
        """Put a wheel into it, note what it was built of, and write the pages; return its path.

        Raises:
            StorageError: it cannot be written.
            BusyError: another one writes for too long.
        """
        path = self.root / wheel.name
        with writing(self.root):
            self.root.mkdir(parents=True, exist_ok=True)
        with file_lock(self.root / ".lock", _LIMIT, f"writing {self.root}", "Run it again."):
            with wheel.open("rb") as source, writing_atomically(path) as target:
                shutil.copyfileobj(source, target)
            record = {**self._record()}
            if key:
                mine = {"wheel": path.name, "sha256": sha256_of(path), "origin": origin}
                record[key] = {**mine, "requirements": requirements.splitlines()}
            write_atomically(self.root / WHEELHOUSE_RECORD, json.dumps(record, indent=1) + "\n")
            for name, content in self._pages():
                write_atomically(self.root / "simple" / name, content)
        return path

    def _record(self) -> Mapping[str, Any]:
        try:
            found = json.loads(read_text(self.root / WHEELHOUSE_RECORD))
        except FileNotFoundError:
            return {}
        except (OSError, ValueError) as error:
            raise StorageError(
                f"{self.root / WHEELHOUSE_RECORD} cannot be read: {error}.",
                "Remove it; all is built again.",
            ) from error
        return found if isinstance(found, dict) else {}

    def _pages(self) -> Iterator[tuple[str, str]]:
        """Yield the pages of the simple API: paths and contents."""
        wheels: dict[str, list[Path]] = {}
        for each in sorted(self.root.glob("*.whl")):
            wheels.setdefault(normalize(parse_wheel_filename(each.name)[0]), []).append(each)
        for name, files in wheels.items():
            yield f"{name}/index.html", _PAGE.format("".join(map(_anchor, files)))
        names = "".join(f'<a href="{each}/">{each}</a><br>\n' for each in sorted(wheels))
        yield "index.html", _PAGE.format(names)


def _anchor(wheel: Path) -> str:
    bound = read_wheel_metadata(wheel).requires_python
    python = f' data-requires-python="{html.escape(bound)}"' if bound else ""
    link = f"../../{wheel.name}#sha256={sha256_of(wheel)}"
    return f'<a href="{link}"{python}>{wheel.name}</a><br>\n'
