"""A store in a bucket is of one project, and of machines of one platform."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from elt_env.errors import PolicyError
from elt_env.package.platform import this_platform
from elt_env.project.store_owner import StoreOwner
from elt_env.store.documents import Documents
from elt_env.store.local import LocalDocuments
from tests.support.bucket import MemoryDocuments

_HERE, _OTHER = "elt_env.project.store_owner.this_platform", "linux-riscv64"


@pytest.mark.parametrize("name", [None, "team"])
def test_a_second_platform_is_refused_in_a_bucket(
    name: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    documents = MemoryDocuments()
    owner = StoreOwner(documents, tmp_path, name)
    owner.claim()
    before = documents.read("project.json")
    with monkeypatch.context() as patch:
        patch.setattr(_HERE, lambda: _OTHER)
        for each in (owner.require, owner.claim):
            with pytest.raises(PolicyError) as raised:
                each()
            assert f"is of machines of {this_platform()}, and this one is {_OTHER}" in str(
                raised.value
            )
            assert f"-{_OTHER}" in raised.value.remedy
    owner.require()
    assert documents.read("project.json") == before


@pytest.mark.parametrize("name", [None, "team"])
def test_a_store_of_before_becomes_one_of_the_platform_that_uses_it(
    name: str | None, tmp_path: Path
) -> None:
    documents: Documents = MemoryDocuments()
    old = {"project": str(tmp_path), "store": documents.place(""), "name": name, "policy": None}
    documents.write("project.json", json.dumps(old))
    StoreOwner(documents, tmp_path, name).require()
    assert json.loads(documents.read("project.json")) == old | {"platform": this_platform()}


def test_a_directory_is_of_the_machine_that_it_is_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner = StoreOwner(LocalDocuments(tmp_path / "store"), tmp_path)
    owner.claim()
    monkeypatch.setattr(_HERE, lambda: _OTHER)
    owner.require()
