"""A name that a spec asks for from both conda and pip."""

from __future__ import annotations

import pytest

from elt_env.errors import SpecError
from tests.support.conda_packages import make_conda_package
from tests.support.locking import LONG_AGO, Scene


def test_a_conda_package_that_is_not_that_distribution_stands_beside_it(scene: Scene) -> None:
    make_conda_package(scene.channel.root, "graphviz", "12.0", timestamp=LONG_AGO)
    scene.offer_pip("graphviz", "0.20")
    scene.channel.index()
    made = scene.lock(conda=["graphviz"], pip=["graphviz"])
    found = {(each.manager, each.version) for each in made.lock.packages if each.name == "graphviz"}
    assert found == {("conda", "12.0"), ("pip", "0.20")}
    assert scene.lock(conda=["graphviz"], pip=["graphviz"]).kept


@pytest.mark.parametrize(("conda", "pip"), [("lib", "lib"), ("lib", "Lib >=1")])
def test_a_conda_package_that_is_that_distribution_is_refused(
    scene: Scene, conda: str, pip: str
) -> None:
    scene.offer_both("lib", "1.0")
    with pytest.raises(SpecError, match="'lib' is asked for from both conda and pip") as caught:
        scene.lock(conda=[conda], pip=[pip])
    assert "conda's lib 1.0 is that distribution" in caught.value.problem
    assert caught.value.exit_code == 2


def test_a_requirement_that_does_not_apply_is_not_asked_for(scene: Scene) -> None:
    scene.offer_both("lib", "1.0")
    made = scene.lock(conda=["lib"], pip=["lib; python_version < '3'"])
    assert [each.manager for each in made.lock.packages if each.name == "lib"] == ["conda"]


def test_what_conda_owns_because_another_package_needs_it_may_be_asked_of_pip(scene: Scene) -> None:
    scene.offer_both("lib", "1.0")
    scene.offer_conda("app", "1.0", depends=["python", "lib"])
    made = scene.lock(conda=["app"], pip=["lib"])
    assert [each.manager for each in made.lock.packages if each.name == "lib"] == ["conda"]
