"""The way from what a person requested to a package."""

from __future__ import annotations

from elt_env.lock.chains import chain_to
from tests.support.locks import pip_package

TOP = pip_package("top", "1.0", requested=True)
MID = pip_package("mid", "2.0", required_by=("top",))
LOW = pip_package("low", "3.0", required_by=("mid",))


def test_from_the_request_down_to_the_culprit() -> None:
    assert chain_to("low", [LOW, MID, TOP]) == ("top 1.0", "mid 2.0", "low 3.0")
    assert chain_to("top", [LOW, MID, TOP]) == ("top 1.0",)


def test_the_shortest_way_and_of_two_the_first_by_name() -> None:
    low = pip_package("low", "3.0", required_by=("mid", "other", "zed"))
    other = pip_package("other", "1", requested=True)
    zed = pip_package("zed", "1", requested=True)
    assert chain_to("low", [low, MID, TOP, zed, other]) == ("other 1", "low 3.0")


def test_a_circle_ends() -> None:
    one = pip_package("one", "1", required_by=("two",))
    two = pip_package("two", "1", required_by=("one",))
    assert chain_to("one", [one, two]) == ("one 1",)


def test_what_nobody_requested_or_knows_is_its_own_chain() -> None:
    assert chain_to("mid", [MID]) == ("mid 2.0",)
    assert chain_to("ghost", [TOP]) == ("ghost",)


def test_without_a_version_the_name_alone() -> None:
    assert chain_to("low", [pip_package("low", "", requested=True)]) == ("low",)
