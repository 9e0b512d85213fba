"""Whatever stands in the place of a file of the store: no command waits for it or falls over it."""

from __future__ import annotations

import os
import re
import shutil
import socket
from collections.abc import Callable, Iterator, Mapping
from itertools import cycle
from pathlib import Path

import pytest

from tests.support.forks import Forks, forks
from tests.support.isolation import clear_settings
from tests.support.project import make_project
from tests.support.sample import Sample

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("odd_files")]

_LIMIT = 60.0  # seconds
_ALIKE = ("evidence/", "logs/", "releases/elt")
_DIGITS = re.compile(r"[0-9a-f]{12,}|[0-9]+")
_IN_LIBRARY = re.compile(r"dist-info/|\.pth$|/tally/|/alpha/")
_CHECKS = ("pip_check", "mixed_managers")
_COMMANDS = (
    ("image", "elt"),
    ("show", "elt", "--json"),
    ("build", "elt", "--no-promote"),
    ("run", "elt", "tally"),
    ("promote", "elt"),
    ("gc", "--dry-run", "--unused-for", "0"),
    ("history", "elt"),
    ("doctor", "elt", "--check", "mixed_managers", "--again"),
    ("diff", "elt"),
)


def _socket(path: Path) -> None:
    here = Path.cwd()
    os.chdir(path.parent)  # its path may be too long for one
    try:
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(path.name[-90:])
        Path(path.name[-90:]).rename(path.name)
    finally:
        os.chdir(here)


def _terabyte(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(1 << 40)


_KINDS: Mapping[str, Callable[[Path], object]] = {
    "a pipe": os.mkfifo,
    "a device": lambda path: path.symlink_to("/dev/zero"),
    "a socket": _socket,
    "a directory": Path.mkdir,
    "a dangling link": lambda path: path.symlink_to("nowhere"),
    "a terabyte": _terabyte,
    "nothing": lambda path: path.symlink_to(os.devnull),
}


@pytest.fixture(scope="module")
def commands(
    shared_sample: Sample, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Path, Forks]]:
    """A store with two releases, an image and all that commands keep, and what runs commands."""
    root = tmp_path_factory.mktemp("odd")

    def ask_for(*pip: str) -> None:
        make_project(
            root / "project",
            channels=[shared_sample.channel.url],
            index=shared_sample.index.url,
            conda=["tally"],
            pip=pip,
            policy={"cooldown": "0"},
            environment={"required-checks": [*_CHECKS], "promote": "manual"},
            pythons=[shared_sample.python],
        )

    with pytest.MonkeyPatch.context() as patch:
        clear_settings(patch, keep_registry=False)
        patch.setenv("UV_CACHE_DIR", str(root / "uv"))
        ask_for("beta")
        checks = tuple(part for each in _CHECKS for part in ("--check", each))
        proven = (("lock", "elt"), _COMMANDS[2], ("doctor", "elt", *checks), ("promote", "elt"))
        with forks(root / "project", root / "log") as made:
            for typed in proven:
                assert made.run(typed).code == 0, typed
            ask_for("alpha")
            for typed in (*proven, _COMMANDS[0], ("readiness", "elt")):
                ended = made.run(typed)
                assert ended.code == 0, (typed, ended.output)
            yield root / "project/.elt_env", made


def _files(home: Path) -> list[Path]:
    """Return one of each kind of file that a store has."""
    found: dict[str, Path] = {}
    for path in sorted(home.rglob("*")):
        relative = path.relative_to(home).as_posix()
        of_tools = relative.startswith(("cache/conda/pkgs/", "host-channel/", "work/", "roots/"))
        if path.is_dir() or path.is_symlink() or of_tools:
            continue
        kind = path.parent.as_posix() if relative.startswith(_ALIKE) else relative
        found.setdefault(_DIGITS.sub("#", kind), path)
    return [path for kind, path in found.items() if "/lib/" not in kind or _IN_LIBRARY.search(kind)]


def _in_the_place_of(path: Path, kind: str, aside: Path) -> None:
    path.rename(aside)
    _KINDS[kind](path)


def _put_back(path: Path, aside: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    path.unlink(missing_ok=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    aside.rename(path)


def _faults(
    home: Path, made: Forks, path: Path, kind: str, typed: tuple[str, ...]
) -> Iterator[object]:
    """Yield what goes wrong with `verify`, and with another command, while no file is there."""
    aside = home.parent / "aside"
    _in_the_place_of(path, kind, aside)
    for command in (("verify", "elt"), typed):
        ended = made.run(command, _LIMIT)
        if ended.killed or "Traceback" in ended.output:
            yield kind, path.relative_to(home), command, ended.output[-1500:]
    _put_back(path, aside)


def test_what_is_no_file_is_passed_over_or_refused(commands: tuple[Path, Forks]) -> None:
    home, made = commands
    combinations = zip(_files(home), cycle(_KINDS), cycle(_COMMANDS), strict=False)
    faults = [each for one in combinations for each in _faults(home, made, *one)]
    assert not faults, "\n".join(map(str, faults))
    assert made.run(("verify", "elt")).code == 0
