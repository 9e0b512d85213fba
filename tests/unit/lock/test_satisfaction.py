from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from elt_env.conda.rattler_tool import Rattler
from elt_env.lock.satisfaction import requirement_lines, unsatisfied
from elt_env.lockfile.document import WHEEL_BUILD_NUMBER, ChannelSource, Lock
from elt_env.project.policy import EnvironmentPolicy, Policy
from elt_env.spec.document import Spec
from elt_env.spec.environment_yml import parse_spec
from tests.support.locks import (
    conda_package,
    lock_of,
    owning,
    pip_package,
    python_package,
    sdist_package,
    versions,
)

_MATCHES = Rattler(Path("unused"), None, 1.0).matches
_CHANNELS = ["conda-forge", "bioconda"]
_PYTHON = "python >=3.11,<3.13"
_CONDA = ["pandas >=2,<3", "openssl"]
_PIP = ["dagster>=1.13,<2", "dbt-core[x]<1.12", "numpy", "tomli; python_version < '3.11'"]


def _spec(
    channels: list[str] = _CHANNELS,
    python: str = _PYTHON,
    conda: list[str] = _CONDA,
    pip: list[str] = _PIP,
) -> Spec:
    dependencies = [python, *conda, {"pip": pip}]
    document = {"channels": channels, "dependencies": dependencies}
    return parse_spec(yaml.safe_dump(document), "environments/elt.yml")


def _lock(spec: Spec, channel_source: ChannelSource = "remote") -> Lock:
    """Return a lock as `stages.lock` makes it: numpy is conda's, and pip asked for it as well."""
    return lock_of(
        python_package("3.11.7"),
        owning(conda_package("pandas", "2.3.3", requested=True), ("pandas", "2.3.3")),
        conda_package("openssl", "3.1.1", requested=True),
        owning(conda_package("numpy", "2.0.1", requested=True), ("numpy", "2.0.1")),
        conda_package("zlib", "1.3"),
        pip_package("dagster", "1.13.27", requested=True),
        pip_package("dbt-core", "1.11.16", requested=True),
        pip_package("click", "8.1", required_by=("dagster",)),
        spec=spec,
        channel_source=channel_source,
    )


def _policy(**changes: object) -> Policy:
    elt = EnvironmentPolicy(spec="elt.yml", pythons=("3.11",))
    return Policy.model_validate({"environments": {"elt": elt}, **changes})


def _reasons(spec: Spec, lock: Lock | None = None, policy: Policy | None = None) -> tuple[str, ...]:
    return unsatisfied(lock or _lock(_spec()), spec, policy or _policy(), _MATCHES)


def _with(lines: list[str], old: str, *new: str) -> list[str]:
    assert old in lines
    return [line for each in lines for line in (new if each == old else (each,))]


def test_a_fresh_lock_satisfies_the_spec_it_was_made_for() -> None:
    assert _reasons(_spec()) == ()


def test_it_still_does_when_every_requirement_is_looked_at() -> None:
    lock = replace(_lock(_spec()), spec_digest="sha256:" + "0" * 64)
    assert _reasons(_spec(), lock) == ()


@pytest.mark.parametrize(
    "spec",
    [
        _spec(python="python"),
        _spec(python="python >=3.10"),
        _spec(conda=_with(_CONDA, "pandas >=2,<3", "pandas")),
        _spec(conda=_with(_CONDA, "pandas >=2,<3", "pandas =2.3")),
        _spec(conda=_with(_CONDA, "openssl", "openssl >=3")),
        _spec(conda=_with(_CONDA, "openssl", "openssl 3.1.1 py311_0")),
        _spec(conda=list(reversed(_CONDA)), pip=list(reversed(_PIP))),
        _spec(pip=_with(_PIP, "dagster>=1.13,<2", "dagster")),
        _spec(pip=_with(_PIP, "dagster>=1.13,<2", "dagster==1.13.*")),
        _spec(pip=_with(_PIP, "dagster>=1.13,<2", "Dagster >= 1.13, < 3")),
        _spec(pip=_with(_PIP, "numpy", "numpy<3")),
        _spec(pip=_with(_PIP, "tomli; python_version < '3.11'")),
        _spec(
            pip=_with(_PIP, "tomli; python_version < '3.11'", "tomli>2; python_version < '3.11'")
        ),
        _spec(pip=[*_PIP, "pywin32; sys_platform == 'no-such-platform'"]),
        _spec(pip=_with(_PIP, "numpy", "numpy; python_version >= '3.11'")),
    ],
)
def test_a_change_that_the_lock_satisfies_keeps_it(spec: Spec) -> None:
    assert _reasons(spec) == ()


@pytest.mark.parametrize(
    ("spec", "reasons"),
    [
        (_spec(channels=["conda-forge"]), ["the spec's channels changed"]),
        (_spec(channels=["bioconda", "conda-forge"]), ["the spec's channels changed"]),
        (
            _spec(python="python >=3.12"),
            ["conda: python 3.11.7 is locked, the spec wants python >=3.12"],
        ),
        (
            _spec(conda=_with(_CONDA, "pandas >=2,<3", "pandas >=2.4")),
            ["conda: pandas 2.3.3 is locked, the spec wants pandas >=2.4"],
        ),
        (
            _spec(conda=_with(_CONDA, "openssl", "openssl * py312_0")),
            ["conda: openssl 3.1.1 is locked, the spec wants openssl * py312_0"],
        ),
        (_spec(conda=[*_CONDA, "scipy"]), ["conda: scipy is new in the spec"]),
        (_spec(conda=[*_CONDA, "zlib"]), ["conda: zlib is new in the spec"]),
        (_spec(conda=_with(_CONDA, "openssl")), ["conda: openssl is no longer asked for"]),
        (
            _spec(pip=_with(_PIP, "dagster>=1.13,<2", "dagster>=1.14")),
            ["pip: dagster 1.13.27 is locked, the spec wants dagster>=1.14"],
        ),
        (
            _spec(pip=_with(_PIP, "numpy", "numpy<2")),
            ["pip: numpy 2.0.1 is locked, the spec wants numpy<2"],
        ),
        (_spec(pip=[*_PIP, "duckdb"]), ["pip: duckdb is new in the spec"]),
        (_spec(pip=[*_PIP, "click"]), ["pip: click is new in the spec"]),
        (_spec(pip=_with(_PIP, "numpy")), ["pip: numpy is no longer asked for"]),
        (
            _spec(pip=_with(_PIP, "dbt-core[x]<1.12", "dbt-core[x,y]<1.12")),
            ["pip: the extras of dbt-core[x,y]<1.12 changed in the spec"],
        ),
        (
            _spec(pip=_with(_PIP, "dbt-core[x]<1.12", "dbt-core<1.12")),
            ["pip: the extras of dbt-core<1.12 changed in the spec"],
        ),
        (
            _spec(pip=_with(_PIP, "tomli; python_version < '3.11'", "tomli")),
            ["pip: tomli is new in the spec"],
        ),
        (
            _spec(pip=_with(_PIP, "numpy", "numpy; python_version < '3.11'")),
            ["pip: numpy is no longer asked for"],
        ),
        (
            _spec(conda=_with(_CONDA, "openssl"), pip=[*_PIP, "openssl"]),
            ["conda: openssl is no longer asked for", "pip: openssl is new in the spec"],
        ),
        (replace(_spec(), variables=(("FLAG", "1"),)), ["the spec's variables changed"]),
    ],
)
def test_a_change_that_the_lock_does_not_satisfy_is_named(spec: Spec, reasons: list[str]) -> None:
    assert list(_reasons(spec)) == reasons


@given(versions(), st.sampled_from([">=", "<", "==", "!=", "~="]), versions())
def test_a_pip_bound_keeps_the_lock_exactly_when_it_admits_what_is_locked(
    locked: str, operator: str, bound: str
) -> None:
    wanted = f"dagster{operator}{bound.partition('+')[0]}{'.0' if operator == '~=' else ''}"
    try:
        specifier: SpecifierSet = Requirement(wanted).specifier
    except ValueError:
        return  # ~=1.0.post1.0
    made_for = _spec(pip=["dagster"])
    lock = lock_of(python_package(), pip_package("dagster", locked), spec=made_for)
    lock = replace(lock, requirements=requirement_lines(_spec(conda=[], pip=["dagster"])))
    reasons = _reasons(_spec(conda=[], pip=[wanted]), lock)
    assert (reasons == ()) == specifier.contains(locked, prereleases=True)
    assert all("dagster" in each for each in reasons)


def _of_host_channel(lock: Lock, build_number: int) -> Lock:
    packages = tuple(
        replace(each, conda=replace(each.conda, build_number=build_number)) if each.conda else each
        for each in lock.packages
    )
    return replace(lock, channel_source="host", packages=packages)


def test_a_lock_of_packages_that_lack_what_extras_require_is_made_anew() -> None:
    policy = _policy(channel_fallback="host")
    (reason,) = _reasons(_spec(), _of_host_channel(_lock(_spec()), 0), policy)
    assert "extras" in reason
    assert _reasons(_spec(), _lock(_spec()), policy) == ()


def test_a_lock_of_the_host_channel_is_for_policies_that_allow_one() -> None:
    lock = _of_host_channel(_lock(_spec()), WHEEL_BUILD_NUMBER)
    assert _reasons(_spec(), lock, _policy(channel_fallback="host")) == ()
    (reason,) = _reasons(_spec(), lock, _policy(channel_fallback="none"))
    assert "host channel" in reason


def test_an_sdist_is_for_policies_that_allow_it() -> None:
    lock = _lock(_spec())
    lock = replace(lock, packages=(*lock.packages, sdist_package("py-spy", "0.4")))
    assert _reasons(_spec(), lock, _policy(wheels_only=False)) == ()
    assert _reasons(_spec(), lock, _policy(allow_sdist=("Py_Spy",))) == ()
    (reason,) = _reasons(_spec(), lock, _policy(allow_sdist=("other",)))
    assert reason == "py-spy 0.4 is an sdist, and the policy wants wheels only"


def test_a_longer_cool_down_names_what_was_too_young() -> None:
    lock = _lock(_spec())
    young = pip_package("meltano", "4.4.1", released_at=lock.locked_at - timedelta(days=5))
    timeless = pip_package("private", "1.0", released_at=None)
    lock = replace(lock, packages=(*lock.packages, young, timeless))
    assert _reasons(_spec(), lock, _policy(cooldown="4 days")) == ()
    assert _reasons(_spec(), lock, _policy(cooldown="0")) == ()
    (reason,) = _reasons(_spec(), lock, _policy(cooldown="5 days"))
    assert reason == "meltano 4.4.1 was younger than the cool-down of 5 days"
    (reason,) = _reasons(_spec(), lock, _policy(cooldown="6 days"))
    assert reason == "meltano 4.4.1 was younger than the cool-down of 6 days"
    assert (
        _reasons(_spec(), lock, _policy(cooldown="6 days", cooldown_exceptions=["Meltano"])) == ()
    )


def test_the_cool_down_concerns_conda_as_well() -> None:
    lock = _lock(_spec())
    young = conda_package("my_lib", released_at=lock.locked_at - timedelta(days=5))
    lock = replace(lock, packages=(*lock.packages, young))
    (reason,) = _reasons(_spec(), lock, _policy(cooldown="6 days"))
    assert reason == "my_lib 1.0 was younger than the cool-down of 6 days"
    assert _reasons(_spec(), lock, _policy(cooldown="6 days", cooldown_exceptions=["my-lib"])) == ()


def test_reasons_of_policy_and_spec_are_told_together() -> None:
    reasons = _reasons(
        _spec(pip=[*_PIP, "duckdb"]),
        _lock(_spec(), channel_source="host"),
        _policy(channel_fallback="none"),
    )
    assert len(reasons) == 2


def test_the_lock_records_what_was_asked_for() -> None:
    assert requirement_lines(_spec()) == (
        "channel: conda-forge",
        "channel: bioconda",
        "conda: python >=3.11,<3.13",
        "conda: openssl",
        "conda: pandas >=2,<3",
        "pip: dagster<2,>=1.13",
        "pip: dbt-core[x]<1.12",
        "pip: numpy",
        'pip: tomli; python_version < "3.11"',
    )
