"""What checks and metadata make of a look at a Python."""

from __future__ import annotations

from pathlib import Path

from elt_env.environment.prefix import Prefix
from elt_env.store.evidence import Evidence, Status
from elt_env.watch.readiness import Look
from elt_env.watch.trial import after_checks
from tests.support.locks import MOMENT, lock_of, pip_package

LOOK = Look("locked", lock="sha256:1", python_version="3.11.7")


def evidence(check: str, status: Status, detail: str = "") -> Evidence:
    return Evidence(check, status, MOMENT, 1.0, detail)


def prefix(root: Path, requires_python: str) -> Prefix:
    """Return a prefix that holds `top`, for these Pythons."""
    made = Prefix(root, lock_of(pip_package("top", "1.0", requested=True)))
    info = made.site_packages / "top-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: top\nVersion: 1.0\nRequires-Python: {requires_python}\n"
    )
    return made


def test_all_that_applies_passes(tmp_path: Path) -> None:
    results = (
        evidence("pip_check", "passed"),
        evidence("isolation", "warned"),
        evidence("dbt_smoke", "not_run", "elt@3.11 has no dbt-core, so there is nothing to run."),
    )
    look = after_checks(LOOK, prefix(tmp_path, ">=3.9"), results)
    assert (look.reached, look.verdict, look.lock) == ("proven", "ready", "sha256:1")


def test_a_declared_bound_blocks_though_all_checks_passed(tmp_path: Path) -> None:
    look = after_checks(LOOK, prefix(tmp_path, "<3.11"), (evidence("pip_check", "passed"),))
    (blocker,) = look.blocked_by
    assert (look.reached, look.verdict) == ("proven", "not ready")
    assert blocker.chain == ("top 1.0", "python <3.11")
    assert blocker.text.endswith("All checks passed in spite of it.")


def test_a_check_that_could_not_run_leaves_a_doubt(tmp_path: Path) -> None:
    results = (evidence("meltano_smoke", "not_run", "could not run: the index does not answer"),)
    look = after_checks(LOOK, prefix(tmp_path, ">=3.9"), results)
    assert (look.reached, look.verdict) == ("installed", "unknown")
    assert look.doubt == "meltano_smoke could not run: the index does not answer"


def test_a_failed_check_blocks(tmp_path: Path) -> None:
    results = (evidence("native_libraries", "failed", "libfoo.so.1 is missing"),)
    look = after_checks(LOOK, prefix(tmp_path, "<3.11"), results)
    assert [each.kind for each in look.blocked_by] == ["declared bound", "check failed"]
    assert "in spite" not in look.blocked_by[0].text
    assert look.reached == "installed"
