"""Launchers: programs that start the programs of one prefix, in whatever environment.

A link into the prefix would not do: Python finds its modules from the path it was started by, and
that path would lead elsewhere once the link is switched. A launcher names the prefix itself.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

from elt_env.machine.activation import is_link_script
from elt_env.machine.environment_variables import FOREIGN, PLACES, read_activation

_TEMPLATE = Path(__file__).with_name("launcher_environment.sh")
_ENVIRONMENT = "environment.sh"
# A store that was copied has launchers of the other one: beside them lies another environment.sh.
_LAUNCHER = """\
#!/bin/sh
_elt_place={environment}
_elt_here=${{0%/*}}/../environment.sh
if ! [ -f "$_elt_place" ] || {{ [ -f "$_elt_here" ] && ! [ "$_elt_here" -ef "$_elt_place" ]; }}
then
    printf '%s\\n' "elt-env: this launcher is for $_elt_place: the store was moved or copied." \\
        '  -> Make it again where it is now: elt-env build {name}' >&2
    exit 127
fi
. "$_elt_place"
exec {program} "$@"
"""


LauncherFiles = dict[str, tuple[bytes, int]]
"""Content and mode by path."""


def launcher_files(place: Path, prefix: Path, name: str, digest: str) -> LauncherFiles:
    """Return a launcher for every program of a prefix, in `bin/`, and what they all read.

    A launcher becomes its program, which gets the arguments, streams and signals, and whose exit
    code counts. The variables are those of `elt-env run`, but for names that no shell takes: a
    POSIX shell may leave these out.

    Args:
        place: the absolute path of the directory that they will be in for good.
        prefix: what is launched, by its absolute path.
        name: of the target, as in `elt@3.11`.
        digest: of the lock that the prefix was built from.

    Raises:
        OSError: the prefix cannot be read.
    """
    files = {_ENVIRONMENT: (os.fsencode(_environment(prefix, name, digest)), 0o644)}
    environment = _quoted(place / _ENVIRONMENT)
    for program in programs(prefix):
        text = _LAUNCHER.format(environment=environment, program=_quoted(program), name=name)
        files[f"bin/{program.name}"] = os.fsencode(text), 0o755
    return files


def _environment(prefix: Path, name: str, digest: str) -> str:
    text = _TEMPLATE.read_text(encoding="utf-8")
    activation = read_activation(prefix)
    variables = activation.values(str(prefix)).items()
    values = {
        "name": name,
        "digest": digest,
        "foreign": " | ".join(f"{each}*" for each in FOREIGN),
        "places": " | ".join(PLACES),
        "path": os.defpath,
        "search": ":".join(map(shlex.quote, activation.path(str(prefix)))),
        "variables": "".join(f"export {k}={shlex.quote(v)}\n" for k, v in variables),
        "prefix": _quoted(prefix),
    }
    return re.sub("@([a-z]+)@", lambda found: values[found[1]], text)


def programs(prefix: Path) -> Iterator[Path]:
    """Yield what a person can start of a prefix, sorted: not what conda runs when it links."""
    for each in sorted((prefix / "bin").iterdir()):
        is_program = each.is_file() and os.access(each, os.X_OK)
        if is_program and not is_link_script(f"bin/{each.name}"):
            yield each


def _quoted(path: Path) -> str:
    return shlex.quote(str(path))
