"""Diagnose a text that should be a requirement, and propose what to write in its place.

`packaging` tells a column and what its grammar expected there. A person wants to know what to
write, so each suggestion here is a text that `packaging` takes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from packaging.markers import InvalidMarker, Marker
from packaging.requirements import InvalidRequirement, Requirement

_NAME = r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?"
_HEAD = rf"(?P<name>{_NAME}(?:\s*\[[^\]]*\])?)"
_VARIABLES = (
    "python_version, python_full_version, sys_platform, platform_machine, platform_system, "
    "implementation_name"
)
_FORMS = (
    "Write NAME, NAME==1.2, NAME>=1,<2, NAME[extra]==1.2, "
    "NAME>=1; python_version < '3.12', or NAME @ https://…#sha256=…"
)


def explain(text: str) -> tuple[str, str]:
    """Return what is wrong with `text` as a requirement (PEP 508), and what to write instead."""
    if "${" in text:
        return (
            f"'{text}' holds a variable, so that a lock would differ between machines",
            "Write its value; variables are read in the URLs of indexes alone.",
        )
    bare, semicolon, marker = (part.strip() for part in text.partition(";"))
    for finding in (_explain_bare(bare), _explain_marker(bare, marker) if semicolon else None):
        if finding is not None:
            return finding
    return f"'{text}' is not a requirement as pip reads it", _FORMS


def _valid(text: str) -> bool:
    try:
        return Requirement(text).url is None
    except InvalidRequirement:
        return False


def _explain_bare(bare: str) -> tuple[str, str] | None:
    if _valid(bare):
        return None
    for look in _LOOKS:
        for problem, *candidates in look(bare):
            good = [each for each in candidates if _valid(each)]
            if good:
                return problem, "Write " + ", or ".join(f"'{each}'" for each in good) + "."
    return f"'{bare}' is not a requirement as pip reads it", _FORMS


def _conda_forms(bare: str) -> Iterator[tuple[str, ...]]:
    """Yield what conda would read: one `=`, a build, a space before the version, a channel."""
    found = re.fullmatch(rf"{_HEAD}\s*=\s*(?P<version>[^=\s]+)(?:\s*=\s*\S*)?", bare)
    if found is not None:
        name, version = found["name"], found["version"]
        fuzzy = () if version.endswith("*") else (f"{name}=={version}.*",)
        problem = f"'{bare}' has one '=', which is conda's way of writing; pip wants two"
        yield problem, f"{name}=={version}", *fuzzy
    found = re.fullmatch(rf"{_HEAD}==(?P<version>[^=\s]+)=[^=\s]+", bare)
    if found is not None:
        problem = f"'{bare}' names a build, which conda's packages have and pip's have not"
        yield problem, f"{found['name']}=={found['version']}"
    found = re.fullmatch(rf"{_HEAD}\s+(?P<version>[0-9][^\s=<>!~]*)(?:\s+\S+)?", bare)
    if found is not None:
        yield f"'{bare}' has no '==' before the version", f"{found['name']}=={found['version']}"
    _, colons, rest = bare.rpartition("::")
    if colons:
        problem = f"'{bare}' names a channel, which pip has none of"
        yield problem, rest, rest.replace("=", "==", 1)


def _signs(bare: str) -> Iterator[tuple[str, ...]]:
    """Yield signs that are doubled, turned round, left over, or those of other tools."""
    problem = f"the version of '{bare}' is not written as pip reads it"
    turned = re.sub(r"=\s*([<>])", r"\1=", bare)
    yield problem, turned
    yield problem, re.sub(r"([<>])\s*[<>]+", r"\1", bare)
    yield problem, re.sub(r"={3,}", "==", bare), re.sub(r"=\s+=", "==", bare)
    yield problem, re.sub(r"([<>]=?|!)\s*=*\s*([0-9.]+?)\.?\*", _whole, bare)
    yield problem, bare.strip("\"',; "), bare.rstrip("<>=!~, ")
    yield (
        problem,
        re.sub(r",\s*,+", ",", bare).rstrip(", "),
        re.sub(r"[<>=!~]+\s*(?=,|$)", "", bare),
    )
    yield problem, re.sub(r"(?<=[0-9*])\s+(?=[<>=!~])", ",", bare), bare.replace("&", ",")
    caret = re.fullmatch(rf"{_HEAD}\s*\^\s*(?P<major>\d+)(?P<rest>[0-9.]*)", bare)
    if caret is not None:
        major = int(caret["major"])
        yield (
            f"'{bare}' has '^', which is Poetry's sign",
            f"{caret['name']}>={major}{caret['rest']},<{major + 1}",
        )
    yield problem, re.sub(r"~=\s*(\d+)$", r"~=\1.0", bare), re.sub(r"~\s*(?=\d)", "~=", bare)
    latest = re.fullmatch(rf"{_HEAD}\s*(?:[<>=!~]=?|===|@)\s*v?(?P<version>[\w.*-]+)", bare)
    if latest is not None:
        name, version = latest["name"], latest["version"]
        candidates = (f"{name}=={version}",) if version[0].isdigit() else (name,)
        wrong = "is not a version (PEP 440)" if "@" not in bare else "is not a URL"
        yield (f"'{version}' in '{bare}' {wrong}", *candidates)


def _whole(found: re.Match[str]) -> str:
    return f"{'!=' if found[1] == '!' else found[1]}{found[2]}{'.*' if found[1] == '!' else ''}"


def _frames(bare: str) -> Iterator[tuple[str, ...]]:
    """Yield brackets that are not closed, quotes, keys, and words before the requirement."""
    if bare.count("[") != bare.count("]"):
        opened = re.fullmatch(
            rf"(?P<name>{_NAME})\s*\[(?P<extras>[^\]<>=!~]*?)\s*(?P<rest>[<>=!~].*)?", bare
        )
        closed = bare.replace("]", "")
        problem = f"a bracket of '{bare}' is not closed"
        if opened is not None:
            extras = opened["extras"].rstrip(", ")
            yield problem, f"{opened['name']}[{extras}]{opened['rest'] or ''}"
        yield (
            f"a bracket of '{bare}' was never opened",
            closed,
            re.sub(r"\s+(\S+)\]", r"[\1]", bare),
        )
    if bare.count("(") != bare.count(")"):
        yield f"a bracket of '{bare}' is not closed", f"{bare})", re.sub(r"[()]", "", bare)
    if "#" in bare:
        yield f"no space stands before the '#' of '{bare}'", bare.partition("#")[0].strip()
    yield f"'{bare}' has quotes of its own", re.sub(r"[\"'`]", "", bare)
    keyed = re.fullmatch(rf"(?P<key>{_NAME})\s*:\s*(?P<value>.*)", bare)
    if keyed is not None:
        key, value = keyed["key"], keyed["value"].strip("\"' ")
        yield (
            f"'{bare}' is a key with a value, and a line of the list is a requirement",
            *((value,) if key in ("package", "name", "pip") else (f"{key}=={value}",)),
        )
    words = re.fullmatch(
        r"(?:python\S* -m )?(?:pip3?|uv pip|uv|conda|import) (?:install |add )?(?P<rest>.+)", bare
    )
    if words is not None:
        yield f"'{bare}' is a command, and a line of the list is a requirement", words["rest"]


def _several(bare: str) -> Iterator[tuple[str, ...]]:
    """Yield the first of several requirements on one line."""
    several = re.split(r"[\s,]+", bare)
    if len(several) > 1 and all(_valid(each) for each in several):
        yield (
            f"'{bare}' names several packages on one line; each has a line of its own",
            *several[:1],
        )


_LOOKS: tuple[Callable[[str], Iterator[tuple[str, ...]]], ...] = (
    _frames,
    _conda_forms,
    _signs,
    _several,
)


def _explain_marker(bare: str, marker: str) -> tuple[str, str] | None:
    if not marker:
        return "nothing stands behind its ';'", f"Write '{bare}'."
    try:
        Marker(marker)
    except InvalidMarker:
        pass
    else:
        return None
    problem = f"'{marker}' is not a marker (PEP 508)"
    fixed = re.sub(r"([<>=!~]=?|\bin\b)\s*(?![\"'])v?([0-9][\w.*]*)(?![\"'])", r"\1 '\2'", marker)
    every = fixed
    for change in _MARKER_CHANGES:
        every = change(every)
    for candidate in (fixed, *(change(fixed) for change in _MARKER_CHANGES), every):
        try:
            good = str(Marker(candidate)).replace('"', "'")
        except InvalidMarker:
            continue
        if candidate == fixed:
            problem += ": the value is a text, in quotes"
        return problem, f'Write "{bare}; {good}".'
    return (
        problem,
        f"Write it as in \"{bare}; python_version < '3.12'\"; the names are {_VARIABLES}.",
    )


_MARKER_CHANGES: tuple[Callable[[str], str], ...] = (
    lambda text: re.sub(r"(?<![<>=!~])=(?!=)", "==", text),
    lambda text: re.sub(r"\bpython\b", "python_version", text),
    lambda text: re.sub(r"\s*\|\|?\s*", " or ", re.sub(r"\s*&&?\s*", " and ", text)),
    lambda text: re.sub(r"^if\s+", "", text),
    lambda text: re.sub(r"\b(platform|os)\b(?!_)", "sys_platform", text),
    lambda text: re.sub(r"([<>=!~]=?)\s*([A-Za-z]\w*)\s*$", r"\1 '\2'", text),
)
