from __future__ import annotations

import random
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from elt_env.lockfile.document import (
    Bound,
    HeldBack,
    Lock,
    Package,
    owned_distributions,
    with_required_by,
)
from elt_env.package.canonical import digest_of
from elt_env.package.target import Target
from tests.support.locks import (
    MOMENT,
    TARGET,
    conda_package,
    lock_of,
    locks,
    owning,
    pip_package,
    python_package,
    sdist_package,
)


@given(locks(), st.randoms(use_true_random=False))
def test_the_order_of_packages_does_not_count(lock: Lock, chance: random.Random) -> None:
    shuffled = list(lock.packages)
    chance.shuffle(shuffled)
    again = replace(lock, packages=tuple(shuffled))
    assert again == lock
    assert again.digest == lock.digest


@pytest.mark.parametrize(
    "changes",
    [
        {"locked_at": MOMENT + timedelta(days=1)},
        {"exclude_newer": None},
        {"channels": ("https://mirror.example.invalid",)},
        {"channel_source": "host"},
        {"indexes": ()},
        {"tools": ()},
        {"spec_digest": "sha256:" + "6" * 64},
        {"requirements": ()},
        {"negotiated": (Bound("alpha", ">=1", "0.9", ("beta 1.0",)),)},
        {"held_back": (HeldBack("alpha", "1.0", "2.0"),)},
        {"notes": ("gdal 3.9 has a post-link script",)},
    ],
)
def test_when_where_and_how_it_was_made_is_not_in_the_digest(changes: dict[str, Any]) -> None:
    lock = lock_of(pip_package())
    assert replace(lock, **changes).digest == lock.digest


def test_variables_are_in_the_digest_where_there_are_any() -> None:
    lock = lock_of(pip_package())
    variables = (("DBT_PARTIAL_PARSE", "0"), ("DBT_PROFILES_DIR", "ci/profiles"))
    digests = {
        replace(lock, variables=each).digest
        for each in ((), variables, variables[:1], (("DBT_PARTIAL_PARSE", "1"), variables[1]))
    }
    assert len(digests) == 4
    # As it was before a lock had variables.
    packages = [[p.manager, p.name, p.version, p.build, p.sha256] for p in lock.packages]
    content = {"schema": lock.schema, "target": str(lock.target), "packages": packages}
    assert lock.digest == digest_of(content)


@pytest.mark.parametrize(
    "changes",
    [
        {"url": "https://mirror.example.invalid/alpha-1.0-py3-none-any.whl"},
        {"index": "https://mirror.example.invalid/simple"},
        {"size": 12},
        {"released_at": None},
        {"requested": True},
        {"required_by": ("beta",)},
    ],
)
def test_what_a_package_is_not_made_of_is_not_in_the_digest(changes: dict[str, Any]) -> None:
    package = pip_package()
    assert lock_of(replace(package, **changes)).digest == lock_of(package).digest


@pytest.mark.parametrize(
    "changes",
    [{"name": "beta"}, {"version": "1.1"}, {"sha256": "0" * 64}, {"build": "py311_1"}],
)
def test_what_a_package_is_made_of_is_in_the_digest(changes: dict[str, Any]) -> None:
    package = conda_package("alpha")
    assert lock_of(replace(package, **changes)).digest != lock_of(package).digest


def test_who_installs_a_package_is_in_the_digest() -> None:
    package = pip_package()
    assert lock_of(replace(package, manager="conda")).digest != lock_of(package).digest


@pytest.mark.parametrize(
    "target",
    [
        replace(TARGET, environment="other"),
        replace(TARGET, python="3.12"),
        replace(TARGET, platform="linux-aarch64"),
    ],
)
def test_the_target_and_the_schema_are_in_the_digest(target: Target) -> None:
    lock = lock_of()
    assert replace(lock, target=target).digest != lock.digest
    assert replace(lock, schema=2).digest != lock.digest


def test_the_digest_of_a_lock_stays_what_it_is() -> None:
    """A digest names prefixes, evidence and images: it must not change from version to version."""
    lock = lock_of(pip_package(), conda_package("gamma"))
    expected = "sha256:690dd418d2b1"
    assert lock.digest.startswith(expected), lock.digest


@given(locks())
def test_every_package_is_in_one_half(lock: Lock) -> None:
    assert sorted(lock.conda + lock.pip, key=_key) == sorted(lock.packages, key=_key)
    assert {each.manager for each in lock.conda} == {"conda"}
    assert {each.manager for each in lock.pip} <= {"pip"}
    for each in lock.packages:
        assert lock.package(each.manager, each.name) is each


def _key(package: Package) -> tuple[str, str]:
    return package.manager, package.name


def test_a_lock_knows_its_python() -> None:
    assert lock_of(python_package("3.11.9")).python.version == "3.11.9"


def test_a_package_that_is_not_there_is_a_key_error() -> None:
    with pytest.raises(KeyError, match="alpha"):
        lock_of(conda_package("alpha")).package("pip", "alpha")


def test_distributions_are_what_conda_owns_and_pip_installs() -> None:
    pandas = owning(conda_package("pandas", "2.3.3"), ("pandas", "2.3.3"))
    forge = owning(conda_package("ruamel.yaml"), ("ruamel-yaml", "0.18"), ("clib", "0.2"))
    lock = lock_of(pandas, forge, conda_package("openssl"), pip_package("dagster", "1.13"))
    owned = {"pandas": "2.3.3", "ruamel-yaml": "0.18", "clib": "0.2"}
    assert owned_distributions(lock.conda) == owned
    assert lock.distributions == owned | {"dagster": "1.13"}


def test_who_requires_a_conda_package_is_read_from_its_dependents() -> None:
    packages = (
        conda_package("pandas", depends=("numpy >=1.26,<3", "python>=3.9", "tzdata=2024*", "gone")),
        conda_package("scipy", depends=("  numpy", "")),
        conda_package("numpy", depends=("python_abi 3.11.* *_cp311",)),
        conda_package("python"),
        conda_package("tzdata"),
        pip_package("numpy-less"),
    )
    required_by = {each.name: each.required_by for each in with_required_by(packages)}
    assert required_by == {
        "pandas": (),
        "scipy": (),
        "numpy": ("pandas", "scipy"),
        "python": ("pandas",),
        "tzdata": ("pandas",),
        "numpy-less": (),
    }


def test_a_package_knows_its_file() -> None:
    assert pip_package().file_name == "alpha-1.0-py3-none-any.whl"
    assert sdist_package("alpha").file_name == "alpha-1.0.tar.gz"


def test_what_was_negotiated_reads_as_a_sentence() -> None:
    assert str(Bound("gamma", ">=2,<3", "3.1", ("alpha",))) == "gamma >=2,<3"
    assert str(HeldBack("alpha", "1.0", "2.0")).startswith("alpha 1.0 is locked; 2.0 is not")
