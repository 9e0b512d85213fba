"""Conda itself, with its own solver, to do with what is made here what others do with it.

It is 24.7.1, which the wheel of conda-lock carries (conda is not on PyPI). It is installed from
tests/real-conda.txt once for all runs on a machine.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from elt_env.lockfile.document import Lock
from elt_env.machine.process import Completed, clean_environment, run
from tests.support.installed_tools import installed_tool

_LIMIT = 600.0

# A micromamba of the options that its documentation has, and of the answers that libmamba writes;
# what it links and chooses is conda's.
_MICROMAMBA = """\
#!{python}
import argparse, json, os, subprocess, sys
if sys.argv[1:] == ["--version"]:
    print("2.0.5")
    sys.exit()
parser = argparse.ArgumentParser(allow_abbrev=False)
parser.add_argument("command", choices=["create"])
for flag in ("yes", "quiet", "json", "dry-run", "override-channels", "no-rc", "no-pin", "no-pyc"):
    parser.add_argument("--" + flag, action="store_true")
for option in ("prefix", "root-prefix", "platform", "channel-priority", "file"):
    parser.add_argument("--" + option)
parser.add_argument("--channel", action="append", default=[])
parser.add_argument("specs", nargs="*")
asked = parser.parse_intermixed_args()
assert asked.no_rc and asked.yes and asked.root_prefix, sys.argv
more = [each for each in ("--dry-run", "--json") if each in sys.argv]
more += [part for each in asked.channel for part in ("--channel", each)]
more += ["--override-channels"] if asked.override_channels else []
more += ["--file", asked.file] if asked.file else []
variables = os.environ | {{"CONDA_SUBDIR": asked.platform or os.environ["CONDA_SUBDIR"]}}
if asked.channel_priority:
    variables["CONDA_CHANNEL_PRIORITY"] = asked.channel_priority
options = ["create", "--yes", "--quiet", "--prefix", asked.prefix]
done = subprocess.run(
    ["{conda}", *options, *more, *asked.specs], env=variables, capture_output=True, text=True
)
if not asked.json:
    print(done.stdout + done.stderr)
    sys.exit(done.returncode)
answer = json.loads(done.stdout)
if done.returncode:
    print(json.dumps({{"success": False, "solver_problems": [answer["message"]]}}))
    sys.exit(1)
for each in answer.get("actions", {{}}).get("LINK", ()):
    where = each.pop("base_url") + "/" + each["platform"]
    file = each.pop("dist_name") + ".conda"
    each |= {{"subdir": each.pop("platform"), "fn": file, "url": where + "/" + file}}
    each |= {{"build": each["build_string"], "channel": where}}
print(json.dumps(answer))
"""


@dataclass(frozen=True)
class RealConda:
    """A conda.

    Attributes:
        python: the interpreter that it is installed for.
        vendored: the directory of its package.
        home: for its cache of packages and whatever else it keeps.
    """

    python: Path
    vendored: Path
    home: Path

    def __call__(self, *arguments: str | Path, may_fail: bool = False) -> Completed:
        """Run a command of conda, as in `conda("list", "-p", prefix)`."""
        done = self._run("-m", "conda", *arguments)
        assert may_fail or done.returncode == 0, done.stdout + done.stderr
        return done

    def json(self, *arguments: str | Path) -> Any:
        """Return what a command prints as JSON."""
        return json.loads(self(*arguments, "--json").stdout)

    def solve(self, channels: Sequence[str], specs: Sequence[str]) -> dict[str, str]:
        """Return the versions that its own solver finds, by name; nothing is installed."""
        named = [part for each in channels for part in ("-c", each)]
        place = self.home / "nowhere"
        options = ("--dry-run", "--override-channels", "-p", place)
        answer = self.json("create", *options, *named, *specs)
        return {each["name"]: each["version"] for each in answer["actions"]["LINK"]}

    def program(self) -> Path:
        """Return a program that runs it, as it lies on the PATH of others."""
        tool = self.home / "bin" / "conda"
        tool.parent.mkdir(exist_ok=True)
        variables = f"PYTHONPATH={self.vendored} CONDA_SOLVER=classic"
        tool.write_text(f'#!/bin/sh\nexec env {variables} {self.python} -m conda "$@"\n')
        tool.chmod(0o755)
        return tool

    def micromamba(self) -> Path:
        """Return a program that is called, and answers, as micromamba is documented to."""
        conda = self.program()
        tool = conda.with_name("micromamba")
        tool.write_text(_MICROMAMBA.format(python=sys.executable, conda=conda))
        tool.chmod(0o755)
        return tool

    def conda_lock(self, spec: Path, output: Path) -> Path:
        """Lock conda's half of a spec with conda-lock, and return where it is written."""
        names = self.home / "names.json"  # of distributions, which it would fetch
        names.write_text("{}")
        options = ("--no-mamba", "--no-micromamba", "--conda", self.program(), "-p", "linux-64")
        lookup = ("--pypi_to_conda_lookup_file", names.as_uri())
        done = self._run(
            *("-m", "conda_lock", "lock", *options, *lookup),
            *("-f", spec, "--lockfile", output),
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return output

    def python_code(self, code: str, *arguments: str | Path) -> str:
        """Return what Python code prints that may import conda."""
        done = self._run("-c", code, *arguments)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def _run(self, *arguments: str | Path) -> Completed:
        variables = {
            # Its own default makes pip a requirement of every Python, whatever the channel says.
            "CONDA_ADD_PIP_AS_PYTHON_DEPENDENCY": "false",
            "CONDARC": os.devnull,
            "CONDA_PKGS_DIRS": str(self.home / "pkgs"),
            "CONDA_SOLVER": "classic",
            "CONDA_REGISTER_ENVS": "false",
            "HOME": str(self.home),
            "NO_PROXY": "127.0.0.1",
            "PYTHONPATH": str(self.vendored),
        }
        return run(
            [self.python, *arguments],
            limit=_LIMIT,
            env=clean_environment(extra=variables),
            cwd=self.home,
        )


def installed_conda(home: Path) -> RealConda:
    """Return the real conda, which is installed the first time; `home` is for what it keeps."""
    place = installed_tool("real-conda")
    (vendored,) = place.glob("lib/python*/site-packages/conda_lock/_vendor")
    home.mkdir(parents=True, exist_ok=True)
    return RealConda(place / "bin" / "python", vendored, home)


def with_md5(lock: Lock, text: str) -> str:
    """Return an explicit file with the md5 of packages in place of their sha256.

    Conda reads `#sha256:` from 24.9 on.
    """
    for each in lock.conda:
        assert each.conda is not None
        assert each.conda.md5
        assert f"#sha256:{each.sha256}\n" in text
        text = text.replace(f"#sha256:{each.sha256}\n", f"#{each.conda.md5}\n")
    return text
