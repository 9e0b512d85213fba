"""The pip half through uv: `uv pip compile` and one `uv pip install`."""

from __future__ import annotations

import contextlib
import importlib.metadata
import json
import re
import sys
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import uv
from packaging.pylock import Package as LockedPackage
from packaging.pylock import Pylock

from elt_env.errors import NoWheelError
from elt_env.model.lock import Package
from elt_env.model.names import normalize
from elt_env.tools.files import write_atomically, writing
from elt_env.tools.indexes import Index, Indexes, parse_index
from elt_env.tools.pip import uv_errors
from elt_env.tools.pip.formats import format_options
from elt_env.tools.pip.port import InstallRequest, Resolved, ResolveRequest
from elt_env.tools.pip.wheels import best_wheel
from elt_env.tools.process import Completed, Say, clean_environment, run

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

_PIN = re.compile(r"(?P<name>[a-z0-9][a-z0-9._-]*)(?:\[[^\]]*\])?==(?P<version>\S+)", re.IGNORECASE)
_VIA = re.compile(r"    # (?:via|  ) ?(?P<what>\S.*)")
_FROM = re.compile(r"    # from (?P<index>\S+)")
_FOREVER = "max-age=31536000, immutable"
_A_WHILE = "max-age=600"
_ASKED = "-r requirements.in"
_TOLD = ("Resolved", "warning", "Building", "Built", "Downloading", "Downloaded", "Updating")


class Uv:
    """Resolver and installer in one, as the PyPI package `uv` brings it.

    A request that is `fresh` reads the pages of the index; for ten minutes they serve those that
    are not, so that the rounds of a negotiation rest on one state of the index.

    Args:
        indexes: where packages come from.
        limit: seconds that one command may take.
    """

    name = "uv"

    def __init__(self, indexes: Indexes, limit: float) -> None:
        self._indexes = indexes
        self._limit = limit

    def version(self) -> str:
        """Return uv's version."""
        return importlib.metadata.version("uv")

    def resolve(self, request: ResolveRequest, say: Say) -> tuple[Resolved, ...]:
        """Return one version of every distribution; see Resolver."""
        with self._workspace() as place:
            output = place / "requirements.txt"
            if request.keep:
                write_atomically(output, _pin_lines(request.keep))
            options = ["--generate-hashes", "--emit-index-annotation", "--no-header"]
            done = self._compile(output, request, request.requirements, options, say)
            withdrawn = uv_errors.yanked(done.stderr) & set(request.keep)
            if not withdrawn:
                uv_errors.check_compile(done, request, self._indexes)
                resolved = read_annotated(output.read_text(encoding="utf-8"))
        if withdrawn:
            say(f"uv: yanked by now, so not kept: {', '.join(map('=='.join, sorted(withdrawn)))}")
            kept = tuple(each for each in request.keep if each not in withdrawn)
            return self.resolve(replace(request, keep=kept, fresh=False), say)
        self._learn(each.index for each in resolved)
        return resolved

    def files(
        self, resolved: tuple[Resolved, ...], request: ResolveRequest, say: Say
    ) -> tuple[Package, ...]:
        """Return the one file of each distribution; see Resolver."""
        if not resolved:
            return ()
        pins = [f"{each.name}=={each.version}" for each in resolved]
        with self._workspace() as place:
            output = place / "pylock.toml"
            options = ["--format", "pylock.toml", "--no-deps", "--no-header"]
            done = self._compile(output, replace(request, fresh=False), pins, options, say)
            uv_errors.check_compile(done, request, self._indexes)
            text = output.read_text(encoding="utf-8")
        by_name = {each.name: each for each in resolved}
        lock = Pylock.from_dict(tomllib.loads(text))
        return tuple(
            _file(each, by_name[normalize(each.name)], request.python) for each in lock.packages
        )

    def install(self, request: InstallRequest, say: Say) -> str:
        """Install everything in one command; see Installer."""
        done, shown = self._install(request, ["--strict", "--break-system-packages"], say)
        if done.returncode:
            raise uv_errors.install(done.stderr, done.returncode, request.prefix)
        return shown

    def unpack(self, request: InstallRequest, directory: Path, say: Say) -> None:
        """Install what is requested into `directory`; see Installer."""
        options = ["--target", str(directory)]
        done, _ = self._install(request, [*options, "--offline"], _unheard)
        if done.returncode:
            done, _ = self._install(request, options, say)
        if done.returncode:
            raise uv_errors.install(done.stderr, done.returncode, directory)

    def _install(
        self, request: InstallRequest, options: list[str], say: Say
    ) -> tuple[Completed, str]:
        """Install, and return what came of it and the command for the record."""
        with self._workspace() as place:
            listed = place / "requirements.txt"
            write_atomically(listed, request.requirements)
            config = self._config(place, request.indexes)
            command = [
                *("uv", "pip", "install", "--python", str(request.prefix / "bin" / "python")),
                *("--require-hashes", "--no-deps", *options),
                *format_options(wheels_only=request.wheels_only, allow=request.allow_sdist),
                *("--requirements", str(listed)),
            ]
            done = self._run([*command, "--config-file", str(config)], place, say)
        return done, " ".join(command).replace(f"{place}/", "")

    def inconsistencies(self, prefix: Path, say: Say) -> tuple[str, ...]:
        """Return what the distributions in `prefix` miss of each other; see Installer."""
        with self._workspace() as place:
            command = ["uv", "pip", "check", "--python", str(prefix / "bin" / "python")]
            done = self._run(command, place, say)
        if done.returncode == 0:
            return ()
        lines = [each for each in done.stderr.splitlines() if each.startswith("The package")]
        if not lines:
            raise uv_errors.other(done.stderr, done.returncode)
        return tuple(lines)

    def _compile(
        self,
        output: Path,
        request: ResolveRequest,
        requirements: Iterable[str],
        options: list[str],
        say: Say,
    ) -> Completed:
        place = output.parent
        write_atomically(place / "requirements.in", "\n".join(requirements) + "\n")
        constraints = _pin_lines(request.pins) + "".join(f"{each}\n" for each in request.bounds)
        if constraints:
            write_atomically(place / "constraints.txt", constraints)
            options = [*options, "--constraints", "constraints.txt"]
        config = self._config(place, self._indexes, fresh=request.fresh)
        command = [
            *("uv", "pip", "compile", "requirements.in", "--output-file", output.name),
            *("--python-version", request.python),
            *("--python", sys.executable, "--annotation-style", "split"),
            *format_options(wheels_only=request.wheels_only, allow=request.allow_sdist),
            *("--config-file", str(config), *options),
        ]
        if request.fresh:
            command.append("--refresh")
        if request.exclude_newer is not None:
            command += ["--exclude-newer", request.exclude_newer.isoformat()]
        done = self._run(command, place, _without_answer(say))
        undated = uv_errors.undated(done.stderr)
        if undated:
            say(f"uv: without an upload time, so left out by the cool-down: {', '.join(undated)}")
        return done

    def _run(self, command: list[str], place: Path, say: Say) -> Completed:
        credentials = {}
        for number, index in enumerate(self._indexes.all):
            if index.username or index.password:
                credentials[f"UV_INDEX_I{number}_USERNAME"] = index.username
                credentials[f"UV_INDEX_I{number}_PASSWORD"] = index.password
        return run(
            [uv.find_uv_bin(), *command[1:]],
            limit=self._limit,
            env=clean_environment(extra=credentials | {"NO_COLOR": "1"}),
            cwd=place,
            say=say,
            secrets=self._indexes.secrets,
        )

    def _config(self, place: Path, indexes: Indexes, *, fresh: bool = False) -> Path:
        """Write a uv.toml that names the indexes, and how long their answers count as new.

        Without a rule of ours for the pages, uv keeps to the index's own, and to `--refresh`.
        """
        rules = [f'files = "{_FOREVER}"'] + ([] if fresh else [f'api = "{_A_WHILE}"'])
        lines = []
        for number, index in enumerate(indexes.all):
            lines += [
                "[[index]]",
                f'name = "i{number}"',
                f"url = {json.dumps(index.url)}",
                f"default = {'true' if index == indexes.default else 'false'}",
                f"cache-control = {{ {', '.join(rules)} }}",
            ]
        path = place / "uv.toml"
        write_atomically(path, "\n".join(lines) + "\n")
        return path

    def _learn(self, urls: Iterable[str]) -> None:
        """Remember uv's own default index, once an answer named it."""
        if self._indexes.default is None:
            known = {each.url for each in self._indexes.extra}
            new = sorted({parse_index(url).url for url in urls} - known)
            if len(new) == 1:
                self._indexes = Indexes(Index(new[0]), self._indexes.extra)

    @contextlib.contextmanager
    def _workspace(self) -> Iterator[Path]:
        with (
            writing(Path(tempfile.gettempdir())),
            tempfile.TemporaryDirectory(prefix="elt-env-uv-") as name,
        ):
            yield Path(name)


def _unheard(line: str) -> None:
    del line


def _without_answer(say: Say) -> Say:
    """Pass on what uv tells about its work; the answer is read from a file, errors are raised."""

    def tell(line: str) -> None:
        if line.startswith(_TOLD) and not uv_errors.is_undated(line):
            say(f"uv: {line}")

    return tell


def _pin_lines(pins: Iterable[tuple[str, str]]) -> str:
    return "".join(f"{name}=={version}\n" for name, version in pins)


def read_annotated(text: str) -> tuple[Resolved, ...]:
    """Return the answer that `uv pip compile` wrote with split annotations and index lines."""
    found: list[Resolved] = []
    needed_by: list[str] = []
    pin: re.Match[str] | None = None
    for line in text.splitlines():
        start = _PIN.match(line)
        if start:
            pin, needed_by = start, []
            continue
        index = _FROM.fullmatch(line)
        via = _VIA.fullmatch(line)
        if index and pin:
            found.append(_resolved(pin, needed_by, index["index"]))
        elif via:
            needed_by.append(via["what"].strip())
    return tuple(sorted(found, key=lambda each: each.name))


def _resolved(pin: re.Match[str], needed_by: list[str], index: str) -> Resolved:
    names = {normalize(each.split("[")[0]) for each in needed_by if not each.startswith("-")}
    return Resolved(
        name=normalize(pin["name"]),
        version=pin["version"],
        index=parse_index(index).url,
        requested=_ASKED in needed_by,
        required_by=tuple(sorted(names)),
    )


def _file(package: LockedPackage, resolved: Resolved, python: str) -> Package:
    file = best_wheel(package.wheels or (), python) or package.sdist
    if file is None or file.url is None or "sha256" not in file.hashes:
        raise NoWheelError(
            f"The index gives no file with a sha256 for {resolved.name} {resolved.version}.",
            "Use an index that gives hashes.",
        )
    return Package(
        manager="pip",
        name=resolved.name,
        version=resolved.version,
        url=file.url,
        sha256=file.hashes["sha256"],
        size=file.size,
        released_at=file.upload_time,
        requested=resolved.requested,
        required_by=resolved.required_by,
        index=resolved.index,
    )
