"""The host's own apt settings: where its distribution's packages come from, and how.

The files are those of sources.list(5) and apt.conf(5).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from elt_env.errors import ToolError
from elt_env.machine.process import run
from elt_env.runtime.input_files import read_stored_text

APT = Path("/etc/apt")

_LIMIT = 20.0
_OPTIONS = ("Acquire::http", "Acquire::https", "Acquire::ftp", "Acquire::Retries")
_LINE = re.compile(r"deb\s+(\[[^\]]*\]\s+)?\S+\s+(?P<suite>\S+)")
_FIELD = re.compile(r"^(?P<name>[A-Za-z-]+):\s*(?P<value>.*(?:\n[ \t].*)*)$", re.MULTILINE)
_NO = frozenset({"no", "false", "without", "off", "disable"})


@dataclass(frozen=True)
class Sources:
    """The sources of one release of a distribution.

    Attributes:
        lines: those in the one-line style.
        stanzas: those in the deb822 style.
        suite: the release's name; "" where no source says it.
    """

    lines: tuple[str, ...]
    stanzas: tuple[str, ...]
    suite: str


def sources_of(codename: str, apt: Path = APT) -> Sources:
    """Return the host's sources of the release with that codename.

    What others offer for it has suites of other names and is left out. Where no source names the
    release (`stable`, `testing`), all of them are taken.

    Raises:
        ToolError: apt has no source here.
    """
    lines = [(_LINE.match(each), each) for each in _lines(apt)]
    stanzas = [(_fields(each), each) for each in _stanzas(apt)]
    suites = {codename, f"{codename}-updates", f"{codename}-security", f"{codename}/updates"}
    mine = Sources(
        tuple(line for found, line in lines if found and found["suite"] in suites),
        tuple(text for fields, text in stanzas if suites & set(fields["suites"].split())),
        codename,
    )
    if codename and (mine.lines or mine.stanzas):
        return mine
    every = Sources(
        tuple(line for found, line in lines if found), tuple(text for _, text in stanzas), ""
    )
    if every.lines or every.stanzas:
        return every
    raise ToolError(
        f"apt has no sources of packages in {apt}.",
        'Give it some, see sources.list(5), or set image-base = "host".',
    )


def _lines(apt: Path) -> Iterator[str]:
    for path in (apt / "sources.list", *sorted((apt / "sources.list.d").glob("*.list"))):
        if path.is_file():
            text = read_stored_text(path, errors="replace")
            yield from (line.partition("#")[0].strip() for line in text.splitlines())


def _stanzas(apt: Path) -> Iterator[str]:
    for path in sorted((apt / "sources.list.d").glob("*.sources")):
        text = read_stored_text(path, errors="replace")
        kept = "\n".join(line for line in text.splitlines() if not line.startswith("#"))
        for stanza in re.split(r"\n\s*\n", kept):
            fields = _fields(stanza)
            is_on = fields.get("enabled", "yes").lower() not in _NO
            if is_on and "deb" in fields.get("types", "").split() and fields.get("suites"):
                yield stanza.strip("\n")


def _fields(stanza: str) -> dict[str, str]:
    return {found["name"].lower(): found["value"].strip() for found in _FIELD.finditer(stanza)}


def connection_settings() -> str:
    """Return how apt reaches its sources here, as apt.conf(5): proxies, certificates, logins.

    Raises:
        ToolError: apt-config is not there.
        TimeLimitError: it does not answer.
    """
    settings = run(["apt-config", "dump", "--format", '%F "%v";%n', *_OPTIONS], limit=_LIMIT).stdout
    logins = f'Dir::Etc::netrc "{APT}/auth.conf";\nDir::Etc::netrcparts "{APT}/auth.conf.d";\n'
    return settings + logins
