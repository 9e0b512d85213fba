from __future__ import annotations

import sys
from datetime import datetime, timezone
from pathlib import Path

import pytest
from hypothesis import given
from packaging.pylock import Pylock, is_valid_pylock_path
from packaging.version import Version

from elt_env.lockfile import pylock
from elt_env.lockfile.document import Lock
from tests.support.locks import (
    conda_package,
    lock_of,
    locks,
    owning,
    pip_package,
    sdist_package,
)

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


def _read(lock: Lock) -> Pylock:
    document = Pylock.from_dict(tomllib.loads(pylock.render(lock)))
    document.validate()
    return document


@given(locks())
def test_every_pip_package_is_in_a_valid_pep_751_file(lock: Lock) -> None:
    packages = _read(lock).packages
    assert [(each.name, each.version) for each in packages] == [
        (each.name, Version(each.version)) for each in lock.pip
    ]
    for written, package in zip(packages, lock.pip, strict=True):
        file = written.sdist or next(iter(written.wheels or ()))
        assert len(written.wheels or ()) + (written.sdist is not None) == 1
        assert (file.url, file.hashes) == (package.url, {"sha256": package.sha256})
        assert (file.size, file.upload_time) == (package.size, package.released_at)


def test_the_fields_of_pep_751() -> None:
    released = datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone.utc)
    lock = lock_of(
        pip_package("alpha", "1.0+cpu", size=12, released_at=released),
        sdist_package("beta"),
        conda_package("gamma"),
    )
    document = tomllib.loads(pylock.render(lock))
    alpha, beta = document.pop("packages")
    assert document == {
        "lock-version": "1.0",
        "requires-python": "==3.11.*",
        "created-by": "elt-env",
        "tool": {"elt-env": {"target": "elt@3.11/linux-64", "digest": lock.digest}},
    }
    assert alpha == {
        "name": "alpha",
        "version": "1.0+cpu",
        "index": "https://index.example.invalid/simple",
        "wheels": [
            {
                "url": "https://files.example.invalid/alpha-1.0+cpu-py3-none-any.whl",
                "upload-time": released,
                "size": 12,
                "hashes": {"sha256": "05" * 32},
            }
        ],
    }
    assert beta["sdist"]["url"].endswith("beta-1.0.tar.gz")
    assert "wheels" not in beta


def test_what_a_package_needs_refers_to_packages_of_the_file() -> None:
    lock = lock_of(
        owning(conda_package("delta", required_by=("alpha",)), ("delta", "1.0")),
        pip_package("alpha", required_by=("alpha",)),
        pip_package("beta", required_by=("alpha", "delta", "gone")),
        pip_package("gamma", required_by=("alpha", "beta")),
    )
    found = {each.name: each.dependencies for each in _read(lock).packages}
    assert found == {
        "alpha": [{"name": "beta"}, {"name": "gamma"}],
        "beta": [{"name": "gamma"}],
        "gamma": None,
    }


@pytest.mark.parametrize(
    ("said", "written"),
    [(">=3.8,<4", "<4,>=3.8"), (None, None), ("", None), (">=3.6.*", None), ("any", None)],
)
def test_a_package_says_which_pythons_it_is_for(said: str | None, written: str | None) -> None:
    lock = lock_of(pip_package(requires_python=said))
    (package,) = tomllib.loads(pylock.render(lock))["packages"]
    assert package.get("requires-python") == written
    _read(lock)


def test_neither_is_in_the_file_of_the_former_layout() -> None:
    lock = lock_of(pip_package(), pip_package("beta", required_by=("alpha",)), layout=1)
    assert all(each.dependencies is None for each in _read(lock).packages)


def test_neither_makes_another_lock() -> None:
    one = lock_of(pip_package(), pip_package("beta"))
    other = lock_of(
        pip_package(requires_python=">=3.9"), pip_package("beta", required_by=("alpha",))
    )
    assert one.digest == other.digest


def test_a_lock_without_pip_packages_has_a_valid_file() -> None:
    assert list(_read(lock_of(conda_package())).packages) == []


def test_the_file_has_the_name_that_installers_look_for() -> None:
    assert is_valid_pylock_path(Path(pylock.FILE_NAME))
