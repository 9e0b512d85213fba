"""Exposed programs: links in a directory on PATH that lead to the released programs of a target.

They lead through the entry points, so that they follow the release, and start what these start.
"""

from __future__ import annotations

import logging
import os
import shutil
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path

from elt_env.errors import InputError
from elt_env.machine.process import Say
from elt_env.package.target import Target
from elt_env.project.project import Project
from elt_env.release.store import ReleaseStore
from elt_env.release.tool import released_tool
from elt_env.runtime.files import writing
from elt_env.store.locks import Store


def expose(  # noqa: PLR0913, PLR0917  # what of whom, where, and for which project
    target: Target,
    programs: Iterable[str],
    directory: Path,
    project: Project,
    store: Store,
    say: Say,
) -> tuple[Path, ...]:
    """Let links in a directory lead to programs of the release, and return them.

    Those of another target of the same store are replaced.

    Raises:
        InputError: something else is in the place of one; nothing was changed.
        ToolError: nothing is released, or not such a program.
        StorageError: the directory cannot be written.
    """
    places = [released_tool(each, target.name, project.root) for each in programs]
    links = {directory / each.name: each for each in places}
    _require_own(links, ReleaseStore(store).entry_points(target.name))
    with writing(directory):
        directory.mkdir(parents=True, exist_ok=True)
        for link, place in links.items():
            if _led_to(link) == place:
                say(f"expose: {link} is there already")
            else:
                _lead(link, place)
                say(f"expose: {link} leads to {place}")
    _tell_hidden(links, directory, say)
    return tuple(links)


def withdraw(
    target: Target, programs: Iterable[str], directory: Path, store: Store, say: Say
) -> tuple[Path, ...]:
    """Remove the links to programs of a target, all of them where none is named; return them.

    Raises:
        InputError: something else is in the place of one; nothing was changed.
        StorageError: the directory cannot be written.
    """
    entry_points = ReleaseStore(store).entry_points(target.name)
    links = {directory / each: entry_points / each for each in programs} or {
        each: place
        for each in (sorted(directory.iterdir()) if directory.is_dir() else ())
        if (place := _led_to(each)) is not None and place.parent == entry_points
    }
    _require_own(links, entry_points)
    there = tuple(each for each in links if each.is_symlink())
    with writing(directory):
        for link in there:
            link.unlink(missing_ok=True)
            say(f"expose: {link} is removed")
    return there


def _led_to(link: Path) -> Path | None:
    """Return where a link leads at its next step; None where there is no link."""
    try:
        return Path(os.readlink(link))  # noqa: PTH115  # as it is written
    except OSError:
        return None


def _require_own(links: Mapping[Path, Path], entry_points: Path) -> None:
    """Return when each place is free, or has a link to a target of this store.

    Raises:
        InputError: one has not; all are named.
    """
    releases = entry_points.parent.parent
    foreign = []
    for link in links:
        place = _led_to(link)
        own = place is not None and place.name == link.name and place.parents[2:3] == (releases,)
        if os.path.lexists(link) and not own:
            foreign.append(f"{link}, which leads to {place}" if place else str(link))
    if foreign:
        raise InputError(
            f"elt-env did not make this for this project, and leaves it as it is: "
            f"{'; '.join(foreign)}.",
            "Remove it yourself, or name another directory: --to DIR",
        )


def _lead(link: Path, place: Path) -> None:
    """Let a link of this store's, or a free place, lead somewhere, in one step."""
    if not link.is_symlink():
        link.symlink_to(place)
        return
    with tempfile.TemporaryDirectory(dir=link.parent, prefix=".elt-env-") as scratch:
        made = Path(scratch, link.name)
        made.symlink_to(place)
        made.replace(link)


def _tell_hidden(links: Iterable[Path], directory: Path, say: Say) -> None:
    """Say where a shell would not find a link, or would find another program first."""
    on_path = map(os.path.realpath, os.get_exec_path())
    if os.path.realpath(directory) not in on_path:
        say(
            f"expose: {directory} is not on PATH; a shell finds nothing there before it is: "
            f'export PATH="{directory}:$PATH"',
            logging.WARNING,
        )
        return
    for link in links:
        found = shutil.which(link.name)
        if found and not Path(found).samefile(link):
            say(f"expose: {found} comes before {link} on PATH", logging.WARNING)
