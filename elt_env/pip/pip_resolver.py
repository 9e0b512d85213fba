"""pip's own resolver, asked for its choice without installing it."""

from __future__ import annotations

import importlib.metadata
import json
import sys
import venv
from collections.abc import Iterator, Mapping
from pathlib import Path

from elt_env.errors import ToolError
from elt_env.index.download import Downloads
from elt_env.machine.indexes import Indexes
from elt_env.machine.process import Say, clean_environment, end_of, run
from elt_env.package.names import normalize
from elt_env.pip.direct_wheels import DirectWheels
from elt_env.pip.index_resolver import ChoiceRequest, IndexResolver, NoChoiceError
from elt_env.pip.request_index import Sources
from elt_env.pip.uv_command import besides_proxy
from elt_env.pip.uv_tool import Uv
from elt_env.runtime.files import write_atomically
from elt_env.runtime.input_files import read_stored_text

_NO_CHOICE = ("ResolutionImpossible", "No matching distribution found")


class PipChooser:
    """Chooses versions as `pip install` does, by its report of a dry run.

    https://pip.pypa.io/en/stable/reference/installation-report/

    What is to be kept is shown to pip as installed, since that is what it prefers where nothing
    forbids it.
    """

    name = "pip"

    def version(self) -> str:
        """Return pip's version."""
        return importlib.metadata.version("pip")

    def choose(self, request: ChoiceRequest, say: Say) -> Mapping[str, str]:
        """Return the versions that pip would install; see Chooser."""
        python = _environment(request.place / "environment", request.kept)
        report = request.place / "report.json"
        done = run(
            [*_command(python), *_options(request, report)],
            limit=request.limit,
            env=clean_environment(extra=besides_proxy(request.index.host)),
            cwd=request.place,
            say=lambda line: None if "ERROR:" in line else say(f"pip: {line}"),
        )
        text = done.stdout + done.stderr
        if done.returncode and any(each in text for each in _NO_CHOICE):
            raise NoChoiceError(end_of(text.strip(), 10))
        if done.returncode:
            raise ToolError(
                f"pip failed with exit code {done.returncode}: {end_of(text.strip(), 10)}",
                "Run the same command again.",
            )
        chosen = (each["metadata"] for each in json.loads(read_stored_text(report))["install"])
        return {normalize(each["name"]): each["version"] for each in chosen}


def pip_resolver(
    indexes: Indexes, pages: Path, downloads: Downloads, wheels: DirectWheels, limit: float
) -> IndexResolver:
    """Return pip as a resolver.

    Args:
        indexes: where packages come from.
        pages: the directory that keeps the pages of the indexes.
        downloads: fetches files that tell their metadata in no other way.
        wheels: builds those of sdists.
        limit: seconds that one resolve may take.
    """
    sources = Sources(indexes, pages, downloads, wheels.of_locked_sdist)
    return IndexResolver(PipChooser(), sources, Uv(indexes, limit), limit)


def _command(python: Path) -> list[str]:
    return [sys.executable, "-m", "pip", "--isolated", "--python", str(python), "install"]


def _options(request: ChoiceRequest, report: Path) -> Iterator[str]:
    yield from ("--dry-run", "--quiet", "--no-input", "--no-cache-dir", "--only-binary", ":all:")
    yield from ("--disable-pip-version-check", "--index-url", request.index.index)
    yield from (["--pre"] if request.pre else [])
    yield from ("--report", str(report), "--requirement", "requirements.in")
    yield from ("--constraint", "constraints.txt")


def _environment(place: Path, kept: Mapping[tuple[str, str], str]) -> Path:
    """Make an environment in which distributions seem installed; return its interpreter."""
    venv.create(place, symlinks=True)
    site = next(place.glob("lib/python*/site-packages"))
    for (name, version), metadata in kept.items():
        info = site / f"{name.replace('-', '_')}-{version}.dist-info"
        info.mkdir()
        write_atomically(info / "METADATA", metadata)
        write_atomically(info / "INSTALLER", "elt-env\n")
    return place / "bin" / "python"
