"""Prefixes that share what this project's own environment has, in which faults are planted."""

from __future__ import annotations

import os
import shutil
import sys
import sysconfig
from pathlib import Path

from elt_env.environment.prefix import Prefix
from elt_env.package.target import Target
from tests.support.locks import lock_of, pip_package, python_package

_PYTHON = ".".join(map(str, sys.version_info[:2]))


def make_overlay(root: Path, *names: str) -> Prefix:
    """Return a prefix at `root` with links to all that is installed here.

    Args:
        root: where it is made.
        names: the distributions that its lock holds.
    """
    target = Target("elt", _PYTHON, "linux-64")
    python = python_package(".".join(map(str, sys.version_info[:3])))
    packages = [pip_package(each, requested=True) for each in names]
    prefix = Prefix(root, lock_of(python, *packages, target=target))
    prefix.site_packages.mkdir(parents=True)
    for each in Path(sysconfig.get_path("purelib")).iterdir():
        (prefix.site_packages / each.name).symlink_to(each)
    _make_programs(root / "bin")
    base = Path(sys.base_prefix) / "bin"
    (root / "pyvenv.cfg").write_text(f"home = {base}\ninclude-system-site-packages = false\n")
    return prefix


def _make_programs(directory: Path) -> None:
    directory.mkdir()
    own = Path(sys.executable).parent
    for each in own.iterdir():
        if each.is_symlink() or not os.access(each, os.X_OK) or each.is_dir():
            continue
        text = each.read_bytes()
        if text.startswith(b"#!") and b"python" in text.partition(b"\n")[0]:
            program = directory / each.name
            program.write_bytes(text.replace(bytes(own), bytes(directory), 1))
            program.chmod(0o755)
    (directory / "python").symlink_to(Path(sys.executable).resolve())


def own_copy(prefix: Prefix, place: str) -> Path:
    """Put a copy in place of a link below site-packages, and return the path of `place` in it."""
    top = prefix.site_packages / Path(place).parts[0]
    if top.is_symlink():
        source = top.resolve()
        top.unlink()
        copy = shutil.copytree if source.is_dir() else shutil.copy
        copy(source, top)
    return prefix.site_packages / place


def plant(prefix: Prefix, place: str, text: str) -> Path:
    """Write a file of a package of its own below site-packages; return its path."""
    path = (
        own_copy(prefix, place)
        if (prefix.site_packages / Path(place).parts[0]).exists()
        else (prefix.site_packages / place)
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path
