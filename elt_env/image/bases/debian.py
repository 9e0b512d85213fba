"""A minimal root of this machine's own release of Debian, or of what comes from Debian."""

from __future__ import annotations

import contextlib
import platform
import re
import shutil
import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from elt_env.errors import NetworkError, ToolError
from elt_env.image.bases.base import Base, BuiltBase, Request
from elt_env.image.bases.debian_root import trim
from elt_env.image.oci.layer import MTIME, write_tar
from elt_env.machine.process import Say, clean_environment, end_of, run
from elt_env.machine.scratch import scratch_directory
from elt_env.runtime.input_files import open_file, read_stored_text

PROGRAM = "mmdebstrap"
VARIANT = "minbase"
INCLUDED = ("ca-certificates",)

_GRACE = 30.0  # seconds in which it removes what it made
_ELSE = 'or set image-base = "host" to build on this machine\'s own C library.'
_UNREACHABLE = re.compile(
    r"Could not resolve|Temporary failure|Could not connect|Unable to connect|Connection (failed|"
    r"refused|timed out)|Failed to fetch|Network is unreachable",
    re.IGNORECASE,
)
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


def is_installed() -> bool:
    """Whether the program that makes such a root is there."""
    return shutil.which(PROGRAM, path=clean_environment()["PATH"]) is not None


def codename() -> str:
    """Return the codename of this machine's release, as in `bookworm`; "" where it has none."""
    try:
        release = platform.freedesktop_os_release()
    except OSError:
        return ""
    return release.get("VERSION_CODENAME", "")


def make_debian(included: Sequence[str], request: Request) -> BuiltBase:
    """Make a root with mmdebstrap from the host's own apt settings, as one layer.

    It has the packages that every system has, and those included. The same versions of them give
    the same layer (SOURCE_DATE_EPOCH, mmdebstrap(1)).

    Raises:
        ToolError: mmdebstrap is not there, may not do its work here, or fails.
        NetworkError: a source of packages cannot be reached.
        TimeLimitError: it takes longer than the request's limit.
        StorageError: the disk is full or not writable.
    """
    sources = sources_of(codename())
    with _temporary_directory() as place:
        root, trimmed = place / "root.tar", place / "trimmed.tar"
        _bootstrap(sources, included, root, request)
        try:
            with open_file(root) as source, trimmed.open("wb") as target:
                facts = trim(source, target)
        except tarfile.TarError as error:
            raise ToolError(
                f"{PROGRAM} wrote no whole tar archive: {error}.", f"Try again, {_ELSE}"
            ) from error
        root.unlink()
        with open_file(trimmed) as archive:
            layer = write_tar(request.layout, request.compression, f"base: {facts.name}", archive)
    said = f"{facts.name}, {len(facts.packages)} packages, made with {PROGRAM}"
    return BuiltBase(Base("debian", said, (layer,), packages=facts.packages))


@contextlib.contextmanager
def _temporary_directory() -> Iterator[Path]:
    """Yield a directory that anybody may enter: without root, mmdebstrap works as another user.

    What mmdebstrap mounts is not in it, so that removing it cannot reach what is mounted.
    """
    with scratch_directory("debian") as place:
        place.chmod(0o755)
        yield place


def _bootstrap(sources: Sources, included: Sequence[str], root: Path, request: Request) -> None:
    """Write the tar `root` with mmdebstrap."""
    place = root.parent
    settings = place / "apt.conf"
    settings.write_text(connection_settings(), encoding="utf-8")
    written = [(place / "own.list", sources.lines), (place / "own.sources", sources.stanzas)]
    for path, texts in written:
        path.write_text("\n\n".join(texts) + "\n", encoding="utf-8")
    command: list[str | Path] = [
        PROGRAM,
        f"--variant={VARIANT}",
        f"--include={','.join(included)}",
        "--mode=auto",
        "--format=tar",
        f"--aptopt={settings}",
        sources.suite,
        root,
        *(path for path, texts in written if texts),
    ]
    env = clean_environment(extra={"SOURCE_DATE_EPOCH": str(MTIME)})
    done = run(
        command,
        limit=request.limit,
        env=env,
        say=lambda line: _tell(line, request.say),
        grace=_GRACE,
        merge=True,
    )
    if done.returncode:
        raise _failure(done.stdout)


def _tell(line: str, say: Say) -> None:
    kind, _, text = line.partition(": ")
    if kind == "I" and "tempdir" not in text:
        say(f"base: {text}")


def _failure(output: str) -> ToolError | NetworkError:
    shown = end_of(output, lines=8)
    if _UNREACHABLE.search(output):
        return NetworkError(
            f"{PROGRAM} could not fetch packages from this machine's apt sources:\n{shown}",
            f"See that `apt-get update` works here, {_ELSE}",
        )
    return ToolError(f"{PROGRAM} failed:\n{shown}", f"Mend what it names, {_ELSE}")
