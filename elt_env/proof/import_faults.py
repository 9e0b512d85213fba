"""Failed imports that say nothing against an environment, and the reasons."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass

from elt_env.package.names import normalize
from elt_env.spec.extras import is_removed, missing_distribution, missing_package

_DEEP = 3  # parts of a module's name that lies in a namespace
NOTHING = "which nothing here requires"
# Of the standard library on other platforms (https://docs.python.org/3/library/windows.html).
ELSEWHERE = ("_scproxy", "_winapi", "_winreg", "msvcrt", "nt", "winreg", "winsound")
_NOT_FOUND = re.compile(r"No module named '(?P<module>[\w.]+)'")
_NOT_IN = re.compile(
    r"cannot import name '(?P<name>\w+)' from (partially initialized module )?'(?P<module>[\w.]+)'"
)
# Of a namespace (PEP 420), which has no file: what is not there is a module.
_NOT_IN_NAMESPACE = re.compile(
    r"cannot import name '(?P<name>\w+)' from '(?P<module>[\w.]+)' \(unknown location\)"
)
_NO_MODULE = re.compile(
    r"dynamic module does not define module export function"
    r"|/lib[^/]*\.so: cannot allocate memory in static TLS block"  # it is to be loaded at the start
)
# How a module says to people and type checkers for which platform it is.
_PLATFORM = re.compile(r"^AssertionError: assert (sys\.platform|os\.name)\b")
# What the machine may have or not, as a driver of the operating system.
_OF_THE_MACHINE = re.compile(
    r"cannot open shared object file|version [`'][\w.]+' not found \(required by"
)
_PROGRAM = re.compile(
    r"^(SystemExit:|FileNotFoundError: .*No such file or directory: '(?!/)"
    r"|AttributeError: module 'alembic\.context' has no attribute)"  # Alembic runs its env.py
)
_TO_INSTALL = re.compile(
    r"\bpip install\b|\b[Pp]lease install\b|\bnot installed\b"
    r"|^\w+: Install '|\binstall additional dependencies\b"
    r"|\brequires the '?[\w.-]+'? (?:module|package)\b|^\w+: Required package"
    r"|\brequires [`'\"]?[\w.-]+[`'\"]? to be installed\b"
    r"|\b(?:to|must|should) install an?\b"
    r"|\binstallation (?:documentation|guide|instructions|page)\b"
)


@dataclass(frozen=True)
class ImportFault:
    """A module that did not import.

    Attributes:
        text: the exception in one line.
        missing: the module that was not found, where that led to the exception.
        below: whether it is below the top-level module of its distribution, so that the
            distribution may do without it.
        hidden: whether the standard library has a module of the name that is above it.
        apart: why it is nothing to import, as `is a program`; "" where it may be.
        before: the submodule, there and not imported, that it takes for an attribute; or "".
    """

    module: str
    text: str
    missing: str | None = None
    below: bool = False
    hidden: bool = False
    apart: str = ""
    before: str = ""

    @property
    def wants_of_machine(self) -> bool:
        """Whether a library of the operating system is missing, or another than it was made for."""
        return _OF_THE_MACHINE.search(self.text) is not None


@dataclass(frozen=True)
class Surroundings:
    """What there is around a module that did not import.

    Attributes:
        own: the top-level modules of its distribution.
        brought: those of all distributions; of a namespace (PEP 420) what lies in it.
        extras: distributions that its own requires for extras alone and that are not locked.
        required: distributions that its own requires in any case.
    """

    own: Collection[str]
    brought: Collection[str]
    extras: Collection[str]
    required: Collection[str]

    def has(self, module: str) -> bool:
        """Tell whether some distribution brings the module, or what it would lie in."""
        return any(is_in(module, each) or is_in(each, module) for each in self.brought)


@dataclass(frozen=True)
class Excuse:
    """Why a failed import is no fault of the environment.

    Attributes:
        reason: goes on a sentence that begins with the module, as in `wants numba, of an extra`.
        wants: what it did not find; "" where it is something else.
        is_lack: whether its distribution seems to have forgotten to require that, so that whoever
            uses the module has to ask for it.
    """

    reason: str
    wants: str = ""
    is_lack: bool = False


def excuse(fault: ImportFault, around: Surroundings) -> Excuse | None:
    """Return why a failed import is no fault of the environment; None where it may be one.

    It is none where nothing can import the module, whatever is chosen, since the standard library
    is found before it; or where it wants what an extra brings that nobody asked for, or what no
    distribution requires. A module below the top-level one may also be for another platform, be a
    program, or want what its own distribution lacks: no other choice of packages mends that.

    What nothing requires is of an extra too, for all one knows, where there are extras that nobody
    asked for: what they bring may have modules of other names. The stubs of gRPC are for whoever
    uses the service (https://grpc.io/docs/languages/python/generated-code/).
    """
    if fault.hidden:
        return Excuse(f"is hidden by {_top(fault.module)} of the standard library")
    found = fault.missing or _not_found(fault.text)
    name = missing_distribution(_as_text(found) if found else fault.text, around.extras)
    name = name or (_in_a_namespace(found, around) if found else None)
    if name is not None:
        return Excuse(f"wants {name}, of an extra", name)
    if found and _is_undeclared(found, around):
        is_namespace = any(is_in(each, _top(found)) for each in around.brought)
        wants = found if is_namespace else _top(found)
        is_stub = _top(found) == "grpc" and fault.module.endswith("_grpc")
        return Excuse(f"wants {wants}, {NOTHING}", wants, not around.extras and not is_stub)
    return _excuse_below(fault, found, around) if fault.below else None


def _in_a_namespace(module: str, around: Surroundings) -> str | None:
    """Return the distribution of an extra whose name has a module's, as those of Airflow's have.

    So is `airflow.providers.cncf` of `apache-airflow-providers-cncf-kubernetes`.
    """
    parts = module.split(".")
    name = f"-{normalize('-'.join(parts))}-"
    if len(parts) < _DEEP or any(name in f"-{each}-" for each in around.required):
        return None
    return next((each for each in sorted(around.extras) if name in f"-{each}-"), None)


def _is_undeclared(module: str, around: Surroundings) -> bool:
    required = {normalize(each).replace("-", "_") for each in around.required}
    known = around.has(module) or _top(module) in required
    return not known and missing_package(_as_text(module)) is not None


def _excuse_below(fault: ImportFault, found: str | None, around: Surroundings) -> Excuse | None:
    not_in = _NOT_IN.search(fault.text)
    wanted = not_in["name"] if not_in else (_top(found) if found else "")
    if wanted in ELSEWHERE or _PLATFORM.search(fault.text):
        what = f"wants {wanted}, of" if wanted else "is for"
        return Excuse(f"{what} another platform", wanted)
    if is_removed(wanted):
        return Excuse(f"wants {wanted}, which newer Pythons do not have")
    source = not_in["module"] if not_in else found
    if source and any(is_in(source, each) for each in around.own):
        lacked = f"{source}{f'.{wanted}' if not_in else ''}"
        return Excuse(f"wants {lacked}, which its own distribution lacks")
    if _NO_MODULE.search(fault.text):
        return Excuse("is a library and no module")
    apart = fault.apart
    if not apart and _PROGRAM.search(fault.text):
        apart = "is a program"
    if not apart and _TO_INSTALL.search(fault.text):
        apart = "wants what is to be installed with it"
    return Excuse(apart) if apart else None


def hint(text: str) -> str:
    """Return what helps against a failed import, as the end of a sentence; "" if nobody knows."""
    if _top(_not_found(text) or "") == "pkg_resources":
        return "; setuptools 82 and newer do not have it: ask for setuptools<82"
    return ""


def _not_found(text: str) -> str | None:
    found = _NOT_FOUND.search(text)
    if found:
        return found["module"]
    found = _NOT_IN_NAMESPACE.search(text)
    if found is None or found["name"] in ELSEWHERE:
        return None
    return f"{found['module']}.{found['name']}"


def _as_text(module: str) -> str:
    return f"No module named '{module}'"


def _top(module: str) -> str:
    return module.partition(".")[0]


def is_in(module: str, package: str) -> bool:
    """Tell whether a module is a package, or lies in it."""
    return module == package or module.startswith(f"{package}.")
