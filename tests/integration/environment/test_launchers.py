"""Launchers start the programs of a prefix whatever surrounds them."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from elt_env.machine.environment_variables import user_environment
from tests.support.releases import write_launchers

_LIMIT = 20.0
_TOLD = """\
import json, os, sys
json.dump({"arguments": sys.argv[1:], "variables": dict(os.environ)}, sys.stdout)
"""
# What a shell sets by itself.
_SHELLS_OWN = {"_", "SHLVL", "PWD", "OLDPWD"}


def shells() -> list[list[str]]:
    """Return the POSIX shells of this machine, each as a command that runs a script."""
    known = (["sh"], ["dash"], ["bash", "--posix"], ["busybox", "sh"], ["ksh"])
    return [each for each in known if shutil.which(each[0])]


@pytest.fixture(params=["plain", 'it\'s a "place" $HOME `x` *', "ünï\ncode"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A directory with a name that is hard on shells."""
    directory = tmp_path / str(request.param)
    directory.mkdir()
    return directory


def launchers(place: Path) -> Path:
    """Return a `bin` of launchers for a prefix with `tell` and `sh`."""
    prefix = place / "prefix"
    (prefix / "bin").mkdir(parents=True)
    (prefix / "bin" / "sh").symlink_to("/bin/sh")
    (prefix / "bin" / "tell.py").write_text(_TOLD)
    tell = prefix / "bin" / "tell"
    # As installers do where the interpreter's path is no first line for a kernel.
    tell.write_text(
        f"#!/bin/sh\n'''exec' '{sys.executable}' \"$0\" \"$@\"\n' '''\n{_TOLD}", encoding="utf-8"
    )
    tell.chmod(0o755)
    (prefix / "bin" / "not-a-program").write_text("")
    (prefix / "bin" / "directory").mkdir()
    made = place / "release"
    made.mkdir()
    write_launchers(made, prefix, "elt@3.11", "sha256:" + "a" * 64)
    return made / "bin"


def run(
    command: Sequence[str | Path], variables: Mapping[str, str] | None = None, cwd: str = "/"
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        env=None if variables is None else dict(variables),
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=_LIMIT,
        check=False,
    )


def test_there_is_one_for_each_program(place: Path) -> None:
    assert {each.name for each in launchers(place).iterdir()} == {"tell", "sh"}


def test_arguments_and_exit_codes_are_passed_on(place: Path) -> None:
    bin_ = launchers(place)
    arguments = ["--help", "two words", "", "*", "--", "-x", "$HOME", "a\nb", "'", '"']
    done = run([bin_ / "tell", *arguments])
    assert json.loads(done.stdout)["arguments"] == arguments
    assert done.stderr == ""
    assert run([bin_ / "sh", "-c", "exit 42"]).returncode == 42
    assert run([bin_ / "sh", "-c", "kill -TERM $$"]).returncode == -signal.SIGTERM


def test_it_becomes_its_program(place: Path) -> None:
    bin_ = launchers(place)
    with subprocess.Popen(
        [bin_ / "sh", "-c", "trap 'exit 9' TERM; echo $$; while :; do sleep 0.05; done"],
        stdout=subprocess.PIPE,
        text=True,
    ) as running:
        try:
            assert running.stdout is not None
            assert running.stdout.readline() == f"{running.pid}\n"
            running.terminate()
            assert running.wait(_LIMIT) == 9
        finally:
            running.kill()


@pytest.mark.parametrize("shell", shells(), ids=" ".join)
def test_the_variables_are_those_of_elt_env_run(shell: list[str], tmp_path: Path) -> None:
    bin_ = launchers(tmp_path)
    caller = {
        "PATH": f"/elsewhere/venv/bin:{tmp_path}/own::/elsewhere/conda/bin/:{os.defpath}",
        "HOME": str(tmp_path),
        "TMPDIR": "/elsewhere/venv/tmp",
        "VIRTUAL_ENV": "/elsewhere/venv",
        "CONDA_PREFIX": "/elsewhere/conda/",
        "CONDA_DEFAULT_ENV": "base",
        "PYTHONPATH": "/elsewhere",
        "PYTHONHOME": "/elsewhere",
        "PYTHONWARNINGS": "error",
        "LD_LIBRARY_PATH": "/elsewhere",
        "MAMBA_EXE": "/elsewhere/mamba",
        "PIP_INDEX_URL": "http://elsewhere.invalid",
        "UV_CACHE_DIR": "/elsewhere",
        "OPENSSL_MODULES": "/elsewhere/conda/lib/ossl-modules",
        "SSL_CERT_FILE": "/elsewhere/conda",
        "NEARBY": "/elsewhere/condator",
        "DBT_PROFILES_DIR": "/profiles",
        "EMPTY": "",
        "QUOTES": 'it\'s "here" $HOME `id` \\ *',
        "LINES": "one\nexport DBT_PROFILES_DIR='gone'\nexport LD_; exit 3\nPYTHONPATH\n$(exit 4)",
        "GLOB": "*",
        "IFS": "x",
        "LC_ALL": "C.UTF-8",
    }
    done = run([*shell, bin_ / "tell"], caller)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    found = json.loads(done.stdout)["variables"]
    wanted = user_environment(tmp_path / "prefix", caller)
    ignored = {*_SHELLS_OWN, "IFS"}
    assert {k: v for k, v in found.items() if k not in ignored} == {
        k: v for k, v in wanted.items() if k not in ignored
    }


def test_without_any_variable(tmp_path: Path) -> None:
    done = run([launchers(tmp_path) / "tell"], {})
    found = json.loads(done.stdout)["variables"]
    assert found["PATH"].split(":")[0] == str(tmp_path / "prefix/bin")
    assert "/bin" in found["PATH"].split(":")
    assert found["PYTHONNOUSERSITE"] == "1"


def test_no_program_but_its_own_is_started(tmp_path: Path) -> None:
    """Not even one of a PATH that leads to wrong ones."""
    for name in ("env", "sed", "dirname", "printf", "test", "cat"):
        (tmp_path / name).write_text("#!/bin/sh\necho wrong one >&2; exit 97\n")
        (tmp_path / name).chmod(0o755)
    done = run([launchers(tmp_path) / "tell"], {"PATH": str(tmp_path)})
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""


def test_a_link_to_it_and_a_first_line_with_it_work(tmp_path: Path) -> None:
    bin_ = launchers(tmp_path)
    link = tmp_path / "other-name"
    link.symlink_to(bin_ / "tell")
    assert json.loads(run([link, "x"]).stdout)["arguments"] == ["x"]
    script = tmp_path / "script"
    script.write_text(f"#!{bin_ / 'tell'}\n")
    script.chmod(0o755)
    assert json.loads(run([script, "x"]).stdout)["arguments"] == [str(script), "x"]


def test_a_prefix_that_is_gone_is_named(place: Path) -> None:
    bin_ = launchers(place)
    shutil.rmtree(place / "prefix")
    done = run([bin_ / "tell"])
    assert done.returncode == 127
    assert f"{place}/prefix, the prefix of this release, is gone" in done.stderr
    assert "elt-env rollback elt@3.11 --to sha256:aaaa" in done.stderr
