from __future__ import annotations

import platform
import sys

import pytest
from packaging.tags import parse_tag, sys_tags

from elt_env.python.wheel_tags import is_pure, tags_of, wheel_tags

_HERE = f"linux_{platform.machine()}"


@pytest.mark.parametrize(
    ("tag", "pure"),
    [
        ("py3-none-any", True),
        ("py2.py3-none-any", True),
        ("py2-none-any", False),
        ("py311-none-any", False),
        ("cp311-none-any", False),
        ("py3-none-linux_x86_64", False),
        ("cp311-cp311-linux_x86_64", False),
        ("cp39-abi3-manylinux_2_17_x86_64", False),
    ],
)
def test_a_pure_wheel_runs_on_every_python_3(tag: str, *, pure: bool) -> None:
    assert is_pure(parse_tag(tag)) is pure


@pytest.mark.parametrize(
    ("tag", "fitting"),
    [
        ("py3-none-any", True),
        ("py2-none-any", False),
        ("py310-none-any", True),
        ("py312-none-any", False),
        (f"cp311-cp311-{_HERE}", True),
        (f"cp312-cp312-{_HERE}", False),
        (f"cp39-abi3-{_HERE}", True),
        (f"cp312-abi3-{_HERE}", False),
        (f"py3-none-{_HERE}", True),
        ("cp311-cp311-win_amd64", False),
        ("cp311-cp311-macosx_11_0_arm64", False),
    ],
)
def test_a_wheel_fits_a_python_on_this_machine(tag: str, *, fitting: bool) -> None:
    assert parse_tag(tag).isdisjoint(wheel_tags("3.11")) is not fitting


def test_the_tags_of_this_python_are_those_that_it_takes_itself() -> None:
    running = ".".join(map(str, sys.version_info[:3]))
    assert wheel_tags(running) == tuple(sys_tags())


def test_the_tags_of_another_python() -> None:
    tags = [*map(str, wheel_tags("3.12.1"))]
    assert tags[0].startswith("cp312-cp312-")
    assert tags[-1] == "py30-none-any"
    assert not any("cp313" in each for each in tags)


@pytest.mark.parametrize("tags", ["py36+-none-any", "py3-none", "-none-any"])
def test_a_file_without_proper_tags_fits_nothing(tags: str) -> None:
    assert tags_of(f"app-1.0-{tags}.whl").isdisjoint(wheel_tags("3.11"))
