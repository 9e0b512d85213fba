"""Conda programs: found, asked, and held against rattler."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import rattler

from elt_env.conda import SolveRequest
from elt_env.conda.program_tool import ProgramLinker, ProgramSolver, conda_tools
from elt_env.conda.programs import Program, find_program
from elt_env.conda.rattler_tool import Rattler
from elt_env.conda.records import to_record
from elt_env.environment.build import ensure_prefix
from elt_env.errors import EltEnvError, TimeLimitError, ToolError
from elt_env.lock.make import lock
from elt_env.lockfile.document import Package
from elt_env.machine.platform import target_here
from elt_env.pipeline import Pipeline
from tests.support.channel import Channel
from tests.support.conda_packages import make_conda_package
from tests.support.locked_worlds import conda_request
from tests.support.project import ENVIRONMENT, make_project, toolbox_of
from tests.support.real_conda import RealConda, installed_conda
from tests.support.said import Said
from tests.support.sample import Sample, run_in, silent
from tests.support.solving import OLD, request, versions
from tests.support.world_maker import WorldMaker

_LIMIT = 120.0
_WORLDS = 40


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> RealConda:
    """The real conda."""
    return installed_conda(tmp_path_factory.mktemp("conda"))


def _program(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
    path.chmod(0o755)
    return path


def _tool(program: Path, tmp_path: Path, limit: float = _LIMIT) -> ProgramSolver:
    return ProgramSolver(Program(program, limit), tmp_path / "cache", None, _LIMIT)


def test_a_program_is_found_on_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = _program(tmp_path / "bin" / "mamba", "echo 2.0.5")
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")
    found, _ = conda_tools("mamba", tmp_path, None, _LIMIT)
    assert (found.name, found.version()) == ("mamba", "2.0.5")


def test_a_program_is_found_by_what_a_shell_knows_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = _program(tmp_path / "bin" / "conda", "echo conda 24.7.1")
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    monkeypatch.setenv("CONDA_EXE", str(program))
    assert find_program("conda", _LIMIT).version == "24.7.1"


@pytest.mark.parametrize("setting", ["micromamba", "/no/such/place/micromamba"])
def test_a_program_that_is_not_there(setting: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.delenv("MAMBA_EXE", raising=False)
    with pytest.raises(ToolError) as error:
        find_program(setting, _LIMIT)
    assert f'conda = "{setting}", and there is no' in error.value.problem
    assert 'conda = "/…/bin/micromamba"' in error.value.remedy
    assert 'conda = "rattler"' in error.value.remedy


def test_a_program_that_tells_no_version(tmp_path: Path) -> None:
    program = _program(tmp_path / "conda", "echo 'No module named conda' >&2; exit 1")
    with pytest.raises(ToolError, match="does not tell its version: No module named conda"):
        _ = Program(program, _LIMIT).version


@pytest.mark.parametrize("answer", ["echo no JSON", "echo '{}'", "echo broken >&2; exit 3"])
def test_a_program_that_fails(packages: Channel, tmp_path: Path, answer: str) -> None:
    program = _program(tmp_path / "conda", answer)
    with pytest.raises(ToolError, match="conda could not solve") as error:
        _tool(program, tmp_path).solve(request(packages.url, "app"))
    assert 'conda = "rattler"' in error.value.remedy


def test_a_program_that_has_what_was_not_offered(packages: Channel, tmp_path: Path) -> None:
    program = _program(tmp_path / "conda", """echo '{"actions": {"LINK": [{"name": "evil"}]}}'""")
    with pytest.raises(ToolError, match=r"evil .* was not offered"):
        _tool(program, tmp_path).solve(request(packages.url, "app"))


def test_a_program_that_is_too_slow(packages: Channel, tmp_path: Path) -> None:
    program = _program(tmp_path / "conda", "exec sleep 60")
    with pytest.raises(TimeLimitError, match="conda was ended at its time limit of 1 s"):
        _tool(program, tmp_path, 1.0).solve(request(packages.url, "app"))


@pytest.mark.slow
def test_micromamba_is_called_as_it_is_documented(
    packages: Channel, real: RealConda, tmp_path: Path
) -> None:
    conda = Rattler(tmp_path / "own", None, _LIMIT)
    asked = request(packages.url, "app", "lib", exclude_newer=OLD.replace(year=2025))
    found = _tool(real.micromamba(), tmp_path).solve(asked, Said())
    assert versions(found)["lib"] == "1.0"
    assert found == conda.solve(asked)


@pytest.mark.slow
def test_settings_of_the_user_do_not_reach_it(
    packages: Channel, real: RealConda, tmp_path: Path, private_home: Path
) -> None:
    (private_home / ".condarc").write_text(
        "pinned_packages: [lib 1.0]\ncreate_default_packages: [python-dateutil]\n"
        "channels: [https://channel.invalid]\nuse_only_tar_bz2: true\n",
        encoding="utf-8",
    )
    found = _tool(real.program(), tmp_path).solve(request(packages.url, "app"))
    assert versions(found) == {"app": "1.0", "lib": "2.0", "python": "3.12.1"}


@pytest.mark.slow
def test_what_is_locked_is_kept(packages: Channel, real: RealConda, tmp_path: Path) -> None:
    tool = _tool(real.program(), tmp_path)
    old = tool.solve(request(packages.url, "lib <2", "python <3.12"))
    kept = tool.solve(request(packages.url, "app", keep=old))
    assert versions(kept) == {"app": "1.0", "lib": "1.0", "python": "3.11.5"}
    moved = tool.solve(request(packages.url, "app", "lib >=2", keep=old))
    assert versions(moved) == {"app": "1.0", "lib": "2.0", "python": "3.11.5"}


def _faults(found: tuple[Package, ...], asked: SolveRequest) -> Iterator[str]:
    records = {each.name: to_record(each) for each in found}
    wanted = [str(each).rpartition("::")[2] for each in asked.specs]
    wanted += [one for each in records.values() for one in each.depends]
    for each in wanted:
        spec = rattler.MatchSpec(each)
        name = spec.name.normalized if spec.name else ""
        if not name.startswith("__") and not (name in records and spec.matches(records[name])):
            yield f"unmet: {each}"
    for each in (one for record in records.values() for one in record.constrains):
        spec = rattler.MatchSpec(each)
        name = spec.name.normalized if spec.name else ""
        if name in records and not spec.matches(records[name]):
            yield f"against: {each}"


@pytest.mark.slow
def test_conda_and_rattler_choose_alike(real: RealConda, tmp_path: Path) -> None:
    """Of what is asked for, both choose the same versions, and what they choose fits."""
    others = []
    for seed in range(_WORLDS):
        place = tmp_path / str(seed)
        asked = conda_request(WorldMaker(seed).make(), place)
        tools = (Rattler(place / "cache", None, _LIMIT), _tool(real.program(), place))
        found: list[object] = []
        for each in tools:
            try:
                packages = each.solve(asked)
            except EltEnvError as error:
                found.append(type(error))
                continue
            assert not [*_faults(packages, asked)], seed
            names = {one.name for one in asked.specs}
            found.append({one.name: one.version for one in packages if one.name in names})
        if found[0] != found[1]:
            others.append((seed, *found))
    assert others == []


def _linked(prefix: Path) -> dict[str, list[tuple[str, str]]]:
    """Return by package the files that it brought, each with its hash in the archive."""
    found = {}
    for path in (prefix / "conda-meta").glob("*.json"):
        record = json.loads(path.read_text(encoding="utf-8"))
        entries = record["paths_data"]["paths"]
        assert [each["_path"] for each in entries] == record["files"]
        # A script that starts an entry point is made while it is linked.
        found[path.name] = [
            (each["_path"], "" if "entry_point" in each["path_type"] else each["sha256"])
            for each in entries
        ]
    return found


@pytest.mark.slow
def test_the_whole_way_with_conda(real: RealConda, sample: Sample, tmp_path: Path) -> None:
    """Lock, build, prove and release; rattler locks the same, and links the same files."""
    sample.offer_conda("noted", "1.0", {"noted.py": "x = 1\n"}, depends=["python"])
    tools = {}
    for name in ("rattler", str(real.program())):
        project = make_project(
            tmp_path / Path(name).name,
            channels=[sample.channel.url],
            index=sample.index.url,
            conda=["tally", "noted"],
            pip=["alpha"],
            policy={"cooldown": "0", "image-base": "host"},
            environment={"conda": name},
            pythons=[sample.python],
        )
        tools[Path(name).name] = toolbox_of(project)
    said = Said()
    target = target_here(ENVIRONMENT, sample.python)
    locks = {name: lock(target, each, silent, upgrade=None).lock for name, each in tools.items()}
    found = locks["conda"]
    assert found.digest == locks["rattler"].digest
    assert dict(found.tools)["conda"] == "24.7.1"
    pipeline = Pipeline(target=target, tools=tools["conda"], say=said)
    results = pipeline.prove(found)
    assert {each.status for each in results} <= {"passed", "not_run"}, results
    pipeline.require_held(results, found)
    pipeline.promote_built(found, trigger="a test", by="a test")
    assert f"conda: linking {len(found.conda)} packages with conda" in said
    current = tools["conda"].store.local_home / "current" / target.name
    assert "tally in " in run_in(current, "tally").stdout
    built = [ensure_prefix(found, each, silent).path for each in tools.values()]
    assert _linked(built[0]) == _linked(built[1])


@pytest.mark.slow
def test_no_script_of_a_package_is_run(packages: Channel, real: RealConda, tmp_path: Path) -> None:
    script = {"bin/.scripted-post-link.sh": "#!/bin/sh\ntouch $PREFIX/was-run\n"}
    make_conda_package(packages.root, "scripted", "1.0", files=script)
    packages.index()
    found = _tool(real.program(), tmp_path).solve(request(packages.url, "scripted"))
    linker = ProgramLinker(Program(real.program(), _LIMIT), tmp_path / "cache", _LIMIT)
    said = Said()
    linker.link(found, tmp_path / "prefix", ("scripted",), said)
    assert not (tmp_path / "prefix/was-run").exists()
    assert (tmp_path / "prefix/bin/.scripted-post-link.sh").exists()
    assert "conda: rattler links, since conda would run the scripts of scripted" in said
