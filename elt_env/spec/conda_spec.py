"""One conda requirement of a spec, as in `pandas >=2,<3`."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field

from elt_env.spec.faults import WrittenError, refuse_excess, refuse_many

_NAME = re.compile(
    r"(?P<name>[a-z0-9_][a-z0-9_.-]*)(?P<rest>[\s=<>!~].*)?", re.ASCII | re.IGNORECASE
)
_BRACKETS = re.compile(r"(?P<plain>[^\[\]]+)\[(?P<inside>[^\[]*)\]")
_EXTRAS = re.compile(r"[a-z0-9][a-z0-9._-]*(\s*,\s*[a-z0-9][a-z0-9._-]*)*", re.IGNORECASE)
_FIELD = re.compile(
    r"\s*(?P<key>\w+)\s*=\s*(?P<quote>[\"']?)(?P<value>[^\"']*?)(?P=quote)\s*(?:,|$)", re.ASCII
)
_ARCHIVE = re.compile(
    r"(?P<channel>[a-z]+://\S+)/(?P<subdir>[^/\s]+)/(?P<name>[^/\s]+)-(?P<version>[^-/\s]+)-"
    r"(?P<build>[^-/\s]+)(?:\.conda|\.tar\.bz2)(?:#(?P<md5>[0-9a-f]{32}))?"
)
_SPACE_AROUND_OPERATOR = re.compile(r"\s*([<>=!~]=|[<>=,|])\s*")
_WITH_BUILD = re.compile(r"(?P<version>(?:.*[^<>=!~,|])?)=(?P<build>[^=<>!~,|]+)")
_CLAUSE = re.compile(
    r"(?P<operator>[<>=!~]=|[<>=])?"
    r"(?:(?P<version>(?:[0-9]+!)?[0-9a-z]+(?:[._-][0-9a-z]+)*_?(?:\+[0-9a-z]+(?:[._][0-9a-z]+)*)?)"
    r"(?P<series>\.?\*)?|\*)",
    re.ASCII | re.IGNORECASE,
)
_BUILD = re.compile(r"[\w.+*-]+|\^[\w.+*?|()\\-]+\$", re.ASCII)
_PLAIN_BUILD = re.compile(r"[\w*]+", re.ASCII)
_REFUSED_BY_RUST = re.compile(r"\(\?|\\[1-9]")
_FIELDS = {
    "build_number": re.compile(r"(?:[<>=!]=|[<>=])?[0-9]+"),
    "md5": re.compile(r"[0-9a-f]{32}"),
    "sha256": re.compile(r"[0-9a-f]{64}"),
    "subdir": re.compile(r"[a-z0-9-]+"),
}
_OWN_FIELDS = ("version", "build", "channel")
_SUBDIR = re.compile(
    r"noarch|(?:linux|osx|win|zos|freebsd|emscripten|wasi)-(?:32|64|aarch64|arm64|armv[67]l|ppc64|"
    r"ppc64le|riscv32|riscv64|s390x|wasm32|z)"
)
# To conda, <1.2* is a bound on the text `1.2*`, which it sorts before 1.2.
_ODD_BEFORE_STAR = ("<", "<=", ">", "!=")
_FORMS = "Write it as in: name, name=1.2, name=1.2=build, 'name>=1,<2', 'name[build=mkl*]'"


def _error(problem: str, remedy: str = _FORMS) -> WrittenError:
    return WrittenError(problem, remedy)


@dataclass(frozen=True, order=True)
class CondaSpec:
    """A conda requirement, in the one form that every conda solver reads alike.

    Attributes:
        name: the package's name, lower case.
        version: the version part without white space, each bound with its operator or with `.*`
            at its end, or "" for any.
        build: the build string, a glob, or a regular expression `^…$`, or "".
        channel: the channel the package must come from, or "".
        subdir: the platform's directory in the channel, or "".
        fields: what else it must be: sorted pairs of build_number, md5, sha256 and their values.
        lines: as a person wrote it, where it is known; several that are one requirement together.
    """

    name: str
    version: str = ""
    build: str = ""
    channel: str = ""
    subdir: str = ""
    fields: tuple[tuple[str, str], ...] = ()
    lines: tuple[str, ...] = field(default=(), compare=False, repr=False)

    def __str__(self) -> str:
        fields = dict(self.fields)
        start = self.name
        if self.channel:
            place = f"{self.channel}/{self.subdir}" if self.subdir else self.channel
            start = f"{place}::{self.name}"
        elif self.subdir:
            fields["subdir"] = self.subdir
        version, build = self.version, self.build
        if build and not _PLAIN_BUILD.fullmatch(build):
            fields["build"] = build
        elif build:
            version = f"{version or '*'} {build}"
        inside = ",".join(f'{key}="{value}"' for key, value in sorted(fields.items()))
        return f"{start} {version}".rstrip() + (f"[{inside}]" if inside else "")


def parse_conda_spec(text: str) -> CondaSpec:
    """Return the requirement that `text` writes in one of conda's forms, with conda's meaning.

    These are `name`, `name=1.2` and `name =1.2.*` (a series), `name==1.2` and `name 1.2` (that
    version), `name=1.2=build` and `name 1.2 build` (that version and build), `name>=1,<2|>3`,
    `name[version='>=1',build=mkl*]`, with `channel::`, `channel/subdir::` or a channel's URL before
    any of them, and the URL of an archive in a channel (CEP 29; conda's `MatchSpec`).

    Raises:
        WrittenError: `text` is none of these; the message says what is wrong with it.
    """
    refuse_excess(text)
    try:
        spec = _parse(text)
    except WrittenError as error:
        better = _suggestion(text) if error.remedy == _FORMS else None
        if better is None:
            raise
        raise _error(error.problem, f"Write '{better}'.") from None
    refuse_many(len(re.findall(r"[,|]", spec.version)), spec.name)
    return spec


def _parse(text: str) -> CondaSpec:
    text = text.strip()
    archive = _ARCHIVE.fullmatch(text)
    if archive is not None:
        return _of_archive(archive)
    plain, fields = _split_brackets(text.partition("#")[0].strip())
    channel, colons, plain = plain.rpartition("::")
    if (colons and not channel) or re.search(r"\s", channel):
        raise _error("no channel stands before its '::'")
    found = _NAME.fullmatch(plain)
    if found is None:
        raise _nameless(plain)
    version, build = _split_build(found["rest"] or "")
    channel, subdir = _split_subdir(fields.pop("channel", channel))
    build = fields.pop("build", build)
    in_brackets = "version" in fields
    version = _version(fields.pop("version", version), build, in_brackets=in_brackets)
    subdir = fields.pop("subdir", subdir)
    return CondaSpec(
        name=found["name"].lower(),
        version=version,
        build=_checked_build(build),
        channel=channel,
        subdir=subdir,
        fields=tuple(sorted(fields.items())),
    )


def _of_archive(found: re.Match[str]) -> CondaSpec:
    return CondaSpec(
        name=found["name"].lower(),
        version=_version(f"=={found['version']}", found["build"]),
        build=_checked_build(found["build"]),
        channel=found["channel"],
        subdir=found["subdir"],
        fields=(("md5", found["md5"]),) if found["md5"] else (),
    )


def _nameless(plain: str) -> WrittenError:
    word = re.split(r"[\s=<>!~]", plain, maxsplit=1)[0]
    if "*" in word:
        return _error("a package is asked for by its full name, not by a pattern")
    if ":" in word:
        return _error(
            f"'{word}' is neither a name nor a channel with '::'",
            "Write 'channel::name', or the URL of the channel and '::name'.",
        )
    return _error("it does not start with a package name")


def _split_brackets(text: str) -> tuple[str, dict[str, str]]:
    """Return what stands before `[…]`, and the keys and values in it."""
    if "[" not in text and "]" not in text:
        return text, {}
    found = _BRACKETS.fullmatch(text)
    if found is None:
        raise _error("its brackets are not closed, or something stands behind them")
    fields: dict[str, str] = {}
    inside, end = found["inside"].strip(), 0
    while end < len(inside):
        field = _FIELD.match(inside, end)
        if field is None and _EXTRAS.fullmatch(inside):
            name = found["plain"].strip()
            raise _error(
                f"'[{inside}]' are extras, which conda's packages do not have",
                f"Write '{name}', or ask pip for '{name}[{inside}]' below 'pip:'.",
            )
        if field is None or not field["value"].strip():
            raise _error(f"'[{inside}]' is not a list of key=value")
        key, value, end = field["key"], field["value"].strip(), field.end()
        _check_field(key, value)
        fields[key] = value
    return found["plain"].strip(), fields


def _check_field(key: str, value: str) -> None:
    if key in _OWN_FIELDS:
        return
    known = ", ".join((*_OWN_FIELDS, *_FIELDS))
    if key not in _FIELDS:
        raise _error(f"'{key}' in its brackets is not supported", f"Use {known}, or leave it out.")
    if not _FIELDS[key].fullmatch(value):
        raise _error(f"'{value}' is not a {key}")


def _split_subdir(channel: str) -> tuple[str, str]:
    start, _, last = channel.rstrip("/").rpartition("/")
    return (start, last) if start and _SUBDIR.fullmatch(last) else (channel, "")


def _split_build(text: str) -> tuple[str, str]:
    """Return the version and the build that follow a name; beside a build `=1.2` is `==1.2`."""
    version, *builds = _SPACE_AROUND_OPERATOR.sub(r"\1", text.strip()).split() or [""]
    joined = _WITH_BUILD.fullmatch(version)
    if joined is not None and joined["version"]:
        version, builds = joined["version"], [joined["build"], *builds]
    if len(builds) > 1:
        raise _error(
            f"'{' '.join(builds)}' is not a build string; put commas between version bounds"
        )
    if builds and re.fullmatch(r"=[^=<>!~,|*][^=<>~,|*]*", version):
        version = version.removeprefix("=")
    return version, "".join(builds)


def _checked_build(build: str) -> str:
    if build in ("", "*"):
        return ""
    regular = build.startswith("^")
    if not _BUILD.fullmatch(build) or (regular and _REFUSED_BY_RUST.search(build)):
        raise _error(f"'{build}' is not a build string; put commas between version bounds")
    if regular:
        try:
            re.compile(build)
        except re.error as error:
            raise _error(f"'{build}' is not a regular expression: {error}") from error
    return build


def _version(text: str, build: str, *, in_brackets: bool = False) -> str:
    """Return a version part in the one form; see CondaSpec."""
    text = re.sub(r"\s", "", text)
    if not text:
        return ""
    alone = not (build or in_brackets or re.search(r"[,|]", text))
    if re.search(r"==[^,|]*\*", text) and not alone:
        raise _error(
            f"'{text}' has '==' and '*', which is a series to some tools and one version to others",
            "Write '1.2.*' for all of 1.2, or '==1.2' for that version.",
        )
    alternatives = [
        [clause for each in part.split(",") if (clause := _clause(each, build))]
        for part in text.split("|")
    ]
    return "|".join(map(",".join, alternatives)) if all(alternatives) else ""


def _clause(text: str, build: str) -> str:
    """Return one bound in the one form, or "" for `*`."""
    found = _CLAUSE.fullmatch(text)
    operator = (found["operator"] or "") if found else ""
    if found is None:
        raise _no_clause(text)
    version, series = found["version"], bool(found["series"])
    if version is None:
        if operator not in ("", "=", "=="):
            raise _no_clause(text)
        return ""
    if operator in ("", "=", "==") and series:
        return f"{version}.*"
    if operator == "=":
        return f"{version}.*" if build else f"={version}"
    if operator == "~=" and (series or "." not in version):
        raise _no_clause(text)
    if operator in _ODD_BEFORE_STAR and found["series"] == "*":
        raise _error(
            f"'{text}' means different things to different tools",
            f"Write '!={version}.*'." if operator == "!=" else f"Write '{operator}{version}'.",
        )
    if operator == "!=" and series:
        return f"!={version}.*"
    return f"{operator or '=='}{version}"


def _no_clause(text: str) -> WrittenError:
    if "*" in text.rstrip("*") or text[:1] == "^":
        return _error(
            f"'{text}' is a pattern, and the solver reads '*' only at the end of a version",
            "Write bounds, as in 'name >=1.2,<1.5' or 'name 1.2.*|1.4.*'.",
        )
    return _error(f"'{text}' is not a version bound")


_REPAIRS: tuple[Callable[[str], str], ...] = (
    lambda text: re.sub(r"=\s*([<>])", r"\1=", text),
    lambda text: re.sub(r"([<>])\s*[<>]+", r"\1", text),
    lambda text: re.sub(r"=\s*([~!])", r"\1=", text),
    lambda text: re.sub(r"={3,}", "==", text),
    lambda text: text.rstrip("<>=!~,| "),
    lambda text: re.sub(r",\s*,+", ",", text).rstrip(", "),
    lambda text: re.sub(r"(?<=[\w*])\s+(?=[<>=!~])", ",", text).replace(",", " ", "[" not in text),
    lambda text: re.sub(r"~=?\s*([\w.!]+)\.\*", r"~=\1", text),
    lambda text: re.sub(r"~(?!=)\s*(?=\w)", "~=", text),
    lambda text: re.sub(r"~=\s*(\d+)(?![\w.])", r"~=\1.0", text),
    lambda text: re.sub(r"!(?!=)\s*(?=\w)", "!=", text),
    lambda text: text + "']",
    lambda text: text + "]",
    lambda text: text if re.search(r"[|^]", text) else re.sub(r"[()\"']", "", text),
    lambda text: text.partition(";")[0],
    lambda text: re.sub(r"([\w.])\.(?=\s|$|=)", r"\1", text),
)


def _suggestion(text: str) -> str | None:
    """Return a requirement that was probably meant, or None."""
    for repair in _REPAIRS:
        better = repair(text).strip()
        if better == text.strip():
            continue
        try:
            _parse(better)
        except WrittenError:
            continue
        return better
    return None
