"""The check that entry points load and answer, with planted faults; and all checks at once."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from elt_env.environment.prefix import Prefix
from elt_env.errors import IndexUnreachableError, ToolError
from elt_env.lockfile.document import Lock
from elt_env.machine.process import Say
from elt_env.proof import prove as stage
from elt_env.proof.checks import scripts
from elt_env.proof.prove import HEALTH_CHECKS, Finding
from elt_env.tools import Tools
from tests.support.native import replace
from tests.support.proving import prove, prove_all
from tests.support.sample import Sample, silent


def look(prefix: Prefix, toolbox: Tools, name: str = "console_scripts") -> Finding:
    evidence = prove(name, prefix.lock, toolbox, silent, again=True)
    return Finding(evidence.status, evidence.detail)


def answer(prefix: Prefix, body: str) -> None:
    replace(prefix.site_packages / "alpha" / "__init__.py", f"def main():\n  {body}\n".encode())


def test_scripts_that_answer(prefix: Prefix, toolbox: Tools) -> None:
    found = look(prefix, toolbox)

    assert found.status == "passed", found.detail
    assert found.detail.startswith("2 scripts answer")


def test_a_script_whose_module_is_gone(prefix: Prefix, toolbox: Tools) -> None:
    shutil.rmtree(prefix.site_packages / "alpha")

    found = look(prefix, toolbox)

    assert found.status == "failed"
    assert "alpha --version ended with exit code 1" in found.detail
    assert "No module named 'alpha'" in found.detail


def test_a_script_that_fails_and_one_that_hangs(
    prefix: Prefix, toolbox: Tools, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer(prefix, "raise SystemExit('no tables today')")
    found = look(prefix, toolbox)
    assert found.status == "failed"
    assert found.detail == "alpha --version ended with exit code 1: no tables today"

    monkeypatch.setattr(scripts, "_PATIENCE", 1.0)
    answer(prefix, "import time; time.sleep(60)")
    found = look(prefix, toolbox)
    assert found.status == "failed"
    assert found.detail == "alpha --help did not answer within 1 s"


def test_a_program_that_is_not_in_bin(prefix: Prefix, toolbox: Tools) -> None:
    (prefix.path / "bin" / "tally").unlink()

    found = look(prefix, toolbox)

    assert found.status == "failed"
    assert "tally of tally is not in bin/" in found.detail


def points(prefix: Prefix, text: str) -> None:
    (prefix.site_packages / "beta-1.0.dist-info" / "entry_points.txt").write_text(text)


@pytest.mark.parametrize(
    ("reference", "culprit"),
    [
        ("beta.gone:run", "ModuleNotFoundError: No module named 'beta.gone'"),
        ("beta:run", "AttributeError: module 'beta' has no attribute 'run'"),
    ],
)
def test_an_entry_point_of_what_nobody_asked_for(
    reference: str, culprit: str, prefix: Prefix, toolbox: Tools
) -> None:
    points(prefix, f"[console_scripts]\nbeta-run = {reference}\n")
    (prefix.path / "bin" / "beta-run").touch()

    found = look(prefix, toolbox)

    assert found.status == "failed"
    assert found.detail == f"beta-run ({reference}) of beta: {culprit}"


def test_what_is_optional_is_told_and_passed_by(prefix: Prefix, toolbox: Tools) -> None:
    (prefix.site_packages / "beta" / "plugin.py").write_text("import absentee\n")
    points(prefix, "[some.group]\nplug = beta.plugin\nextra = beta.nowhere [more]\n")

    found = look(prefix, toolbox)

    assert found.status == "passed", found.detail
    assert found.detail.endswith("optional and not there: plug of beta")


def test_extra_imports_of_what_is_there(sample: Sample, tmp_path: Path) -> None:
    files = {f"google/cloud/{name}/__init__.py": "" for name in ("bigquery", "bigquery/dbapi")}
    sample.offer_pip("google-cloud-bigquery", files)
    lock = sample.lock(pip=["google-cloud-bigquery"])
    prefix = Prefix(sample.build(tmp_path, lock).path, lock)
    toolbox = sample.toolbox(tmp_path)
    assert look(prefix, toolbox, "extra_imports") == Finding("passed", "2 modules import")

    replace(prefix.site_packages / "google/cloud/bigquery/dbapi/__init__.py", b"import absentee")

    found = look(prefix, toolbox, "extra_imports")
    assert found.status == "failed"
    assert found.detail.startswith("google.cloud.bigquery.dbapi of google-cloud-bigquery 1.0: ")


def test_extra_imports_takes_what_imports_has_seen_in_that_run_alone(
    sample: Sample, tmp_path: Path
) -> None:
    seen = tmp_path / "imported"
    files = {
        "google/cloud/bigquery/__init__.py": "",
        "google/cloud/bigquery/dbapi/__init__.py": f"open({str(seen)!r}, 'a').write('once ')",
    }
    sample.offer_pip("google-cloud-bigquery", files)
    lock = sample.lock(pip=["google-cloud-bigquery"])
    prefix = Prefix(sample.build(tmp_path, lock).path, lock)
    toolbox = sample.toolbox(tmp_path)
    prover = stage.prefix_prover(lock, toolbox, silent, again=True)

    assert prover.attempt("imports").status == "passed"
    assert prover.attempt("extra_imports").detail == "2 modules import"
    assert seen.read_text() == "once "

    replace(prefix.site_packages / "google/cloud/bigquery/dbapi/__init__.py", b"import absentee")
    assert look(prefix, toolbox, "extra_imports").status == "failed"


def test_extra_imports_of_what_is_not_there(prefix: Prefix, toolbox: Tools) -> None:
    assert look(prefix, toolbox, "extra_imports").status == "passed"


def test_all_checks_in_their_order(prefix: Prefix, toolbox: Tools) -> None:
    names = ["imports", "pip_check", "mixed_managers"]

    found = prove_all(prefix.lock, toolbox, silent, names=names)

    assert [each.check for each in found] == ["pip_check", "mixed_managers", "imports"]
    assert {each.status for each in found} == {"passed"}
    assert set(toolbox.store.evidence(prefix.lock.digest)) == set(found)


def test_what_cannot_run_is_not_run_and_the_others_go_on(
    prefix: Prefix, toolbox: Tools, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreachable(prefix: Prefix, toolbox: Tools, say: Say) -> Finding:
        del prefix, toolbox, say
        raise IndexUnreachableError("The index does not answer.", "Check the network.")

    monkeypatch.setitem(stage.HEALTH_CHECKS, "pip_check", unreachable)

    first, second = prove_all(prefix.lock, toolbox, silent, names=["pip_check", "imports"])

    assert (first.check, first.status, first.holds) == ("pip_check", "not_run", False)
    assert "The index does not answer." in first.detail
    assert second.status == "passed"
    recorded = {each.check: each.status for each in toolbox.store.evidence(prefix.lock.digest)}
    assert recorded == {"pip_check": "not_run", "imports": "passed"}


def test_nothing_is_recorded_of_a_prefix_that_is_not_there(
    sample_lock: Lock, toolbox: Tools
) -> None:
    with pytest.raises(ToolError, match="not built"):
        prove_all(sample_lock, toolbox, silent)
    assert toolbox.store.evidence(sample_lock.digest) == ()


def test_every_check_says_what_holds() -> None:
    assert all((check.__doc__ or "").strip() for check in HEALTH_CHECKS.values())
