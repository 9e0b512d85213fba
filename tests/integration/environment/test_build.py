"""A prefix from a lock: what it holds, what it refuses, and that it needs nothing else."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest
import uv

from elt_env.cli import main
from elt_env.environment.build import BuildResult, advance, ensure_prefix, require_lock
from elt_env.environment.prefix import MARKER, Prefix, Stage
from elt_env.errors import InputError
from elt_env.lockfile.document import Lock
from elt_env.machine.platform import target_here
from elt_env.machine.process import clean_environment, run
from elt_env.proof.prove import CHECKS
from elt_env.store.locks import read_lock_directory
from elt_env.tools import Tools
from tests.support.proving import prove
from tests.support.said import Said
from tests.support.sample import Sample, run_in, silent

_LIMIT = 60.0
_STEPS = ("create_prefix", "pip_install_once", "seal_prefix")


def installed(built: BuildResult, lock: Lock) -> dict[str, str]:
    return {each.name: each.version for each in Prefix(built.path, lock).distributions()}


def install_log(toolbox: Tools, lock: Lock) -> str:
    return toolbox.store.log_path(lock.digest, "pip_install").read_text()


@pytest.mark.parametrize("installer", ["uv", "pip"])
def test_conda_comes_first_and_then_one_pip_command(
    installer: str, sample: Sample, sample_lock: Lock, tmp_path: Path
) -> None:
    said = Said()
    toolbox = sample.toolbox(tmp_path, installer=installer)

    built = ensure_prefix(sample_lock, toolbox, said)

    assert built.steps == _STEPS
    assert installed(built, sample_lock) == {"alpha": "1.0", "beta": "1.0", "tally": "1.0"}
    records = {each.name for each in (built.path / "conda-meta").glob("*.json")}
    assert records == {
        f"{each.file_name.removesuffix('.conda')}.json" for each in sample_lock.conda
    }
    linked = next(i for i, line in enumerate(said) if line.startswith("conda: linked"))
    assert linked < said.index("pip: installing 2 packages in one command, hashes required")
    commands = [
        line for line in install_log(toolbox, sample_lock).splitlines() if "install " in line
    ]
    assert len(commands) == 1
    assert commands[0].startswith(f"command: {installer} ")
    assert "--require-hashes --no-deps" in commands[0]


def test_python_and_scripts_run(sample: Sample, sample_lock: Lock, tmp_path: Path) -> None:
    built = sample.build(tmp_path, sample_lock)

    version = run_in(built.path, "python", "-c", "import sys, ssl, sqlite3; print(sys.version)")
    assert version.stdout.startswith(f"{sample.python}."), version.stderr
    for script in ("alpha", "tally"):
        assert run_in(built.path, script).stdout == f"{script} in {built.path}\n"


@pytest.mark.parametrize("home", ["a store with spaces", "/".join(["long" * 8] * 4)])
def test_any_path_will_do(home: str, sample: Sample, sample_lock: Lock, tmp_path: Path) -> None:
    toolbox = sample.toolbox(tmp_path, home=home)
    built = ensure_prefix(sample_lock, toolbox, silent)

    assert built.path.is_relative_to(tmp_path / home)
    assert "spaces" in home or len(str(built.path)) > 150
    for script in ("alpha", "tally"):
        assert run_in(built.path, script).stdout == f"{script} in {built.path}\n"
    assert prove("imports", sample_lock, toolbox, silent).status == "passed"


def test_a_sealed_prefix_refuses_to_be_changed(
    sample: Sample, sample_lock: Lock, tmp_path: Path
) -> None:
    built = sample.build(tmp_path, sample_lock)
    sample.offer_pip("gamma")
    python = str(built.path / "bin" / "python")
    refusals = [
        [uv.find_uv_bin(), "pip", "install", "--python", python],
        [sys.executable, "-m", "pip", "--python", python, "install"],
    ]
    for command in refusals:
        done = run([*command, "--index-url", sample.index.url, "gamma"], limit=_LIMIT)
        assert done.returncode != 0
        assert "elt-env build elt@" in done.stderr
    assert "gamma" not in installed(built, sample_lock)


def test_a_second_call_does_nothing_and_needs_no_network(
    sample: Sample, sample_lock: Lock, tmp_path: Path
) -> None:
    toolbox = sample.toolbox(tmp_path)
    first = ensure_prefix(sample_lock, toolbox, silent)
    before = {each: each.stat().st_mtime_ns for each in first.path.rglob("*")}
    del before[first.path / MARKER]  # whose time says when the prefix was used last
    sample.index.requests.clear()
    sample.index.fault = "500"
    said = Said()

    second = ensure_prefix(sample_lock, toolbox, said)

    assert second == BuildResult(first.path, ())
    assert "nothing to do" in said[-1]
    assert {each: each.stat().st_mtime_ns for each in before} == before
    assert not sample.index.requests


def test_each_step_builds_upon_the_one_before(
    sample: Sample, sample_lock: Lock, tmp_path: Path
) -> None:
    def next_steps(goal: Stage) -> tuple[str, ...]:
        return advance(sample_lock, goal, sample.toolbox(tmp_path), silent).steps

    assert next_steps(Stage.LINKED) == _STEPS[:1]
    assert next_steps(Stage.LINKED) == ()
    assert next_steps(Stage.INSTALLED) == _STEPS[1:2]
    assert next_steps(Stage.READY) == _STEPS[2:]


def test_another_machine_needs_the_lock_directory_alone(
    sample: Sample, sample_lock: Lock, tmp_path: Path
) -> None:
    copy = tmp_path / "carried over"
    shutil.copytree(sample.directory(sample_lock), copy)
    said = Said()

    built = ensure_prefix(
        read_lock_directory(copy, None), sample.toolbox(tmp_path / "machine"), said
    )

    assert built.steps == _STEPS
    assert not [line for line in said if "solving" in line or "resolving" in line]
    files = {f"/files/{each.file_name}" for each in sample_lock.pip}
    pages = {f"/simple/{each.name}/" for each in sample_lock.pip}
    assert files <= set(sample.index.requests) <= files | pages


def test_the_command_line_builds_a_lock_directory(
    sample: Sample,
    sample_lock: Lock,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    toolbox = sample.toolbox(tmp_path)
    monkeypatch.setenv("ELT_ENV_PROJECT", str(tmp_path))
    target = sample_lock.target.name

    with pytest.raises(SystemExit) as ended:
        main(["build", target, "--lock", str(sample.directory(sample_lock))])

    assert ended.value.code == 0
    printed = capsys.readouterr()
    assert str(toolbox.store.prefix_path(sample_lock)) in printed.out
    assert "solving" not in printed.err
    recorded = {each.check for each in toolbox.store.evidence(sample_lock.digest)}
    assert recorded == set(CHECKS)


@pytest.mark.parametrize("installer", ["uv", "pip"])
def test_settings_of_the_caller_do_not_reach_the_tools(
    installer: str,
    sample: Sample,
    sample_lock: Lock,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    poison = tmp_path / "poison"
    poison.mkdir()
    for module in ("sitecustomize", "usercustomize", "json", "alpha"):
        (poison / f"{module}.py").write_text(f"raise RuntimeError('{module} leaked in')")
    for library in ("libpython3.11.so.1.0", "libpython3.12.so.1.0", "libz.so.1", "libc.so.6"):
        (poison / library).write_bytes(b"not a library")
    for name in ("PYTHONPATH", "PYTHONHOME", "PYTHONUSERBASE", "LD_LIBRARY_PATH"):
        monkeypatch.setenv(name, str(poison))
    for name in (
        "PIP_TARGET",
        "PIP_PREFIX",
        "UV_TARGET",
        "UV_PREFIX",
        "CONDA_PREFIX",
        "VIRTUAL_ENV",
    ):
        monkeypatch.setenv(name, str(poison))
    monkeypatch.setenv("UV_INDEX_URL", "http://index.invalid/simple")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    toolbox = sample.toolbox(tmp_path / "project", installer=installer)

    built = ensure_prefix(sample_lock, toolbox, silent)

    assert installed(built, sample_lock) == sample_lock.distributions
    for check in ("pip_check", "imports"):
        assert prove(check, sample_lock, toolbox, silent).status == "passed"


def test_a_lock_without_pip_packages_runs_no_pip_command(sample: Sample, tmp_path: Path) -> None:
    lock = sample.lock(conda=["tally"])
    toolbox = sample.toolbox(tmp_path)

    built = ensure_prefix(lock, toolbox, silent)

    assert installed(built, lock) == {"tally": "1.0"}
    assert "command:" not in install_log(toolbox, lock)


def test_a_target_without_a_lock_is_told_how_to_make_one(sample: Sample, tmp_path: Path) -> None:
    toolbox = sample.toolbox(tmp_path)
    with pytest.raises(InputError, match=r"elt-env lock elt@3\.11"):
        require_lock(target_here("elt", "3.11"), toolbox.store)


def test_variables_of_a_clean_environment_are_enough(
    sample: Sample, sample_lock: Lock, tmp_path: Path
) -> None:
    built = sample.build(tmp_path, sample_lock)
    done = run(
        [built.path / "bin" / "alpha"], limit=_LIMIT, env=clean_environment(base={}), cwd=tmp_path
    )
    assert done.stdout == f"alpha in {built.path}\n"
