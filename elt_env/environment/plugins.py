"""The environments of Meltano's plugins: installed once, used by every run.

They are kept below the store's cache, under what decides their content: the Python, the platform,
Meltano itself and the project that pins them. They are relocatable, so a run gets its own virtual
environments that borrow the installed libraries and run on its own prefix's interpreter.
"""

from __future__ import annotations

import json
import logging
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from elt_env.environment.meltano_file import read_meltano
from elt_env.environment.prefix import Prefix
from elt_env.errors import EltEnvError, IndexUnreachableError, ToolError
from elt_env.index.http_errors import refusal
from elt_env.machine.environment_variables import prefix_environment
from elt_env.machine.indexes import Indexes
from elt_env.machine.logins import completed
from elt_env.machine.process import Completed, Say, end_of, run
from elt_env.package.canonical import digest_of, short
from elt_env.runtime.file_lock import file_lock
from elt_env.runtime.files import remove_tree, sha256_of, write_atomically, writing
from elt_env.runtime.input_files import read_stored_text
from elt_env.runtime.masking import spellings

_MARKER = ".ready.json"
_STARTED = re.compile(r"Installing (?:extractor|loader) '(?P<name>[^']+)'")
_FINISHED = re.compile(r"Installed (?:extractor|loader) '(?P<name>[^']+)'")
_FRAME = re.compile(r"^[│╭╰─ ]+|[│╮╯─ ]+$")
_MISMATCH = re.compile(r"Hash mismatch for `(?P<what>[^`]+)`")
_UNREACHED = re.compile(
    r"error sending request|could not connect|connection refused|dns error|HTTP status server error"
)
QUIET = {
    "MELTANO_SEND_ANONYMOUS_USAGE_STATS": "false",
    "MELTANO_DISABLE_TRACKING": "true",
    "MELTANO_CLI_DISABLE_VERSION_CHECK": "true",
    "NO_COLOR": "1",
}


@dataclass(frozen=True)
class MeltanoProject:
    """A Meltano project that one prefix's Meltano runs in a directory of its own.

    Attributes:
        path: the project's directory, which Meltano may write into.
        system: Meltano's system directory (MELTANO_SYS_DIR_ROOT) for this run.
        prefix: whose `meltano` it is.
        indexes: where plugins come from.
        limit: seconds that one command may take.
        handed_on: variables of the caller's that it gets, whose values are secrets.
        after: digest of the lock of plugins that a new one is to follow; what was installed before
            that is not taken again.
    """

    path: Path
    system: Path
    prefix: Prefix
    indexes: Indexes
    limit: float
    handed_on: Mapping[str, str] = field(default_factory=dict, repr=False)
    after: str = ""

    def run(self, arguments: list[str], variables: Mapping[str, str], say: Say) -> Completed:
        """Run `meltano` with these arguments; its exit code is left to the caller.

        Raises:
            ToolError: it is not there.
            TimeLimitError: it was still running at the limit.
        """
        return self._meltano(arguments, self.system, variables, say)

    def provide_plugins(self, cache: Path, say: Say) -> None:
        """Make the plugins' environments ready in the system directory.

        Raises:
            ToolError: one cannot be installed.
            IndexUnreachableError: the package index does not answer.
            BusyError: another process has been installing them for longer than the limit.
            StorageError: the disk is full or not writable.
        """
        shared = cache / short(self._key())
        with file_lock(
            cache / f".{shared.name}.lock",
            self.limit,
            f"installing {shared}",
            "Wait for it or end it, then run the same command.",
        ):
            if not (shared / _MARKER).exists():
                self._install(shared, say)
        for environment in sorted(shared.glob("*/*/venv")):
            _borrow(environment, self.system / environment.relative_to(shared), self.prefix)

    def _key(self) -> str:
        files = sorted(path for path in self.path.rglob("*") if path.is_file())
        after = {"after": self.after} if self.after else {}
        return digest_of(
            after
            | {
                "python": self.prefix.lock.python.version,
                "platform": self.prefix.lock.target.platform,
                "meltano": self.prefix.lock.distributions.get("meltano"),
                "project": {str(each.relative_to(self.path)): sha256_of(each) for each in files},
            }
        )

    def _install(self, shared: Path, say: Say) -> None:
        say(f"meltano: installing the plugins into {shared}")
        remove_tree(shared)
        variables = index_variables(completed(self.indexes)) | {
            "UV_VENV_RELOCATABLE": "1",
            "UV_COMPILE_BYTECODE": "1",
        }
        if self.after:  # what the index said a while ago is not asked for
            variables["UV_NO_CACHE"] = "1"
        done = self._meltano(["install"], shared, variables, say)
        wanted = any(each.pip_url for each in read_meltano(self.path).plugins)
        if done.returncode or (wanted and not list(shared.glob("*/*/venv"))):
            raise _install_error(done.stdout)
        write_atomically(shared / _MARKER, json.dumps({"command": done.command}) + "\n")

    def _meltano(
        self, arguments: list[str], system: Path, variables: Mapping[str, str], say: Say
    ) -> Completed:
        with writing(system):
            system.mkdir(parents=True, exist_ok=True)
            self.system.mkdir(parents=True, exist_ok=True)
        own = {
            # A variable of the spec would lead to the project that this one is a copy of.
            "MELTANO_PROJECT_ROOT": str(self.path),
            "MELTANO_SYS_DIR_ROOT": str(system),
            "MELTANO_DATABASE_URI": f"sqlite:///{self.system / 'meltano.db'}",
            "XDG_STATE_HOME": str(self.system / "state"),  # where its logs go
        }
        return run(
            [self.prefix.path / "bin" / "meltano", *arguments],
            limit=self.limit,
            env=prefix_environment(
                self.prefix.path, extra=QUIET | {**self.handed_on, **own, **variables}
            ),
            cwd=self.path,
            say=lambda line: say(line, logging.DEBUG),
            secrets=(*completed(self.indexes).secrets, *spellings(self.handed_on.values())),
            merge=True,
        )


def index_variables(indexes: Indexes) -> dict[str, str]:
    """Return the variables that tell uv of the indexes; it is Meltano that starts uv."""
    variables = {}
    if indexes.default is not None:
        variables["UV_DEFAULT_INDEX"] = indexes.default.url_with_credentials
    if indexes.extra:
        variables["UV_INDEX"] = " ".join(each.url_with_credentials for each in indexes.extra)
    return variables


def _borrow(installed: Path, own: Path, prefix: Prefix) -> None:
    """Make `own` a virtual environment of the prefix with the libraries of an installed one.

    An interpreter finds its environment by the pyvenv.cfg beside its own directory
    (https://docs.python.org/3/library/site.html), and relocatable scripts find the interpreter
    beside themselves.
    """
    with writing(own):
        shutil.copytree(installed / "bin", own / "bin", symlinks=True)
        (own / "lib").symlink_to(installed / "lib", target_is_directory=True)
        interpreter = own / "bin" / "python"
        interpreter.unlink(missing_ok=True)
        interpreter.symlink_to(prefix.python)
        settings = read_stored_text(installed / "pyvenv.cfg").splitlines()
        home = f"home = {prefix.path / 'bin'}"
        lines = [home if each.startswith("home =") else each for each in settings]
        (own / "pyvenv.cfg").write_text("\n".join(lines) + "\n", encoding="utf-8")


def _install_error(output: str) -> EltEnvError:
    started = set(_STARTED.findall(output))
    failed = sorted(started - set(_FINISHED.findall(output)))
    names = ", ".join(failed) or "its plugins"
    cause = end_of(_unframed(output), 12)
    stopped = refusal(cause)
    if stopped:
        return stopped
    if _UNREACHED.search(cause):
        return IndexUnreachableError(
            f"Meltano cannot install {names}: the package index does not answer.\n{cause}",
            "Check the network and the index of the pip or uv settings, then run it again.",
        )
    if "Meltano Hub" in output:
        return IndexUnreachableError(
            f"Meltano cannot install {names}: Meltano Hub does not answer, which knows the plugins "
            f"without a pip_url.\n{cause}",
            "Where it answers, run 'meltano lock' in the project: its directory plugins/ is copied "
            "as well. Or write namespace, pip_url and executable of each into meltano.yml.",
        )
    mismatch = _MISMATCH.search(cause)
    if mismatch:
        return ToolError(
            f"Meltano cannot install {names}: the index serves other bytes of {mismatch['what']} "
            f"than meltano/requirements pins.\n{cause}",
            "If the index is trusted, renew the file of pins, as its first lines tell.",
        )
    return ToolError(
        f"Meltano cannot install {names}:\n{cause}",
        "Correct its pip_url in meltano.yml, or its pins in the files that this names.",
    )


def _unframed(output: str) -> str:
    """Return the lines that Meltano puts into a box, which hold the installer's own words."""
    boxed = [_FRAME.sub("", each) for each in output.splitlines() if each.startswith("│")]
    return "\n".join(boxed) or output.strip()
