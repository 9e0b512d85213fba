"""Environments without conda: pip's packages in a venv of an interpreter of this machine."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import dagster as dg
import pytest
import yaml

from elt_env.defs.jobs import environment_jobs
from elt_env.defs.project import asset_definitions
from elt_env.defs.resources import EltProject
from elt_env.environment.build import ensure_prefix, require_prefix
from elt_env.environment.prefix import Prefix
from elt_env.errors import CondaUnsatisfiableError, PolicyError, SpecError, ToolError
from elt_env.lock.adopt import adopt
from elt_env.lock.make import lock
from elt_env.lockfile.export import FORMATS
from elt_env.lockfile.foreign.read import open_lock_files
from elt_env.machine.platform import target_here
from elt_env.machine.users import in_use
from elt_env.pipeline import Pipeline
from elt_env.proof.checks.inputs import check_inputs
from elt_env.python.interpreters import find_interpreter
from elt_env.python.venv_base import CONFIG
from elt_env.report.show import show
from elt_env.tools import open_tools
from tests.support.index_server import IndexServer
from tests.support.locking import PYTHON, Scene, target_of
from tests.support.proving import prove
from tests.support.said import Said
from tests.support.sample import run_in, silent
from tests.support.venvs import locked, offer_tool, open_venv


@pytest.fixture
def own_base(tmp_path: Path) -> Path:
    """An interpreter that may be replaced and removed; its library is the machine's."""
    real = find_interpreter(PYTHON)
    base = tmp_path / "base" / "bin" / f"python{PYTHON}"
    base.parent.mkdir(parents=True)
    shutil.copy2(real.executable, base)
    (tmp_path / "base" / "lib").symlink_to(real.prefix / "lib")
    return base


@pytest.fixture
def offered(index: IndexServer, tmp_path: Path) -> IndexServer:
    """An index with `tool` and what it needs."""
    return offer_tool(index, tmp_path / "wheels")


def test_pip_owns_everything_and_the_lock_has_no_conda_half(
    offered: IndexServer, tmp_path: Path
) -> None:
    toolbox = open_venv(tmp_path, offered, conda=["python=3.11", "pip"])
    found = locked(toolbox)

    assert [(each.manager, each.name) for each in found.packages] == [
        ("pip", "part"),
        ("pip", "tool"),
    ]
    assert found.interpreter is not None
    assert found.interpreter.startswith(f"{PYTHON}.")
    assert found.channels == ()
    place = Path(toolbox.store.lock_directory(found.digest))
    assert {each.name for each in place.iterdir()} == {
        "lock.json",
        "pylock.toml",
        "requirements.txt",
    }
    assert lock(target_of(toolbox), toolbox, silent).kept


@pytest.mark.parametrize("installer", ["uv", "pip"])
def test_a_venv_is_built_proven_and_released(
    installer: str, offered: IndexServer, tmp_path: Path
) -> None:
    toolbox = open_venv(tmp_path, offered, installer=installer)
    found = locked(toolbox)
    pipeline = Pipeline(target=found.target, tools=toolbox, say=silent)
    results = pipeline.prove(found)
    pipeline.require_held(results, found)
    pipeline.promote_built(found, trigger="a test", by="a test")
    prefix = require_prefix(found, toolbox.store, "run")

    assert run_in(prefix.path, "tool").stdout == f"{prefix.path}\n"
    names = {each.name: each.version for each in prefix.distributions()}
    assert names == {"tool": "1.0", "part": "1.0"}
    assert not (prefix.path / "conda-meta").exists()
    assert (prefix.library / "EXTERNALLY-MANAGED").is_file()
    evidence = {each.check: each for each in results}
    assert {each.status for each in results} <= {"passed", "not_run"}, results
    assert "does not apply" in evidence["conda_scripts"].detail
    assert "conda does not apply" in evidence["mixed_managers"].detail
    assert ensure_prefix(found, toolbox, silent).steps == ()
    current = toolbox.store.local_home / "current" / found.target.name
    assert run_in(current, "tool").stdout == f"{prefix.path}\n"


def test_it_is_the_same_wherever_it_is_built(offered: IndexServer, tmp_path: Path) -> None:
    toolbox = open_venv(tmp_path, offered)
    found = locked(toolbox)
    ensure_prefix(found, toolbox, silent)
    evidence = prove("reproducible", found, toolbox, silent)
    assert evidence.status == "passed", evidence.detail


@pytest.mark.parametrize("fate", ["was replaced", "is gone"])
def test_an_interpreter_that_changes_is_noticed_and_a_build_mends_it(
    fate: str, own_base: Path, offered: IndexServer, tmp_path: Path
) -> None:
    toolbox = open_venv(tmp_path, offered, interpreters=[str(own_base)])
    found = locked(toolbox)
    built = ensure_prefix(found, toolbox, silent)
    assert f"executable = {own_base}\n" in (built.path / CONFIG).read_text()
    before = check_inputs("pip_check", found, toolbox.project, toolbox.store)

    if fate == "is gone":
        own_base.unlink()
        toolbox = open_venv(tmp_path, offered)
    else:
        with own_base.open("ab") as file:
            file.write(b"a patch release")
    assert not Prefix(built.path, found).ready
    with pytest.raises(ToolError, match=f"{own_base}, Python .* then, {fate}"):
        require_prefix(found, toolbox.store, "run")
    assert check_inputs("pip_check", found, toolbox.project, toolbox.store) != before
    assert f"then, {fate}; build it again" in show(found.target, toolbox.store).to_text()

    said = Said()
    assert lock(target_of(toolbox), toolbox, said).kept
    again = ensure_prefix(found, toolbox, said)
    assert again.steps
    assert f"{own_base}, Python" in "\n".join(said)
    assert require_prefix(found, toolbox.store, "run")
    assert run_in(again.path, "tool").stdout == f"{again.path}\n"


def test_what_only_conda_brings_is_refused_all_at_once(
    offered: IndexServer, tmp_path: Path
) -> None:
    toolbox = open_venv(tmp_path, offered, conda=["python=3.11", "pip", "pandas>=2", "libgdal"])
    with pytest.raises(SpecError, match=r"asks conda for libgdal, pandas >=2, and the policy"):
        locked(toolbox)


def test_one_that_is_named_has_to_be_there(offered: IndexServer, tmp_path: Path) -> None:
    toolbox = open_venv(tmp_path, offered, interpreters=["tools/python3.11"])
    with pytest.raises(PolicyError, match=r"project/tools/python3\.11 does not exist"):
        locked(toolbox)


def test_where_there_is_none_it_is_told_how_to_get_one(
    offered: IndexServer, tmp_path: Path
) -> None:
    toolbox = open_venv(tmp_path, offered, pythons=["3.39"])
    with pytest.raises(ToolError, match=r"no Python 3\.39 on this machine") as caught:
        lock(target_here("elt", "3.39"), toolbox, silent)
    assert "uv python install 3.39" in caught.value.remedy
    assert "pyenv install 3.39" in caught.value.remedy


def test_a_bound_on_python_that_no_interpreter_is_within(
    offered: IndexServer, tmp_path: Path
) -> None:
    toolbox = open_venv(tmp_path, offered, conda=["python=3.11.99"])
    wanted = r"no Python for elt@3\.11: .*3\.11\.99\n  this machine has 3\."
    with pytest.raises(CondaUnsatisfiableError, match=wanted):
        locked(toolbox)


def test_from_conda_to_a_venv_everything_is_locked_anew(offered: IndexServer, scene: Scene) -> None:
    conda = scene.lock(pip=["tool"]).lock
    assert conda.interpreter is None

    found = lock(target_of(scene.toolbox(pip=["tool"])), open_venv(scene.root, offered), silent)

    assert found.lock.interpreter is not None
    assert found.lock.digest != conda.digest
    assert "the policy's 'python' changed" in "\n".join(found.reasons)


def test_a_process_that_runs_from_it_is_seen(offered: IndexServer, tmp_path: Path) -> None:
    toolbox = open_venv(tmp_path, offered)
    prefix = ensure_prefix(locked(toolbox), toolbox, silent).path
    assert in_use([prefix]) == frozenset()
    asleep = [str(prefix / "bin" / "python"), "-c", "print(1, flush=True); input()"]
    with subprocess.Popen(asleep, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        seen = in_use([prefix])
        process.communicate(b"\n")
    assert seen == {prefix}


def test_a_hashed_file_of_a_team_becomes_its_lock(offered: IndexServer, tmp_path: Path) -> None:
    toolbox = open_venv(tmp_path, offered)
    first = locked(toolbox)
    listed = tmp_path / "requirements.txt"
    listed.write_text(Path(toolbox.store.lock_directory(first.digest), listed.name).read_text())
    (toolbox.project.root / "environments" / "elt.yml").unlink()
    said = Said()

    made = adopt(open_lock_files([listed]), first.target, toolbox.project, open_tools, said)

    assert made.locked.lock.digest == first.digest
    assert made.locked.lock.interpreter == first.interpreter
    assert "conda half" not in "\n".join(said)


def test_what_other_tools_get_of_it(offered: IndexServer, tmp_path: Path) -> None:
    found = locked(open_venv(tmp_path, offered))
    dockerfile = FORMATS["dockerfile"].render(found)
    assert "python -m venv --without-pip ${PREFIX}" in dockerfile
    assert "conda" not in dockerfile
    written = yaml.safe_load(FORMATS["environment"].render(found))
    assert written["dependencies"] == [
        f"python={PYTHON}",
        "pip",
        {"pip": ["part==1.0", "tool==1.0"]},
    ]


def test_in_dagster_it_has_no_image_unasked_and_its_release_follows_the_environment(
    offered: IndexServer, tmp_path: Path
) -> None:
    project = open_venv(tmp_path, offered).project
    policy = project.environment("elt")
    definitions = dg.Definitions.merge(
        asset_definitions("elt", policy, project.root),
        environment_jobs("elt", policy),
        dg.Definitions(resources={"project": EltProject(directory=str(project.root))}),
    )
    graph = definitions.resolve_asset_graph()
    keys = {each.to_user_string() for each in graph.get_all_asset_keys()}
    assert {"elt/lockfile", "elt/environment", "elt/release"} <= keys
    assert "elt/image" not in keys
    release = graph.get(dg.AssetKey(["elt", "release"]))
    assert release.parent_keys == {dg.AssetKey(["elt", "environment"])}

    with dg.DagsterInstance.ephemeral(tempdir=str(tmp_path)) as instance:
        job = definitions.resolve_job_def("elt_build")
        result = job.execute_in_process(instance=instance, partition_key=PYTHON)
    assert result.success
    assert (project.local_home / "current" / f"elt@{PYTHON}" / "bin" / "tool").exists()


@pytest.mark.slow
def test_in_dagster_it_has_an_image_where_the_policy_says_so(
    offered: IndexServer, tmp_path: Path
) -> None:
    tools = open_venv(tmp_path, offered, image=True)
    project = tools.project
    policy = project.environment("elt")
    definitions = dg.Definitions.merge(
        asset_definitions("elt", policy, project.root),
        environment_jobs("elt", policy),
        dg.Definitions(resources={"project": EltProject(directory=str(project.root))}),
    )
    release = definitions.resolve_asset_graph().get(dg.AssetKey(["elt", "release"]))
    assert release.parent_keys == {dg.AssetKey(["elt", "image"])}

    with dg.DagsterInstance.ephemeral(tempdir=str(tmp_path)) as instance:
        job = definitions.resolve_job_def("elt_build")
        result = job.execute_in_process(instance=instance, partition_key=PYTHON)
    assert result.success
    shown = show(target_of(tools), tools.store).to_text()
    assert "image_runs passed" in shown


def test_the_python_of_the_operating_system_will_do(offered: IndexServer, tmp_path: Path) -> None:
    system = Path(f"/usr/bin/python{PYTHON}")
    if not system.exists():
        pytest.skip(f"this machine has no Python {PYTHON} of its own")
    tools = open_venv(tmp_path, offered, interpreters=[str(system)])
    found = locked(tools)
    prefix = ensure_prefix(found, tools, silent).path
    assert f"executable = {system}\n" in (prefix / CONFIG).read_text()
    evidence = prove("isolation", found, tools, silent)
    assert evidence.status == "passed", evidence.detail
