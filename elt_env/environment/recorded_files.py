"""Every file of pip's distributions as one of them recorded it."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from dataclasses import replace
from itertools import groupby
from pathlib import Path

from elt_env.environment.installed_files import RecordedFile, recorded_files, recorded_hash
from elt_env.environment.locked_files import PipFiles, locked_files, newest_for_builds
from elt_env.environment.prefix import Prefix
from elt_env.environment.prefix_tools import PrefixTools
from elt_env.errors import IntegrityError
from elt_env.lockfile import requirements
from elt_env.lockfile.document import Package
from elt_env.machine.process import Say
from elt_env.machine.scratch import scratch_directory
from elt_env.pip import InstallRequest
from elt_env.runtime.file_hashes import HashOf
from elt_env.runtime.files import sha256_of, write_atomically
from elt_env.runtime.input_files import read_content


def install_request(
    prefix: Prefix, packages: Sequence[Package], files: PipFiles, say: Say
) -> InstallRequest:
    """Return the request to install packages of the prefix's lock, whose files are fetched.

    What is locked as an sdist is built, and its wheel is installed as all others are.

    Raises: as `locked_files` and `DirectWheels.of_sdist`.
    """
    lock = prefix.lock
    wheels = locked_files(packages, lock, files, say)
    pinned = list(packages)
    for place, each in enumerate(packages):
        if not each.file_name.endswith(".whl"):
            path = wheel_of_sdist(each, prefix, files, say)
            pinned[place] = replace(each, sha256=sha256_of(path))
            wheels[pinned[place].sha256] = path
    return InstallRequest(
        requirements=requirements.pinned(pinned),
        prefix=prefix.path,
        site_packages=prefix.site_packages,
        indexes=files.indexes.locked_to(lock.indexes),
        archives=tuple(wheels[each.sha256] for each in pinned),
    )


def wheel_of_sdist(package: Package, prefix: Prefix, files: PipFiles, say: Say) -> Path:
    """Return the wheel of a locked sdist, built by the prefix's Python where it is not kept.

    Raises: as `DirectWheels.of_sdist`.
    """
    lock = prefix.lock
    return files.direct_wheels.of_sdist(
        package,
        prefix.path / "bin" / f"python{lock.target.python}",
        files.indexes.locked_to(lock.indexes),
        say,
        exclude_newer=newest_for_builds(lock.exclude_newer, files.policy),
    )


def settle_files(prefix: Prefix, tools: PrefixTools, say: Say, hash_of: HashOf = sha256_of) -> None:
    """Give each file that pip's distributions brought the content that was recorded.

    Where several bring it the rule of RecordedFile decides: an installer that writes side by side
    lets another one win each time. Where one brings it and it differs, the installer's cache was
    damaged through a link; what it has of that distribution is dropped and fetched anew.

    Raises:
        IntegrityError: a distribution does not hold what it recorded.
        NetworkError, StorageError: a file cannot be had or written.
    """
    open_ = [each for each in recorded_files(prefix, hash_of) if not each.settled]
    damaged = sorted({each.winner for each in open_ if len(each.owners) == 1})
    if damaged:
        say(
            f"damaged in the installer's cache, fetching anew: {', '.join(damaged)}",
            logging.WARNING,
        )
        tools.installer.forget(damaged)
    by_winner = groupby(sorted(open_, key=lambda each: each.winner), lambda each: each.winner)
    for winner, files in by_winner:
        _take_from(winner, list(files), prefix, tools, say)


def _take_from(
    winner: str, files: Sequence[RecordedFile], prefix: Prefix, tools: PrefixTools, say: Say
) -> None:
    say(f"files: as {winner} brings them: {'; '.join(map(str, files))}")
    package = next(each for each in prefix.lock.pip if each.name == winner)
    request = install_request(prefix, [package], tools.files, say)
    with scratch_directory("shared") as unpacked:
        tools.installer.unpack(request, unpacked, say)
        for each in files:
            _place(each, unpacked, prefix)


def _place(file: RecordedFile, unpacked: Path, prefix: Prefix) -> None:
    path = prefix.path / file.path
    base = prefix.site_packages if path.is_relative_to(prefix.site_packages) else prefix.path
    source = unpacked / os.path.relpath(path, base)
    if not source.is_file() or recorded_hash(source) != file.wanted:
        raise IntegrityError(
            f"{file.winner} does not bring {file.path} as it recorded it.",
            f"Ask for another version of {file.winner}; this wheel does not hold what it records.",
        )
    write_atomically(path, read_content(source))
    path.chmod(source.stat().st_mode & 0o777)
