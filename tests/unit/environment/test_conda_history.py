from __future__ import annotations

import pytest
from hypothesis import given
from rattler import MatchSpec

from elt_env.environment import conda_history
from elt_env.lockfile.document import Lock
from tests.support.locks import MOMENT, conda_package, lock_of, locks, pip_package


def _specs(*requirements: str) -> str:
    lines = tuple(f"conda: {each}" for each in requirements)
    lock = lock_of(requirements=("channel: forge", *lines, "pip: alpha>=1"))
    last = conda_history.render(lock, MOMENT).splitlines()[-1]
    return last.removeprefix("# update specs: ")


def test_what_was_linked_and_what_was_asked_for() -> None:
    lock = lock_of(
        conda_package("zlib", "1!1.3", build="h1_7"),
        conda_package("gamma"),
        pip_package(),
        requirements=("channel: forge", "conda: python", "conda: gamma >=1,<2", "pip: alpha"),
    )
    assert conda_history.render(lock, MOMENT).splitlines() == [
        "==> 2026-05-04 03:02:01 <==",
        "# cmd: elt-env build elt@3.11",
        "+https://channel.example.invalid/forge/linux-64::gamma-1.0-py311_0",
        "+https://channel.example.invalid/forge/linux-64::python-3.11.7-h1_0_cpython",
        "+https://channel.example.invalid/forge/linux-64::zlib-1!1.3-h1_7",
        "# update specs: ['python 3.11.*', 'gamma >=1,<2']",
    ]


def test_of_an_image_it_names_no_place() -> None:
    told = conda_history.render(lock_of(conda_package()), MOMENT, channel="elt-env")
    assert "+elt-env/linux-64::gamma-1.0-py311_0\n" in told
    assert "example.invalid" not in told


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ("python", "python 3.11.*"),
        ("python >=3.9", "python 3.11.*,>=3.9"),
        ("python >=3.9,<3.13", "python 3.11.*,>=3.9,<3.13"),
        ("python 3.10.*|3.11.*", "python 3.11.*,3.10.*|3.11.*,3.11.*"),
        ("python =3.11", "python 3.11.*,=3.11"),
        ("forge::python", "forge::python 3.11.*"),
        ("python 3.11.7 h1_0_cpython", "python 3.11.*,==3.11.7 h1_0_cpython"),
        ("python-dateutil", "python-dateutil"),
        ("gamma * h1_*", "gamma * h1_*"),
        ('gamma >=1[build_number=">2"]', 'gamma >=1[build_number=">2"]'),
    ],
)
def test_python_is_asked_for_in_the_minor_of_the_target(asked: str, told: str) -> None:
    assert _specs(asked) == str([told])
    MatchSpec(told)


@given(locks())
def test_it_is_the_same_whenever_the_lock_was_made(lock: Lock) -> None:
    told = conda_history.render(lock, MOMENT)
    assert told.count("\n+") == len(lock.conda)
    assert len(told.splitlines()) == len(lock.conda) + 3
