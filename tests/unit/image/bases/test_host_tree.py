"""Files of this machine with the links on the way to them."""

from __future__ import annotations

import os
import tarfile
from pathlib import Path

import pytest

from elt_env.errors import ToolError
from elt_env.image.bases.base import Base
from elt_env.image.bases.host import HostTree
from elt_env.image.oci.layer import write_layer
from elt_env.image.oci.layout import Layout
from tests.support.bases import members


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """A machine with a merged /usr and a library of several names."""
    root = tmp_path / "machine"
    (root / "usr/lib/arch").mkdir(parents=True)
    (root / "lib").symlink_to("usr/lib")
    library = root / "usr/lib/arch/libz.so.1.2"
    library.write_bytes(b"elf")
    library.chmod(0o4750)
    (root / "usr/lib/arch/libz.so.1").symlink_to("libz.so.1.2")
    (root / "usr/lib/libz.so").symlink_to(root / "lib/arch/libz.so.1")
    return root


def _written(tree: HostTree, root: Path) -> dict[str, tarfile.TarInfo]:
    layout = Layout(root / "oci")
    layer = write_layer(layout, "zstd", "", tree.write)
    return members(Base("host", "", (layer,)), layout)


def test_links_are_kept_and_followed(machine: Path, tmp_path: Path) -> None:
    tree = HostTree()
    tree.host(machine / "lib" / "libz.so")
    top = str(machine).lstrip("/")
    found = {
        name.removeprefix(top + "/"): each
        for name, each in _written(tree, tmp_path).items()
        if name.startswith(top + "/")
    }
    links = {name: each.linkname for name, each in found.items() if each.issym()}
    assert links == {
        "lib": "usr/lib",
        "usr/lib/libz.so": f"{machine}/lib/arch/libz.so.1",
        "usr/lib/arch/libz.so.1": "libz.so.1.2",
    }
    assert [name for name, each in found.items() if each.isfile()] == ["usr/lib/arch/libz.so.1.2"]
    assert found["usr/lib/arch/libz.so.1.2"].mode == 0o755
    assert tree.sources == {machine / "usr/lib/arch/libz.so.1.2"}


def test_the_layer_does_not_depend_on_the_order(machine: Path, tmp_path: Path) -> None:
    digests = set()
    for names in (["libz.so", "arch/libz.so.1"], ["arch/libz.so.1", "libz.so"]):
        tree = HostTree()
        for name in names:
            tree.host(machine / "usr/lib" / name)
        tree.directory("tmp", 0o1777)
        layer = write_layer(Layout(tmp_path / "oci"), "zstd", "", tree.write)
        digests.add(layer.blob.digest)
    assert len(digests) == 1


def test_own_entries_have_their_modes_and_owners(tmp_path: Path) -> None:
    tree = HostTree()
    tree.directory("home/elt", 0o750, 1000)
    tree.text("etc/passwd", "x")
    tree.link("etc/link", "passwd")
    tree.link("etc/passwd", "other")
    found = _written(tree, tmp_path)
    assert (found["home/elt"].mode, found["home/elt"].uid, found["home"].uid) == (0o750, 1000, 0)
    assert found["etc/passwd"].isfile()
    assert found["etc/link"].linkname == "passwd"


def test_a_whole_directory_but_for_some_names(machine: Path, tmp_path: Path) -> None:
    for name in ("zones/Europe/Vienna", "zones/posix/Europe/Vienna", "zones/localtime"):
        (machine / name).parent.mkdir(parents=True, exist_ok=True)
        (machine / name).write_text("z", encoding="utf-8")
    (machine / "zones/broken").symlink_to("nowhere")
    tree = HostTree()
    tree.host_all(machine / "zones", but=frozenset({"posix", "localtime"}))
    files = [name for name, each in _written(tree, tmp_path).items() if each.isfile()]
    assert [os.path.relpath(f"/{each}", machine) for each in files] == ["zones/Europe/Vienna"]


@pytest.mark.parametrize("target", ["nowhere", "loop"])
def test_links_that_lead_nowhere(machine: Path, target: str) -> None:
    (machine / "loop").symlink_to(target)
    with pytest.raises(ToolError, match="lead nowhere"):
        HostTree().host(machine / "loop")
