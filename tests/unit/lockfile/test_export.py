from __future__ import annotations

import pytest
from hypothesis import given
from packaging.requirements import Requirement

from elt_env.lockfile.document import Lock
from elt_env.lockfile.export import FORMATS
from elt_env.spec.document import parse_spec
from tests.support.locks import conda_package, lock_of, locks, owning, pip_package


@given(locks())
def test_an_environment_yml_asks_for_just_what_is_locked(lock: Lock) -> None:
    spec = parse_spec(FORMATS["environment"].render(lock), "environment.yml")
    asked = {(each.name, each.version.strip("=")) for each in spec.conda}
    others = [each for each in lock.conda if each.name != "python"]
    assert asked == {(each.name, each.version) for each in others}
    pip = [Requirement(each) for each in spec.pip]
    assert {(each.name, str(each.specifier)) for each in pip} == {
        (each.name, f"=={each.version}") for each in lock.pip
    }
    assert spec.channels == lock.channels


def test_constraints_are_those_of_condas_distributions_too() -> None:
    lock = lock_of(
        pip_package("alpha", "1.0"),
        owning(conda_package("opencv", "4.9.0"), ("opencv-python", "4.9.0.80")),
    )
    head, *lines = FORMATS["constraints"].render(lock).splitlines()
    assert head == f"# elt@3.11/linux-64 {lock.digest}"
    assert lines == ["alpha==1.0", "opencv-python==4.9.0.80"]


def test_variables_go_along() -> None:
    lock = lock_of(conda_package("gdal"), variables=(("GDAL_CACHEMAX", "64"),))
    assert "variables:\n  GDAL_CACHEMAX: '64'\n" in FORMATS["environment"].render(lock)


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_names_the_lock_it_is_of(name: str) -> None:
    lock = lock_of(pip_package("alpha", "1.0"), conda_package("gamma"))
    assert lock.digest in FORMATS[name].render(lock)
