"""Record what conda's activation of a prefix would set, while the prefix is built.

Nothing is activated when a prefix is used. What the activation would set is found out once, in a
shell without anything of the caller's, and is there in all that is run from the prefix.

Conda exports the variables of `etc/conda/env_vars.d`, a file after the other, then those of
`conda-meta/state`, which come from the spec, and then sources the scripts of
`etc/conda/activate.d`, so that a script sees them and may set others (conda/activate.py,
`_yield_commands` and `_get_environment_env_vars`, 24.7).
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import re
import shlex
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from elt_env.environment.prefix import Prefix
from elt_env.errors import TimeLimitError
from elt_env.machine.activation import Activation, is_link_script
from elt_env.machine.environment_variables import ACTIVATION, clean_environment
from elt_env.machine.process import Say, run
from elt_env.machine.scratch import scratch_directory
from elt_env.package.names import VARIABLE
from elt_env.runtime.files import write_atomically
from elt_env.runtime.input_files import read_stored, read_stored_text
from elt_env.runtime.limits import load_json

STATE = "conda-meta/state"
"""Where conda keeps the variables of the spec, and `conda env config vars list` finds them."""

_SCRIPTS = Path("etc/conda/activate.d")
_VARIABLES = Path("etc/conda/env_vars.d")
_UNSET = "***unset***"  # conda's own word for a variable that is taken back
_LIMIT = 30.0  # seconds for all the scripts of a prefix
# What a shell, or conda itself, sets, and what scripts note for the deactivation.
_OWN = re.compile(
    r"PATH|PWD|OLDPWD|SHLVL|_|HOME|TMPDIR|PS1|CONDA_(?:PREFIX|DEFAULT_ENV|SHLVL|PROMPT_MODIFIER)"
    r"|_?_?CONDA_(?:BACKUP|SET|SHLVL)_.*"
)
# Where the loader (ld.so(8)) and Python look for code: nothing outside the prefix.
_CODE = re.compile(r"LD_.*|PYTHON(?:PATH|HOME|STARTUP|USERBASE)")


def keep_activation(prefix: Prefix, say: Say) -> Activation:
    """Record what the activation of a prefix sets, run its scripts once for that, and return it.

    Values are told nobody. Without anything to set, nothing is written.

    Raises:
        StorageError: the disk is full or not writable.
    """
    found = _recorded(prefix)
    if found != Activation():
        write_atomically(prefix.path / ACTIVATION, json.dumps(found.to_json(), indent=1) + "\n")
        names = ", ".join(name for name, _ in found.variables) or "nothing"
        say(f"activation: set in all that is run from the prefix: {names}")
    for each in found.omitted:
        say(f"activation: {each}", logging.WARNING)
    if prefix.lock.variables and prefix.lock.interpreter is None:
        content = {"env_vars": dict(prefix.lock.variables)}
        write_atomically(prefix.path / STATE, json.dumps(content, ensure_ascii=False) + "\n")
    return found


def link_scripts(prefix: Prefix) -> list[str]:
    """Return the scripts that conda runs when it links or unlinks a package; here they are not."""
    found = (prefix.path / "bin").glob(".*-*link.sh")
    return sorted(f"bin/{each.name}" for each in found if is_link_script(f"bin/{each.name}"))


def _recorded(prefix: Prefix) -> Activation:
    omitted: list[str] = []
    given = dict(_of_packages(prefix, omitted)) | dict(prefix.lock.variables)
    scripts = sorted(str(each) for each in (prefix.path / _SCRIPTS).glob("*.sh"))
    omitted += _for_other_shells(prefix)
    base = _base(prefix)
    exported = {name: value for name, value in given.items() if not _is_own(name)}
    omitted += [f"the variable {each} is conda's own" for each in sorted(given.keys() - exported)]
    after = base | exported
    if scripts:
        with scratch_directory("activation") as name:
            place = Path(os.path.realpath(name))
            after = _Shell(prefix, place, omitted).source(scripts, base | exported)
    changed = {
        name: value
        for name, value in after.items()
        if base.get(name) != value and not _is_own(name) and VARIABLE.fullmatch(name)
    }
    spelled = (os.path.realpath(prefix.path), str(prefix.path))
    variables = tuple((name, _parts(value, spelled)) for name, value in sorted(changed.items()))
    directories = _directories(base["PATH"], after["PATH"], spelled, omitted)
    return Activation(variables, directories, tuple(omitted))


def _is_own(name: str) -> bool:
    return _OWN.fullmatch(name) is not None


def _base(prefix: Prefix) -> dict[str, str]:
    """Return the variables that conda's activation starts from, with nothing of the caller's."""
    own = {
        "LANG": "C.UTF-8",
        "CONDA_PREFIX": str(prefix.path),
        "CONDA_DEFAULT_ENV": str(prefix.path),
        "CONDA_SHLVL": "1",
        "CONDA_PROMPT_MODIFIER": f"({prefix.path}) ",
    }
    return clean_environment(path=[prefix.path / "bin"], extra=own, base={})


def _of_packages(prefix: Prefix, omitted: list[str]) -> Iterator[tuple[str, str]]:
    """Yield the variables of the files in env_vars.d; of one name, the last one counts."""
    for path in sorted((prefix.path / _VARIABLES).glob("*")):
        try:
            content = load_json(read_stored_text(path))
            # conda exports a name in capitals (envvars_force_uppercase).
            found = [(str(name).upper(), str(value)) for name, value in content.items()]
        except (OSError, ValueError, AttributeError):
            omitted.append(f"{_VARIABLES / path.name} is no JSON object, so it sets nothing")
            continue
        yield from (each for each in found if each[1] != _UNSET)


def _for_other_shells(prefix: Prefix) -> list[str]:
    """Return a line for each script that has no like for the shells that conda sources `.sh` in."""
    found = sorted((prefix.path / _SCRIPTS).glob("*.*"))
    return [
        f"{_SCRIPTS / each.name} is for another shell, and there is none for sh"
        for each in found
        if each.suffix != ".sh" and each.with_suffix(".sh") not in found
    ]


def _parts(value: str, spelled: Iterable[str]) -> tuple[str, ...]:
    *others, prefix = spelled
    for each in others:
        value = value.replace(each, prefix)
    return tuple(value.split(prefix))


def _directories(
    before: str, after: str, spelled: Sequence[str], omitted: list[str]
) -> tuple[str, ...]:
    """Return what was put on PATH in the prefix, as paths below it; the rest is told."""
    known = before.split(os.pathsep)
    added = [each for each in after.split(os.pathsep) if each not in known]
    inside = []
    for each in dict.fromkeys(added):
        root = next((root for root in spelled if each.startswith(f"{root}/")), None)
        if root:
            inside.append(each[len(root) + 1 :])
        else:
            omitted.append(f"'{each}' on PATH is outside the prefix")
    return tuple(inside)


@dataclass(frozen=True)
class _Shell:
    """A shell that sources scripts as an activation does, and tells what each of them did.

    Attributes:
        place: an empty directory: the home of whoever activates.
        omitted: takes a line for what is not recorded.
    """

    prefix: Prefix
    place: Path
    omitted: list[str]

    def source(self, scripts: Sequence[str], variables: Mapping[str, str]) -> dict[str, str]:
        """Return the variables after the scripts were sourced, but for those that end the shell."""
        left = list(scripts)
        while True:
            told = self._run(left, variables)
            ended = next((n for n in range(len(left)) if not self._told(told, n + 1)), None)
            if ended is None:
                return self._after(left, told, dict(variables))
            self._omit(left.pop(ended), "ends the shell that sources it, or takes too long")

    def _run(self, scripts: Sequence[str], variables: Mapping[str, str]) -> Path:
        told = Path(tempfile.mkdtemp(dir=self.place))
        home = Path(tempfile.mkdtemp(dir=self.place))
        shell = shutil.which("bash", path=variables["PATH"]) or "/bin/sh"
        options = ["--noprofile", "--norc"] if Path(shell).name == "bash" else []
        program = told / "program"
        write_atomically(program, "\n".join(self._program(scripts, told)) + "\n")
        # What it had told by the limit says which script it was in.
        with contextlib.suppress(TimeLimitError):
            run(
                [shell, *options, program],
                limit=_LIMIT,
                env={**variables, "HOME": str(home), "TMPDIR": str(home)},
                cwd=home,
            )
        return told

    @staticmethod
    def _program(scripts: Sequence[str], told: Path) -> Iterator[str]:
        """Yield the lines of a program that sources the scripts and tells after each of them."""
        env = shutil.which("env") or "/usr/bin/env"
        yield "_elt_tell() {"
        yield f"  {{ declare -F; alias; complete -p; }} >{shlex.quote(str(told))}/$1.shell 2>&-"
        yield f"  {env} -0 >{shlex.quote(str(told))}/$1.variables"
        yield f"  printf %s $2 >{shlex.quote(str(told))}/$1.status"
        yield "}"
        yield "_elt_tell 0 0"
        for number, each in enumerate(scripts, 1):
            yield f". {shlex.quote(each)}"
            yield f"_elt_tell {number} $?"
            yield "set +eu"

    @staticmethod
    def _told(told: Path, number: int) -> bool:
        return (told / f"{number}.status").is_file()

    def _after(
        self, scripts: Sequence[str], told: Path, variables: dict[str, str]
    ) -> dict[str, str]:
        before = _read_variables(told / "0.variables")
        start = before
        for number, script in enumerate(scripts, 1):
            status = read_stored_text(told / f"{number}.status")
            if status != "0":
                self._omit(script, f"ended with exit code {status}")
            if read_stored(told / f"{number - 1}.shell") != read_stored(told / f"{number}.shell"):
                self._omit(script, "defines functions, aliases or completions for a shell")
            after = _read_variables(told / f"{number}.variables")
            for name, value in after.items():
                if before.get(name) != value and not _is_own(name):
                    kept = self._kept(script, name, value)
                    if kept is None:
                        variables.pop(name, None)
                    else:
                        variables[name] = kept
            for name in before.keys() - after.keys():
                variables.pop(name, None)
            before = after
        return variables | {"PATH": before.get("PATH", start["PATH"])}

    def _kept(self, script: str, name: str, value: str) -> str | None:
        """Return what is recorded of a value; None where it is none for everybody."""
        if str(self.place) in value:
            self._omit(script, f"sets {name} to a path of whoever activates")
            return None
        if not _CODE.fullmatch(name):
            return value
        # An empty one would be the current directory.
        parts = [each for each in value.split(os.pathsep) if each]
        roots = (os.path.realpath(self.prefix.path), str(self.prefix.path))
        inside = [
            each for each in parts if any(f"{each}/".startswith(f"{root}/") for root in roots)
        ]
        if inside != parts:
            self._omit(script, f"sets {name} to what is outside the prefix")
        return os.pathsep.join(inside) or None

    def _omit(self, script: str, what: str) -> None:
        self.omitted.append(f"{os.path.relpath(script, self.prefix.path)} {what}")


def _read_variables(path: Path) -> dict[str, str]:
    entries = os.fsdecode(read_stored(path)).split("\0")
    return dict(each.partition("=")[::2] for each in entries if each)
