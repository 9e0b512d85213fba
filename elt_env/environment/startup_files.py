"""Find files of a prefix that would load others from elsewhere when its tools start."""

from __future__ import annotations

import contextlib
import os
import shlex
from collections.abc import Iterator
from pathlib import Path

from elt_env.environment.prefix import Prefix
from elt_env.environment.prefix_owners import owners
from elt_env.environment.startup_code import CUSTOMIZE, StartupFile
from elt_env.python.first_line import long_first_line
from elt_env.runtime.files import sha256_of
from elt_env.runtime.input_files import open_file, read_stored_text

_LONGEST = 32_768  # bytes of a line, which may spell a path (PATH_MAX) in octal


def foreign_pth_lines(prefix: Prefix) -> Iterator[str]:
    """Yield what is wrong with the `.pth` files of site-packages.

    Each belongs to a package, and adds no directory outside the prefix.
    https://docs.python.org/3/library/site.html
    """
    site = Path(os.path.realpath(prefix.site_packages))
    root = Path(os.path.realpath(prefix.path))
    owned = owners(prefix)
    for path in sorted(site.glob("*.pth")):
        for added in _entries(path):
            if not Path(os.path.realpath(site / added)).is_relative_to(root):
                yield f"{path.name} adds {added}, which is outside the prefix, to sys.path"
        if path not in owned:
            yield f"{path.name} in site-packages belongs to no package of the lock"


def startup_files(prefix: Prefix) -> tuple[StartupFile, ...]:
    """Return what runs at every start of the prefix's Python, sorted."""
    root = Path(os.path.realpath(prefix.path))
    site = Path(os.path.realpath(prefix.site_packages))
    library = Path(os.path.realpath(prefix.library))
    found = {*site.glob("*.pth")}
    for place in (site, library, library / "lib-dynload", *_added_directories(site)):
        for name in CUSTOMIZE:
            found |= {*place.glob(f"{name}.*"), *place.glob(f"{name}/__init__.*")}
    files = [each for each in found if each.is_file()]
    owned = owners(prefix, files)
    return tuple(
        sorted(
            StartupFile(
                owned.get(path, "").rpartition(" ")[0] or owned.get(path, ""),
                os.path.relpath(path, root),
                sha256_of(path),
            )
            for path in files
        )
    )


def _added_directories(site: Path) -> Iterator[Path]:
    for path in site.glob("*.pth"):
        for added in _entries(path):
            with contextlib.suppress(OSError, ValueError):
                yield Path(os.path.realpath(site / added))


def _entries(path: Path) -> Iterator[str]:
    """Yield what a `.pth` file adds to sys.path; its other lines are comments, or run."""
    for line in read_stored_text(path, errors="replace").splitlines():
        if line.strip() and not line.startswith(("#", "import ", "import\t")):
            yield line.strip()


def foreign_shebangs(prefix: Prefix) -> Iterator[str]:
    """Yield the programs in bin/ that a Python outside the prefix, or none, would run."""
    bin_ = prefix.path / "bin"
    # A store may be reached by a link. Beyond that they are compared as text: what the line names
    # must itself lie in the prefix.
    places = {bin_, Path(os.path.realpath(bin_))}
    for path in sorted(bin_.iterdir()):
        interpreter = _interpreter(path)
        if interpreter is None or "python" not in Path(interpreter[0]).name:
            continue
        if not any(Path(interpreter[0]).is_relative_to(each) for each in places):
            yield f"bin/{path.name} is run by {interpreter[0]}, which is outside the prefix"
        elif not Path(interpreter[0]).exists():
            yield f"bin/{path.name} is run by {interpreter[0]}, which is not there"


def _interpreter(path: Path) -> list[str] | None:
    """Return the command that runs a script; None for what is none.

    `env python` is looked up on PATH, where the prefix comes first, so it is left out.
    """
    if not path.is_file():
        return None
    with open_file(path) as file:
        head = b"".join(file.readline(_LONGEST) for _ in range(4))
    if not head.startswith(b"#!"):
        return None
    long = long_first_line(head)
    if long:
        return [long[0].decode("utf-8", "replace")]
    return shlex.split(head.splitlines()[0][2:].decode("utf-8", "replace")) or None
