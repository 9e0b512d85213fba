"""The lines of an environment.yml's `pip:` list and of requirements files, read as pip reads them.

conda writes the list into a requirements file beside the spec and hands that to pip, so a line
means what it means there (https://pip.pypa.io/en/stable/reference/requirements-file-format/).
pip's own reader is no API, and `pip-requirements-parser` is a copy of one that is years old.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from optparse import Values

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from elt_env.package.names import normalize
from elt_env.runtime.credentials import without_credentials
from elt_env.runtime.limits import MOST_DEPTH, MOST_FAULTS, MOST_FILES, MOST_REQUIREMENTS
from elt_env.spec.direct import (
    DirectRequirement,
    is_url,
    local_project,
    parse_direct,
    refuse_credentials,
    split_url,
)
from elt_env.spec.faults import Fault, FaultsError, WrittenError, refuse_excess, refuse_many
from elt_env.spec.foreign.pyproject import group_requirements, included_requirements
from elt_env.spec.foreign.told import PROJECT_FILE
from elt_env.spec.pip_line import (
    beside,
    is_pinned,
    read_direct,
    read_requirement,
    split_options,
)
from elt_env.spec.pip_options import PipOptions, hashes_of, parse_options, refuse_pointless

Reader = Callable[[str], str]
"""Returns the text of a file, named relative to where the spec's own name is relative to.

It raises OSError where there is none, and ValueError where it is no text."""

Line = tuple[int, str]
"""The number of a line in its file, counted from 1, and its text."""


@dataclass(frozen=True)
class PipLines:
    """What all lines together ask for.

    Attributes:
        requirements: PEP 508, normalized, sorted; those of one name and marker are one.
        constraints: likewise, bounds on what nobody need have asked for.
        directs: what one URL is the source of, sorted by name.
        options: the options of all files.
        files: the files that were read, sorted.
        lines: per normalized name the place where it was first asked for.
        faults: all that is wrong, in the order of the lines.
        warnings: what is left out of files that are read.
    """

    requirements: tuple[str, ...] = ()
    constraints: tuple[str, ...] = ()
    directs: tuple[DirectRequirement, ...] = ()
    options: PipOptions = field(default_factory=PipOptions)
    files: tuple[str, ...] = ()
    lines: tuple[tuple[str, tuple[str, int]], ...] = ()
    faults: tuple[Fault, ...] = ()
    warnings: tuple[Fault, ...] = ()


def read_pip_lines(lines: Iterable[Line], source: str, read: Reader) -> PipLines:
    """Return what the lines of `source` mean, and all faults at once.

    Args:
        lines: the entries of a `pip:` list, or the lines of a file.
        source: the file's name; names of other files in its lines are relative to it.
        read: gives the text of such files.
    """
    reading = _Reading(read)
    entries = [
        (number + place - 1, each) for number, text in lines for place, each in _logical(text)
    ]
    reading.read(entries, source, (source,), constraint=False)
    return reading.result()


def _logical(text: str) -> Iterator[Line]:
    """Yield the lines of a text, continued ones joined, without comments and empty ones."""
    start, parts = 0, list[str]()
    for number, line in enumerate(text.removeprefix("\ufeff").splitlines(), start=1):
        start = start if parts else number
        comment = re.match(r"(^|\s+)#", line)
        parts.append(f" {line}" if comment else line.removesuffix("\\"))
        if line.endswith("\\") and not comment:
            continue
        yield from _without_comment(start, "".join(parts))
        parts.clear()
    yield from _without_comment(start, "".join(parts))


def _without_comment(number: int, line: str) -> Iterator[Line]:
    bare = re.sub(r"(^|\s)#.*$", "", line).strip()
    if bare:
        yield number, bare


_Lines = Callable[[str, str], tuple[Iterable[Line], tuple[Fault, ...]]]


def _own(text: str, path: str) -> tuple[Iterable[Line], tuple[Fault, ...]]:  # noqa: ARG001  # as the others
    return _logical(text), ()


def _project(text: str, path: str) -> tuple[Iterable[Line], tuple[Fault, ...]]:
    found, left_out = included_requirements(text, path)
    return [(line, each) for each, line in found], left_out


def _group(name: str, text: str, path: str) -> tuple[Iterable[Line], tuple[Fault, ...]]:
    return [(line, each) for each, line in group_requirements(text, path, name)], ()


_NO_PROJECT = (
    " What a project with a setup.py alone asks for is known when it is built: write its "
    "requirements into an environment.yml."
)
_HASHES = re.compile(r"--hash[= ]\S+ ?")
# It begins where a word does, or a long word would be tried from each of its characters.
_URL = re.compile(r"(?<![^\s='\"])[^\s='\"]+://[^\s'\"]+")


@dataclass
class _Reading:
    """What was read so far."""

    reader: Reader
    requirements: list[Requirement] = field(default_factory=list)
    constraints: list[Requirement] = field(default_factory=list)
    directs: list[DirectRequirement] = field(default_factory=list)
    index_url: str | None = None
    extra: list[str] = field(default_factory=list)
    find_links: list[str] = field(default_factory=list)
    flags: set[str] = field(default_factory=set)
    only_binary: set[str] = field(default_factory=set)
    no_binary: set[str] = field(default_factory=set)
    hashes: dict[str, set[str]] = field(default_factory=dict)
    files: set[str] = field(default_factory=set)
    lines: dict[str, tuple[str, int]] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    warnings: list[Fault] = field(default_factory=list)
    count: int = 0
    included: int = 0
    asked: dict[tuple[str, str], SpecifierSet] = field(default_factory=dict)
    urls: dict[tuple[str, str], DirectRequirement] = field(default_factory=dict)

    def read(
        self, lines: Iterable[Line], source: str, within: tuple[str, ...], *, constraint: bool
    ) -> None:
        """Read lines of `source`, which the files `within` lead to."""
        for number, text in lines:
            self.count += 1
            if self.count == MOST_REQUIREMENTS + 1:
                problem = f"there are more than {MOST_REQUIREMENTS} lines for pip, files included."
                self.faults.append(Fault(source, number, problem, "Ask for less in one spec."))
            if self.count > MOST_REQUIREMENTS or len(self.faults) > MOST_FAULTS:
                return
            try:
                self._line(text, source, number, within, constraint=constraint)
            except WrittenError as error:
                self.faults.append(error.at(source, number))

    def _line(
        self, text: str, source: str, number: int, within: tuple[str, ...], *, constraint: bool
    ) -> None:
        for url in _URL.findall(text):
            refuse_credentials(url, variables=True)
        asked, rest = split_options(text)
        refuse_excess(asked)
        refuse_excess(_HASHES.sub("", rest))
        options = parse_options(rest)
        if asked:
            found = self._asked(asked, hashes_of(options), source, constraint=constraint)
            self.lines.setdefault(found, (source, number))
            return
        self._settings(options, source)
        for written in options.editable:
            self._editable(written, source, number)
        for name, is_constraint in (
            *((each, constraint) for each in options.requirement),
            *((each, True) for each in options.constraint),
        ):
            lines = _project if beside(source, name).endswith(PROJECT_FILE) else _own
            self._include(name, source, within, lines, constraint=is_constraint)
        for each in options.group:
            path, _, group = each.rpartition(":")
            lines = partial(_group, group)
            self._include(path or PROJECT_FILE, source, within, lines, constraint=constraint)

    def _include(
        self, name: str, source: str, within: tuple[str, ...], lines: _Lines, *, constraint: bool
    ) -> None:
        """Read another file.

        Args:
            name: as it is written in `source`, which the files `within` lead to.
            source: the file that names it.
            within: the files that lead to it.
            lines: returns what is wanted of its text, given that and its path, and what is left
                out of it.
            constraint: whether its requirements are constraints.
        """
        if is_url(name):
            raise WrittenError(
                f"it includes {without_credentials(name)}, which can change under a lock",
                "Save that file beside the spec and name it by its path.",
            )
        path = beside(source, name)
        if path in within:
            chain = " -> ".join((*within[within.index(path) :], path))
            raise WrittenError(f"it includes itself: {chain}", "Remove one of these lines.")
        self.included += 1
        if self.included > MOST_FILES or len(within) > MOST_DEPTH:
            raise WrittenError(
                f"it includes {name}, and more than {MOST_FILES} files are included, or more than "
                f"{MOST_DEPTH} in each other",
                "Write it into fewer files.",
            )
        try:
            text = self.reader(path)
        except OSError as error:
            raise WrittenError(
                f"the file {path} cannot be read: {error.strerror or 'there is none'}",
                f"Create it, or correct the path, which is relative to {source}."
                + (_NO_PROJECT if lines is _project else ""),
            ) from error
        except ValueError as error:
            raise WrittenError(f"the file {path} is not text", "Save it as UTF-8.") from error
        self.files.add(path)
        try:
            wanted, left_out = lines(text, path)
        except FaultsError as error:
            self.faults += error.faults
        else:
            self.warnings += left_out
            self.read(wanted, path, (*within, path), constraint=constraint)

    def _editable(self, written: str, source: str, number: int) -> None:
        """Take an editable repository as what it is; refuse a directory."""
        # pip reads -e git://… as git+git://…
        url = re.sub(r"^(?=(git|hg|svn|bzr):)(\w+):", r"\2+\2:", written)
        if url.startswith("file:") or (not is_url(url) and not re.match(r"\w+\+\w+:", url)):
            path = written.partition("[")[0].removeprefix("file:")
            raise local_project(path, beside(source, path), editable=True)
        direct = parse_direct(url)
        self._add_direct(direct, constraint=False)
        self.lines.setdefault(direct.name, (source, number))

    def _asked(self, text: str, hashes: tuple[str, ...], source: str, *, constraint: bool) -> str:
        """Keep what a requirement asks for and return its name."""
        direct = read_direct(text, hashes, source)
        if direct is not None:
            self._add_direct(direct, constraint=constraint)
            return direct.name
        requirement = read_requirement(text)
        if constraint and requirement.extras:
            raise WrittenError(
                f"'{text}' is a constraint with extras, which asks for nothing",
                f"Write '{requirement.name}{requirement.specifier}'.",
            )
        if not constraint:
            self._refuse_contradiction(requirement)
        (self.constraints if constraint else self.requirements).append(requirement)
        if hashes and not is_pinned(requirement):
            raise WrittenError(
                f"'{text}' has a hash and no exact version, whose file it would be of",
                f"Write '{requirement.name}==VERSION --hash=sha256:…'.",
            )
        if hashes:
            self.hashes.setdefault(requirement.name, set()).update(hashes)
        return requirement.name

    def _refuse_contradiction(self, requirement: Requirement) -> None:
        """Return when some version satisfies all that is asked of a package under one marker."""
        key = requirement.name, str(requirement.marker)
        before = self.asked.get(key)
        asked = SpecifierSet(str(requirement.specifier), prereleases=True)
        asked = asked if before is None else asked & before
        refuse_many(len(asked), requirement.name)
        if before is not None and asked.is_unsatisfiable():
            source, line = self.lines[requirement.name]
            raise WrittenError(
                f"no version of {requirement.name} satisfies '{asked}', as it is asked for on "
                f"line {line} of {source} and here",
                "Keep one of the two, or make them meet.",
            )
        self.asked[key] = asked

    def _add_direct(self, direct: DirectRequirement, *, constraint: bool) -> None:
        if constraint:
            raise WrittenError(
                f"the constraint on {direct.name} is a URL",
                "Write the URL where the package is asked for, and a version here.",
            )
        other = self.urls.setdefault((direct.name, direct.marker), direct)
        if other != direct:
            raise WrittenError(
                f"{direct.name} is named with two URLs, {other.url} and {direct.url}",
                "Keep one of them.",
            )
        self.directs.append(direct)

    def _settings(self, options: Values, source: str) -> None:
        refuse_pointless(options)
        if options.hash:
            raise WrittenError(
                "'--hash' stands without a requirement", "Write it behind one, on its line."
            )
        for flag in ("no_index", "pre", "prefer_binary"):
            if getattr(options, flag):
                self.flags.add(flag)
        for each in (options.index_url, *options.extra_index_url):
            if each is not None:
                _refuse_index(each)
        self.index_url = options.index_url or self.index_url
        self.extra += options.extra_index_url
        self.find_links += [_link(each, source) for each in options.find_links]
        _merge_names(self.only_binary, self.no_binary, options.only_binary)
        _merge_names(self.no_binary, self.only_binary, options.no_binary)

    def result(self) -> PipLines:
        """Return all that was read."""
        return PipLines(
            requirements=joined(self.requirements),
            constraints=joined(self.constraints),
            directs=tuple(sorted(set(self.directs))),
            options=PipOptions(
                index_url=self.index_url,
                extra_index_urls=tuple(dict.fromkeys(self.extra)),
                find_links=tuple(dict.fromkeys(self.find_links)),
                no_index="no_index" in self.flags,
                pre="pre" in self.flags,
                prefer_binary="prefer_binary" in self.flags,
                only_binary=tuple(sorted(self.only_binary)),
                no_binary=tuple(sorted(self.no_binary)),
                hashes=tuple(sorted((k, tuple(sorted(v))) for k, v in self.hashes.items())),
            ),
            files=tuple(sorted(self.files)),
            lines=tuple(sorted(self.lines.items())),
            faults=tuple(self.faults),
            warnings=tuple(dict.fromkeys(self.warnings)),
        )


def joined(requirements: Iterable[Requirement]) -> tuple[str, ...]:
    """Return requirements with those of one name and marker as one, which asks for all of it."""
    joined: dict[tuple[str, str], Requirement] = {}
    for each in requirements:
        key = each.name, str(each.marker or "")
        if key in joined:
            joined[key].specifier &= each.specifier
            joined[key].extras |= each.extras
        else:
            joined[key] = Requirement(str(each))
    return tuple(sorted(str(each) for each in joined.values()))


def _refuse_index(url: str) -> None:
    """Return when an index URL can be used, whatever its variables stand for."""
    refuse_credentials(url, variables=True)
    address = split_url(url)
    if address.scheme not in {"https", "http", "file"} or not (address.netloc or address.path):
        raise WrittenError(
            f"'{without_credentials(url)}' is not the URL of a package index",
            "Write its simple API, as in https://packages.example/simple",
        )


def _link(text: str, source: str) -> str:
    """Return a place of archives: a URL, or a path relative to what `source` is relative to."""
    if not is_url(text):
        return beside(source, text)
    refuse_credentials(text)
    if split_url(text).scheme not in {"https", "http", "file"}:
        raise WrittenError(
            f"'{without_credentials(text)}' is not a place of archives",
            "Name a directory, or the https: URL of a page with links to archives.",
        )
    return text


def _merge_names(into: set[str], other: set[str], values: Iterable[str]) -> None:
    """Put the names of `--only-binary` or `--no-binary` into a set, and out of the other one."""
    for name in (each.strip() for value in values for each in value.split(",")):
        if name == ":none:":
            into.clear()
        elif name == ":all:":
            other.clear()
            into.clear()
            into.add(name)
        elif name:
            other.discard(normalize(name))
            into.add(normalize(name))
