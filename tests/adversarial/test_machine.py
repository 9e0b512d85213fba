"""Machines on which nothing can work, or not as usual: one message, or it works."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from elt_env.cli import main as cli
from elt_env.pip import uv_errors
from elt_env.project.settings import open_project

_COMMAND = [sys.executable, "-m", "elt_env"]
_PATH = "environment.yml"


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A directory with a spec in which nothing is wrong."""
    (tmp_path / _PATH).write_text("dependencies: [python=3.11]\n")
    return tmp_path


def _lint(place: Path, path: str = _PATH, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": os.environ["PATH"], "HOME": str(place), **variables}
    return subprocess.run(
        [*_COMMAND, "lint", path],
        cwd=place,
        env=environment,
        capture_output=True,
        encoding="utf-8",
        check=False,
        timeout=60,
    )


def _shell(place: Path, script: str) -> subprocess.CompletedProcess[str]:
    """Run a script in which `"$@"` is the command."""
    return subprocess.run(
        ["sh", "-c", script, "sh", *_COMMAND],
        cwd=place,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def _assert_told(done: subprocess.CompletedProcess[str], code: int, *said: str) -> None:
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    assert done.stderr.count("\n  -> ") == 1
    assert all(each in done.stderr for each in said), done.stderr


def test_a_home_that_is_a_file(place: Path) -> None:
    _assert_told(_lint(place, HOME=str(place / _PATH)), 2, "HOME names", "no directory")


def test_a_home_that_is_not_there_is_no_fault_of_what_needs_none(place: Path) -> None:
    assert _lint(place, HOME=str(place / "nobody")).returncode == 0


def test_a_current_directory_that_is_gone(place: Path) -> None:
    (place / "gone").mkdir()
    done = _shell(place / "gone", 'rmdir ../gone; "$@" lint environment.yml')
    _assert_told(done, 2, "The current directory is gone.")


def test_a_directory_for_temporary_files_that_is_gone_is_passed_over(place: Path) -> None:
    done = _lint(place, TMPDIR=str(place / "gone"))
    assert done.returncode == 0
    assert done.stderr.startswith("elt-env: TMPDIR names")


@pytest.mark.parametrize("command", ["lint environment.yml", "pythons", "--help"])
def test_an_output_that_is_full(place: Path, command: str) -> None:
    done = _shell(place, f'"$@" {command} > /dev/full')
    _assert_told(done, 6, "The output cannot be written: No space left on device.")


def test_messages_that_cannot_be_written_change_no_exit_code(place: Path) -> None:
    assert _shell(place, '"$@" lock ./nothing.yml 2> /dev/full').returncode == 2
    assert _shell(place, '"$@" lint nothing.yml > /dev/full 2>&1').returncode == 6
    assert _shell(place, '"$@" lint environment.yml >&-').returncode == 0
    assert _shell(place, '"$@" lint environment.yml 2>&-').returncode == 0


def test_too_few_open_files(place: Path) -> None:
    _assert_told(_shell(place, 'ulimit -n 20; "$@" lint environment.yml'), 9, "ulimit -n 1024")
    # A limit that may be raised is raised.
    assert _shell(place, 'ulimit -S -n 8; "$@" lint environment.yml').returncode == 0


@pytest.mark.parametrize(
    ("home", "said"),
    [
        ("/dev/full", "is no directory"),
        ("environment.yml", "is no directory"),
        ("ftp://host/store", "The store 'ftp://host/store' is a URL, and of no bucket"),
        ("s3:///prefix", "of no bucket"),
        ("s3://key:s3cret@bucket/prefix", "The store 's3://***@bucket/prefix' has a login"),
        ("s3://bucket/prefix?token=s3cret", "parameters in its URL"),
        ("file://host/store", "is on another machine"),
        ("/".join(["d" * 100] * 3), "too long"),
        ("d" * 300, "too long"),
        ("/".join(["d" * 200] * 30), "too long"),
    ],
)
def test_a_store_that_cannot_be_is_refused_at_the_start(
    place: Path, monkeypatch: pytest.MonkeyPatch, home: str, said: str
) -> None:
    monkeypatch.chdir(place)
    monkeypatch.setenv("ELT_ENV_HOME", home)
    for command in (["lock", "./environment.yml"], ["show", "elt@3.11"], ["gc"]):
        result = CliRunner().invoke(cli, command)
        assert result.exit_code == 2, result.output
        assert said in result.output
        assert "ELT_ENV_HOME" in result.output
    assert [each.name for each in place.iterdir()] == [_PATH]


@pytest.mark.parametrize("megabytes", [200, 300])
def test_too_little_memory(place: Path, megabytes: int) -> None:
    index = "ELT_ENV_INDEX=http://127.0.0.1:9/simple"
    done = _shell(place, f'ulimit -v {megabytes << 10}; {index} "$@" lock ./environment.yml')
    _assert_told(done, 9, "not enough memory", "ulimit -v")


@pytest.mark.parametrize(
    "module", ["tempfile", "click", "pydantic", "elt_env.project.policy", "elt_env.report.settings"]
)
def test_an_interrupt_while_the_command_starts(place: Path, module: str) -> None:
    started = subprocess.Popen(
        [sys.executable, "-X", "importtime", "-m", "elt_env", "show", "--settings"],
        cwd=place,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert started.stderr is not None
    for line in started.stderr:
        if line.rpartition("|")[2].strip() == module:
            started.send_signal(signal.SIGINT)
            break
    else:
        pytest.fail(f"{module} is not loaded")
    _, told = started.communicate(timeout=60)
    assert started.returncode in (130, 0)
    assert "Traceback" not in told


@pytest.mark.parametrize("after", ["home ", "warehouse "])
def test_an_interrupt_while_the_command_ends(place: Path, after: str) -> None:
    """What was printed is whole, or it is said that it is not."""
    started = subprocess.Popen(
        [*_COMMAND, "show", "--settings"],
        cwd=place,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert started.stdout is not None
    for line in started.stdout:
        if line.startswith(after):
            started.send_signal(signal.SIGINT)
            break
    _, told = started.communicate(timeout=60)
    assert started.returncode in (130, 0)
    assert "Traceback" not in told


def test_who_ignores_interrupts_goes_on(place: Path) -> None:
    done = _shell(
        place, "trap '' INT; \"$@\" lint environment.yml & sleep 0.1; kill -INT $!; wait $!"
    )
    assert done.returncode == 0


_ASCII = {
    "LC_ALL": "POSIX",
    "PYTHONCOERCECLOCALE": "0",
    "PYTHONUTF8": "0",
    "PYTHONIOENCODING": "ascii",
}


@pytest.mark.parametrize("name", ["größe", "空", "a b", "a'b\"c", "a\\b", "a\nb", "a:b", "$a"])
def test_a_directory_with_any_name_where_everything_is_ascii(place: Path, name: str) -> None:
    (place / name).mkdir()
    (place / _PATH).rename(place / name / "größe.yml")
    done = _lint(place / name, "größe.yml", **_ASCII)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert _lint(place / name, "größer.yml", **_ASCII).returncode == 2


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("a:b", "a colon"),
        ("a\\b", "a backslash"),
        ("a'b", "a quote"),
        ('a"b', "a quote"),
        ("a\nb", "a control character"),
        ("a\tb", "a control character"),
    ],
)
def test_a_store_in_which_no_environment_works_is_refused_at_the_start(
    place: Path, name: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = place / name
    project.mkdir()
    (place / _PATH).rename(project / _PATH)
    monkeypatch.chdir(project)
    monkeypatch.delenv("ELT_ENV_HOME", raising=False)
    for command in ("lock", "build"):
        result = CliRunner().invoke(cli, [command, "./environment.yml"])
        assert result.exit_code == 2
        assert said in result.output
        assert "ELT_ENV_HOME" in result.output
    assert [each.name for each in project.iterdir()] == [_PATH]
    monkeypatch.setenv("ELT_ENV_HOME", str(place / "store"))
    assert open_project(with_policy=False).local_home == place / "store"


@pytest.mark.parametrize(
    "name", ["größe", "a b", "a$b;c", "a[b]*?", "-a", "a=b,c", "a`b`", "a#b%c&d"]
)
def test_a_store_in_which_environments_work_is_taken(place: Path, name: str) -> None:
    (place / name).mkdir()
    assert open_project(place / name, with_policy=False).local_home == place / name / ".elt_env"


def test_a_cache_that_cannot_be_written_is_named() -> None:
    text = "error: Failed to initialize cache at `/x/uv`\n  cause: failed to create directory"
    error = uv_errors.other(text, 2)
    assert error.exit_code == 6
    assert "/x/uv" in error.problem
    assert "UV_CACHE_DIR" in error.remedy
