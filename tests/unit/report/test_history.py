"""What is loaded bit by bit is what is loaded at once, whatever happens to a store in between."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from elt_env.package.canonical import short
from elt_env.package.target import Target
from elt_env.proof.rows import Row
from elt_env.release.record_file import record_key
from elt_env.release.store import ReleaseStore
from elt_env.report.history import read_changes
from elt_env.report.history_rows import Mark
from elt_env.store.evidence import Evidence
from elt_env.store.local import LocalDocuments
from elt_env.store.locks import Store
from tests.support.bucket import MemoryDocuments
from tests.support.locks import MOMENT, TARGET, lock_of, pip_package
from tests.support.releases import a_release, fake_prefix

_OTHER = Target("elt", "3.12", "linux-64")
_DAYS = (0, 1, 2, 0)
_LOCKS = [
    *(
        lock_of(pip_package(version=f"1.{n}"), locked_at=MOMENT + timedelta(days=day))
        for n, day in enumerate(_DAYS)
    ),
    lock_of(pip_package(version="1.0"), target=_OTHER),
]
# The second one, made at another time: the same digest, and another place among the others.
_LOCKS.append(lock_of(pip_package(version="1.1"), locked_at=MOMENT + timedelta(days=9)))
_STATUSES = ("passed", "failed")


@dataclass
class _Warehouse:
    """Tables as rows by key, and what these were loaded from."""

    rows: dict[str, dict[str, list[Row]]] = field(default_factory=dict)
    marks: dict[str, dict[str, Mark]] = field(default_factory=dict)

    def refresh(self, store: Store) -> int:
        """Take what is new, and return how many rows that were."""
        loaded = 0
        for table, change in read_changes(store, self.marks, lambda *_: None).items():
            assert change.anew == (table not in self.marks)
            rows, marks = self.rows.setdefault(table, {}), self.marks.setdefault(table, {})
            for key in change.gone:
                rows.pop(key, None)
                del marks[key]
            assert not marks.keys() & change.marks.keys()
            marks |= change.marks
            for row in change.rows:
                rows.setdefault(_key(table, row), []).append(row)
            loaded += len(change.rows)
        return loaded

    @property
    def content(self) -> dict[str, list[str]]:
        """All rows of each table, in one order."""
        return {
            table: sorted(repr(row) for rows in by_key.values() for row in rows)
            for table, by_key in self.rows.items()
        }


def _key(table: str, row: Row) -> str:
    if table == "releases":
        return f"{row['target']}/{row['release_number']}"
    return str(row["lock_digest"])


class _Past:
    """A store to which things happen."""

    def __init__(self, home: Path, *, shared: bool) -> None:
        documents = MemoryDocuments() if shared else LocalDocuments(home)
        self.documents: Any = documents
        self.store = Store(home, documents=documents)
        self.releases = ReleaseStore(self.store)
        self.prefix = fake_prefix(home / "prefix", "tool")
        self.number = 0

    def lock(self, n: int) -> None:
        self.store.write_lock(_LOCKS[n])

    def point(self, n: int) -> None:
        self.store.set_current(_LOCKS[n].target, _LOCKS[n].digest, MOMENT)

    def check(self, n: int) -> None:
        status = _STATUSES[n % 2]
        log = self.store.log_path(_LOCKS[n].digest, "pip_check").name
        key = f"logs/{short(_LOCKS[n].digest)}/{log}"
        self.documents.write(key, f"log {n}")
        evidence = Evidence("pip_check", status, MOMENT, 1.0, "seen", log=key)  # type: ignore[arg-type]
        self.store.record(_LOCKS[n].digest, evidence)

    def release(self, n: int) -> None:
        release = a_release(self.number + 1, "a", digest=_LOCKS[n % 4].digest)
        self.releases.prepare(release, self.prefix)
        self.releases.switch(release)
        self.number += 1

    def lose_log(self, n: int) -> None:
        for key in self.documents.names(f"logs/{short(_LOCKS[n].digest)}"):
            self.documents.delete(f"logs/{short(_LOCKS[n].digest)}/{key}")

    def lose_evidence(self, n: int) -> None:
        folder = f"evidence/{_LOCKS[n].digest.removeprefix('sha256:')}"
        for name in self.documents.names(folder):
            self.documents.delete(f"{folder}/{name}")

    def damage_evidence(self, n: int) -> None:
        folder = f"evidence/{_LOCKS[n].digest.removeprefix('sha256:')}"
        for name in self.documents.names(folder):
            self.documents.write(f"{folder}/{name}", "{")

    def damage_lock(self, n: int) -> None:
        hidden = ".folder" if self.store.shared else "requirements.txt"
        self.documents.write(f"locks/{_LOCKS[n].digest.removeprefix('sha256:')}/{hidden}", "{")

    def lose_lock(self, n: int) -> None:
        folder = f"locks/{_LOCKS[n].digest.removeprefix('sha256:')}"
        if self.store.shared:
            self.documents.delete(f"{folder}/.folder")
        else:
            shutil.rmtree(self.documents.directory / folder, ignore_errors=True)

    def damage_record(self, n: int) -> None:
        if n < self.number:
            self.documents.write(record_key(TARGET.name, n + 1), "{")

    def lose_record(self, n: int) -> None:
        self.documents.delete(record_key(TARGET.name, n + 1))

    def drop_launchers(self, n: int) -> None:
        if n < self.number:
            place = self.store.local_home / "releases" / TARGET.name
            shutil.rmtree(place / f"{n + 1:06}", ignore_errors=True)


_HAPPENS: tuple[Callable[[_Past, int], None], ...] = (
    *(_Past.lock, _Past.lock, _Past.point, _Past.check, _Past.release, _Past.release),
    *(_Past.lose_log, _Past.lose_evidence, _Past.damage_evidence, _Past.damage_lock),
    *(_Past.lose_lock, _Past.damage_record, _Past.lose_record, _Past.drop_launchers),
)
_EVENTS = st.lists(
    st.tuples(st.sampled_from((*_HAPPENS, None)), st.integers(0, len(_LOCKS) - 1)), max_size=25
)


_LOGS = ((_Past.check, 0), (None, 0), (_Past.lose_log, 0))
_LAUNCHERS = (
    *((_Past.release, 0), (_Past.release, 1), (_Past.damage_record, 0), (None, 0)),
    (_Past.drop_launchers, 0),
)


@settings(max_examples=60, deadline=None)
@example(shared=False, events=[*_LOGS])
@example(shared=True, events=[*_LOGS])
@example(shared=False, events=[*_LAUNCHERS])
@given(shared=st.booleans(), events=_EVENTS)
def test_bit_by_bit_and_at_once(shared: bool, events: list[tuple[Any, int]]) -> None:  # noqa: FBT001
    with tempfile.TemporaryDirectory() as home:
        past, bit_by_bit = _Past(Path(home), shared=shared), _Warehouse()
        for n in range(3):
            past.lock(n)
        for happen, n in (*events, (None, 0)):
            if happen is not None:
                happen(past, n)
                continue
            bit_by_bit.refresh(past.store)
            at_once = _Warehouse()
            at_once.refresh(past.store)
            assert bit_by_bit.content == at_once.content


def test_one_more_release_of_many_is_all_that_is_read_and_loaded(tmp_path: Path) -> None:
    past, warehouse = _Past(tmp_path, shared=False), _Warehouse()
    for n in range(5):
        past.lock(n)
        past.check(n)
    for n in range(40):
        past.release(n)
    warehouse.refresh(past.store)
    assert warehouse.refresh(past.store) == 0
    past.release(1)
    opened: list[str] = []

    class _Watched(LocalDocuments):
        def read(self, key: str, most: int = 1 << 20) -> bytes:
            opened.append(f"{self.directory.relative_to(tmp_path)}/{key}")
            return super().read(key, most)

        def folder(self, folder: str) -> LocalDocuments:
            return _Watched(self.directory / folder)

    assert warehouse.refresh(Store(tmp_path, documents=_Watched(tmp_path))) == 1
    assert [each for each in opened if "targets" not in each] == [
        f"./{record_key(TARGET.name, 41)}"
    ]
