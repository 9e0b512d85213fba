"""Who brought a package into a lock, and what stands in the way of another version of it."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from elt_env.cli import main
from elt_env.errors import PolicyError
from elt_env.lock.why import why, why_not
from tests.support.locking import Scene, target_of


def _fill(scene: Scene) -> None:
    scene.offer_both("dateutil", "2.9", "4.0")
    scene.offer_conda("pandas", "1.0", depends=["python", "dateutil >=2"])
    scene.offer_conda("pandas", "2.0", depends=["python", "dateutil >=3"])
    scene.offer_pip("dbt", "1.0", requires=["agate"])
    scene.offer_pip("agate", "1.7", requires=["dateutil<3"])
    scene.offer_pip("click", "8.0", "9.0")


def test_every_way_to_a_package_and_all_bounds_on_it(scene: Scene) -> None:
    _fill(scene)
    toolbox = scene.toolbox(conda=["pandas"], pip=["dbt", "click"])
    lock = scene.lock_with(toolbox).lock
    assert why(lock, "dateutil", toolbox.downloads) == (
        "dateutil 2.9 (conda) is in elt@3.11",
        "  dbt 1.0 → agate 1.7 → dateutil 2.9",
        "  pandas 1.0 → dateutil 2.9",
        "bounds",
        "  agate 1.7 (pip) needs dateutil<3",
        "  pandas 1.0 (conda) needs dateutil >=2",
    )
    assert "  asked for in the spec: pip: click" in why(lock, "click", toolbox.downloads)
    with pytest.raises(PolicyError, match="'nope' is not in the lock"):
        why(lock, "nope", toolbox.downloads)


def test_what_stands_in_the_way_and_what_would_do(scene: Scene) -> None:
    _fill(scene)
    toolbox = scene.toolbox(conda=["pandas"], pip=["dbt", "click"])
    scene.lock_with(toolbox)
    found = why_not(target_of(toolbox), "pandas>=2", toolbox, print)
    assert found.units == ("conda: pandas", "pip: dbt")
    assert "agate needs dateutil <3" in found.facts
    (relaxation,) = found.relaxations
    assert relaxation.dropped == ("pip: dbt",)
    assert relaxation.changes == ("pandas 1.0 → 2.0", "dateutil 2.9 → 4.0")


def test_a_bound_of_the_spec_is_loosened_before_it_is_left_out(scene: Scene) -> None:
    _fill(scene)
    toolbox = scene.toolbox(conda=["pandas"], pip=["dbt", "click<9"])
    scene.lock_with(toolbox)
    found = why_not(target_of(toolbox), "click>=9", toolbox, print)
    assert found.units == ("pip: click<9",)
    assert found.relaxations[0].changes == ("click 8.0 → 9.0",)


def test_all_that_stand_in_the_way_each_by_itself_are_named(scene: Scene) -> None:
    _fill(scene)
    for name in ("one", "two", "three"):
        scene.offer_pip(name, "1.0", requires=["click<9"])
    toolbox = scene.toolbox(conda=["pandas"], pip=["dbt", "one", "two", "three", "click"])
    scene.lock_with(toolbox)
    found = why_not(target_of(toolbox), "click>=9", toolbox, print)
    assert len(found.units) == 1
    (relaxation,) = found.relaxations
    assert sorted(relaxation.dropped) == ["pip: one", "pip: three", "pip: two"]
    assert relaxation.changes == ("click 8.0 → 9.0",)


def test_what_is_possible_is_shown_with_what_would_change(scene: Scene) -> None:
    _fill(scene)
    toolbox = scene.toolbox(conda=["pandas"], pip=["dbt", "click"])
    scene.lock_with(toolbox)
    found = why_not(target_of(toolbox), "click<9", toolbox, print)
    assert (found.units, found.changes) == ((), ("click 9.0 → 8.0",))


def test_a_pre_release_that_alone_is_possible_is_called_one(scene: Scene) -> None:
    _fill(scene)
    scene.offer_pip("click", "10.0a1")
    toolbox = scene.toolbox(conda=["pandas"], pip=["dbt", "click"])
    scene.lock_with(toolbox)
    found = why_not(target_of(toolbox), "click>=9.5", toolbox, print)
    assert found.changes == ("click 9.0 → 10.0a1, a pre-release, since nothing final may be taken",)


def test_both_from_the_command_line(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    _fill(scene)
    toolbox = scene.toolbox(conda=["pandas"], pip=["dbt"])
    scene.lock_with(toolbox)
    monkeypatch.setenv("ELT_ENV_PROJECT", str(toolbox.project.root))
    shown = CliRunner().invoke(main, ["why", "elt@3.11", "dateutil"], catch_exceptions=False)
    assert "pandas 1.0 → dateutil 2.9" in shown.output
    asked = ["why-not", "elt@3.11", "pandas>=2"]
    shown = CliRunner().invoke(main, asked, catch_exceptions=False)
    assert "pandas>=2 cannot be had" in shown.output
    assert "possible without pip: dbt" in shown.output
    wrong = CliRunner().invoke(main, ["why-not", "elt@3.11", "&"])
    assert wrong.exit_code == 2
