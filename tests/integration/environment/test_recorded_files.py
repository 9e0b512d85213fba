"""A file that several distributions bring with different content is decided by a rule."""

from __future__ import annotations

import base64
import stat
import zipfile
from pathlib import Path

import pytest

from elt_env.environment.build import advance, complete
from elt_env.environment.installed_files import installed_files
from elt_env.environment.prefix import Prefix, Stage
from elt_env.errors import IntegrityError
from elt_env.lockfile.document import Lock
from elt_env.tools import Tools
from tests.support.native import replace
from tests.support.proving import prove
from tests.support.said import Said
from tests.support.sample import Sample, silent
from tests.support.wheels import make_wheel

_SHARED = "family/__init__.py"


def _content(name: str) -> str:
    return f"brought_by = '{name}'\n"


@pytest.fixture(scope="module")
def family(shared_sample: Sample) -> Sample:
    """A sample with two distributions that bring one module and one program, unlike each other."""
    for name in ("member-a", "member-b"):
        shared_sample.offer_pip(
            name,
            {_SHARED: _content(name), f"{name[-1]}.py": "def main(): ...\n"},
            entry_points={"family": f"{name[-1]}:main"},
        )
    return shared_sample


def _filled(
    family: Sample, lock: Lock, root: Path, last: str, installer: str
) -> tuple[Prefix, Tools]:
    """Install the two so that the files of `last` are those that stay."""
    toolbox = family.toolbox(root, installer=installer)
    prefix = Prefix(advance(lock, Stage.INSTALLED, toolbox, silent).path, lock)
    replace(prefix.site_packages / _SHARED, _content(last).encode())
    program = prefix.path / "bin" / "family"
    first = "a" if last.endswith("b") else "b"
    content = program.read_bytes().replace(f"from {first} ".encode(), f"from {last[-1]} ".encode())
    replace(program, content)
    program.chmod(0o755)
    return prefix, toolbox


@pytest.mark.parametrize("installer", ["uv", "pip"])
@pytest.mark.parametrize("last", ["member-a", "member-b"])
def test_whoever_was_installed_last(
    last: str, installer: str, family: Sample, sample: Sample, tmp_path: Path
) -> None:
    del sample
    lock = family.lock(pip=["member-b", "member-a"])
    prefix, toolbox = _filled(family, lock, tmp_path, last, installer)
    said = Said()

    complete(prefix, toolbox, said)

    assert (prefix.site_packages / _SHARED).read_text() == _content("member-a")
    program = prefix.path / "bin" / "family"
    assert "from a " in program.read_text()
    assert stat.S_IMODE(program.stat().st_mode) == 0o755
    files = installed_files(prefix)
    assert files.changed == ()
    assert [(each.winner, each.settled) for each in files.shared] == [("member-a", True)] * 2
    assert len([line for line in said if line.startswith("files: as")]) == (last == "member-b")


@pytest.mark.parametrize("way", ["hex", "padded"])
def test_a_hash_that_is_written_in_another_way_counts(
    way: str, sample: Sample, tmp_path: Path
) -> None:
    # As dbt-core-interface 1.1.7 writes it in hex, which no installer minds.
    def written(row: str) -> str:
        path, _, hashed = row.partition(",sha256=")
        value, _, size = hashed.partition(",")
        if not value:
            return row
        other = base64.urlsafe_b64decode(f"{value}=").hex() if way == "hex" else f"{value}="
        return f"{path},sha256={other},{size}"

    wheel = make_wheel(tmp_path / "wheels", "written", "1.0")
    with zipfile.ZipFile(wheel) as archive:
        content = {each: archive.read(each) for each in archive.namelist()}
    rows = content["written-1.0.dist-info/RECORD"].decode().splitlines()
    content["written-1.0.dist-info/RECORD"] = "\n".join([*map(written, rows), ""]).encode()
    with zipfile.ZipFile(wheel, "w") as archive:
        for name, data in content.items():
            archive.writestr(name, data)
    sample.index.add(wheel)
    lock = sample.lock(pip=["written"])

    prefix = Prefix(sample.build(tmp_path, lock).path, lock)

    assert installed_files(prefix).changed == ()
    replace(prefix.site_packages / "written" / "__init__.py", b"changed = True\n")
    (line,) = installed_files(prefix).changed
    assert "written/__init__.py of written 1.0 was changed" in line


def test_a_build_with_shared_files_can_be_repeated(
    family: Sample, sample: Sample, tmp_path: Path
) -> None:
    del sample
    lock = family.lock(pip=["member-a", "member-b"])
    prefix = Prefix(family.build(tmp_path, lock).path, lock)
    toolbox = family.toolbox(tmp_path)
    assert prove("reproducible", lock, toolbox, silent).status == "passed"
    found = prove("mixed_managers", lock, toolbox, silent)
    assert (found.status, _SHARED in found.detail) == ("warned", True), found.detail

    replace(prefix.site_packages / _SHARED, _content("member-b").encode())

    found = prove("reproducible", lock, toolbox, silent, again=True)
    assert found.status == "failed"
    assert found.detail.endswith(f"{_SHARED} differs")


def test_a_distribution_without_the_file_it_recorded(sample: Sample, tmp_path: Path) -> None:
    sample.offer_pip("liar-a", {"liar.py": "a = 1\n"})
    sample.offer_pip("liar-b", {"liar.py": "b = 1\n"})
    lock = sample.lock(pip=["liar-a", "liar-b"])
    toolbox = sample.toolbox(tmp_path)
    prefix = Prefix(advance(lock, Stage.INSTALLED, toolbox, silent).path, lock)
    replace(prefix.site_packages / "liar.py", b"b = 1\n")
    record = prefix.site_packages / "liar_a-1.0.dist-info" / "RECORD"
    line = record.read_text().splitlines()[0]
    replace(
        record, record.read_bytes().replace(line.split(",")[1].encode(), b"sha256=" + b"A" * 43)
    )

    with pytest.raises(IntegrityError, match=r"liar-a does not bring .*liar\.py"):
        complete(prefix, toolbox, silent)
