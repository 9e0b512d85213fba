"""Tiny real wheels and sdists."""

from __future__ import annotations

import base64
import hashlib
import io
import re
import tarfile
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from packaging.requirements import Requirement

# The earliest moment that a zip archive can hold.
_EPOCH = (1980, 1, 1, 0, 0, 0)

_BACKEND = """\
import shutil
from pathlib import Path

WHEEL = {wheel!r}


def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    shutil.copy(Path(__file__).with_name(WHEEL), Path(wheel_directory, WHEEL))
    return WHEEL
"""

_PYPROJECT = """\
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]
"""


def make_wheel(
    directory: Path,
    name: str,
    version: str,
    *,
    requires: Sequence[str] = (),
    requires_python: str | None = None,
    files: Mapping[str, str | bytes] | None = None,
    entry_points: Mapping[str, str] | None = None,
    tag: str = "py3-none-any",
    extras: Mapping[str, Sequence[str]] | None = None,
    fields: Sequence[str] = (),
) -> Path:
    """Write a wheel that every installer accepts, and return its path.

    The same arguments give the same bytes.

    Args:
        files: content by path; None gives a package of the wheel's name with `__version__`.
        entry_points: console scripts, as `module:function` by script name.
        tag: interpreter, ABI and platform, as in `cp311-cp311-linux_x86_64`.
        extras: further requirements by extra.
        fields: further lines of its METADATA.
    """
    stem = f"{escaped(name)}-{version}"
    info = f"{stem}.dist-info"
    metadata = core_metadata(name, version, requires, requires_python, extras or {})
    metadata += "".join(f"{each}\n" for each in fields)
    content = _as_bytes(default_files(name, version) if files is None else files)
    content[f"{info}/METADATA"] = metadata.encode()
    content[f"{info}/WHEEL"] = _wheel_file(tag).encode()
    if entry_points:
        content[f"{info}/entry_points.txt"] = console_scripts(entry_points).encode()
    content[f"{info}/RECORD"] = record(content, f"{info}/RECORD").encode()
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / f"{stem}-{tag}.whl"
    # Stored, not deflated: the bytes then do not depend on the version of zlib.
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for member, data in content.items():
            entry = zipfile.ZipInfo(member, _EPOCH)
            entry.external_attr = 0o100644 << 16
            archive.writestr(entry, data)
    return path


def make_sdist(
    directory: Path,
    name: str,
    version: str,
    *,
    requires: Sequence[str] = (),
    requires_python: str | None = None,
    extras: Mapping[str, Sequence[str]] | None = None,
) -> Path:
    """Write an sdist that builds without any download (PEP 517), and return its path.

    Its build backend stands in the sdist and hands out a wheel that lies next to it.
    """
    stem = f"{escaped(name)}-{version}"
    wheel = make_wheel(
        directory / "unpublished",
        name,
        version,
        requires=requires,
        requires_python=requires_python,
        extras=extras,
    )
    content = _as_bytes(
        {
            "PKG-INFO": core_metadata(name, version, requires, requires_python, extras),
            "pyproject.toml": _PYPROJECT,
            "backend.py": _BACKEND.format(wheel=wheel.name),
            wheel.name: wheel.read_bytes(),
        }
    )
    path = directory / f"{stem}.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        for member, data in content.items():
            entry = tarfile.TarInfo(f"{stem}/{member}")
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    return path


def escaped(name: str) -> str:
    """Return a name as file names carry it.

    https://packaging.python.org/en/latest/specifications/binary-distribution-format/
    """
    return re.sub(r"[-_.]+", "_", name).lower()


def default_files(name: str, version: str) -> dict[str, str | bytes]:
    """Return a package that knows its version."""
    return {f"{escaped(name)}/__init__.py": f'__version__ = "{version}"\n'}


def core_metadata(
    name: str,
    version: str,
    requires: Iterable[str] = (),
    requires_python: str | None = None,
    extras: Mapping[str, Sequence[str]] | None = None,
) -> str:
    """Return the content of a METADATA or PKG-INFO file.

    https://packaging.python.org/en/latest/specifications/core-metadata/
    """
    lines = ["Metadata-Version: 2.2", f"Name: {name}", f"Version: {version}"]
    if requires_python:
        lines.append(f"Requires-Python: {requires_python}")
    lines += [f"Requires-Dist: {each}" for each in requires]
    for extra, wanted in (extras or {}).items():
        lines.append(f"Provides-Extra: {extra}")
        lines += [f"Requires-Dist: {_only_for(extra, each)}" for each in wanted]
    return "\n".join(lines) + "\n"


def console_scripts(entry_points: Mapping[str, str]) -> str:
    """Return the content of an entry_points.txt file."""
    lines = [f"{script} = {function}" for script, function in entry_points.items()]
    return "\n".join(["[console_scripts]", *lines]) + "\n"


def record(content: Mapping[str, bytes], own_path: str) -> str:
    """Return the content of the RECORD file at `own_path`, which lists itself without a hash.

    https://packaging.python.org/en/latest/specifications/recording-installed-packages/
    """
    lines = [f"{path},sha256={_digest(data)},{len(data)}" for path, data in content.items()]
    return "\n".join([*lines, f"{own_path},,"]) + "\n"


def _digest(data: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()


def _only_for(extra: str, requirement: str) -> str:
    parsed = Requirement(requirement)
    condition = f'extra == "{extra}"'
    marker = f"({parsed.marker}) and {condition}" if parsed.marker else condition
    parsed.marker = None
    return f"{parsed}; {marker}"


def _wheel_file(tag: str) -> str:
    pure = "true" if tag.endswith("-any") else "false"
    return f"Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: {pure}\nTag: {tag}\n"


def _as_bytes(files: Mapping[str, str | bytes]) -> dict[str, bytes]:
    return {path: data.encode() if isinstance(data, str) else data for path, data in files.items()}
