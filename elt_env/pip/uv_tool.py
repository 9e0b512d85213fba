"""The pip half through uv: `uv pip compile` and one `uv pip install`."""

from __future__ import annotations

import contextlib
import importlib.metadata
import logging
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from packaging.pylock import Pylock

from elt_env.errors import IntegrityError
from elt_env.lockfile.document import Package
from elt_env.machine.indexes import Index, Indexes, parse_index
from elt_env.machine.process import Completed, Say, unheard
from elt_env.machine.scratch import scratch_directory
from elt_env.package.cooldown import is_too_young
from elt_env.package.names import normalize
from elt_env.package.platform import platform_of
from elt_env.pip import uv_errors
from elt_env.pip.archived import files_in, forged, forget_notes, listed, wheel_name
from elt_env.pip.begun import Begun
from elt_env.pip.direct_wheels import BuildRequest
from elt_env.pip.locked_file import locked_file
from elt_env.pip.pip_tool import Pip
from elt_env.pip.port import InstallRequest, Resolved, ResolveRequest
from elt_env.pip.shelf_server import serving
from elt_env.pip.uv_answers import TELLING_PAGES, pin_lines, read_annotated, told_pages
from elt_env.pip.uv_command import besides_proxy, format_options, run_uv, write_config
from elt_env.runtime.files import write_atomically, writing
from elt_env.runtime.input_files import read_stored, read_stored_text

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

_MANYLINUX = (17, 28, *range(31, 41))
_TOLD = ("Resolved", "warning", "Building", "Built", "Downloading", "Downloaded", "Updating")


class Uv:
    """Resolver and installer in one, as the PyPI package `uv` brings it.

    A request that is `fresh` reads the pages of the index; for ten minutes they serve those that
    are not, so that the rounds of a negotiation rest on one state of the index.

    Where files without an upload time are taken, uv first learns by trying which distributions
    have them; the cool-down holds back what is too young of their other files all the same.

    Args:
        indexes: where packages come from.
        limit: seconds that one command may take.
    """

    name = "uv"

    def __init__(self, indexes: Indexes, limit: float) -> None:
        self._indexes = indexes
        self._limit = limit
        self._dateless: set[str] = set()
        self._begun: Begun | None = None
        self._looked_up: list[tuple[float, Mapping[tuple[str, str], bool] | None]] = []

    def asked_pages(self, since: float) -> Mapping[tuple[str, str], bool] | None:
        """Return the pages that were looked up since a moment; see Resolver."""
        found: dict[tuple[str, str], bool] = {}
        for moment, pages in self._looked_up:
            if moment >= since and pages is None:
                return None  # one that was ended does not tell
            if moment >= since and pages:
                found |= {each: found.get(each, False) or asked for each, asked in pages.items()}
        return found

    def version(self) -> str:
        """Return uv's version."""
        return importlib.metadata.version("uv")

    def begin(self, request: ResolveRequest) -> None:
        """Begin to resolve; see Resolver."""
        self._begun = Begun(request, self._allowed)

    def resolve(self, request: ResolveRequest, say: Say) -> tuple[Resolved, ...]:
        """Return one version of every distribution; see Resolver."""
        begun = self._begun
        if begun is None or begun.request != request:
            return self._allowed(request, say)
        self._begun = None
        return begun.answer(say)

    def _allowed(self, request: ResolveRequest, say: Say) -> tuple[Resolved, ...]:
        """Return an answer that the cool-down lets through."""
        resolved = self._resolve(request, say)
        young = self._too_young(resolved, request)
        if not young:
            return resolved
        bounds = tuple(f"{each.name}!={each.version}" for each in young)
        barred = replace(request, bounds=(*request.bounds, *bounds), fresh=False)
        return self._allowed(barred, say)

    def _resolve(self, request: ResolveRequest, say: Say) -> tuple[Resolved, ...]:
        with scratch_directory("uv") as place:
            output = place / "requirements.txt"
            if request.keep:
                write_atomically(output, pin_lines(request.keep))
            options = ["--emit-index-annotation", "--no-header"]
            done = self._compile(output, request, request.requirements, options, say)
            withdrawn = uv_errors.yanked(done.stderr) & set(request.keep)
            if not withdrawn:
                uv_errors.check_compile(done, request, self._indexes)
                resolved = self._without_links(
                    read_annotated(read_stored_text(output), request.shelf)
                )
                for note in uv_errors.yanked_notes(done.stderr):
                    say(f"{note}; it is taken since it is pinned", logging.WARNING)
        if withdrawn:
            say(f"uv: yanked by now, so not kept: {', '.join(map('=='.join, sorted(withdrawn)))}")
            kept = tuple(each for each in request.keep if each not in withdrawn)
            return self._resolve(replace(request, keep=kept, fresh=False), say)
        self._learn(each.index for each in resolved if each.index and not each.on_shelf)
        return resolved

    def _without_links(self, resolved: tuple[Resolved, ...]) -> tuple[Resolved, ...]:
        """Return an answer in which only an index is named as one."""
        return tuple(
            replace(each, index="") if self._indexes.is_link(each.index) else each
            for each in resolved
        )

    def _too_young(
        self, resolved: tuple[Resolved, ...], request: ResolveRequest
    ) -> tuple[Package, ...]:
        """Return what the cool-down holds back of an answer that it was lifted for."""
        lifted = tuple(
            each
            for each in resolved
            if each.name in self._dateless
            and each.name not in request.not_held
            and not each.on_shelf
        )
        limit = request.exclude_newer
        if limit is None or request.undated == "hold" or not lifted:
            return ()
        files = self.files(lifted, request, unheard)
        return tuple(
            each for each in files if each.released_at and is_too_young(each.released_at, limit)
        )

    def files(
        self, resolved: tuple[Resolved, ...], request: ResolveRequest, say: Say
    ) -> tuple[Package, ...]:
        """Return the one file of each distribution; see Resolver."""
        if not resolved:
            return ()
        pins = [f"{each.name}=={each.version}" for each in resolved]
        with scratch_directory("uv") as place:
            output = place / "pylock.toml"
            options = ["--format", "pylock.toml", "--no-deps", "--no-header"]
            done = self._compile(output, replace(request, fresh=False), pins, options, say)
            if done.returncode:  # a page that an index has lost since stays in uv's cache
                done = self._compile(output, replace(request, fresh=True), pins, options, say)
            uv_errors.check_compile(done, request, self._indexes)
            text = read_stored_text(output)
        by_name = {each.name: each for each in resolved}
        lock = Pylock.from_dict(tomllib.loads(text))
        hashes = dict(request.hashes)
        return tuple(
            locked_file(each, by_name[name], request.python, hashes.get(name, ()))
            for each in lock.packages
            for name in (normalize(each.name),)
        )

    def install(self, request: InstallRequest, say: Say) -> str:
        """Install everything in one command; see Installer."""
        before = files_in(request.prefix)
        options = ["--strict", "--break-system-packages"]
        shown = self._installed(request, options, say)
        found = forged(request, before) if request.archives else {}
        if found:
            say(
                f"uv's cache is not as the wheels of the lock have it: {listed(found)}",
                logging.WARNING,
            )
            say("uv: dropping that from the cache and installing anew")
            again = self._drop(request, found)
            more = [part for name in again for part in ("--reinstall-package", name)]
            self._installed(request, [*options, *more], say)
            found = forged(request, before)
        if found:
            raise IntegrityError(
                f"uv does not install what the wheels of the lock hold: {listed(found)}.",
                "Find out what changes its cache (uv cache dir), then build again.",
            )
        forget_notes(request)
        return shown

    def _drop(self, request: InstallRequest, found: Mapping[str, Sequence[str]]) -> list[str]:
        """Drop from the cache what `forged` found; return the distributions to install again."""
        with writing(request.prefix):
            for each in found.get("", ()):
                (request.prefix / each).unlink()
        # Whose cached files brought what nothing records, nothing tells.
        names = map(wheel_name, request.archives) if "" in found else found
        dropped = sorted(names)
        self.forget(dropped)
        return dropped

    def _installed(self, request: InstallRequest, options: list[str], say: Say) -> str:
        """Install, and return the command for the record.

        Raises: as `install`.
        """
        done, shown = self._install(request, options, say)
        if done.returncode:
            raise uv_errors.install(done.stderr, done.returncode, request.prefix)
        return shown

    def unpack(self, request: InstallRequest, directory: Path, say: Say) -> None:
        """Install what is requested into `directory`; see Installer."""
        options = ["--target", str(directory)]
        done, _ = self._install(request, [*options, "--offline"], unheard)
        if done.returncode:
            done, _ = self._install(request, options, say)
        if done.returncode:
            raise uv_errors.install(done.stderr, done.returncode, directory)

    def forget(self, names: Iterable[str]) -> None:
        """Drop what is cached of these distributions; see Installer."""
        with scratch_directory("uv") as place:
            done = self._run(["uv", "cache", "clean", *names], place, unheard)
        if done.returncode:
            raise uv_errors.other(done.stderr, done.returncode)

    def _install(
        self, request: InstallRequest, options: list[str], say: Say
    ) -> tuple[Completed, str]:
        """Install, and return what came of it and the command for the record."""
        with scratch_directory("uv") as place:
            listed = place / "requirements.txt"
            write_atomically(listed, request.requirements)
            links = tuple(map(str, request.links))
            alone = request.indexes.no_index or bool(links)
            config = write_config(place, replace(request.indexes, links=links, no_index=alone))
            command = [
                *("uv", "pip", "install", "--python", str(request.prefix / "bin" / "python")),
                *("--require-hashes", "--no-deps", *options),
                *("--only-binary", ":all:", "--requirements", str(listed)),
            ]
            command += ["--config-file", str(config)]
            done = run_uv(command, place, say, indexes=request.indexes, limit=self._limit)
        return done, " ".join(command).replace(f"{place}/", "")

    def build_wheel(self, request: BuildRequest, say: Say) -> None:
        """Build a wheel in an environment of its own; see Builder."""
        indexes = request.indexes or self._indexes
        with scratch_directory("uv") as place:
            # Nothing that was unpacked into a cache takes part in what is built.
            command = [
                *("uv", "build", "--wheel", "--no-cache", "--no-sources", "--no-create-gitignore"),
                *("--python", str(request.python), "--out-dir", str(request.output)),
                *("--config-file", str(write_config(place, indexes))),
                str(request.source),
            ]
            if request.exclude_newer is not None:
                command[2:2] = ["--exclude-newer", request.exclude_newer.isoformat()]
            moment = {"SOURCE_DATE_EPOCH": str(request.moment)}
            done = run_uv(
                *(command, place, _named(say)),
                indexes=indexes,
                limit=self._limit,
                variables=moment,
            )
        if done.returncode or not [*request.output.glob("*.whl")]:
            raise uv_errors.build(done.stderr, done.returncode, request.origin)

    def inconsistencies(self, prefix: Path, say: Say) -> tuple[str, ...]:
        """Return what the distributions in `prefix` miss of each other; see Installer."""
        with scratch_directory("uv") as place:
            command = ["uv", "pip", "check", "--python", str(prefix / "bin" / "python")]
            done = self._run(command, place, say)
        if done.returncode == 0:
            return ()
        faults, complete = uv_errors.inconsistencies(done.stderr)
        if complete and not faults:
            raise uv_errors.other(done.stderr, done.returncode)
        # pip looks at every distribution, but takes one that is there twice for one.
        twice = [each for each in faults if uv_errors.TWICE in each]
        if not complete:
            return (*twice, *Pip(self._limit).inconsistencies(prefix, say))
        return tuple(faults)

    def _compile(
        self,
        output: Path,
        request: ResolveRequest,
        requirements: Iterable[str],
        options: list[str],
        say: Say,
    ) -> Completed:
        """Compile, again for as long as there are new files without an upload time to be taken."""
        lines = [*requirements]
        before = read_stored(output) if output.exists() else None
        while True:
            done = self._compile_once(output, request, lines, options, say)
            dateless = uv_errors.dateless(done.stderr)
            if request.undated == "hold" or dateless <= self._dateless:
                break
            self._dateless |= dateless
            if before is not None:
                write_atomically(output, before)
        if dateless and request.undated == "hold":
            say(
                f"uv: the index gives no upload times for {', '.join(sorted(dateless))}; the "
                "cool-down leaves such files out (undated-releases in [tool.elt-env])"
            )
        return done

    def _compile_once(
        self,
        output: Path,
        request: ResolveRequest,
        requirements: list[str],
        options: list[str],
        say: Say,
    ) -> Completed:
        place = output.parent
        write_atomically(place / "requirements.in", "\n".join(requirements) + "\n")
        constraints = pin_lines(request.pins) + "".join(f"{each}\n" for each in request.bounds)
        if constraints:
            write_atomically(place / "constraints.txt", constraints)
            options = [*options, "--constraints", "constraints.txt"]
        command = [
            *("uv", "pip", "compile", "requirements.in", "--output-file", output.name),
            *("--python-version", str(request.python), *_platform_options(request.python)),
            *("--python", sys.executable, "--annotation-style", "split"),
            *format_options(
                wheels_only=request.wheels_only,
                allow=request.allow_sdist,
                only_binary=request.only_binary,
                no_binary=request.no_binary,
            ),
            *(["--prerelease", "allow"] if request.pre else []),
            *(*options, *self._date_options(request)),
            *(["--refresh"] if request.fresh else []),
        ]
        with serving(request.shelf) if request.shelf else contextlib.nullcontext() as shelf:
            config = write_config(place, self._indexes, fresh=request.fresh, shelf=shelf)
            command += ["--config-file", str(config)]
            variables = TELLING_PAGES | (besides_proxy(shelf.host) if shelf else {})
            platform = platform_of(request.python)
            if platform and platform.is_mac:
                variables["MACOSX_DEPLOYMENT_TARGET"] = ".".join(map(str, platform.system))
            limit = self._limit if request.limit is None else min(request.limit, self._limit)
            with self._hearing(shelf.index if shelf else "") as heard:
                done = run_uv(
                    *(command, place, _without_answer(say)),
                    indexes=self._indexes,
                    limit=limit,
                    variables=variables,
                )
                return heard(done)

    @contextlib.contextmanager
    def _hearing(self, shelf: str) -> Iterator[Callable[[Completed], Completed]]:
        """Remember which pages a run looks up, those on a shelf aside; give it without these."""
        moment, pages = time.monotonic(), None

        def heard(done: Completed) -> Completed:
            nonlocal pages
            told, stderr = told_pages(done.stderr)
            pages = {page: asked for page, asked in told.items() if page[0] != shelf}
            return replace(done, stderr=stderr)

        try:
            yield heard
        finally:
            self._looked_up.append((moment, pages))

    def _date_options(self, request: ResolveRequest) -> list[str]:
        if request.exclude_newer is None:
            return []
        free = {*request.not_held, *(self._dateless if request.undated == "take" else ())}
        lifted = [
            part for name in sorted(free) for part in ("--exclude-newer-package", f"{name}=false")
        ]
        return ["--exclude-newer", request.exclude_newer.isoformat(), *lifted]

    def _run(self, command: list[str], place: Path, say: Say) -> Completed:
        return run_uv(command, place, say, indexes=self._indexes, limit=self._limit)

    def _learn(self, urls: Iterable[str]) -> None:
        """Remember uv's own default index, once an answer named it."""
        if self._indexes.default is None:
            known = {each.url for each in self._indexes.extra}
            new = sorted({parse_index(url).url for url in urls} - known)
            if len(new) == 1:
                self._indexes = replace(self._indexes, default=Index(new[0]))


def _platform_options(python: str) -> list[str]:
    """Return what tells uv of another platform than this machine's.

    Of glibc it knows the versions of PEP 600 that are in use: the next older one is as good.
    """
    platform = platform_of(python)
    if platform is None:
        return []
    if platform.is_mac:
        name = {"arm64": "aarch64"}.get(platform.machine, platform.machine) + "-apple-darwin"
    else:
        minor = max(each for each in _MANYLINUX if each <= max(platform.system[1], 17))
        name = f"{platform.machine}-manylinux_2_{minor}"
    return ["--python-platform", name]


def _without_answer(say: Say) -> Say:
    """Pass on what uv tells about its work; the answer is read from a file, errors are raised."""
    named = _named(say)

    def tell(line: str, level: int = logging.INFO, /) -> None:
        if line.startswith(_TOLD) and not uv_errors.is_undated(line):
            named(line, level)

    return tell


def _named(say: Say) -> Say:
    """Pass on what uv tells, under its name."""

    def tell(line: str, level: int = logging.INFO, /) -> None:
        say(f"uv: {line}", level)

    return tell
