from __future__ import annotations

import platform

import pytest
from packaging.tags import parse_tag

from elt_env.conda.host_channel.tags import fits, is_pure

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
    assert fits(parse_tag(tag), "3.11") is fitting
