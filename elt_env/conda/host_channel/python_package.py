"""Makes a conda package of an interpreter."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from elt_env.conda.host_channel import elf
from elt_env.conda.host_channel.archive import PLACEHOLDER, RECIPE, Entry, PackageInfo
from elt_env.machine.scratch import scratch_directory
from elt_env.package.canonical import digest_of, short
from elt_env.python.compilation import compile_modules
from elt_env.python.interpreters import Interpreter
from elt_env.runtime.files import sha256_of

_LEFT_OUT = {"__pycache__", "dist-packages", "idle_test", "site-packages", "test", "tests"}
_NOT_COPIED = {"EXTERNALLY-MANAGED"}
_COMPILE_LIMIT = 300.0  # seconds
_HEADER_FOLDERS = {"cpython", "internal"}
# Where CPython's build writes its prefix into text files; everywhere else it is prose.
_TEXT_WITH_PREFIX = re.compile(
    r"bin/[^/]+|lib/pkgconfig/[^/]+|lib/python[\d.]+/(?:_sysconfig[^/]*|build-details\.json|"
    r"config-[^/]+/[^/]+)"
)


def describe(interpreter: Interpreter, platform: str) -> PackageInfo:
    """Return what the conda package of an interpreter says of itself.

    It depends on nothing, pip included. The build string carries a hash of the build of this
    Python, and ends as python_abi expects (https://github.com/conda-forge/python_abi-feedstock).
    """
    identity = short(
        digest_of(
            [RECIPE, interpreter.identity, interpreter.platform, interpreter.built_at.isoformat()]
        )
    )[:7]
    minor = interpreter.minor
    return PackageInfo(
        name="python",
        version=interpreter.version,
        build=f"h{identity}_0_cpython",
        subdir=platform,
        constrains=(f"python_abi {minor}.* *_{_tag(minor)}",),
        timestamp=interpreter.built_at,
        license="PSF-2.0",
        summary=f"CPython {interpreter.version}, copied from this machine",
        site_packages=f"lib/python{minor}/site-packages",
    )


def describe_abi(minor: str) -> PackageInfo:
    """Return the package that ties compiled packages to one Python minor; it has no files."""
    return PackageInfo(
        name="python_abi",
        version=minor,
        build=f"0_{_tag(minor)}",
        subdir="noarch",
        noarch="generic",
        constrains=(f"python {minor}.* *_cpython",),
        license="CC0-1.0",
        summary=f"The binary interface of CPython {minor}",
    )


def _tag(minor: str) -> str:
    return "cp" + minor.replace(".", "")


def entries(interpreter: Interpreter, *, compiled: bool = True) -> Iterator[Entry]:
    """Yield the files of an interpreter's package, relocatable and sorted by path.

    Left out: site-packages, tests, static libraries, and the byte code that lies there; with
    `compiled` the package has its own, made now and the same for any place of this interpreter.

    Raises:
        ToolError: patchelf is missing or failed, or the interpreter cannot compile.
    """
    files = dict(_files(interpreter))
    with scratch_directory("python") as scratch:
        patched = _relocated(files, interpreter.spellings, scratch)
        if compiled:
            files |= _compiled(files, interpreter, scratch / "modules")
        for path, source in sorted(files.items()):
            if isinstance(source, str):
                yield Entry(path, link=source)
                continue
            content = patched.get(path, source).read_bytes()
            if elf.is_elf(content):
                content = elf.without_prefix(content, interpreter.spellings)
            elif _holds_prefix(path):
                content = with_placeholder(content, interpreter.spellings)
            yield Entry(path, content, executable=_is_executable(source))


def made_of(interpreter: Interpreter) -> object:
    """Return what tells the content of an interpreter's package from any other."""
    files = [
        [path, source if isinstance(source, str) else [sha256_of(source), _is_executable(source)]]
        for path, source in sorted(dict(_files(interpreter)).items())
    ]
    return [interpreter.identity, list(interpreter.spellings), files]


def relocated_files(interpreter: Interpreter, place: str) -> Iterator[Entry]:
    """Yield the files of an interpreter that lives at `place`, as `entries` has them.

    Raises: as `entries`.
    """
    for each in entries(interpreter):
        yield replace(each, content=each.content.replace(PLACEHOLDER.encode(), place.encode()))


def with_placeholder(content: bytes, spellings: tuple[str, ...]) -> bytes:
    """Return a text with every spelling of the prefix replaced by the placeholder.

    `/opt/python` is not found in `/opt/python3` or `/opt/python-x`.

    Args:
        content: the text, UTF-8.
        spellings: the paths that stand for the prefix, longest first.
    """
    either = b"|".join(re.escape(os.fsencode(each)) for each in spellings)
    return re.sub(rb"(?:%s)(?![\w.-])" % either, PLACEHOLDER.encode(), content)


def _relocated(
    files: dict[str, Path | str], spellings: tuple[str, ...], scratch: Path
) -> dict[str, Path]:
    """Copy the ELF files that name the prefix or libpython, and make their run paths relative."""
    needles = (b"libpython", *map(os.fsencode, spellings))
    copies: dict[str, Path] = {}
    for number, (path, source) in enumerate(sorted(files.items())):
        if not isinstance(source, Path) or not _may_be_elf(source):
            continue
        content = source.read_bytes()
        if any(needle in content for needle in needles):
            copies[path] = scratch / str(number)
            copies[path].write_bytes(content)
    elf.relocate(copies, spellings)
    return copies


def _compiled(
    files: dict[str, Path | str], interpreter: Interpreter, scratch: Path
) -> dict[str, Path]:
    """Compile the modules and return their byte code by its path in the package.

    Not of those that hold the prefix: another prefix makes them another source.
    """
    groups: dict[str, list[str]] = {}
    for path, source in sorted(files.items()):
        if path.endswith(".py") and isinstance(source, Path) and not _holds_prefix(path):
            link = scratch / path
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(source)
            groups.setdefault(os.path.dirname(path), []).append(path)  # noqa: PTH120  # of a text
    compile_modules(interpreter.executable, scratch, groups.values(), _COMPILE_LIMIT, _quiet)
    return {each.relative_to(scratch).as_posix(): each for each in scratch.rglob("*.pyc")}


def _holds_prefix(path: str) -> bool:
    return _TEXT_WITH_PREFIX.fullmatch(path) is not None


def _quiet(line: str) -> None:
    del line


def _is_executable(source: Path) -> bool:
    return bool(source.stat().st_mode & stat.S_IXUSR)


def _may_be_elf(source: Path) -> bool:
    with source.open("rb") as file:
        return elf.is_elf(file.read(4))


def _files(interpreter: Interpreter) -> Iterator[tuple[str, Path | str]]:
    """Yield the files to pack: the path in the package, and the source or the target of a link."""
    prefix, python = interpreter.prefix, f"python{interpreter.minor}"
    yield f"bin/{python}", interpreter.executable.resolve()
    yield "bin/python", python
    yield "bin/python3", python
    if (prefix / "bin" / f"{python}-config").is_file():
        yield f"bin/{python}-config", prefix / "bin" / f"{python}-config"
        yield "bin/python3-config", f"{python}-config"
    yield from _shared(prefix, interpreter.minor)
    yield from _tree(prefix, f"include/{python}", headers=True)
    yield from _tree(prefix, f"lib/{python}")


def _shared(prefix: Path, minor: str) -> Iterator[tuple[str, Path | str]]:
    patterns = (
        f"lib/libpython{minor}.so*",
        "lib/libpython3.so",
        f"lib/pkgconfig/python-{minor}*.pc",
        "lib/pkgconfig/python3*.pc",
    )
    for pattern in patterns:
        for source in prefix.glob(pattern):
            yield source.relative_to(prefix).as_posix(), _source(source)


def _tree(prefix: Path, top: str, *, headers: bool = False) -> Iterator[tuple[str, Path | str]]:
    for folder, folders, names in os.walk(prefix / top):
        here = Path(folder)
        if headers and here == prefix / top:
            # Anything else was put there by a package.
            folders[:] = [name for name in folders if name in _HEADER_FOLDERS]
        folders[:] = [name for name in folders if name not in _LEFT_OUT]
        for name in names:
            if name in _NOT_COPIED or name.endswith((".a", ".pyc")):
                continue
            source = here / name
            yield source.relative_to(prefix).as_posix(), _source(source)


def _source(file: Path) -> Path | str:
    """Return what to pack for a file: itself, or the neighbour that a link leads to."""
    if file.is_symlink():
        target = str(file.readlink())
        if "/" not in target:
            return target
    return file.resolve()
