from __future__ import annotations

import re

from hypothesis import given
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from elt_env.lockfile import requirements
from elt_env.lockfile.document import Lock
from tests.support.locks import conda_package, lock_of, locks, pip_package

_HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")


def _logical_lines(text: str) -> list[str]:
    joined = text.replace("\\\n", "")
    return [line for line in joined.splitlines() if not line.startswith("#")]


@given(locks())
def test_every_pip_package_is_pinned_with_exactly_one_hash(lock: Lock) -> None:
    lines = _logical_lines(requirements.render(lock))
    assert len(lines) == len(lock.pip)
    for line, package in zip(lines, lock.pip, strict=True):
        pin, *options = line.split()
        requirement = Requirement(pin)
        assert requirement.name == package.name
        assert requirement.specifier == SpecifierSet(f"=={package.version}")
        assert [_HASH.fullmatch(each) for each in options] != [None]
        assert options == [f"--hash=sha256:{package.sha256}"]


def test_the_file_names_the_lock_it_is_of() -> None:
    lock = lock_of(pip_package("alpha", "1.0"), conda_package("gamma"))
    assert requirements.render(lock) == (
        f"# elt@3.11/linux-64 {lock.digest}\nalpha==1.0 \\\n    --hash=sha256:{'05' * 32}\n"
    )
