from __future__ import annotations

import pytest
from packaging.requirements import InvalidRequirement, Requirement

from elt_env.conda.host_channel.requirements import (
    conda_depends,
    depends_on_environment,
    python_bound,
    python_depends,
    wanted_extras,
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


def test_names_are_normalized_and_urls_left_out() -> None:
    wanted = ["Python_DateUtil>=2", "b @ https://example.invalid/b.whl", "c (>=1.0)", "d"]
    assert conda_depends(wanted, "3.11", "a") == ("python-dateutil >=2", "b", "c >=1.0", "d")


def test_a_distribution_does_not_depend_on_itself_and_nothing_is_said_twice() -> None:
    assert conda_depends(["My.Lib", "six", "six"], "3.11", "my-lib") == ("six",)


def test_an_extra_is_required_as_the_package_that_stands_for_it() -> None:
    wanted = ["Mash_Umaro[Msg.Pack,orjson]>=3.9,<4", "win[x]; sys_platform == 'win32'"]
    assert conda_depends(wanted, "3.11", "a") == (
        "mash-umaro <4dev0,>=3.9",
        "mash-umaro-with-msg-pack <4dev0,>=3.9",
        "mash-umaro-with-orjson <4dev0,>=3.9",
    )


@pytest.mark.parametrize(
    ("extra", "minor", "depends"),
    [
        ("msgpack", "3.11", ("msgpack >=0.5.6",)),
        ("old", "3.9", ("tomli",)),
        ("old", "3.11", ()),
        ("all", "3.11", ("owner-with-msgpack", "owner-with-old")),
        ("not-there", "3.11", ()),
    ],
)
def test_what_an_extra_brings_beside_what_is_required_anyway(
    extra: str, minor: str, depends: tuple[str, ...]
) -> None:
    requires = [
        "six",
        "msgpack>=0.5.6; extra == 'msgpack'",
        "tomli; extra == 'old' and python_version < '3.11'",
        "owner[msgpack,old]; extra == 'all'",
    ]
    assert conda_depends(requires, minor, "owner", extra) == depends
    assert conda_depends(requires, minor, "owner") == ("six",)


def test_extras_are_wanted_of_what_extras_want() -> None:
    requires = {
        "dbt": ["mashumaro[msgpack]>=3.9", "never[x]; python_version < '3'"],
        "mashumaro": ["fast[c]; extra == 'msgpack'", "other[d]; extra == 'orjson'"],
        "fast": ["fast[a,B]; extra == 'c'"],
    }
    parsed = {name: [Requirement(each) for each in lines] for name, lines in requires.items()}
    assert wanted_extras(parsed, "3.11") == {"fast": ("a", "b", "c"), "mashumaro": ("msgpack",)}


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


@pytest.mark.parametrize(
    ("requirement", "differs"),
    [
        ("six; extra == 'Test'", False),
        ("six; python_version < '3'", False),
        ("six; python_version < '3' and extra == 'other'", False),
        ("six; python_version < '3' and extra == 'test'", True),
        ("six; python_version < '3' or extra == 'test'", True),
    ],
)
def test_what_extras_require_that_differs_between_environments(
    requirement: str, *, differs: bool
) -> None:
    assert depends_on_environment(["other", requirement], "test") is differs


def test_dependencies_on_python() -> None:
    assert python_bound("") == "python"
    assert python_bound(">=3.9,<4") == "python <4dev0,>=3.9"
    assert python_depends("3.9") == ("python >=3.9,<3.10.0a0", "python_abi 3.9.* *_cp39")
    assert python_depends("3.11") == ("python >=3.11,<3.12.0a0", "python_abi 3.11.* *_cp311")
