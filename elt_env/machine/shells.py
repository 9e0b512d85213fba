"""A person's shell: how they call this program in it, and one with a prefix first on PATH."""

from __future__ import annotations

import os
import shlex
import shutil
from collections.abc import Mapping
from pathlib import Path

from elt_env.machine.environment_variables import read_activation, user_environment

_STARTUP = Path(__file__).with_name("shell_startup.sh")
_DEFAULT = "/bin/sh"


def shell_in(
    prefix: Path, label: str, base: Mapping[str, str] | None = None
) -> tuple[list[str], dict[str, str]]:
    """Return the command and the variables of the person's shell with a prefix's tools first.

    Startup files often put other directories first on PATH. bash and the POSIX shells therefore
    read the person's file by way of one that puts the prefix first again and `label` into the
    prompt; any other shell gets the variables alone.

    Args:
        prefix: the directory whose `bin` comes first.
        label: what the prompt starts with.
        base: where SHELL and the other variables are taken from; os.environ by default.
    """
    source = os.environ if base is None else base
    variables = user_environment(prefix, source)
    shell = variables.get("SHELL") or _DEFAULT
    activation = read_activation(prefix)
    passed = {
        "_ELT_BIN": os.pathsep.join(activation.path(str(prefix))),
        "_ELT_LABEL": label,
        "_ELT_VARIABLES": "".join(
            f"export {name}={shlex.quote(value)}\n"
            for name, value in activation.values(str(prefix)).items()
        ),
    }
    if Path(shell).name == "bash":
        # https://www.gnu.org/software/bash/manual/html_node/Bash-Startup-Files.html
        own = {"_ELT_STARTUP": str(Path(variables.get("HOME", "/")) / ".bashrc")}
        return [shell, "--rcfile", str(_STARTUP), "-i"], variables | passed | own
    # https://pubs.opengroup.org/onlinepubs/9799919799/utilities/sh.html: ENV
    own = {"_ELT_STARTUP": variables.get("ENV", ""), "ENV": str(_STARTUP)}
    return [shell, "-i"], variables | passed | own


def own_command(started: str) -> str:
    """Return how a person calls this program here: its name, or its path when not on PATH.

    Args:
        started: what it was started as, `sys.argv[0]`.
    """
    program = Path(started)
    found = shutil.which("elt-env")
    if found and program.exists() and Path(found).samefile(program):
        return "elt-env"
    here = Path.cwd()
    absolute = program.absolute()
    return str(absolute.relative_to(here) if absolute.is_relative_to(here) else absolute)
