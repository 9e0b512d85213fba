from __future__ import annotations

from types import ModuleType

import pytest
import yaml
from hypothesis import given
from packaging.requirements import Requirement

from elt_env.lockfile.document import Lock
from elt_env.lockfile.export import FORMATS
from elt_env.lockfile.foreign import conda_lock, pixi_lock
from elt_env.lockfile.foreign.document import Wanted
from elt_env.spec.environment_yml import parse_spec
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


@pytest.mark.parametrize(("form", "reader"), [("conda-lock", conda_lock), ("pixi", pixi_lock)])
@given(lock=locks())
def test_a_file_with_both_halves_is_read_as_what_was_locked(
    form: str, reader: ModuleType, lock: Lock
) -> None:
    select = reader.read(FORMATS[form].render(lock), form)
    found = select(Wanted(lock.target.python, lock.target.platform))
    assert {(each.url, each.sha256) for each in found.conda or ()} == {
        (each.url, each.sha256) for each in lock.conda
    }
    assert {(each.name, each.version) for each in found.pip or ()} == {
        (each.name, each.version) for each in lock.pip
    }
    assert found.channels == lock.channels


def test_a_conda_lock_yml_says_who_needs_what() -> None:
    lock = lock_of(
        conda_package("gamma", depends=("python >=3.11,<3.12.0a0", "zlib", "zlib>=1.2", "six 1.*")),
        pip_package("alpha"),
        pip_package("beta", required_by=("alpha",)),
    )
    content = yaml.safe_load(FORMATS["conda-lock"].render(lock))
    needs = {each["name"]: each["dependencies"] for each in content["package"]}
    assert needs["gamma"] == {"python": ">=3.11,<3.12.0a0", "zlib": ">=1.2", "six": "1.*"}
    assert needs["alpha"] == {"beta": "*"}
    assert needs["beta"] == {}


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
