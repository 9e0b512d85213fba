"""Run uv with the indexes and the credentials of this user."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path

import uv

from elt_env.index.http_client import patiently
from elt_env.index.http_errors import busy
from elt_env.machine.indexes import Indexes
from elt_env.machine.logins import Logins, completed
from elt_env.machine.process import Completed, Say, clean_environment, run
from elt_env.pip.shelf_server import ServedShelf
from elt_env.pip.uv_answers import DIARY
from elt_env.runtime.files import write_atomically

_FOREVER = "max-age=31536000, immutable"
_TRIES = 2  # of a command that met a busy server which does not say for how long
_A_WHILE = "max-age=600"


def run_uv(  # noqa: PLR0913  # the parts of one command
    command: list[str],
    place: Path,
    say: Say,
    *,
    indexes: Indexes,
    limit: float,
    variables: Mapping[str, str] | None = None,
) -> Completed:
    """Run uv in a directory, again for as long as a server asks for that.

    Raises:
        NetworkError: a server that asks for more time than there is.
        TimeLimitError: it took longer than `limit` seconds.
    """

    def once() -> Completed:
        done = _run_once(command, place, say, indexes, variables or {}, limit)
        later = busy(done.stderr) if done.returncode else None
        if later:
            raise later
        return done

    return patiently(once, logins=Logins(indexes), tries=_TRIES, limit=limit, say=say)


def _run_once(  # noqa: PLR0913, PLR0917  # the parts of one command
    command: list[str],
    place: Path,
    say: Say,
    indexes: Indexes,
    variables: Mapping[str, str],
    limit: float,
) -> Completed:
    credentials = dict(variables)
    indexes = completed(indexes)
    for number, index in enumerate(indexes.all):
        if index.username or index.password:
            credentials[f"UV_INDEX_I{number}_USERNAME"] = index.username
            credentials[f"UV_INDEX_I{number}_PASSWORD"] = index.password
    return run(
        [uv.find_uv_bin(), *command[1:]],
        limit=limit,
        env=clean_environment(extra=credentials | {"NO_COLOR": "1", "TMPDIR": str(place)}),
        cwd=place,
        say=partial(_tell, say),
        secrets=indexes.secrets,
        diary=DIARY,
    )


def _tell(say: Say, line: str) -> None:
    """Tell a line of uv's; each package that is installed or removed has one."""
    say(line, logging.DEBUG if line.startswith((" + ", " - ")) else logging.INFO)


def write_config(
    place: Path,
    indexes: Indexes,
    *,
    fresh: bool = False,
    shelf: ServedShelf | None = None,
) -> Path:
    """Write a uv.toml that names the indexes, and how long their answers count as new.

    A shelf comes first, so that no index is asked for what only the shelf can have.

    Without a rule of ours for the pages, uv keeps to the index's own, and to `--refresh`.
    """
    rules = [f'files = "{_FOREVER}"'] + ([] if fresh else [f'api = "{_A_WHILE}"'])
    links = [*indexes.links, *([shelf.links] if shelf else [])]
    lines = [f"find-links = {json.dumps(links)}"] if links else []
    lines += ["no-index = true"] if indexes.no_index and not shelf else []
    if shelf:
        alone = "true" if indexes.no_index else "false"
        lines += ["[[index]]", 'name = "shelf"', f"url = {json.dumps(shelf.index)}"]
        lines.append(f"default = {alone}")
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


def besides_proxy(host: str) -> dict[str, str]:
    """Return the variables by which no proxy comes between uv and a host."""
    known = os.environ.get("NO_PROXY") or os.environ.get("no_proxy") or ""
    both = ",".join([*filter(None, [known]), host])
    return {"NO_PROXY": both, "no_proxy": both}


def format_options(
    *,
    wheels_only: bool,
    allow: Iterable[str],
    only_binary: Iterable[str] = (),
    no_binary: Iterable[str] = (),
) -> list[str]:
    """Return the options for wheels only, with `allow` as the distributions built from an sdist.

    `only_binary` and `no_binary` are names that a person gave; see PipOptions.
    """
    sdists = [*allow, *no_binary] if wheels_only else [*no_binary]
    wheels = [":all:"] if wheels_only else [*only_binary]
    return [
        *(part for name in wheels for part in ("--only-binary", name)),
        *(part for name in dict.fromkeys(sdists) for part in ("--no-binary", name)),
    ]
