"""Validate every field of a lock, wherever the lock comes from.

A lock is read by conda's linker and by pip, and names files to be written and servers to be asked.
Its checksum shows that nobody changed it by accident; what it says is looked at here.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from urllib.parse import unquote, urlsplit

from packaging.utils import InvalidWheelFilename, parse_wheel_filename
from packaging.version import InvalidVersion, Version

from elt_env.lockfile.document import BuiltFrom, CondaDetail, Lock, Package
from elt_env.package.names import VARIABLE, normalize
from elt_env.package.target import ENVIRONMENT, PYTHON

_SHA256 = re.compile(r"[0-9a-f]{64}")
_MD5 = re.compile(r"[0-9a-f]{32}")
_COMMIT = re.compile(r"[0-9a-f]{40}([0-9a-f]{24})?")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_PLATFORM = re.compile(r"[a-z0-9]+-[a-z0-9_]+")
# CEP 26, but for capitals, which channels had before it.
_CONDA_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")
_CONDA_VERSION = re.compile(r"[A-Za-z0-9_.+!~-]+")
_CONDA_BUILD = re.compile(r"[A-Za-z0-9_.+-]+")
_CONDA_FILE = re.compile(r"[A-Za-z0-9_.+!~-]+\.(conda|tar\.bz2)")
_PIP_NAME = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?")  # PEP 503, normalized
_DISTRIBUTION = re.compile(r"[A-Za-z0-9_.-]+")
_ANY_VERSION = re.compile(r"[A-Za-z0-9_.+!~*-]*")
_ARCHIVES = (".whl", ".tar.gz", ".zip", ".tar.bz2", ".tar.xz", ".tgz", ".tar")
_SCHEMES = ("http", "https", "file")
_SOURCES = (*_SCHEMES, "ssh", "git")
_LARGEST = 2**63


def faults(lock: Lock) -> tuple[str, ...]:
    """Return what of a lock is not what it should be, a line each; none in one that was made."""
    return tuple(_faults(lock))


def _faults(lock: Lock) -> Iterator[str]:
    target = lock.target
    yield from _unless(re.fullmatch(ENVIRONMENT, target.environment), "the environment's name")
    yield from _unless(re.fullmatch(PYTHON, target.python), "the Python minor")
    yield from _unless(_PLATFORM.fullmatch(target.platform), "the platform")
    yield from _unless(_DIGEST.fullmatch(lock.spec_digest), "the digest of the spec")
    for url in (*lock.channels, *lock.indexes):
        yield from (f"the place {_shown(url)} {why}" for why in _url_faults(url, _SCHEMES))
    for name, value in lock.variables:
        yield from _unless(VARIABLE.fullmatch(name), f"the variable {_shown(name)}")
        yield from _unless("\0" not in value, f"the value of the variable {_shown(name)}")
    said = [(each.name, str(each)) for each in lock.negotiated]
    said += [(each.name, str(each)) for each in lock.held_back]
    for name, text in said:
        yield from _unless(_is_line(text), f"what is said of {_shown(name)}")
    keys = Counter((each.manager, each.name) for each in lock.packages)
    yield from (
        f"{name} of {manager} is there twice" for (manager, name), n in keys.items() if n > 1
    )
    if lock.interpreter is not None:
        yield from _unless(_is_version(lock.interpreter), "the version of Python")
        yield from _unless(not lock.conda, "a package of conda without conda's Python")
    elif not any(each.name == "python" for each in lock.conda):
        yield "there is no Python in it"
    for package in lock.packages:
        what = f"{package.manager}'s {_shown(package.name)}: "
        yield from (what + each for each in package_faults(package, target.platform))


def package_faults(package: Package, platform: str) -> Iterator[str]:
    """Yield what of a package is not what it should be, before anything is done with it."""
    yield from _unless(_SHA256.fullmatch(package.sha256), "its sha256")
    yield from _unless(package.size is None or 0 <= package.size < _LARGEST, "its size")
    named = all(_DISTRIBUTION.fullmatch(each) for each in package.required_by)
    yield from _unless(named, "the names of what needs it")
    yield from _unless(_is_line(package.requires_python or ""), "its Requires-Python")
    if package.manager == "conda":
        yield from _conda_faults(package, platform)
    else:
        yield from _pip_faults(package)


def _conda_faults(package: Package, platform: str) -> Iterator[str]:
    yield from _unless(_CONDA_NAME.fullmatch(package.name), "its name")
    yield from _unless(_CONDA_VERSION.fullmatch(package.version), "its version")
    yield from _unless(_CONDA_BUILD.fullmatch(package.build or ""), "its build")
    yield from (f"its URL {why}" for why in _url_faults(package.url, _SCHEMES))
    yield from _unless(_CONDA_FILE.fullmatch(_file_of(package.url)), "the name of its archive")
    foreign = package.index is None and package.built is None
    yield from _unless(foreign, "what only a package of pip has")
    if package.conda is None:
        yield "what conda needs to link it is missing"
    else:
        yield from _detail_faults(package.conda, platform)


def _detail_faults(detail: CondaDetail, platform: str) -> Iterator[str]:
    yield from _unless(detail.subdir in {platform, "noarch"}, "its subdir")
    yield from _unless(0 <= detail.build_number < _LARGEST, "its build number")
    lines = (*detail.depends, *detail.constrains)
    yield from _unless(all(map(_is_line, lines)), "what it depends on")
    yield from _unless(detail.md5 is None or _MD5.fullmatch(detail.md5), "its md5")
    place = detail.python_site_packages_path
    yield from _unless(place is None or _is_below(place), "its python_site_packages_path")
    yield from _unless(all(map(_is_below, detail.scripts)), "its scripts")
    yield from _unless("\0" not in (detail.license or ""), "its licence")
    known = all(
        _DISTRIBUTION.fullmatch(name) and _ANY_VERSION.fullmatch(version)
        for name, version in detail.distributions
    )
    yield from _unless(known, "its distributions")


def _pip_faults(package: Package) -> Iterator[str]:
    yield from _unless(_PIP_NAME.fullmatch(package.name), "its name")
    yield from _unless(_is_version(package.version), "its version")
    yield from _unless(package.build is None and package.conda is None, "what only conda has")
    schemes = _SOURCES if package.built else _SCHEMES
    yield from (f"its URL {why}" for why in _url_faults(package.url, schemes))
    if package.index is not None:
        yield from (f"its index {why}" for why in _url_faults(package.index, _SCHEMES))
    if package.built is None:
        file = _file_of(package.url)
        yield from _unless(_is_archive_of(file, package.name), "the name of its archive")
    else:
        yield from _built_faults(package.built, package.name)


def _built_faults(built: BuiltFrom, name: str) -> Iterator[str]:
    yield from _unless(_is_wheel_of(built.wheel, name), "the name of its wheel")
    yield from _unless(not built.sha256 or _SHA256.fullmatch(built.sha256), "its source's sha256")
    yield from _unless(not built.commit or _COMMIT.fullmatch(built.commit), "its commit")
    below = not built.subdirectory or _is_below(built.subdirectory)
    yield from _unless(below, "its subdirectory")


def _unless(right: object, what: str) -> Iterator[str]:
    if not right:
        yield f"{what} cannot be what a lock has there"


def _url_faults(url: str, schemes: Iterable[str]) -> Iterator[str]:
    try:
        address = urlsplit(url)
        host, login, _ = address.hostname, address.username or address.password, address.port
    except ValueError:  # brackets that are no IPv6 address, or a port that is no number
        yield "is no URL"
        return
    if not _is_line(url) or " " in url or "\\" in url or address.scheme not in schemes:
        yield "is none that packages come from"
    elif address.scheme != "file" and not host:
        yield "names no host"
    elif address.scheme == "file" and (host or not address.path.startswith("/")):
        yield "is no absolute path"
    elif address.scheme not in {"ssh", "git"} and login:
        yield "carries a login"
    elif ".." in unquote(address.path).split("/"):
        yield "leads upwards"


def _file_of(url: str) -> str:
    """Return the name of the file that a URL names; "" where that is none."""
    name = unquote(url.rpartition("/")[2])
    return name if name.isprintable() and "/" not in name else ""


def _is_archive_of(file: str, name: str) -> bool:
    if file.endswith(".whl"):
        return _is_wheel_of(file, name)
    return file.endswith(_ARCHIVES) and " " not in file and not file.startswith((".", "-"))


def _is_wheel_of(file: str, name: str) -> bool:
    try:
        return "/" not in file and normalize(parse_wheel_filename(file)[0]) == name
    except InvalidWheelFilename:
        return False


def _is_version(text: str) -> bool:
    try:
        Version(text)
    except InvalidVersion:
        return False
    return text.isprintable() and " " not in text


def _is_line(text: str) -> bool:
    """Tell whether a text is of one line, without characters that a terminal acts upon."""
    return text.isprintable()


def _is_below(path: str) -> bool:
    """Tell whether a path stays below where it starts."""
    parts = path.split("/")
    return path.isprintable() and "\\" not in path and not {"", ".", ".."} & set(parts)


def _shown(text: str) -> str:
    """Return the start of a text as it may be shown."""
    return text[:80].encode("unicode_escape").decode()
