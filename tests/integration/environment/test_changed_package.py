"""A prefix with other packages of pip's than the one it is made of is what would be built."""

from __future__ import annotations

import hashlib
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from elt_env.environment.build import advance, changed_since_sealed
from elt_env.environment.file_list import kept_list, list_prefix
from elt_env.environment.prefix import Prefix, Stage
from elt_env.environment.tree import differing
from elt_env.errors import IntegrityError
from elt_env.lockfile.document import Lock
from elt_env.store.locks import Store
from elt_env.tools import Tools
from tests.support.index_server import IndexServer
from tests.support.loopback import running
from tests.support.said import Said
from tests.support.sample import Sample
from tests.support.wheels import make_wheel

_MADE = ("link_earlier_prefix", "pip_install_once")
_SCRIPT = "import sys\n\n\ndef main():\n    print(sys.prefix)\n"


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    """A short place: one of over 100 bytes is not linked."""
    with tempfile.TemporaryDirectory(prefix="elt-env-") as name:
        yield Path(name).resolve()


class Changing:
    """A project, and locks that differ in pip's packages."""

    def __init__(self, tools: Tools, lock: Lock, index: IndexServer, root: Path) -> None:
        self.tools, self.index = tools, index
        self._lock, self._root = lock, root

    def lock(self, *wheels: Path, without: str = "") -> Lock:
        """Return the lock with these wheels in the place of those of their names."""
        like = next(each for each in self._lock.pip if each.name == "alpha")
        packages = {each.name: each for each in self._lock.packages if each.name != without}
        for wheel in wheels:
            self.index.add(wheel)
            name, version, *_ = wheel.name.split("-")
            packages[name] = replace(
                like,
                name=name,
                version=version,
                url=f"{self.index.base_url}/files/{wheel.name}",
                sha256=hashlib.sha256(wheel.read_bytes()).hexdigest(),
            )
        return replace(self._lock, packages=tuple(packages.values()))

    def wheel(
        self, name: str, version: str, files: Mapping[str, str | bytes] | None = None, **more: Any
    ) -> Path:
        """Return a wheel of a directory of its own, since one name may have several."""
        place = self._root / f"wheels-{len([*self._root.glob('wheels-*')])}"
        return make_wheel(place, name, version, files=files, **more)

    def build(
        self, lock: Lock, name: str, *, anew: bool = False
    ) -> tuple[Prefix, tuple[str, ...], Said]:
        """Return a prefix in a store of that name, how it was made, and what was said."""
        said = Said()
        tools: Tools = replace(self.tools, store=Store(self.tools.project.root / name))
        built = advance(lock, Stage.READY, tools, said, anew=anew)
        return Prefix(built.path, lock), built.steps, said


@pytest.fixture
def changing(sample: Sample, sample_lock: Lock, tmp_path: Path) -> Iterator[Changing]:
    with running(IndexServer()) as index:  # what it offers, no other test is to find
        yield Changing(sample.toolbox(tmp_path / "p"), sample_lock, index, tmp_path)


def _another_version(on: Changing) -> Lock:
    files = {"alpha/other.py": _SCRIPT, "alpha-2.0.data/scripts/plain": "#!python\nprint(1)\n"}
    points = {"alpha-two": "alpha.other:main"}
    return on.lock(on.wheel("alpha", "2.0", files, requires=["beta"], entry_points=points))


def _both_others(on: Changing) -> Lock:
    return on.lock(on.wheel("alpha", "2.0"), on.wheel("beta", "2.0", {"beta.py": _SCRIPT}))


def _unrecorded(on: Changing) -> Path:
    wheel = on.wheel("gamma", "1.0")
    with zipfile.ZipFile(wheel, "a") as archive:
        archive.writestr("gamma/unrecorded.py", "here = True\n")
    return wheel


_OTHERS: dict[str, Callable[[Changing], Lock]] = {
    "another version": _another_version,
    "both others": _both_others,
    "one more": lambda on: on.lock(on.wheel("gamma", "1.0")),
    "another file of a version": lambda on: on.lock(on.wheel("beta", "1.0", {"b.py": "c = 1\n"})),
    "with what its wheel does not record": lambda on: on.lock(_unrecorded(on)),
    "one less": lambda on: on.lock(without="alpha"),
}


@pytest.mark.parametrize("other", _OTHERS.values(), ids=_OTHERS)
def test_it_is_what_would_be_built(changing: Changing, other: Callable[[Changing], Lock]) -> None:
    changing.build(changing.lock(), "one")
    lock = other(changing)
    two, steps, said = changing.build(lock, "two")
    new, others, _ = changing.build(lock, "new", anew=True)

    assert steps == _MADE[: len(steps)], said
    assert "create_prefix" in others
    _require_same(two, new)
    three, steps, _ = changing.build(lock, "six")
    assert steps == _MADE[:1]
    assert differing(three.path, new.path) == []


def _require_same(two: Prefix, new: Prefix) -> None:
    assert differing(two.path, new.path) == []
    made, built = kept_list(two.path), kept_list(new.path)
    assert made
    assert built
    assert made == list_prefix(two.path)
    assert made.files.keys() == built.files.keys()
    assert (made.directories, made.attributes) == (built.directories, built.attributes)
    assert changed_since_sealed(two) == ()


def test_a_change_after_a_change_is_what_would_be_built(changing: Changing) -> None:
    changing.build(changing.lock(), "one")
    middle, _, _ = changing.build(_another_version(changing), "two")
    lock = changing.lock(changing.wheel("alpha", "3.0", {"alpha.py": _SCRIPT}))
    six, steps, _ = changing.build(lock, "six")
    new, _, _ = changing.build(lock, "new", anew=True)
    assert steps == _MADE
    _require_same(six, new)
    assert not [*six.path.glob("bin/alpha*")]
    assert [*middle.path.glob("bin/alpha*")]


_FAMILY = {"family/__init__.py": "", "family/a.py": "a = 1\n"}
_UNUSUAL: dict[str, Callable[[Changing], tuple[Lock, Lock]]] = {
    "it brings what another has": lambda on: (
        on.lock(),
        on.lock(on.wheel("gamma", "1.0", {"beta/__init__.py": "of_gamma = True\n"})),
    ),
    "its script is another's": lambda on: (
        on.lock(),
        on.lock(on.wheel("gamma", "1.0", entry_points={"alpha": "gamma:main"})),
    ),
    "two have what one of them loses": lambda on: (
        on.lock(on.wheel("gamma", "1.0", _FAMILY), on.wheel("delta", "1.0", _FAMILY)),
        on.lock(on.wheel("gamma", "1.0", _FAMILY)),
    ),
    "two new ones have it": lambda on: (
        on.lock(),
        on.lock(on.wheel("gamma", "1.0", _FAMILY), on.wheel("delta", "1.0", _FAMILY)),
    ),
    "it has headers": lambda on: (
        on.lock(),
        on.lock(on.wheel("gamma", "1.0", {"gamma-1.0.data/headers/gamma.h": "\n"})),
    ),
    "it has a say in activation": lambda on: (
        on.lock(),
        on.lock(
            on.wheel("gamma", "1.0", {"gamma-1.0.data/data/etc/conda/env_vars.d/g.json": "{}"})
        ),
    ),
}


@pytest.mark.parametrize("locks", _UNUSUAL.values(), ids=_UNUSUAL)
def test_what_is_unusual_is_built_of_its_packages(
    changing: Changing, locks: Callable[[Changing], tuple[Lock, Lock]]
) -> None:
    before, after = locks(changing)
    one, _, _ = changing.build(before, "one")
    two, steps, _ = changing.build(after, "two")
    new, _, _ = changing.build(after, "new", anew=True)
    assert _MADE[0] not in steps
    _require_same(two, new)
    assert changed_since_sealed(one) == ()


def test_a_package_that_takes_a_file_of_condas_is_refused_as_ever(changing: Changing) -> None:
    one, _, _ = changing.build(changing.lock(), "one")
    lock = changing.lock(changing.wheel("gamma", "1.0", {"tally/__init__.py": "mine = True\n"}))
    with pytest.raises(IntegrityError, match=r"tally/__init__\.py"):
        changing.build(lock, "two")
    assert changed_since_sealed(one) == ()


def test_what_is_new_is_held_against_its_hash(changing: Changing) -> None:
    changing.build(changing.lock(), "one")
    lock = changing.lock(changing.wheel("gamma", "1.0"))
    changing.index.add(changing.wheel("gamma", "1.0", {"gamma.py": "forged = True\n"}))
    with pytest.raises(IntegrityError, match="Hash mismatch"):
        changing.build(lock, "two")
