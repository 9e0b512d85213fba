"""The interpreter that a venv was made of, and whether it still is what it was then.

A venv is its packages and a link to the interpreter (PEP 405): whoever upgrades or removes that
changes the venv, without touching a file in it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PurePath

from elt_env.errors import ToolError
from elt_env.machine.process import end_of, run
from elt_env.package.target import minor_of
from elt_env.python.interpreters import Interpreter
from elt_env.runtime.files import sha256_of, write_atomically
from elt_env.runtime.input_files import read_stored_text

CONFIG = "pyvenv.cfg"
_IDENTITY = "base-identity"
_SYSTEM = Path("/usr")
_UV_LOCK = ".lock"  # which uv would make whenever it looks at a venv


@dataclass(frozen=True)
class VenvBase:
    """The interpreter of a venv, as it was when the venv was made.

    Attributes:
        version: as in `3.11.7`.
        identity: the sha256 of its program and of its shared library.
    """

    executable: Path
    version: str
    identity: str

    @property
    def fault(self) -> str:
        """What became of it, as the end of a sentence about the venv; "" where it is as it was."""
        if self.identity_now == self.identity:
            return ""
        what = "was replaced" if self.identity_now else "is gone"
        return f"its interpreter {self.executable}, Python {self.version} then, {what}"

    @property
    def identity_now(self) -> str:
        """The hash of what is there now; "" where it is gone."""
        return _identity_of(self.executable, self.libraries)

    @property
    def prefix(self) -> Path:
        """The directory of its installation."""
        return self.executable.parent.parent

    @property
    def of_system(self) -> bool:
        """Whether it belongs to the operating system, which spreads its files over /usr."""
        return self.prefix == _SYSTEM

    @property
    def library(self) -> Path:
        """The directory of its standard library."""
        root = self.prefix
        places = (root / name / f"python{self._minor}" for name in ("lib", "lib64"))
        return next((each.resolve() for each in places if (each / "os.py").is_file()), root)

    @property
    def libraries(self) -> tuple[Path, ...]:
        """The shared library that its program needs, where it needs one."""
        root = self.prefix
        names = (f"lib*/libpython{self._minor}.so*", f"lib*/*/libpython{self._minor}.so*")
        return tuple(sorted({each.resolve() for name in names for each in root.glob(name)}))

    @property
    def _minor(self) -> str:
        return minor_of(self.version)


def make_venv(base: Interpreter, place: Path, limit: float) -> None:
    """Make a venv without pip: the installer is the policy's, and it installs from outside.

    Raises:
        ToolError: the interpreter cannot make one.
        StorageError: the disk is full or not writable.
    """
    command = [str(base.executable), "-I", "-m", "venv", "--without-pip", str(place)]
    done = run(command, limit=limit)
    if done.returncode != 0:
        raise ToolError(
            f"{base.executable} makes no venv at {place}:\n{end_of(done.stderr, 5)}",
            f"Install a complete Python, as uv python install {base.minor} does, or name another "
            "one with 'interpreters'.",
        )
    identity = VenvBase(base.executable, base.version, "").identity_now
    text = render_config(base.executable, base.version) + f"{_IDENTITY} = {identity}\n"
    write_atomically(place / CONFIG, text)
    write_atomically(place / _UV_LOCK, "")


def render_config(executable: PurePath, version: str) -> str:
    """Return the `pyvenv.cfg` that `python -m venv` writes, but for the command, which has places.

    Args:
        executable: of the interpreter, `bin/python3.N` of its installation.
        version: of the interpreter, as in `3.11.7`.
    """
    lines = {
        "home": executable.parent,
        "include-system-site-packages": "false",
        "version": version,
        "executable": executable,
    }
    return "".join(f"{key} = {value}\n" for key, value in lines.items())


def read_base(place: Path) -> VenvBase | None:
    """Return what a venv says of its interpreter; None where it does not say it."""
    try:
        text = read_stored_text(place / CONFIG)
    except (OSError, UnicodeDecodeError):
        return None
    pairs = (line.partition("=") for line in text.splitlines())
    found = {key.strip(): value.strip() for key, _, value in pairs}
    if not {"executable", "version", _IDENTITY} <= found.keys():
        return None
    return VenvBase(Path(found["executable"]), found["version"], found[_IDENTITY])


def _identity_of(executable: Path, libraries: Sequence[Path]) -> str:
    """Return the sha256 of an interpreter's program and shared library; "" where it is gone.

    These change with each patch release; the modules beside them come with them.
    """
    try:
        found = [(each, each.stat()) for each in (executable, *libraries)]
        hashes = [_hashed(each, stat.st_mtime_ns, stat.st_ino) for each, stat in found]
    except OSError:
        return ""
    return "sha256:" + hashlib.sha256(" ".join(hashes).encode()).hexdigest()


@lru_cache(maxsize=64)
def _hashed(path: Path, *_: int) -> str:
    return sha256_of(path)
