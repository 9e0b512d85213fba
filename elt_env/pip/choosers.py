"""The tools that choose versions from one index: pip, pip-tools and Poetry.

None of them installs anything here, and none reads settings of its user: where packages come from
is known already.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import re
import shutil
import sys
import venv
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import tomli_w
from packaging.requirements import Requirement

from elt_env.errors import ToolError
from elt_env.index.download import Downloads
from elt_env.machine.indexes import Indexes
from elt_env.machine.process import Say, clean_environment, end_of, run
from elt_env.package.names import normalize
from elt_env.pip.direct_wheels import DirectWheels
from elt_env.pip.index_resolver import ChoiceRequest, Chooser, IndexResolver, NoChoiceError
from elt_env.pip.request_index import Sources
from elt_env.pip.uv_answers import pin_lines
from elt_env.pip.uv_command import besides_proxy
from elt_env.pip.uv_tool import Uv
from elt_env.runtime.files import write_atomically
from elt_env.runtime.input_files import read_stored_text

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

_NO_CHOICE = (
    *("ResolutionImpossible", "No matching distribution found", "Could not find a version"),
    "version solving failed",
)
_PIN = re.compile(r"([A-Za-z0-9._-]+)==(\S+)")
_VERSION = re.compile(r"\d+(\.\d+)+\S*?(?=\)|\s|$)")
_ASK = 60.0  # seconds that a tool has to tell its version


def index_resolver(  # noqa: PLR0913, PLR0917  # the parts of a resolver
    name: str,
    indexes: Indexes,
    pages: Path,
    downloads: Downloads,
    wheels: DirectWheels,
    limit: float,
    *,
    alone: bool = False,
) -> IndexResolver:
    """Return pip, pip-tools or Poetry as a resolver.

    Args:
        name: its name in the policy.
        indexes: where packages come from.
        pages: the directory that keeps the pages of the indexes.
        downloads: fetches files that tell their metadata in no other way.
        wheels: builds those of sdists.
        limit: seconds that one resolve may take.
        alone: whether no other answer is taken where it finds none.
    """
    choosers: Mapping[str, type[Chooser]] = {each.name: each for each in (Pip, PipTools, Poetry)}
    sources = Sources(indexes, pages, downloads, wheels.of_locked_sdist)
    return IndexResolver(choosers[name](), sources, Uv(indexes, limit), limit, alone=alone)


class Pip:
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
        command = [sys.executable, "-m", "pip", "--python", str(python), "install", "--dry-run"]
        options = ["--quiet", "--no-input", "--disable-pip-version-check"]
        _run(
            self.name,
            [*command, *options, *_pip_options(request), "--report", str(report)],
            request,
            say,
        )
        chosen = (each["metadata"] for each in json.loads(read_stored_text(report))["install"])
        return {normalize(each["name"]): each["version"] for each in chosen}


class PipTools:
    """Chooses versions as `pip-compile` does: kept ones stand in the file that it writes.

    https://pip-tools.readthedocs.io/en/stable/cli/pip-compile/
    """

    name = "pip-tools"

    def version(self) -> str:
        """Return the version of pip-tools."""
        return _version("pip-compile", self.name)

    def choose(self, request: ChoiceRequest, say: Say) -> Mapping[str, str]:
        """Return the versions that pip-compile writes; see Chooser."""
        output = request.place / "requirements.txt"
        write_atomically(output, pin_lines(request.kept))
        command = [
            *(_program("pip-compile", self.name), "--no-config", "--quiet", "--allow-unsafe"),
            *("--strip-extras", "--no-header", "--no-annotate", "--no-emit-options"),
            *("--cache-dir", str(request.place / "cache"), "--index-url", request.index.index),
            *("--constraint", "constraints.txt", *(["--pre"] if request.pre else [])),
            *("--pip-args", "--only-binary :all: --no-cache-dir"),
            *("--output-file", output.name, "requirements.in"),
        ]
        _run(self.name, command, request, say)
        found = map(_PIN.match, read_stored_text(output).splitlines())
        return {normalize(each[1]): each[2] for each in found if each}


class Poetry:
    """Chooses versions as `poetry lock` does for a project that is made for it.

    https://python-poetry.org/docs/cli/#lock

    Pre-releases are taken of what is asked for alone, where a request wants them of everything.
    """

    name = "poetry"

    def version(self) -> str:
        """Return Poetry's version."""
        return _version("poetry", self.name)

    def choose(self, request: ChoiceRequest, say: Say) -> Mapping[str, str]:
        """Return the versions that Poetry locks; see Chooser."""
        asked = read_stored_text(request.place / "requirements.in").splitlines()
        project = tomli_w.dumps(_poetry_project(asked, request))
        write_atomically(request.place / "pyproject.toml", project)
        if request.kept:
            locked = tomli_w.dumps(_poetry_lock(request.kept))
            write_atomically(request.place / "poetry.lock", locked)
        command = [_program("poetry", self.name), "lock", "--no-interaction", "--no-ansi"]
        _run(self.name, command, request, say)
        lock = tomllib.loads(read_stored_text(request.place / "poetry.lock"))
        return {normalize(each["name"]): each["version"] for each in lock["package"]}


def _run(name: str, command: list[str], request: ChoiceRequest, say: Say) -> None:
    """Run a tool.

    Raises:
        NoChoiceError: it finds no versions that fit, or failed.
        TimeLimitError: it took too long.
    """
    settings = {
        "PIP_CONFIG_FILE": os.devnull,
        "POETRY_CACHE_DIR": str(request.place / "cache"),
        "POETRY_CONFIG_DIR": str(request.place / "config"),
        "POETRY_VIRTUALENVS_CREATE": "false",
    }
    done = run(
        command,
        limit=request.limit,
        env=clean_environment(extra=besides_proxy(request.index.host) | settings),
        cwd=request.place,
        say=lambda line: None if "ERROR:" in line else say(f"{name}: {line}"),
    )
    text = (done.stdout + done.stderr).strip()
    if done.returncode:
        gives_up = any(each in text for each in _NO_CHOICE)
        raise NoChoiceError(end_of(text, 10), is_broken=not gives_up)


def _pip_options(request: ChoiceRequest) -> Iterator[str]:
    yield from ("--no-cache-dir", "--only-binary", ":all:", "--index-url", request.index.index)
    yield from (["--pre"] if request.pre else [])
    yield from ("--requirement", "requirements.in", "--constraint", "constraints.txt")


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


def _program(program: str, name: str) -> str:
    """Return the path of a program.

    Raises:
        ToolError: this machine has none.
    """
    found = shutil.which(program)
    if found is None:
        raise ToolError(
            f'resolver = "{name}" runs {program}, and this machine has none on PATH.',
            f"Install it, as with: uv tool install {name}",
        )
    return found


def _version(program: str, name: str) -> str:
    told = run([_program(program, name), "--version"], limit=_ASK).stdout
    found = _VERSION.search(told)
    return found[0] if found else told.strip()


def _poetry_project(asked: Iterable[str], request: ChoiceRequest) -> dict[str, object]:
    lines = [line for line in asked if line]
    eager = {Requirement(line).name: {"allow-prereleases": True} for line in lines}
    source = {"name": "index", "url": request.index.index, "priority": "primary"}
    return {
        "project": {
            "name": "request",
            "version": "0",
            "requires-python": ">=3",  # the index heeds it; Poetry compares its own Python with it
            "dependencies": lines,
        },
        "tool": {
            "poetry": {
                "package-mode": False,
                "source": [source],
                **({"dependencies": eager} if request.pre else {}),
            }
        },
    }


def _poetry_lock(kept: Iterable[tuple[str, str]]) -> dict[str, object]:
    """Return a lock of versions to prefer; of another project, so that Poetry locks anew."""
    packages = [
        {
            "name": name,
            "version": version,
            "description": "",
            "optional": False,
            "python-versions": "*",
            "groups": ["main"],
            "files": [],
        }
        for name, version in kept
    ]
    metadata = {"lock-version": "2.1", "python-versions": "*", "content-hash": ""}
    return {"package": packages, "metadata": metadata}
