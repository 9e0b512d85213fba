"""Conda's own settings of this user: `.condarc` files and `CONDA_*` variables.

The files, their order and the rules by which they are merged are those of conda's documentation
(https://docs.conda.io/projects/conda/en/stable/user-guide/configuration/use-condarc.html).
`CONDARC=/dev/null` stands for none of the files, as `PIP_CONFIG_FILE=/dev/null` does for pip.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast
from urllib.parse import unquote, urlsplit

import yaml

from elt_env.machine.condarc_merge import MergedSettings, Part, Place
from elt_env.project.policy import ChannelPriority
from elt_env.runtime.credentials import without_credentials
from elt_env.runtime.input_files import read_text
from elt_env.spec.marked_yaml import compose

_NAMES = (".condarc", "condarc")
_SUFFIXES = (".yml", ".yaml")
_SYSTEM = ("/etc/conda", "/var/lib/conda")
_FLAG = re.compile(r"\s*#[#!]*(?P<flag>final|top|bottom)[#!]*\s*")
_TOKEN = re.compile(r"/t/(?P<token>[a-zA-Z0-9-]+)(?=/|$)")
_NULL = ("", "~", "null", "Null", "NULL")
_TRUE = ("true", "yes", "on", "y")
_FALSE = ("false", "no", "off", "n", "non", "none", "")
_ALIASES = {"channel": "channels", "verify_ssl": "ssl_verify"}


@dataclass(frozen=True)
class CondaSettings:
    """What a user's settings say to conda; what nobody set is None or empty.

    Attributes:
        channels: the channels by name or URL, the first has priority.
        channel_alias: base URL that channel names are relative to.
        default_channels: the channels that `defaults` stands for.
        custom_channels: base URL of single channels by name.
        custom_multichannels: channels that one name stands for, by that name.
        channel_priority: how the order of the channels counts.
        ssl_verify: whether certificates are checked, or the path of a bundle or directory of
            certificates, or `truststore` for those of the system.
        proxy_servers: URL of a proxy by scheme, or by scheme and host.
        local: URLs of what conda-build made on this machine, for the channel `local`.
        sources: the files and variables that a setting comes from, by its name.
        ignored: the files that cannot be read, each with the reason.

    URLs may carry credentials: they must not be shown or stored as they are.
    """

    channels: tuple[str, ...] = ()
    channel_alias: str | None = None
    default_channels: tuple[str, ...] = ()
    custom_channels: Mapping[str, str] = field(default_factory=dict)
    custom_multichannels: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    channel_priority: ChannelPriority | None = None
    ssl_verify: bool | str | None = None
    proxy_servers: Mapping[str, str] = field(default_factory=dict)
    local: tuple[str, ...] = ()
    sources: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    ignored: tuple[str, ...] = ()

    @property
    def logins(self) -> dict[str, dict[str, object]]:
        """The credentials in the URLs of channels by host, as a file of RATTLER_AUTH_FILE has them.

        Of a token that is not at the start of the path no other tool can make use.
        """
        listed = [self.channel_alias or "", *self.channels, *self.default_channels]
        listed += self.custom_channels.values()
        listed += [each for channels in self.custom_multichannels.values() for each in channels]
        found: dict[str, dict[str, object]] = {}
        for url in listed:
            host, login = _login(url)
            if login:
                found.setdefault(host, login)
        return found

    def __repr__(self) -> str:
        return f"CondaSettings(sources={dict(self.sources)!r})"


def read_conda_settings(environ: Mapping[str, str] | None = None) -> CondaSettings:
    """Return conda's settings of this user on this machine.

    Raises:
        PolicyError: a setting has no usable value.
    """
    variables = os.environ if environ is None else environ
    ignored: list[str] = []
    places = [
        *(_read(path, ignored) for path in _files(variables)),
        *_variables(variables),
    ]
    found = MergedSettings(places, variables)
    return CondaSettings(
        channels=found.sequence("channels"),
        channel_alias=_address(found.scalar("channel_alias"), found),
        default_channels=found.sequence("default_channels"),
        custom_channels=found.mapping("custom_channels"),
        custom_multichannels=found.sequences("custom_multichannels"),
        channel_priority=_priority(found.scalar("channel_priority"), found),
        ssl_verify=_verify(found.scalar("ssl_verify")),
        proxy_servers=found.mapping("proxy_servers"),
        local=tuple(_built_here(found, variables)),
        sources=found.sources,
        ignored=tuple(ignored),
    )


def _files(environ: Mapping[str, str]) -> Iterator[Path]:
    """Yield the files in conda's order; what comes later wins."""
    named = environ.get("CONDARC")
    if named == os.devnull:
        return
    seen: set[Path] = set()
    for place in _search_path(environ, named):
        for path in _expanded(place):
            if path not in seen:
                seen.add(path)
                yield path


def _search_path(environ: Mapping[str, str], named: str | None) -> Iterator[Path]:
    home = Path(environ.get("HOME") or Path.home())
    roots = [Path(each) for each in _SYSTEM]
    roots += _present(_installed(environ), environ.get("XDG_CONFIG_HOME"), below="conda")
    roots += [home / ".config" / "conda", home / ".conda"]
    for root in roots:
        yield from _in_directory(root)
    yield home / ".condarc"
    if environ.get("CONDA_PREFIX"):
        yield from _in_directory(Path(environ["CONDA_PREFIX"]))
    if named:
        yield Path(named.replace("~", str(home), 1) if named.startswith("~/") else named)


def _present(root: Path | None, config: str | None, *, below: str) -> list[Path]:
    return ([root] if root else []) + ([Path(config) / below] if config else [])


def _in_directory(root: Path) -> tuple[Path, Path, Path]:
    return root / ".condarc", root / "condarc", root / "condarc.d"


def _installed(environ: Mapping[str, str]) -> Path | None:
    """Return the directory conda is installed in: where its command says so, or is found."""
    if environ.get("CONDA_ROOT"):
        return Path(environ["CONDA_ROOT"])
    command = environ.get("CONDA_EXE") or shutil.which("conda", path=environ.get("PATH", ""))
    return Path(command).parent.parent if command else None


def _expanded(place: Path) -> Iterator[Path]:
    try:
        if place.is_dir():
            yield from sorted(
                each for each in place.iterdir() if each.suffix in _SUFFIXES and each.is_file()
            )
        elif (place.name in _NAMES or place.suffix in _SUFFIXES) and place.is_file():
            yield place
    except OSError:  # a directory of somebody else's
        return


def _read(path: Path, ignored: list[str]) -> Place:
    """Return what a file says; like conda, leave one aside that is not YAML."""
    try:
        text = read_text(path)
        node = compose(text)
    except (OSError, ValueError, yaml.YAMLError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f"line {mark.line + 1}: " if mark else ""
        what = getattr(error, "problem", None) or type(error).__name__
        ignored.append(f"{path}: {where}{what}")
        return Place(str(path), {})
    if not isinstance(node, yaml.MappingNode):
        return Place(str(path), {})
    return Place(str(path), _canonical(_parts(node, text.splitlines())))


def _canonical(content: Mapping[str, Part]) -> dict[str, Part]:
    """Return the keys by their one name."""
    other = {_ALIASES[key]: part for key, part in content.items() if key in _ALIASES}
    return other | dict(content)


def _part(node: yaml.Node, lines: Sequence[str], flag: str) -> Part:
    if isinstance(node, yaml.SequenceNode):
        return Part([_part(each, lines, _mark(each, lines)) for each in node.value], flag)
    if isinstance(node, yaml.MappingNode):
        return Part(_parts(node, lines), flag)
    is_null = getattr(node, "style", None) is None and node.value in _NULL
    return Part(None if is_null else str(node.value), flag)


def _parts(node: yaml.MappingNode, lines: Sequence[str]) -> dict[str, Part]:
    return {
        str(key.value): _part(value, lines, _key_mark(key, value, lines))
        for key, value in node.value
    }


def _mark(node: yaml.Node, lines: Sequence[str]) -> str:
    """Return the mark behind a node: `final`, `top`, `bottom` or ""."""
    end = node.end_mark
    rest = lines[end.line][end.column :] if end.line < len(lines) else ""
    found = _FLAG.fullmatch(rest)
    return found["flag"] if found else ""


def _key_mark(key: yaml.Node, value: yaml.Node, lines: Sequence[str]) -> str:
    """Return the mark of a key: behind its value, or behind the colon where the value is below."""
    if not isinstance(value, yaml.CollectionNode) or value.flow_style:
        return _mark(value, lines)
    rest = lines[key.end_mark.line][key.end_mark.column :].lstrip().removeprefix(":")
    found = _FLAG.fullmatch(rest)
    return found["flag"] if found else ""


def _variables(environ: Mapping[str, str]) -> Iterator[Place]:
    """Yield what `CONDA_*` variables say; lists have commas, and mappings cannot be written."""
    for key in ("channel", "channels", "default_channels"):
        name = f"CONDA_{key.upper()}"
        if name in environ:
            items = [each.strip() for each in environ[name].split(",")]
            parts = [Part(each) for each in items if each]
            yield Place(name, _canonical({key: Part(parts)}))
    for key in ("channel_alias", "channel_priority", "verify_ssl", "ssl_verify"):
        name = f"CONDA_{key.upper()}"
        if name in environ:
            value = environ[name].split("!important")[0].strip()
            yield Place(name, _canonical({key: Part(value)}))


def _login(url: str) -> tuple[str, dict[str, object]]:
    try:
        address = urlsplit(url)
    except ValueError:
        return "", {}
    host = address.hostname or ""
    token = _TOKEN.match(address.path)
    if address.username:
        pair = {"username": address.username, "password": address.password or ""}
        return host, {"BasicHTTP": {key: unquote(each) for key, each in pair.items()}}
    return host, {"CondaToken": token["token"]} if token and host else {}


def _built_here(found: MergedSettings, environ: Mapping[str, str]) -> Iterator[str]:
    """Yield the directories of conda-build that are there, as conda looks for them."""
    if environ.get("CONDARC") == os.devnull:
        return
    home = Path(environ.get("HOME") or Path.home())
    named = [found.scalar(key) for key in ("croot", "bld_path")]
    places = [Path(each.replace("~", str(home), 1)) for each in named if each]
    installed = _installed(environ)
    places += [each / "conda-bld" for each in (installed, home) if each]
    for each in dict.fromkeys(places):
        if each.is_dir():
            yield each.absolute().as_uri()


def _address(value: str | None, found: MergedSettings) -> str | None:
    if value and "://" not in value:
        raise found.refuse("channel_alias", f"is no URL: '{without_credentials(value)}'")
    return value.rstrip("/") if value else None


def _priority(value: str | None, found: MergedSettings) -> ChannelPriority | None:
    """Return the priority; conda once took `true` for flexible and `false` for disabled."""
    if value is None:
        return None
    word = value.lower()
    if word in _TRUE or word in _FALSE:
        return "flexible" if word in _TRUE else "disabled"
    if word not in ("strict", "flexible", "disabled"):
        raise found.refuse("channel_priority", f"is '{value}', not strict, flexible or disabled")
    return cast("ChannelPriority", word)


def _verify(value: str | None) -> bool | str | None:
    if value is None:
        return None
    word = value.lower()
    if word in _TRUE or word in _FALSE:
        return word in _TRUE
    return bool(int(word)) if word.isdecimal() else value
