"""Conda itself, with its own solver, agrees with the lock and the prefix of the real spec."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from elt_env.lockfile.document import Lock
from elt_env.store.locks import read_lock_directory
from tests.support.real_conda import RealConda, installed_conda

pytestmark = [pytest.mark.registry, pytest.mark.slow, pytest.mark.xdist_group("e2e")]


@pytest.fixture(scope="module")
def conda(tmp_path_factory: pytest.TempPathFactory) -> RealConda:
    return installed_conda(tmp_path_factory.mktemp("conda"))


@pytest.fixture
def lock(content: Mapping[str, Any]) -> Lock:
    return read_lock_directory(Path(content["lock"]["path"]), None)


def _asked(lock: Lock) -> list[str]:
    lines = [each.removeprefix("conda: ") for each in lock.requirements if "conda: " in each[:7]]
    return [f"python={lock.target.python}", *lines]


def _compared(lock: Lock, found: Mapping[str, str]) -> str:
    mine = {each.name: each.version for each in lock.conda}
    names = sorted(mine.keys() | found.keys())
    rows = [f"{name:25} {mine.get(name, '-'):20} {found.get(name, '-')}" for name in names]
    return "\n".join([f"{'package':25} {'locked':20} conda's own solver", *rows])


def test_its_solver_finds_what_is_locked(conda: RealConda, lock: Lock) -> None:
    bounds = [f"{each.name} {each.version}" for each in lock.negotiated]
    found = conda.solve(lock.channels, [*_asked(lock), *bounds])
    print(_compared(lock, found))  # noqa: T201  # for whoever runs it with -s
    assert found == {each.name: each.version for each in lock.conda}


def test_what_it_finds_without_regard_to_pip_is_what_pip_refused(
    conda: RealConda, lock: Lock
) -> None:
    found = conda.solve(lock.channels, _asked(lock))
    print(_compared(lock, found))  # noqa: T201  # for whoever runs it with -s
    other = {
        each.name: found[each.name]
        for each in lock.conda
        if found.get(each.name, each.version) != each.version
    }
    refused = {each.name: each.refused for each in lock.negotiated}
    assert other.items() <= refused.items()


def test_it_is_right_about_the_prefix(
    conda: RealConda, lock: Lock, content: Mapping[str, Any]
) -> None:
    prefix = content["prefix"]["path"]
    told = conda("doctor", "-v", "-p", prefix).stdout
    assert "There are no packages with altered files." in told
    assert "There are no packages with missing files." in told
    listed = {(each["name"], each["version"]) for each in conda.json("list", "-p", prefix)}
    assert {(each.name, each.version) for each in lock.conda} <= listed
    exported = conda("env", "export", "--from-history", "-p", prefix).stdout
    asked = yaml.safe_load(exported)["dependencies"]
    assert sorted(asked) == sorted([f"python={lock.target.python}", "pandas", "pip", "requests"])
