"""The checks on native code: it fits this machine and interpreter, and finds its libraries."""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path, PurePosixPath

from elt_env.environment.elf import Elf, shape_of_platform
from elt_env.environment.native_code import LoadReport, NativeCode, load_all, native_code
from elt_env.environment.prefix import Prefix
from elt_env.environment.prefix_owners import owners, shown
from elt_env.machine.process import Say
from elt_env.machine.system_libraries import system_libraries
from elt_env.proof.checks.check_tools import CheckTools
from elt_env.proof.checks.finding import Finding, judge
from elt_env.proof.optional_modules import OwnImports
from elt_env.python.wheel_tags import tags_of, wheel_tags
from elt_env.runtime.input_files import read_stored_text

_PLAIN = re.compile(r"[^.]+\.so")
# The name of an extension module says for which interpreter: PEP 3149; `.abi3` since PEP 384.
_EXTENSION = re.compile(r"(?P<stem>[^.]+)\.(?P<abi>(?:cpython|pypy|graalpy)[^.]*|abi3)\.so")


_reading = threading.Lock()


@dataclass(frozen=True)
class _Loaded:
    """The native code of a prefix.

    Attributes:
        code: all of it, but for the others.
        report: what comes of loading it.
        others: files for other machines, beside which their package has one for this.
    """

    code: NativeCode
    report: LoadReport
    others: tuple[Elf, ...]


def _loaded(prefix: Prefix) -> _Loaded:
    """Return what is read once for both checks of a run."""
    with _reading:
        return _read(prefix)


@lru_cache(maxsize=1)
def _read(prefix: Prefix) -> _Loaded:
    found = native_code(prefix)
    others = _for_others(found, prefix)
    files = tuple(each for each in found.files if each not in others)
    code = replace(found, files=files)
    return _Loaded(code, load_all(code, prefix, system_libraries()), others)


def _for_others(code: NativeCode, prefix: Prefix) -> tuple[Elf, ...]:
    """Return the files for other machines that a package has beside one of its own for this.

    It picks one of them by its name when it runs: Python imports none of them as a module, and
    nothing of this machine is linked with one.
    """
    wanted = shape_of_platform(prefix.lock.target.platform)
    strange = [each for each in code.files if wanted and each.shape != wanted]
    if not strange:
        return ()
    owner_of = owners(prefix)
    mine = [each for each in code.files if each.shape == wanted]
    linked = {name for each in mine for name in each.needed}
    picked = {owner_of.get(each.path) for each in mine if not _is_module(each.path)} - {None}
    return tuple(
        each
        for each in strange
        if not _is_module(each.path)
        and linked.isdisjoint({each.soname, each.path.name})
        and owner_of.get(each.path) in picked
    )


def _is_module(path: Path) -> bool:
    """Tell whether Python may import a file: by its name, in a package or beside them."""
    name = path.name
    if name.startswith("lib") or not (_EXTENSION.fullmatch(name) or _PLAIN.fullmatch(name)):
        return False
    return path.parent.name == "site-packages" or (path.parent / "__init__.py").exists()


def binary_abi(prefix: Prefix, tools: CheckTools, say: Say) -> Finding:
    """All native code is made for this interpreter, this platform and this machine's libraries.

    Each file is ELF of the platform's class and machine; each extension module has a file whose
    name fits the interpreter; each wheel has a tag that the interpreter takes; and the library
    that the loader finds defines every symbol version asked of it, glibc's and libstdc++'s too.
    """
    del tools
    loaded = _loaded(prefix)
    code, found = loaded.code, loaded.report
    bad = [
        *sorted(code.damaged.items()),
        *_misshapen(code, prefix),
        *_misfits(code, prefix),
        *(
            (path, f"needs {version}, which {library} does not have")
            for path, library, version in sorted(found.refused)
        ),
    ]
    owner_of = owners(prefix) if bad else {}
    faults = [f"{shown(path, prefix, owner_of)} {why}" for path, why in bad]
    faults += _untagged(prefix)
    for each in faults:
        say(f"binary_abi: {each}")
    others = f"; {len(loaded.others)} more for other machines" if loaded.others else ""
    return judge(faults, f"{len(code.files)} native files fit{others}", log=_table(code, prefix))


def _misshapen(code: NativeCode, prefix: Prefix) -> Iterator[tuple[Path, str]]:
    platform = prefix.lock.target.platform
    wanted = shape_of_platform(platform)
    for each in code.files if wanted else ():
        if each.shape != wanted:
            machine = each.machine.removeprefix("EM_")
            yield each.path, f"is for {machine} with {each.bits} bits, not for {platform}"


def _misfits(code: NativeCode, prefix: Prefix) -> Iterator[tuple[Path, str]]:
    """Yield extension modules of which no file has a name that this interpreter imports."""
    modules: dict[Path, list[tuple[Path, str]]] = {}
    for each in code.files:
        name = _EXTENSION.fullmatch(each.path.name)
        if name is not None:
            modules.setdefault(each.path.parent / name["stem"], []).append((each.path, name["abi"]))
    files = {each.path for each in code.files}
    mine = f"cpython-{prefix.lock.target.python.replace('.', '')}"
    for module, made_for in modules.items():
        fits = any(abi == "abi3" or abi.startswith(f"{mine}-") for _, abi in made_for)
        if not fits and module.with_name(f"{module.name}.so") not in files:
            path, abi = made_for[0]
            yield path, f"is made for {abi}, and the interpreter is {mine}"


def _untagged(prefix: Prefix) -> list[str]:
    """Return the distributions whose wheel was not made for this interpreter (PEP 425)."""
    supported = {*wheel_tags(prefix.lock.target.python)}
    lines = []
    for each in prefix.distributions():
        tags = _tags(each.info / "WHEEL")
        if tags and not supported.intersection(*[set().union(*map(tags_of, tags))]):
            lines.append(f"{each.name} {each.version} is a wheel for {', '.join(tags)}")
    return lines


def _tags(wheel: Path) -> list[str]:
    """Return the tags in a WHEEL file; none where there is no such file, as in conda packages."""
    if not wheel.is_file():
        return []
    lines = read_stored_text(wheel, errors="replace").splitlines()
    return [line.partition(":")[2].strip() for line in lines if line.startswith("Tag:")]


def _table(code: NativeCode, prefix: Prefix) -> str:
    root = os.path.realpath(prefix.path)
    return "\n".join(
        f"{os.path.relpath(each.path, root)}: {each.machine} {each.bits}"
        f"; needs {', '.join(each.needed) or 'nothing'}"
        for each in code.files
    )


def native_libraries(prefix: Prefix, tools: CheckTools, say: Say) -> Finding:
    """Every shared library that native code needs is found: in the prefix, or the system's.

    Looked for as the dynamic loader does, from the interpreter or the program that loads it. One
    that is nowhere on its way is excused when the same package brings it: it loads that first; and
    where an extension module wants it that its own distribution does without, when the machine has
    not got it.
    """
    del tools
    loaded = _loaded(prefix)
    code = loaded.code
    optional = _optional(loaded.report.missing, prefix)
    missing = sorted(loaded.report.missing - optional)
    owner_of = owners(prefix) if missing or code.damaged else {}
    brought = {(owner_of.get(each.path), each.soname) for each in code.files}
    excused = [each for each in missing if (owner_of.get(each[0]), each[1]) in brought]
    faults = [
        f"{shown(path, prefix, owner_of)} needs {name}, which is neither there nor the system's"
        for path, name in missing
        if (path, name) not in excused
    ]
    faults += [f"{shown(p, prefix, owner_of)} {why}" for p, why in sorted(code.damaged.items())]
    for each in faults:
        say(f"native_libraries: {each}")
    return judge(faults, _found(code, excused, optional), log=_table(code, prefix))


def _optional(missing: Collection[tuple[Path, str]], prefix: Prefix) -> set[tuple[Path, str]]:
    """Return what is missing that a package did not bring and that it does without."""
    site = os.path.realpath(prefix.site_packages)
    places = {os.path.relpath(path, site): path for path, _ in missing}
    found: set[tuple[Path, str]] = set()
    for each in prefix.distributions() if places else ():
        files = each.files
        own = OwnImports(files, Path(site))
        without = {
            places[file] for file in files if file in places and own.is_optional(_module(file))
        }
        brought = {PurePosixPath(file).name for file in files} if without else ()
        found |= {(path, name) for path, name in missing if path in without and name not in brought}
    return found


def _module(file: str) -> str:
    path = PurePosixPath(file)
    return ".".join((*path.parent.parts, path.name.split(".")[0]))


def _found(
    code: NativeCode,
    excused: Sequence[tuple[Path, str]],
    optional: Collection[tuple[Path, str]],
) -> str:
    names = sorted({name for _, name in excused})
    note = f"; loaded first by their own package: {', '.join(names)}" if names else ""
    without = sorted({name for _, name in optional})
    note += f"; done without: {', '.join(without)}" if without else ""
    return f"{len(code.files)} native files find {_count(code)} libraries{note}"


def _count(code: NativeCode) -> int:
    every: Iterable[str] = (name for each in code.files for name in each.needed)
    return len(set(every))
