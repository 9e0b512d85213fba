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

from elt_env.model.activation import is_link_script
from elt_env.tools.environment_variables import FOREIGN, PLACES, read_activation

_TEMPLATE = Path(__file__).with_name("launcher_environment.sh")
_ENVIRONMENT = "environment.sh"
_LAUNCHER = """\
#!/bin/sh
. {environment}
exec {program} "$@"
"""


def write_launchers(directory: Path, place: Path, prefix: Path, name: str, digest: str) -> None:
    """Write `bin/` into a directory, with a launcher for every program of a prefix.

    A launcher becomes its program, which gets the arguments, streams and signals, and whose exit
    code counts. The variables are those of `elt-env run`, but for names that no shell takes: a
    POSIX shell may leave these out.

    Args:
        directory: exists; `bin/` and `environment.sh` will be in it.
        place: the absolute path that the directory will have for good.
        prefix: what is launched, by its absolute path.
        name: of the target, as in `elt@3.11`.
        digest: of the lock that the prefix was built from.

    Raises:
        OSError: something cannot be written.
    """
    environment = _environment(prefix, name, digest)
    _write(directory / _ENVIRONMENT, environment, 0o644)
    (directory / "bin").mkdir()
    for program in programs(prefix):
        text = _LAUNCHER.format(environment=_quoted(place / _ENVIRONMENT), program=_quoted(program))
        _write(directory / "bin" / program.name, text, 0o755)


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


def _write(path: Path, text: str, mode: int) -> None:
    """Write a new file; it is on the disk when this returns."""
    with path.open("wb") as file:
        file.write(os.fsencode(text))
        file.flush()
        os.fsync(file.fileno())
    path.chmod(mode)
