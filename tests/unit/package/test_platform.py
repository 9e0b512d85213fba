from __future__ import annotations

import pickle

import pytest
import rattler
from packaging.requirements import Requirement
from packaging.tags import parse_tag

from elt_env.package.platform import Platform, platform_of, python_on, this_platform
from elt_env.python.wheel_tags import wheel_tags
from elt_env.spec.markers import applies


def test_it_is_the_subdir_that_rattler_was_built_for() -> None:
    assert this_platform() == str(rattler.Subdir.current())


_ARM = Platform("linux-aarch64", (("__glibc", "2.28"),))
_MAC = Platform("osx-arm64", (("__osx", "13.0"),))


@pytest.mark.parametrize("platform", [_ARM, _MAC, None])
def test_a_version_of_python_knows_its_platform(platform: Platform | None) -> None:
    version = python_on("3.11.7", platform)
    assert version == "3.11.7"
    assert platform_of(version) == platform
    assert platform_of(pickle.loads(pickle.dumps(version))) == platform  # noqa: S301  # our own
    assert type(str(version)) is str


@pytest.mark.parametrize(
    ("marker", "on"),
    [
        ("sys_platform == 'darwin'", [_MAC]),
        ("platform_system == 'Linux'", [_ARM]),
        ("platform_machine == 'aarch64'", [_ARM]),
        ("platform_machine == 'arm64' and python_version == '3.11'", [_MAC]),
        ("os_name == 'nt'", []),
        ("implementation_name == 'cpython'", [_ARM, _MAC]),
    ],
)
def test_markers_are_answered_for_the_platform(marker: str, on: list[Platform]) -> None:
    requirement = Requirement(f"it ; {marker}")
    found = [each for each in (_ARM, _MAC) if applies(requirement, python_on("3.11.7", each))]
    assert found == on


@pytest.mark.parametrize(
    ("platform", "tag", "fits"),
    [
        (_ARM, "cp311-cp311-manylinux_2_28_aarch64", True),
        (_ARM, "cp311-cp311-manylinux2014_aarch64", True),
        (_ARM, "cp311-cp311-manylinux_2_31_aarch64", False),
        (_ARM, "cp311-cp311-manylinux_2_12_aarch64", False),
        (_ARM, "cp311-cp311-manylinux_2_28_x86_64", False),
        (_ARM, "cp311-cp311-musllinux_1_2_aarch64", False),
        (_ARM, "py3-none-any", True),
        (Platform("linux-64", (("__glibc", "2.17"),)), "cp39-abi3-manylinux1_x86_64", True),
        (_MAC, "cp311-cp311-macosx_11_0_arm64", True),
        (_MAC, "cp311-cp311-macosx_10_9_universal2", True),
        (_MAC, "cp311-cp311-macosx_14_0_arm64", False),
        (_MAC, "cp311-cp311-macosx_11_0_x86_64", False),
    ],
)
def test_wheels_fit_the_platform(platform: Platform, tag: str, *, fits: bool) -> None:
    tags = {*wheel_tags(python_on("3.11.7", platform))}
    assert (not tags.isdisjoint(parse_tag(tag))) is fits


def test_plain_versions_are_of_this_machine() -> None:
    """Whatever was asked of another platform before."""
    assert wheel_tags(python_on("3.11", _MAC)) != wheel_tags("3.11")
