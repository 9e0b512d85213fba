from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from hypothesis import given
from rattler.explicit_environment.environment import ExplicitEnvironmentSpec

from elt_env.lockfile import conda_lock
from elt_env.lockfile.document import Lock
from tests.support.locks import conda_package, lock_of, locks, pip_package


@given(locks())
def test_every_conda_package_is_a_url_with_its_hash(lock: Lock) -> None:
    lines = conda_lock.render(lock).splitlines()
    assert lines[lines.index("@EXPLICIT") + 1 :] == [
        f"{each.url}#sha256:{each.sha256}" for each in lock.conda
    ]


def test_the_file_is_sorted_and_names_the_lock_it_is_of() -> None:
    lock = lock_of(pip_package(), conda_package("zlib"), conda_package("gamma"))
    lines = conda_lock.render(lock).splitlines()
    assert lines[:3] == [
        f"# elt@3.11/linux-64 {lock.digest}",
        "# platform: linux-64",
        "@EXPLICIT",
    ]
    assert [line.rpartition("/")[2].partition("-")[0] for line in lines[3:]] == [
        "gamma",
        "python",
        "zlib",
    ]


def test_the_file_is_named_by_the_platform_of_the_lock() -> None:
    lock = lock_of()
    assert conda_lock.file_name(lock) == "conda-linux-64.lock"
    target = replace(lock.target, platform="osx-arm64")
    assert conda_lock.file_name(replace(lock, target=target)) == "conda-osx-arm64.lock"
    assert conda_lock.file_name(replace(lock, layout=1)) == "conda.lock"


def test_rattler_reads_it(tmp_path: Path) -> None:
    lock = lock_of(conda_package("gamma"), pip_package())
    path = tmp_path / conda_lock.file_name(lock)
    path.write_text(conda_lock.render(lock), encoding="utf-8")
    read = ExplicitEnvironmentSpec.from_path(path)
    assert str(read.platform) == "linux-64"
    assert [each.url.partition("#")[0] for each in read.packages] == [
        each.url for each in lock.conda
    ]
