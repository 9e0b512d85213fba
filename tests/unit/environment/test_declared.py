"""What installed distributions declare."""

from __future__ import annotations

from pathlib import Path

from elt_env.environment.declared import read_declared
from elt_env.environment.prefix import Prefix
from elt_env.spec.markers import python_bound
from tests.support.locks import lock_of


def test_bounds_on_python_and_on_each_other(tmp_path: Path) -> None:
    prefix = Prefix(tmp_path, lock_of())
    info = prefix.site_packages / "Top_Tool-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: Top.Tool\nVersion: 1.0\nRequires-Python: >=3.9,<3.14\n"
        "Requires-Dist: mid<2\nRequires-Dist: mid>=1; extra == 'x'\nRequires-Dist: (nonsense\n"
        "Requires-Dist: mid!=1.5; python_version >= '3.13'\n"
    )
    (prefix.site_packages / "bare-2.0.dist-info").mkdir()
    bare, top = sorted(read_declared(prefix), key=lambda each: each.name)
    assert (top.name, top.version) == ("top-tool", "1.0")
    assert top.requires_python == python_bound("<3.14,>=3.9")
    assert str(top.bound_on("mid", "3.12.1")) == "<2"
    assert str(top.bound_on("mid", "3.13.0")) == "!=1.5,<2"
    assert str(top.bound_on("other", "3.12.1")) == ""
    assert bare.requires_python.contains("3.99")


def test_a_bound_that_cannot_be_read_admits_all() -> None:
    for text in ("3.9 and up", "", None):
        assert python_bound(text).contains("3.14.0")
