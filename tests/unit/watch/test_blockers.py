"""What failed checks and declared bounds stand for."""

from __future__ import annotations

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from elt_env.environment.declared import Declared
from elt_env.errors import ToolError
from elt_env.store.evidence import Evidence, Status
from elt_env.watch.blockers import of_build, of_declared, of_evidence
from tests.support.locks import MOMENT, lock_of, pip_package

LOCK = lock_of(
    pip_package("top", "1.0", requested=True),
    pip_package("mid", "2.0", required_by=("top",)),
    pip_package("low", "3.0", required_by=("mid",)),
)
ANY = SpecifierSet()


def evidence(check: str, status: Status, detail: str = "") -> Evidence:
    return Evidence(check, status, MOMENT, 1.0, detail)


def needing(name: str, *requirements: str) -> Declared:
    return Declared(name, "1", ANY, tuple(map(Requirement, requirements)))


def test_upper_and_lower_bounds_on_python_block() -> None:
    declared = [
        ("mid", "2.0", SpecifierSet(">=3.9,<3.13")),
        ("low", "3.0", SpecifierSet(">=3.14")),
        ("top", "1.0", SpecifierSet(">=3.9")),
    ]
    found = of_declared(declared, LOCK.packages, "3.13.1")
    assert [each.chain for each in found] == [
        ("top 1.0", "mid 2.0", "python <3.13,>=3.9"),
        ("top 1.0", "mid 2.0", "low 3.0", "python >=3.14"),
    ]
    assert {each.kind for each in found} == {"declared bound"}
    assert "pip refuses to install it on 3.13.1" in found[0].text


def test_a_module_that_does_not_import_is_traced_to_the_request() -> None:
    detail = "low.core of low 3.0: ImportError: no such thing\nand 3 more"
    (found,) = of_evidence([evidence("imports", "failed", detail)], LOCK, ())
    assert (found.kind, found.chain) == ("import failure", ("top 1.0", "mid 2.0", "low 3.0"))
    assert found.text == "low.core of low 3.0 does not import: ImportError: no such thing"


def test_the_modules_of_one_distribution_are_one_blocker() -> None:
    detail = "low.a of low 3.0: ImportError: a\nlow.b of low 3.0: ImportError: b"
    (found,) = of_evidence([evidence("imports", "failed", detail)], LOCK, ())
    assert found.text.splitlines() == [
        "low.a of low 3.0 does not import: ImportError: a",
        "low.b of low 3.0 does not import: ImportError: b",
    ]


def test_an_sdist_that_cannot_be_built_is_a_missing_wheel() -> None:
    (found,) = of_build(ToolError("low==1.0 cannot be built from its sdist: no compiler", "try"))
    assert (found.kind, found.chain) == ("missing wheel", ("low 1.0",))
    (late,) = of_build(ToolError("uv pip install failed: Failed to build `low==1.0`", "try"))
    assert (late.kind, late.chain) == (found.kind, found.chain)
    assert of_build(ToolError("uv failed with exit code 101", "try")) == ()


def test_the_chain_ends_with_the_pin_that_keeps_the_culprit_old() -> None:
    detail = "low of low 3.0: TypeError: ..."
    declared = (
        needing("top", "mid>=1", "low<9"),
        needing("mid", "low<4,>=2", "low<2; extra == 'x'"),
    )
    (found,) = of_evidence([evidence("imports", "failed", detail)], LOCK, declared)
    assert found.chain == ("top 1.0", "mid 2.0", "low <4")


def test_other_checks_come_after_and_what_holds_does_not_block() -> None:
    results = [
        evidence("native_libraries", "failed", "libfoo.so is missing"),
        evidence("imports", "failed", "killed"),
        evidence("pip_check", "passed"),
        evidence("dbt_smoke", "not_run"),
        evidence("isolation", "warned"),
    ]
    assert [str(each) for each in of_evidence(results, LOCK, ())] == [
        "import failure: imports",
        "check failed: native_libraries",
    ]
