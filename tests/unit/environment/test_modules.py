from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from elt_env.environment.modules import submodules, top_level_modules


@pytest.mark.parametrize(
    ("files", "modules"),
    [
        (["six.py"], ["six"]),
        (["_cffi_backend.cpython-311-x86_64-linux-gnu.so"], ["_cffi_backend"]),
        (["pkg/__init__.py", "pkg/a.py", "pkg/sub/__init__.py"], ["pkg"]),
        (["pkg/a.py", "pkg/__init__.py"], ["pkg"]),
        (["google/cloud/storage/__init__.py", "google/cloud/storage/a.py"],
         ["google.cloud.storage"]),
        (["ns/one.py", "ns/two/__init__.py"], ["ns.one", "ns.two"]),
        (["pkg/_ext.abi3.so", "pkg/__init__.py"], ["pkg"]),
        (["one/__init__.py", "two/__init__.py", "three.py"], ["one", "three", "two"]),
        (["pkg/__main__.py", "__main__.py"], []),
        (["__init__.py", "pkg.py"], ["pkg"]),
        (["../../../bin/tool.py", "/abs/x.py"], []),
        (["pkg-1.0.dist-info/METADATA", "pkg-1.0.dist-info/x.py"], []),
        (["pkg/data.json", "pkg/types.pyi", "pkg/readme.txt"], []),
        (["__pycache__/six.cpython-311.pyc"], []),
        (["my-script.py", "pkg/not a module.py"], []),
        (["pkg/template/{{name}}.py"], []),
        (["docs/conf.py", "docs/source/conf.py", "doc/conf.py", "conf.py"], ["conf"]),
        (["docs/_static/x.py", "docs/__init__.py", "docs/conf.py"], ["docs"]),
        ([], []),
    ],
)  # fmt: skip
def test_the_modules_to_import(files: list[str], modules: list[str]) -> None:
    assert list(top_level_modules(files)) == modules


_PARTS = st.sampled_from(["a", "b", "c-d", "__init__.py", "m.py", "x.so", "__main__.py", "..", "/"])


@given(st.lists(st.lists(_PARTS, min_size=1, max_size=4).map("/".join)), st.randoms())
def test_whatever_the_files_the_answer_is_importable_names_in_order(
    files: list[str], chance: random.Random
) -> None:
    modules = top_level_modules(files)
    assert list(modules) == sorted(set(modules))
    assert all(part.isidentifier() for each in modules for part in each.split("."))
    chance.shuffle(files)
    assert top_level_modules(files) == modules


def test_the_submodules_that_an_import_finds() -> None:
    files = [
        *("pkg/__init__.py", "pkg/a.py", "pkg/_fast.cpython-311-x86_64-linux-gnu.so"),
        *("pkg/sub/__init__.py", "pkg/sub/deep.py", "pkg/data/script.py", "pkg/__main__.py"),
        *("pkg/tests/__init__.py", "pkg/tests/a.py", "pkg/testing.py", "pkg/conftest.py"),
        *("pkg/_vendor/__init__.py", "pkg/_vendor/six.py", "pkg/not-a-name.py", "pkg/a.pyi"),
        *("pkg/migrations/__init__.py", "pkg/migrations/env.py", "pkg/migrations/script.py.mako"),
        *("ns/inner/__init__.py", "ns/inner/one.py", "alone.py", "../../../bin/tool.py"),
    ]
    assert submodules(files) == (
        *("pkg._fast", "pkg.a", "pkg.migrations", "pkg.sub"),  # nearest first
        *("ns.inner.one", "pkg.sub.deep"),
    )
