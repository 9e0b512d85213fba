"""Checks on real prefixes, and the evidence that they leave."""

from __future__ import annotations

import importlib.util
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from elt_env.cli import main
from elt_env.environment.build import ensure_prefix
from elt_env.environment.prefix import Prefix
from elt_env.errors import ToolError
from elt_env.lockfile.document import Lock
from elt_env.proof.checks.inputs import check_inputs
from elt_env.tools import Tools
from tests.support.proving import prove, prove_all
from tests.support.said import Said
from tests.support.sample import Sample, silent


@pytest.fixture
def toolbox(sample: Sample, sample_lock: Lock, tmp_path: Path) -> Tools:
    """Tools of a project in which the sample lock is built."""
    opened = sample.toolbox(tmp_path)
    ensure_prefix(sample_lock, opened, silent)
    return opened


def prefix_of(lock: Lock, toolbox: Tools) -> Prefix:
    return Prefix(toolbox.store.prefix_path(lock), lock)


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    # The file itself is a link into a cache.
    path.unlink()
    path.write_text(text.replace(old, new))


def break_alpha(
    lock: Lock, toolbox: Tools, how: str = "raise RuntimeError('alpha is broken')"
) -> Path:
    module = prefix_of(lock, toolbox).site_packages / "alpha" / "__init__.py"
    edit(module, "def main", f"{how}\ndef main")
    return module


def log(toolbox: Tools, place: str) -> str:
    return (toolbox.store.local_home / place).read_text()


def test_what_holds_leaves_evidence(sample_lock: Lock, toolbox: Tools) -> None:
    before = toolbox.store.now().replace(microsecond=0)
    said = Said()

    results = [prove(name, sample_lock, toolbox, said) for name in ("pip_check", "imports")]

    assert [each.status for each in results] == ["passed", "passed"]
    details = {each.check: each.detail for each in results}
    assert details == {"pip_check": "3 distributions fit together", "imports": "3 modules import"}
    assert all(before <= each.at <= toolbox.store.now() and each.seconds > 0 for each in results)
    assert set(toolbox.store.evidence(sample_lock.digest)) == set(results)
    assert "beta  ok" in log(toolbox, next(each.log for each in results if each.check == "imports"))
    assert "imports: passed: 3 modules import" in said


def test_evidence_that_holds_is_kept_until_asked_again(sample_lock: Lock, toolbox: Tools) -> None:
    first = prove("imports", sample_lock, toolbox, silent)
    break_alpha(sample_lock, toolbox)
    said = Said()

    assert prove("imports", sample_lock, toolbox, said) == first
    assert len(said) == 1
    assert "not run again" in said[0]
    assert prove("imports", sample_lock, toolbox, silent, again=True).status == "failed"
    assert toolbox.store.evidence(sample_lock.digest)[0].status == "failed"


@pytest.mark.parametrize("change", ["edit", "add", "remove", "run bit", "link"])
def test_evidence_holds_until_a_project_that_the_check_ran_changes(
    change: str, sample_lock: Lock, toolbox: Tools
) -> None:
    project = toolbox.project.root / "dbt_project"
    (project / "models").mkdir(parents=True)
    model = project / "models" / "one.sql"
    model.write_text("select 1\n")
    (project / "dbt_project.yml").write_text("name: elt_locks\n")
    prove("dbt_smoke", sample_lock, toolbox, silent)
    first = check_inputs("dbt_smoke", sample_lock, toolbox.project, toolbox.store)

    # What the tools leave, and when a file was written, are no change.
    (project / "target").mkdir()
    (project / "target" / "manifest.json").write_text("{}")
    os.utime(model, (1, 1))
    assert check_inputs("dbt_smoke", sample_lock, toolbox.project, toolbox.store) == first

    changes: dict[str, Callable[[], object]] = {
        "edit": lambda: model.write_text("select 2\n"),
        "add": lambda: (project / "models" / "two.sql").write_text("select 1\n"),
        "remove": lambda: shutil.rmtree(project),
        "run bit": lambda: model.chmod(0o755),
        "link": lambda: (project / "models" / "three.sql").symlink_to("absent.sql"),
    }
    changes[change]()

    now = check_inputs("dbt_smoke", sample_lock, toolbox.project, toolbox.store)
    (evidence,) = toolbox.store.evidence(sample_lock.digest)
    assert evidence.inputs == first
    assert evidence.changed_inputs(now) == ("project dbt_project",)


def test_a_check_is_run_again_when_what_it_reads_changed(
    sample: Sample, sample_lock: Lock, toolbox: Tools, tmp_path: Path
) -> None:
    prove("imports", sample_lock, toolbox, silent)
    pip_check = prove("pip_check", sample_lock, toolbox, silent)
    other = sample.toolbox(tmp_path, imports_allow=["nothing"])
    said = Said()

    prove("imports", sample_lock, other, said)
    assert said[0].endswith("changed since then: policy imports-allow")
    assert said[1] == "imports: checking"

    assert prove("pip_check", sample_lock, other, silent) == pip_check


def test_evidence_that_was_recorded_without_inputs_does_not_hold(
    sample_lock: Lock, toolbox: Tools
) -> None:
    known = prove("imports", sample_lock, toolbox, silent)
    toolbox.store.record(sample_lock.digest, replace(known, inputs={}))
    said = Said()

    prove("imports", sample_lock, toolbox, said)

    assert said[0].endswith("changed since then: the check")
    assert said[1] == "imports: checking"


def test_a_check_that_failed_is_run_again(sample_lock: Lock, toolbox: Tools) -> None:
    module = break_alpha(sample_lock, toolbox)
    failed = prove("imports", sample_lock, toolbox, silent)
    assert failed.status == "failed"
    assert not failed.holds
    assert failed.detail == "alpha of alpha 1.0: RuntimeError: alpha is broken"
    assert "alpha  RuntimeError: alpha is broken" in log(toolbox, failed.log)

    edit(module, "raise RuntimeError('alpha is broken')", "")

    assert prove("imports", sample_lock, toolbox, silent).status == "passed"
    assert [each.status for each in toolbox.store.evidence(sample_lock.digest)] == ["passed"]


@pytest.mark.parametrize("installer", ["uv", "pip"])
@pytest.mark.parametrize("needs", ["absentee>=2", "beta>=7", "tally<1"])
def test_pip_check_names_the_culprit(  # noqa: PLR0917
    needs: str, installer: str, sample: Sample, sample_lock: Lock, toolbox: Tools, tmp_path: Path
) -> None:
    metadata = prefix_of(sample_lock, toolbox).site_packages / "alpha-1.0.dist-info/METADATA"
    edit(metadata, "Requires-Dist: beta>=1", f"Requires-Dist: {needs}")

    evidence = prove(
        "pip_check", sample_lock, sample.toolbox(tmp_path, installer=installer), silent
    )

    assert evidence.status == "failed"
    assert "alpha" in evidence.detail
    assert needs.rstrip("><=0123456789") in evidence.detail
    assert evidence.detail in log(toolbox, evidence.log)


def test_an_extra_that_is_missing_is_named(sample_lock: Lock, toolbox: Tools) -> None:
    site = prefix_of(sample_lock, toolbox).site_packages
    edit(
        site / "alpha-1.0.dist-info/METADATA", "Requires-Dist: beta>=1", "Requires-Dist: beta[far]"
    )
    edit(
        site / "beta-1.0.dist-info/METADATA",
        "Version: 1.0",
        'Version: 1.0\nRequires-Dist: far-db; extra == "far"',
    )

    evidence = prove("pip_check", sample_lock, toolbox, silent)

    assert evidence.status == "failed"
    assert evidence.detail == "beta[far] requires far-db, which is not installed"


def test_imports_of_a_lock_with_modules_of_all_kinds(sample: Sample, tmp_path: Path) -> None:
    sample.offer_conda("solar-core", "1.0", {"solar/core/__init__.py": "heat = 1\n"})
    sample.offer_pip("solar-wind", {"solar/wind/__init__.py": "from solar.core import heat\n"})
    noisy = {"noisy.py": "print('{}', flush=True); input\n"}
    sample.offer_pip("noisy", noisy, requires=["bridge"])
    sample.offer_pip("quitter", {"quitter.py": "import os; os._exit(4)\n"})
    sample.offer_pip("optional", {"optional/__init__.py": "import absentee\n"})
    sample.offer_pip("library", {"library.so": b"\x7fELF"})
    stubs = {f"stubs_{each}.py": "from absentee.aio import Channel\n" for each in "abcd"}
    stubs |= {f"stubs_{each}_grpc.py": "from grpc.aio import Channel\n" for each in "ab"}
    stubs["stubs/__init__.py"] = ""
    sample.offer_pip("stubs", stubs)
    extra = ['far-db; extra == "all"']
    sample.offer_pip("driver", {"driver.py": "import far_db\n"}, requires=extra)
    # As matplotlib-inline, which IPython brings: nobody asked for it.
    sample.offer_pip("bridge", {"bridge.py": "import far_db\n"}, requires=extra)
    lock = sample.lock(
        conda=["solar-core"],
        pip=["solar-wind", "noisy", "quitter", "optional", "library", "driver", "stubs"],
    )
    ensure_prefix(lock, sample.toolbox(tmp_path), silent)

    failed = prove("imports", lock, sample.toolbox(tmp_path), silent)

    assert failed.status == "failed"
    lines = failed.detail.splitlines()
    assert [line.split(":")[0] for line in lines] == [
        "library of library 1.0",
        "optional of optional 1.0",
        "quitter of quitter 1.0",
    ]
    assert "exit code 4" in lines[2]

    lenient = sample.toolbox(tmp_path, imports_allow=["optional", "quitter", "lib"])
    # `lib` allows lib and lib.something, not library.
    assert prove("imports", lock, lenient, silent).detail.startswith("library of library")
    lenient = sample.toolbox(tmp_path, imports_allow=["optional", "quitter", "library"])
    passed = prove("imports", lock, lenient, silent)
    assert passed.status == "warned"
    assert passed.detail == (
        "4 modules import; driver wants far-db, of an extra; library allowed to fail; "
        "optional allowed to fail; quitter allowed to fail; "
        "stubs_a wants absentee, which nothing here requires; so it is with 3 more; "
        "3 do not, for want of what nothing locked requires: far-db, grpc"
    )
    assert "solar.wind  ok" in log(lenient, passed.log)


def test_what_lies_below_what_was_asked_for_imports_too(sample: Sample, tmp_path: Path) -> None:
    top = {"tool/__init__.py": "", "tool/fine.py": "", "tool/sub/__init__.py": ""}
    sample.offer_pip(
        "tool",
        {
            **top,
            "tool/extra.py": (
                "try:\n    import far_db\nexcept ImportError:\n    raise RuntimeError('get it')\n"
            ),
            "tool/sub/stubs.py": "import absentee.aio\n",
            "tool/sub/broken.py": "raise RuntimeError('broken')\n",
            "tool/sub/newer.py": "match = 1 2\n",
            "tool/versions.py": "from library import gone\n",
            "tool/online.py": (
                "import socket\ntry:\n    socket.create_connection(('127.0.0.1', 1))\n"
                "except OSError as error:\n    raise ValueError('no host') from error\n"
            ),
            "tool/tables.py": "x, y = 1.0\nraise ImportError('not to be imported')\n",
            "tool/after.py": "import library\nlibrary.other\n",
            "tool/first.py": "import library.other\nfrom . import after\n",
        },
        requires=["library", 'far-db; extra == "far"'],
    )
    # Nobody asked for this one, so nobody may ever look below it.
    files = {"library/__init__.py": "", "library/part.py": "1 / 0\n", "library/other.py": ""}
    sample.offer_pip("library", files)
    lock = sample.lock(pip=["tool"])
    ensure_prefix(lock, sample.toolbox(tmp_path), silent)

    failed = prove("imports", lock, sample.toolbox(tmp_path), silent)

    assert failed.status == "failed"
    assert [line.split(":")[0] for line in failed.detail.splitlines()] == [
        "tool.sub.broken of tool 1.0",
        "tool.sub.newer of tool 1.0",
        "tool.versions of tool 1.0",
    ]
    allowed = ["tool.sub.broken", "tool.sub.newer", "tool.versions"]
    toolbox_of_all = sample.toolbox(tmp_path, imports_allow=allowed)
    lenient = prove("imports", lock, toolbox_of_all, silent)
    assert lenient.status == "warned"
    assert "2 do not, for want of what nothing locked requires: absentee, far-db" in lenient.detail
    told = log(toolbox_of_all, lenient.log)
    assert "No module named 'absentee'; it wants absentee, which nothing here requires" in told
    assert "get it; it wants far-db, of an extra" in told
    assert "no host; it wants the network" in told
    assert "it is nothing to import, as it says" in told
    assert "it wants library.other to be imported before it" in told


def test_what_a_newer_protobuf_generated_is_told(sample: Sample, tmp_path: Path) -> None:
    found = importlib.util.find_spec("google.protobuf")
    assert found is not None
    library = Path(str(found.origin)).parent
    real = {
        path.relative_to(library.parents[1]).as_posix(): path.read_bytes()
        for place in (library, library.parent / "_upb")
        for path in place.rglob("*")
        if path.suffix in {".py", ".so"}
    }
    sample.offer_pip("protobuf", real)
    generated = (
        "from google.protobuf import runtime_version as _runtime_version\n"
        "_runtime_version.ValidateProtobufRuntimeVersion(\n"
        "    _runtime_version.Domain.PUBLIC, 99, 0, 0, '', 'tool.proto')\n"
    )
    files = {
        "tool/__init__.py": "",
        "tool/protos/__init__.py": "",
        "tool/protos/a_pb2.py": generated,
    }
    sample.offer_pip("tool", files, requires=["protobuf"])
    lock = sample.lock(pip=["tool"])
    ensure_prefix(lock, sample.toolbox(tmp_path), silent)

    failed = prove("imports", lock, sample.toolbox(tmp_path), silent)

    assert failed.status == "failed"
    (line,) = failed.detail.splitlines()
    assert line.startswith("tool.protos.a_pb2 of tool 1.0: VersionError: ")
    assert "gencode 99.0.0" in line


def test_only_the_first_of_many_faults_are_in_the_detail(sample_lock: Lock, toolbox: Tools) -> None:
    site = prefix_of(sample_lock, toolbox).site_packages
    names = [f"part_{n}" for n in range(8)]
    record = site / "alpha-1.0.dist-info/RECORD"
    edit(
        record, "alpha/__init__.py", "\n".join([*(f"{n}.py,," for n in names), "alpha/__init__.py"])
    )
    for name in names:
        (site / f"{name}.py").write_text("raise ValueError('broken')\n")

    evidence = prove("imports", sample_lock, toolbox, silent)

    assert evidence.status == "failed"
    assert evidence.detail.splitlines()[-1] == "and 3 more"
    assert log(toolbox, evidence.log).count("ValueError: broken") == len(names)


def test_nothing_is_proven_of_a_prefix_that_is_not_there(
    sample: Sample, sample_lock: Lock, tmp_path: Path
) -> None:
    toolbox = sample.toolbox(tmp_path)
    with pytest.raises(ToolError, match="not built") as caught:
        prove("imports", sample_lock, toolbox, silent)
    assert "elt-env build elt@" in caught.value.remedy
    assert toolbox.store.evidence(sample_lock.digest) == ()


def test_the_command_line_fails_when_a_check_does(  # noqa: PLR0917
    sample: Sample,
    sample_lock: Lock,
    toolbox: Tools,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    break_alpha(sample_lock, toolbox)
    monkeypatch.setenv("ELT_ENV_PROJECT", str(tmp_path))

    with pytest.raises(SystemExit) as ended:
        main(["build", sample_lock.target.name, "--lock", str(sample.directory(sample_lock))])

    assert ended.value.code == 8
    message = capsys.readouterr().err
    assert "alpha is broken" in message
    assert 'imports-allow = ["alpha"] in [tool.elt-env.environments.elt]' in message
    verdict = next(line for line in message.splitlines() if "does not hold:" in line)
    assert "imports" in verdict


def test_a_check_that_hangs_fails(
    sample: Sample, sample_lock: Lock, toolbox: Tools, tmp_path: Path
) -> None:
    break_alpha(sample_lock, toolbox, "__import__('time').sleep(600)")
    hasty = sample.toolbox(tmp_path)
    policy = hasty.policy.model_copy(update={"tool_limit": timedelta(seconds=5)})
    hasty = replace(hasty, project=replace(hasty.project, policy=policy))
    (evidence,) = prove_all(sample_lock, hasty, silent, names=["imports"])
    assert evidence.status == "failed"
    assert "time limit of" in evidence.detail
