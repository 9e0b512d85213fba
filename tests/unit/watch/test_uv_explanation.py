"""What uv's explanations blame; the texts are its own."""

from __future__ import annotations

from elt_env.watch.uv_explanation import blockers

HEAD = "error: No solution found when resolving dependencies\n  cause: "
SDIST = (
    HEAD + "Because low==1.0 has no usable wheels and only low==1.0 is available, we can conclude "
    "that all versions of low cannot be used.\n         And because all versions of mid depend on "
    "low, we can conclude that all versions of mid cannot be used.\n         And because all "
    "versions of top depend on mid==1.0 and you require top, we can conclude that your "
    "requirements are unsatisfiable."
)
ABI = (
    HEAD + "Because all versions of low have no wheels with a matching Python ABI tag (e.g., "
    "`cp313`) and all versions of mid depend on low, we can conclude that all versions of mid "
    "cannot be used.\n         And because all versions of top depend on mid>=1,<2 and you require "
    "top, we can conclude that your requirements are unsatisfiable."
)
PYTHON = (
    HEAD + "Because the requested Python version (>=3.13.1) does not satisfy Python>=3.14 and "
    "mid==1.0 depends on Python>=3.14, we can conclude that mid==1.0 cannot be used.\n         And "
    "because all versions of top depend on mid==1.0 and you require top, we can conclude that "
    "your requirements are unsatisfiable."
)
CLASH = (
    HEAD + "Because all versions of top depend on mid>=2 and all versions of oth depend on mid<2, "
    "we can conclude that all versions of oth and all versions of top are incompatible.\n"
    "         And because you require oth and top, we can conclude that your requirements are "
    "unsatisfiable."
)
GONE = (
    HEAD + "Because mid was not found in the package registry and all versions of top depend on "
    "mid<2, we can conclude that all versions of top cannot be used."
)


def read(text: str, *requirements: str) -> list[str]:
    return [str(each) for each in blockers(text, requirements)]


def test_what_has_no_wheel() -> None:
    assert read(SDIST, "top<9", "bystander") == ["missing wheel: top <9 → mid ==1.0 → low"]
    assert read(ABI, "top") == ["missing wheel: top → mid >=1,<2 → low"]


def test_what_is_for_another_python() -> None:
    assert read(PYTHON, "top") == ["declared bound: top → mid ==1.0 → python >=3.14"]


def test_who_pins_what() -> None:
    found = blockers(CLASH, ["top", "oth"])
    assert [str(each) for each in found] == ["pin: top → mid >=2", "pin: oth → mid <2"]
    assert found[0].text == "top pins mid >=2; oth wants mid <2."


def test_what_no_index_has() -> None:
    found = blockers(GONE, ["top"])
    assert [str(each) for each in found] == ["missing wheel: top → mid <2"]
    assert found[0].text == "No index has a package 'mid'."


def test_lists_are_no_package() -> None:
    assert read("top==1.0 depends on all of:\n    low\n    mid") == []
    assert read("nothing of the kind", "top") == []
