"""Set-up on a fresh machine: bootstrap.py, the Makefile, and the files they go by."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from elt_env.project.settings import open_project
from elt_env.python.interpreters import list_interpreters
from tests.support.commands import REPOSITORY
from tests.support.index_server import IndexServer
from tests.support.wheels import make_wheel

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

LIMIT = 120.0
BASE = Path(sys.base_prefix) / "bin" / f"python3.{sys.version_info.minor}"
MINIMUM = (3, 10)


def run(
    command: list[str], directory: Path, variables: Mapping[str, str]
) -> subprocess.CompletedProcess[str]:
    """Run a command with these variables alone."""
    return subprocess.run(
        command,
        cwd=directory,
        env=dict(variables),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=LIMIT,
        check=False,
    )


# bootstrap.py with Pythons that will not do


def old_pythons() -> list[Path]:
    """Return the interpreters of this machine that are too old, the oldest last."""
    usable, refused = list_interpreters()
    known = [each.executable for each in usable if _minor(each.minor) < MINIMUM]
    return known + [each.executable for each in refused if "too old" in each.reason][::-1]


def _minor(text: str) -> tuple[int, ...]:
    return tuple(map(int, text.split(".")))


@pytest.fixture(scope="module")
def too_old() -> list[Path]:
    """The interpreters that are too old; at least one."""
    return old_pythons() or pytest.skip("no Python older than 3.10 is on this machine")


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A directory with a bootstrap.py that cannot make its .venv."""
    directory = tmp_path / "copy"
    directory.mkdir()
    shutil.copy(REPOSITORY / "bootstrap.py", directory)
    for name in ("requirements.txt", "pyproject.toml", ".venv"):
        (directory / name).touch()
    return directory


def on_path(directory: Path, **programs: Path) -> str:
    """Return a PATH with these programs and no others; `_` in a name stands for `.`."""
    directory.mkdir(parents=True)
    for name, program in programs.items():
        (directory / name.replace("_", ".")).symlink_to(program)
    return str(directory)


def test_every_old_python_reads_bootstrap_and_is_refused_in_one_line(
    too_old: list[Path], copy: Path, tmp_path: Path
) -> None:
    for number, program in enumerate(too_old):
        path = on_path(tmp_path / str(number), python3=program)
        done = run(["python3", "bootstrap.py"], copy, {"PATH": path})
        assert done.returncode == 1, program
        assert done.stdout == ""
        [line] = done.stderr.splitlines()
        assert line.startswith(f"elt_env: {path}/python3 is Python 3.")
        assert "too old: install one of 3.10 to 3.14" in line


def test_an_old_python_hands_over_to_a_newer_one_on_path(
    too_old: list[Path], copy: Path, tmp_path: Path
) -> None:
    programs = {"python3": too_old[0], f"python3_{sys.version_info.minor}": BASE}
    done = run(["python3", "bootstrap.py"], copy, {"PATH": on_path(tmp_path / "bin", **programs)})
    version = ".".join(map(str, sys.version_info[:3]))
    assert f"elt_env: making .venv with Python {version}\n" in done.stderr
    assert "too old" not in done.stderr


def test_a_python_that_is_too_new_is_refused_in_one_line(copy: Path, tmp_path: Path) -> None:
    site = tmp_path / "site"
    site.mkdir()
    future = "import sys\nsys.version_info = (3, 99, 0, 'final', 0)\n"
    (site / "sitecustomize.py").write_text(future)
    path = on_path(tmp_path / "bin", python3=BASE)
    done = run(["python3", "bootstrap.py"], copy, {"PATH": path, "PYTHONPATH": str(site)})
    assert done.returncode == 1
    [line] = done.stderr.splitlines()
    assert "is Python 3.99.0, which is too new: install one of 3.10 to 3.14" in line


def test_a_python_without_ensurepip_is_told_what_to_install(copy: Path, tmp_path: Path) -> None:
    shadow = tmp_path / "shadow"
    shadow.mkdir()
    (shadow / "ensurepip.py").write_text("raise ImportError('not here')\n")
    path = on_path(tmp_path / "bin", python3=BASE)
    done = run(["python3", "bootstrap.py"], copy, {"PATH": path, "PYTHONPATH": str(shadow)})
    assert done.returncode == 1
    [line] = done.stderr.splitlines()
    assert "without venv: on Debian, apt-get install python3-venv" in line


def test_a_step_that_fails_is_named_without_a_traceback(copy: Path, tmp_path: Path) -> None:
    path = on_path(tmp_path / "bin", python3=BASE)
    done = run(["python3", "bootstrap.py"], copy, {"PATH": path})
    assert done.returncode == 1
    assert "set-up failed with exit code" in done.stderr.splitlines()[-1]
    assert "-m venv" in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr


# The whole set-up, with few and small packages


BACKEND = """\
import pathlib, shutil

def build_editable(wheel_directory, config_settings=None, metadata_directory=None):
    [wheel] = pathlib.Path("built").glob("*.whl")
    shutil.copy(wheel, wheel_directory)
    return wheel.name
"""
PYPROJECT = """\
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]
[project]
name = "small"
version = "1.0"
"""
# Hands over to the real uv, as if that were what was installed.
UV = "import os, sys\ndef main():\n    os.execv({uv!r}, ['uv', *sys.argv[1:]])\n"
DAGSTER = """\
def main():
    import os, pathlib, time
    time.sleep(0.2)
    with open(pathlib.Path(os.environ["DAGSTER_HOME"], "calls"), "a") as file:
        file.write("called\\n")
"""


@dataclass(frozen=True)
class Clone:
    """A fresh clone of a project with this Makefile and this bootstrap.py, but small."""

    directory: Path
    index: IndexServer
    variables: Mapping[str, str]

    @property
    def stamp(self) -> Path:
        return self.directory / ".venv" / ".ready"

    def publish(self, name: str, version: str, **properties: Any) -> str:
        """Publish a wheel, and return its line for requirements.txt."""
        wheel = make_wheel(self.directory.parent / "wheels", name, version, **properties)
        self.index.add(wheel)
        return f"{name}=={version} --hash=sha256:{hashlib.sha256(wheel.read_bytes()).hexdigest()}\n"

    def make(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return run(["make", *arguments], self.directory, self.variables)

    def version(self) -> str:
        """Return the version of `dagster` that is installed."""
        return self._python("import importlib.metadata as m; print(m.version('dagster'))")

    def _python(self, code: str) -> str:
        done = run([".venv/bin/python", "-c", code], self.directory, self.variables)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()


@pytest.fixture
def clone(tmp_path: Path, index: IndexServer) -> Clone:
    directory = tmp_path / "a clone"
    (directory / "elt_env" / "defs").mkdir(parents=True)
    (directory / "elt_env" / "defs" / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
    for name in ("Makefile", "bootstrap.py"):
        shutil.copy(REPOSITORY / name, directory)
    (directory / "pyproject.toml").write_text(PYPROJECT)
    (directory / "backend.py").write_text(BACKEND)
    make_wheel(directory / "built", "small", "1.0")
    path = on_path(tmp_path / "bin", python3=BASE)
    variables = {
        "PATH": f"{path}:/usr/bin:/bin",
        "HOME": str(tmp_path),
        "PIP_INDEX_URL": index.url,
        "PIP_RETRIES": "0",
        "PIP_CACHE_DIR": str(tmp_path / "pip"),
        "UV_CACHE_DIR": str(tmp_path / "uv"),
    }
    made = Clone(directory, index, variables)
    uv = made.publish(
        "uv",
        "1.0",
        files={"stand_in.py": UV.format(uv=str(Path(sys.prefix) / "bin" / "uv"))},
        entry_points={"uv": "stand_in:main"},
    )
    (directory / "requirements.txt").write_text(uv + dagster(made, "1.0"))
    return made


def dagster(clone: Clone, version: str) -> str:
    """Publish something that is called `dagster`, and return its requirement."""
    return clone.publish(
        "dagster",
        version,
        files={"dagster.py": DAGSTER},
        entry_points={"dagster": "dagster:main"},
    )


def test_make_sets_up_once_and_brings_up_to_date(clone: Clone) -> None:
    first = clone.make("setup")
    assert first.returncode == 0, first.stderr
    assert "making .venv with Python" in first.stderr
    assert clone.version() == "1.0"
    assert (clone.directory / ".dagster" / "dagster.yaml").is_file()
    asked = clone.index.requests.total()

    again = clone.make("setup")
    assert (again.returncode, again.stdout, again.stderr) == (0, "", "")
    assert clone.index.requests.total() == asked
    assert (clone.directory / ".dagster" / "calls").read_text() == "called\n"

    requirements = clone.directory / "requirements.txt"
    uv = requirements.read_text().splitlines(keepends=True)[0]
    requirements.write_text(uv + dagster(clone, "1.1"))
    changed = clone.make("setup")
    assert changed.returncode == 0, changed.stderr
    assert "bringing .venv up to date" in changed.stderr
    assert clone.version() == "1.1"
    assert (clone.directory / ".dagster" / "calls").read_text() == "called\n"


def test_where_pip_cannot_be_unpacked_it_is_installed(clone: Clone, tmp_path: Path) -> None:
    site = tmp_path / "site"
    site.mkdir()
    (site / "sitecustomize.py").write_text(
        "import sysconfig\nknown = sysconfig.get_config_var\n"
        "sysconfig.get_config_var = lambda n: '/nowhere' if n == 'WHEEL_PKG_DIR' else known(n)\n"
    )
    done = replace(clone, variables={**clone.variables, "PYTHONPATH": str(site)}).make("setup")
    assert done.returncode == 0, done.stderr
    assert clone.version() == "1.0"


def test_a_project_that_was_moved_is_set_up_anew(clone: Clone) -> None:
    assert clone.make("setup").returncode == 0
    moved = replace(clone, directory=clone.directory.rename(clone.directory.with_name("moved")))
    done = moved.make("setup")
    assert done.returncode == 0, done.stderr
    assert "making .venv with Python" in done.stderr
    program = (moved.directory / ".venv" / "bin" / "dagster").read_text()
    assert str(moved.directory) in program
    assert moved.make("setup").stderr == ""


def test_a_set_up_that_was_killed_is_repaired_by_the_next_make(clone: Clone) -> None:
    clone.index.fault, clone.index.patience = "slow", 60
    with subprocess.Popen(
        ["make", "setup"],
        cwd=clone.directory,
        env=dict(clone.variables),
        stdin=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    ) as make:
        end = time.monotonic() + LIMIT
        while not clone.index.requests:  # pip asks for uv: .venv is half made
            assert time.monotonic() < end
            time.sleep(0.02)
        os.killpg(make.pid, signal.SIGKILL)
    assert (clone.directory / ".venv" / "bin" / "python").exists()
    assert not clone.stamp.exists()

    clone.index.fault = None
    done = clone.make("setup")
    assert done.returncode == 0, done.stderr
    assert clone.stamp.exists()
    assert clone.version() == "1.0"


def test_what_is_not_what_was_locked_is_not_installed(clone: Clone) -> None:
    requirements = clone.directory / "requirements.txt"
    good = requirements.read_text()
    uv, _ = good.splitlines()
    requirements.write_text(f"{uv}\ndagster==1.0 --hash=sha256:{'0' * 64}\n")
    done = clone.make("setup")
    assert done.returncode != 0
    assert "set-up failed" in done.stderr
    assert "Traceback" not in done.stderr
    assert not clone.stamp.exists()

    requirements.write_text(good)
    assert clone.make("setup").returncode == 0
    assert clone.version() == "1.0"


# The Dagster instance


def test_the_instance_is_made_once_however_many_ask_for_it(tmp_path: Path) -> None:
    directory, home = tmp_path / "clone", tmp_path / "instance"
    shutil.copytree(REPOSITORY / "elt_env" / "defs", directory / "elt_env" / "defs")
    shutil.copy(REPOSITORY / "bootstrap.py", directory)
    program = directory / ".venv" / "bin" / "dagster"
    program.parent.mkdir(parents=True)
    called = f"import sys; sys.stdout = open({str(tmp_path / 'calls')!r}, 'a'); print('called')"
    program.write_text(
        f'#!/bin/sh\n{sys.executable} -c "{called}"\nexec {sys.executable} -m dagster "$@"\n'
    )
    program.chmod(0o755)
    command = [sys.executable, "bootstrap.py", "instance"]
    variables = {**os.environ, "DAGSTER_HOME": str(home), "PYTHONWARNINGS": "ignore"}
    with ThreadPoolExecutor(2) as pool:
        both = list(pool.map(lambda _: run(command, directory, variables), range(2)))
    assert [each.returncode for each in both] == [0, 0], both[0].stderr + both[1].stderr
    assert (tmp_path / "calls").read_text() == "called\n"
    assert list(home.glob("history/*.db"))
    own = "telemetry:\n  enabled: false\n# a person's own\n"
    (home / "dagster.yaml").write_text(own)
    assert run(command, directory, variables).returncode == 0
    assert (home / "dagster.yaml").read_text() == own


# The Makefile


@dataclass(frozen=True)
class Recorder:
    """A directory with the Makefile, and programs that only record how they were called."""

    directory: Path

    def make(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        path = {"PATH": "/usr/bin:/bin", "HOME": str(self.directory)}
        return run(["make", *arguments], self.directory, path | variables)

    @property
    def calls(self) -> list[list[str]]:
        """The programs that were called, with their arguments."""
        file = self.directory / "calls"
        return [json.loads(each) for each in file.read_text().splitlines()] if file.exists() else []

    @property
    def given(self) -> dict[str, str]:
        """The variables of the last call of dagster."""
        variables: dict[str, str] = json.loads((self.directory / "given").read_text())
        return variables

    def jobs(self) -> list[list[str]]:
        """The arguments of every call of dagster."""
        return [call[1:] for call in self.calls if call[0] == "dagster"]


RECORD = """\
#!{python}
import json, os, sys
name = os.path.basename(sys.argv[0])
with open({calls!r}, "a") as file:
    file.write(json.dumps([name, *sys.argv[1:]]) + "\\n")
if "pythons" in sys.argv:
    sys.stdout.write(os.environ.get("PICKED", ""))
    sys.exit("PICKED" not in os.environ)
if name == "dagster":
    with open({given!r}, "w") as file:
        json.dump(dict(os.environ), file)
    sys.exit(int(os.environ.get("JOB_EXIT", "0")))
"""


@pytest.fixture
def recorder(tmp_path: Path) -> Recorder:
    directory = tmp_path / "project"
    programs = directory / ".venv" / "bin"
    programs.mkdir(parents=True)
    for name in ("Makefile", "bootstrap.py", "pyproject.toml", "requirements.txt"):
        shutil.copy(REPOSITORY / name, directory)
    places = {each: str(directory / each) for each in ("calls", "given")}
    text = RECORD.format(python=sys.executable, **places)
    for name in ("python", "dagster", "elt-env"):
        (programs / name).write_text(text)
        (programs / name).chmod(0o755)
    (directory / ".venv" / ".ready").write_text(f"{directory}\n")
    return Recorder(directory)


def arguments(job: str, python: str) -> list[str]:
    """Return what dagster is called with to run a job."""
    return [
        *("job", "execute", "-m", "elt_env.definitions"),
        *("--config", "elt_env/defs/console.yaml"),
        *("--tags", json.dumps({"dagster/partition": python}), "-j", job),
    ]


def test_make_run_executes_the_job_for_the_python_that_can_be_had(recorder: Recorder) -> None:
    done = recorder.make("run", PICKED="3.12")
    assert done.returncode == 0, done.stderr
    assert recorder.jobs() == [arguments("elt_build", "3.12")]
    assert ["elt-env", "pythons", "--pick", "elt"] in recorder.calls
    assert recorder.calls[-1] == ["elt-env", "show", "elt@3.12", "--next"]


@pytest.mark.parametrize(
    ("typed", "variables", "expected"),
    [
        (["run", "PYTHON=3.12"], {}, arguments("elt_build", "3.12")),
        (["run"], {"PYTHON": "3.12"}, arguments("elt_build", "3.12")),
        (["run"], {"PYTHON": "/usr/bin/python", "PICKED": "3.11"}, arguments("elt_build", "3.11")),
        (["relock"], {"PICKED": "3.11"}, arguments("elt_relock", "3.11")),
        (
            ["run", "ENVIRONMENT=other-one"],
            {"PICKED": "3.11"},
            arguments("other_one_build", "3.11"),
        ),
    ],
)
def test_what_is_built_can_be_chosen(
    recorder: Recorder, typed: list[str], variables: dict[str, str], expected: list[str]
) -> None:
    assert recorder.make(*typed, **variables).returncode == 0
    assert recorder.jobs() == [expected]


def test_a_job_of_an_environment_loads_no_warehouse_and_the_web_ui_does(
    recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert recorder.make("run", PICKED="3.12").returncode == 0
    added = {key: value for key, value in recorder.given.items() if key.startswith("ELT_ENV_")}
    assert recorder.make("ui").returncode == 0
    assert not any(key.startswith("ELT_ENV_") for key in recorder.given)
    assert open_project(REPOSITORY).policy.warehouse
    for key, value in added.items():
        monkeypatch.setenv(key, value)
    assert not open_project(REPOSITORY).policy.warehouse


def test_what_a_program_loads_is_kept_compiled_whatever_the_shell_says(recorder: Recorder) -> None:
    assert recorder.make("run", PICKED="3.12", PYTHONDONTWRITEBYTECODE="1").returncode == 0
    assert "PYTHONDONTWRITEBYTECODE" not in recorder.given


def test_without_a_python_no_job_is_started(recorder: Recorder) -> None:
    assert recorder.make("run").returncode != 0
    assert recorder.jobs() == []


def test_a_failed_job_fails_make_and_nothing_is_shown_as_built(recorder: Recorder) -> None:
    assert recorder.make("run", "PYTHON=3.11", JOB_EXIT="1").returncode != 0
    assert recorder.calls[-1][0] == "dagster"


def test_make_lists_every_target(recorder: Recorder) -> None:
    text = (REPOSITORY / "Makefile").read_text()
    targets = re.findall(r"^\.PHONY: (.*)$", text, re.MULTILINE)[0]
    for typed in ((), ("help",)):
        done = recorder.make(*typed)
        listed = re.findall(r"^  make (\S+) +\S", done.stdout, re.MULTILINE)
        assert sorted(listed) == sorted(targets.split())


# The files


def requirement_lines() -> list[str]:
    """Return the requirements of requirements.txt, each with its hashes on one line."""
    text = (REPOSITORY / "requirements.txt").read_text()
    return [each for each in text.replace("\\\n", " ").splitlines() if each.strip()]


def test_every_requirement_has_a_hash_and_none_says_where_it_comes_from() -> None:
    for line in requirement_lines():
        assert re.fullmatch(
            r"[a-z0-9.-]+==[\w.!+]+( ; [^:@]*?)?( +--hash=sha256:[0-9a-f]{64})+", line
        ), line[:200]


def test_what_pyproject_asks_for_is_locked() -> None:
    content = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())
    wanted = [
        *content["project"]["dependencies"],
        *content["dependency-groups"]["dev"],
        *content["build-system"]["requires"],
    ]
    locked: dict[str, list[str]] = {}
    for line in requirement_lines():
        name, _, rest = line.partition("==")
        locked.setdefault(canonicalize_name(name), []).append(rest.split()[0])
    for requirement in map(Requirement, wanted):
        versions = locked.get(canonicalize_name(requirement.name), [])
        assert versions, f"{requirement.name} is not locked: make lock-self"
        assert all(requirement.specifier.contains(each) for each in versions), str(requirement)


def test_no_tracked_file_names_a_registry_or_a_place_of_one_machine() -> None:
    listed = run(["git", "ls-files", "-z"], REPOSITORY, os.environ)
    if listed.returncode:
        pytest.skip("these files are not a git checkout")
    # In two parts each, so that they do not stand here.
    foreign = ["pypi" + ".org", "python" + "hosted.org", "ana" + "conda.org", "ana" + "conda.com"]
    foreign += ["prefix" + ".dev", "/ro" + "ot/", "/wo" + "rk/"]
    # What conda means by the channel name `defaults`, which no setting of a user has to say.
    known = {"elt_env/conda/channels.py": "ana" + "conda.com"}
    for name in filter(None, listed.stdout.split("\0")):
        path = REPOSITORY / name
        text = path.read_text(errors="replace") if path.is_file() else ""
        found = [each for each in foreign if each in text and each != known.get(name)]
        assert not found, f"{name} holds {found}"
