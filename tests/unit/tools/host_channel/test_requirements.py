from __future__ import annotations

import pytest
from packaging.requirements import InvalidRequirement

from elt_env.tools.host_channel.requirements import (
    conda_depends,
    depends_on_environment,
    python_bound,
    python_depends,
)


@pytest.mark.parametrize(
    ("marker", "applies"),
    [
        ("python_version >= '3.11'", True),
        ("python_version < '3.11'", False),
        ("python_full_version < '3.11.3'", False),
        ("python_full_version <= '3.11.0a6'", False),
        ("sys_platform == 'linux'", True),
        ("sys_platform == 'win32'", False),
        ("os_name == 'posix' and platform_machine == 'x86_64'", True),
        ("platform_system != 'Darwin'", True),
        ("implementation_name == 'cpython'", True),
        ("platform_python_implementation == 'PyPy'", False),
        ("extra == 'test'", False),
        ("python_version >= '3.11' or extra == 'test'", True),
    ],
)
def test_markers_are_evaluated_for_the_target_on_linux(marker: str, *, applies: bool) -> None:
    assert conda_depends([f"six>=1; {marker}"], "3.11", "owner") == ("six >=1",) * applies


def test_names_are_normalized_and_extras_and_urls_left_out() -> None:
    wanted = ["Python_DateUtil[x]>=2", "b @ https://example.invalid/b.whl", "c (>=1.0)", "d"]
    assert conda_depends(wanted, "3.11", "a") == ("python-dateutil >=2", "b", "c >=1.0", "d")


def test_a_distribution_does_not_depend_on_itself_and_nothing_is_said_twice() -> None:
    assert conda_depends(["My.Lib[extra]", "six", "six"], "3.11", "my-lib") == ("six",)


def test_an_unreadable_requirement_is_an_error() -> None:
    with pytest.raises(InvalidRequirement):
        conda_depends(["six >= >= 1"], "3.11", "owner")


@pytest.mark.parametrize(
    ("requirement", "differs"),
    [
        ("six", False),
        ("six; extra == 'test'", False),
        ("six; extra == 'a' or extra == 'b'", False),
        ("six; python_version < '3' and extra == 'test'", False),
        ("six; python_version < '3'", True),
        ("six; sys_platform == 'linux'", True),
        ("six; platform_machine != 'python_version'", True),
        ("six; python_version < '3' or extra == 'test'", True),
        ("six; extra == 'python_version'", False),
    ],
)
def test_requirements_that_differ_between_environments(requirement: str, *, differs: bool) -> None:
    assert depends_on_environment(["other", requirement]) is differs


def test_dependencies_on_python() -> None:
    assert python_bound("") == "python"
    assert python_bound(">=3.9,<4") == "python <4dev0,>=3.9"
    assert python_depends("3.9") == ("python >=3.9,<3.10.0a0", "python_abi 3.9.* *_cp39")
    assert python_depends("3.11") == ("python >=3.11,<3.12.0a0", "python_abi 3.11.* *_cp311")
