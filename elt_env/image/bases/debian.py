"""A minimal root of this machine's own release of Debian, or of what comes from Debian."""

from __future__ import annotations

import contextlib
import platform
import re
import tarfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from elt_env.errors import NetworkError, ToolError
from elt_env.image.bases.apt import Sources, connection_settings, sources_of
from elt_env.image.bases.base import Base, BuiltBase, Request
from elt_env.image.bases.debian_root import trim
from elt_env.image.oci.layer import MTIME, write_tar
from elt_env.machine.process import Say, clean_environment, end_of, run
from elt_env.machine.scratch import scratch_directory
from elt_env.runtime.input_files import open_file

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
