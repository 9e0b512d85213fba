"""How bases are remembered."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from filelock import FileLock

from elt_env.errors import BusyError
from elt_env.image.bases.base import Base, BaseRecords, BuiltBase
from elt_env.image.oci.layout import Layout
from tests.support.bases import damage, make_layer


@dataclass
class Maker:
    """Makes the same base again and again, and counts how often."""

    layout: Layout
    sources: list[Path] = field(default_factory=list)
    times: int = 0

    def __call__(self) -> BuiltBase:
        self.times += 1
        layer = make_layer(self.layout, {"etc/passwd": b"x" * 100})
        return BuiltBase(
            Base("host", "said", (layer,), ("A=b",), ("p 1",)), frozenset(self.sources)
        )


@pytest.fixture
def maker(tmp_path: Path) -> Maker:
    return Maker(Layout(tmp_path / "oci"))


@pytest.fixture
def memory(maker: Maker, tmp_path: Path) -> BaseRecords:
    return BaseRecords(tmp_path / "bases", maker.layout, 0.1)


def _blob(base: Base, maker: Maker) -> Path:
    return maker.layout.blob_path(base.layers[0].blob.digest)


def test_a_base_is_made_once_for_a_question(memory: BaseRecords, maker: Maker) -> None:
    first = memory.recall("host", ["a"], maker, anew=False)
    assert memory.recall("host", ["a"], maker, anew=False) == first
    assert maker.times == 1
    memory.recall("host", ["b"], maker, anew=False)
    assert maker.times == 2


def test_it_is_made_anew_on_demand(memory: BaseRecords, maker: Maker) -> None:
    memory.recall("host", [], maker, anew=False)
    memory.recall("host", [], maker, anew=True)
    assert maker.times == 2


def test_a_blob_that_is_gone_is_made_again(memory: BaseRecords, maker: Maker) -> None:
    base = memory.recall("host", [], maker, anew=False)
    _blob(base, maker).unlink()
    assert memory.recall("host", [], maker, anew=False) == base
    assert maker.times == 2
    assert maker.layout.intact(base.layers[0].blob)


def test_a_damaged_blob_is_made_again(memory: BaseRecords, maker: Maker) -> None:
    base = memory.recall("host", [], maker, anew=False)
    damage(_blob(base, maker))
    assert memory.recall("host", [], maker, anew=False) == base
    assert maker.times == 2
    assert maker.layout.intact(base.layers[0].blob)


def test_a_blob_that_was_only_touched_is_kept(memory: BaseRecords, maker: Maker) -> None:
    base = memory.recall("host", [], maker, anew=False)
    os.utime(_blob(base, maker), (1, 1))
    assert memory.recall("host", [], maker, anew=False) == base
    assert maker.times == 1


def test_a_changed_source_makes_it_anew(memory: BaseRecords, maker: Maker, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_text("1", encoding="utf-8")
    maker.sources.append(source)
    memory.recall("host", [], maker, anew=False)
    memory.recall("host", [], maker, anew=False)
    assert maker.times == 1
    os.utime(source, (1, 1))
    memory.recall("host", [], maker, anew=False)
    source.unlink()
    maker.sources.clear()
    memory.recall("host", [], maker, anew=False)
    assert maker.times == 3


def test_a_record_that_cannot_be_read_is_none(
    memory: BaseRecords, maker: Maker, tmp_path: Path
) -> None:
    memory.recall("host", [], maker, anew=False)
    (record,) = (tmp_path / "bases").glob("*.json")
    record.write_text("{", encoding="utf-8")
    memory.recall("host", [], maker, anew=False)
    assert maker.times == 2


def test_what_fails_leaves_what_was_there(memory: BaseRecords, maker: Maker) -> None:
    def fail() -> BuiltBase:
        raise BusyError("p", "r")

    memory.recall("host", [], maker, anew=False)
    with pytest.raises(BusyError):
        memory.recall("host", [], fail, anew=True)
    memory.recall("host", [], maker, anew=False)
    assert maker.times == 1


def test_while_another_makes_it_one_waits(
    memory: BaseRecords, maker: Maker, tmp_path: Path
) -> None:
    memory.recall("host", [], maker, anew=False)
    (lock,) = (tmp_path / "bases").glob("*.lock")
    with FileLock(lock), pytest.raises(BusyError, match="making a base"):
        memory.recall("host", [], maker, anew=True)
