"""The fields of lock files: what may stand in them, and what is wrong where something else does."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable
from typing import Annotated, Any, TypeVar
from urllib.parse import parse_qs, unquote, urlsplit

import yaml
from packaging.markers import InvalidMarker, Marker
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion
from packaging.version import Version as ParsedVersion
from pydantic import AfterValidator, TypeAdapter, ValidationError

from elt_env.errors import InputError
from elt_env.lockfile.foreign.document import ForeignFile, ForeignPackage, Wanted
from elt_env.package.target import minor_of
from elt_env.runtime.limits import MOST_DEPTH, load_json, load_toml
from elt_env.runtime.texts import first_of
from elt_env.spec.direct import DirectRequirement, parse_direct

_Model = TypeVar("_Model")
_Entry = TypeVar("_Entry")
_Result = TypeVar("_Result")
_NAMED = 10
_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?")
_HASH = re.compile(r"sha256:([0-9a-f]{64})")
_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_NOTHING = ("", "null", "~")  # as a file says it that is read without types
_FILE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+!-]*")


def _name(text: str) -> str:
    if not _NAME.fullmatch(text):
        raise ValueError("it is no name of a distribution")
    return str(canonicalize_name(text))


def _version(text: str) -> str:
    try:
        ParsedVersion(text)
    except InvalidVersion as error:
        raise ValueError("it is no version") from error
    return text


def _specifier(text: str) -> str:
    try:
        SpecifierSet(text)
    except InvalidSpecifier as error:
        raise ValueError("it is no bound on versions") from error
    return text


def _marker(text: str) -> str:
    try:
        marker = Marker(text) if text else None
    except InvalidMarker as error:
        raise ValueError("it is no marker") from error
    if marker is not None:
        marker.evaluate({"extra": ""})  # ValueError where it compares what cannot be compared
    return str(marker or "")


def _hash(text: str) -> str:
    found = _HASH.fullmatch(text)
    if not found:
        raise ValueError("it is no sha256, which a lock needs")
    return found[1]


def _file_name(text: str) -> str:
    if not _FILE.fullmatch(text):
        raise ValueError("it is no name of a file")
    return text


def _digest(length: int) -> AfterValidator:
    pattern = re.compile(f"[0-9a-f]{{{length}}}")

    def check(text: str) -> str:
        if text in _NOTHING:
            return ""
        if not pattern.fullmatch(text):
            raise ValueError(f"it is no digest of {length} hexadecimal digits")
        return text

    return AfterValidator(check)


Name = Annotated[str, AfterValidator(_name)]
"""A distribution's name; normalized when it was read."""

Version = Annotated[str, AfterValidator(_version)]
"""A version (PEP 440)."""

SpecifierText = Annotated[str, AfterValidator(_specifier)]
"""A bound on versions (PEP 440)."""

MarkerText = Annotated[str, AfterValidator(_marker)]
"""A marker (PEP 508), or ""."""

Sha256 = Annotated[str, AfterValidator(_hash)]
"""`sha256:` and the digest; the digest alone when it was read."""

Sha256Digest = Annotated[str, _digest(64)]
"""A sha256 in hexadecimal, or ""."""

Md5Digest = Annotated[str, _digest(32)]
"""An md5 in hexadecimal, or ""."""

FileName = Annotated[str, AfterValidator(_file_name)]
"""The name of a file, which leads nowhere else."""


def file_name_in(url: str) -> str:
    """Return the name of the file that a URL names.

    Raises:
        ValueError: it names none.
    """
    return _file_name(unquote(urlsplit(url).path.rpartition("/")[2]))


def direct_at(url: str, name: str, sha256: str = "", subdirectory: str = "") -> DirectRequirement:
    """Return what a URL names: an archive, or a commit, in pip's form or in uv's.

    That of uv and pixi is `git+URL?rev=…&subdirectory=…#COMMIT`.

    Raises:
        ValueError: it is neither, or the archive has no hash.
    """
    address = urlsplit(url)
    if url.startswith("git+") and _COMMIT.fullmatch(address.fragment):
        subdirectory = parse_qs(address.query).get("subdirectory", [""])[0]
        bare = address._replace(query="", fragment="").geturl()
        url = f"{bare}@{address.fragment}"
    part = f"#subdirectory={subdirectory}" if subdirectory else ""
    return parse_direct(url + part, name=name, sha256=sha256)


def package_at(
    url: str, name: str, version: str, sha256: str, extras: tuple[str, ...] = ()
) -> ForeignPackage:
    """Return the distribution whose one file, or whose repository, is at a URL.

    Raises:
        ValueError: it has no version or no sha256.
    """
    if url.startswith("git+") or "sha256=" in url.partition("#")[2]:
        return ForeignPackage(name, version, extras=extras, direct=direct_at(url, name))
    if not sha256:
        raise ValueError("it has no sha256")
    bare = url.partition("#")[0]
    file = ForeignFile(file_name_in(bare), sha256, bare)
    return ForeignPackage(name, _version(version), (file,), extras=extras)


def load_yaml(text: str, source: str) -> dict[str, Any]:
    """Return what a YAML file holds, every scalar as it is written.

    Raises:
        InputError: it is none, or cut off, or has aliases, which no lock file has.
    """
    try:
        _require_plain(text)
        content = yaml.load(text, yaml.CBaseLoader)  # noqa: S506  # makes texts, lists and mappings
    except (yaml.YAMLError, ValueError) as error:
        what = getattr(error, "problem", None) or str(error).split("\n", maxsplit=1)[0]
        mark = getattr(error, "problem_mark", None)
        place = f", line {mark.line + 1}" if mark else ""
        raise unusable(source, f"it is not valid YAML{place}: {what}") from error
    if not isinstance(content, dict):
        raise unusable(source, "it holds no mapping")
    return content


def _require_plain(text: str) -> None:
    """Return when YAML has no aliases and is not too deep, before anything is made of it."""
    depth = 0
    for event in yaml.parse(text, yaml.CBaseLoader):
        if isinstance(event, yaml.AliasEvent):
            raise ValueError("it has aliases, which no lock file has")  # noqa: TRY004  # for the caller the file is what is wrong
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        if depth > MOST_DEPTH:
            raise ValueError(f"more than {MOST_DEPTH} values are nested in each other")


def load_table(text: str, source: str) -> dict[str, Any]:
    """Return what a TOML file holds.

    Raises:
        InputError: it is none, cut off, or nested too deeply.
    """
    try:
        return load_toml(text)
    except ValueError as error:
        raise unusable(source, f"it is not valid TOML: {error}") from error


def load_object(text: str, source: str) -> dict[str, Any]:
    """Return what a JSON file holds.

    Raises:
        InputError: it is none, or cut off.
    """
    try:
        content = load_json(text)
    except ValueError as error:
        raise unusable(source, f"it is not valid JSON: {error}") from error
    if not isinstance(content, dict):
        raise unusable(source, "it holds no object")
    return content


def require_version(found: object, known: Collection[str], source: str, what: str) -> None:
    """Return when a format has a version that is read here; `what` names the format.

    Raises:
        InputError: it has another.
    """
    if str(found) not in known:
        raise InputError(
            f"{source} is {what} of version {found if found is not None else 'unknown'}; "
            f"{', '.join(sorted(known))} can be read.",
            "Write it anew with a version of its tool that makes one of these, or adopt another "
            "file: elt-env adopt --help",
        )


def validated(adapter: TypeAdapter[_Model], content: object, source: str, what: str) -> _Model:
    """Return content as the model of its format, or say all that is wrong with it.

    Raises:
        InputError: it is no such content.
    """
    try:
        return adapter.validate_python(content)
    except ValidationError as error:
        wrong = [
            f"{'.'.join(map(str, each['loc']))}: {each['msg'].removeprefix('Value error, ')}"
            for each in error.errors(include_url=False, include_input=False)
        ]
        raise unusable(source, *wrong, what=what) from error


def collected(
    entries: Iterable[_Entry],
    read: Callable[[_Entry], _Result],
    name: Callable[[_Entry], str],
    source: str,
    what: str,
) -> tuple[_Result, ...]:
    """Return what is read of each entry, or say of all which cannot be used, and why.

    Args:
        entries: the entries.
        read: raises ValueError for one that cannot be used.
        name: returns what a person calls one.
        source: the file.
        what: its format.

    Raises:
        InputError: some cannot be used.
    """
    found, wrong = [], []
    for each in entries:
        try:
            found.append(read(each))
        except ValueError as error:
            wrong.append(f"{name(each)}: {error}")
    if wrong:
        raise unusable(source, *wrong, what=what)
    return tuple(found)


def require_python(bound: SpecifierSet | None, wanted: Wanted, source: str) -> None:
    """Return when a lock file is for the Python that is wanted.

    Raises:
        InputError: it is for others.
    """
    if bound is not None and not bound.contains(wanted.python, prereleases=True):
        minor = minor_of(wanted.python)
        raise InputError(
            f"{source} is for Python {bound}, and not for {wanted.python}.",
            f"Name a Python that it is for, in place of the {minor} behind the @ of --as.",
        )


def unusable(source: str, *wrong: str, what: str = "") -> InputError:
    """Return the error for a file with faults, all of them in one message."""
    kind = f" as {what}" if what else ""
    between = " " if len(wrong) == 1 else "\n  "
    return InputError(
        f"{source} cannot be used{kind}:{between}{first_of(wrong, _NAMED, between)}",
        "Let its tool write it anew, and adopt that.",
    )
