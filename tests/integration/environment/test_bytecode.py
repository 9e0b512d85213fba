"""Bytecode: the same in every directory and beside any other package, and never stale."""

from __future__ import annotations

import hashlib
import os
import sys
from pathlib import Path

import pytest

from elt_env.environment.prefix import MARKER, Prefix
from elt_env.errors import ToolError
from elt_env.lockfile.document import Lock
from elt_env.python.compilation import compile_modules
from tests.support.native import replace
from tests.support.proving import prove
from tests.support.sample import Sample, run_in, silent

_LIMIT = 60.0
# Names and constants of its own and such as other modules have too, a set, and nested code.
_SOURCE = """\
NAMES = {"alpha", "self", "os", "a name of its own"}
def outer(self, value=("alpha", 1.5)):
    def inner(os):
        return [os for self in value if self in {"x", "y", "zz"}]
    return inner
"""


def _tree(root: Path, *packages: str) -> list[list[str]]:
    groups = []
    for package in packages:
        names = [f"lib/{package}/{module}.py" for module in ("__init__", "core")]
        for name in names:
            file = root / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(f"own_name_of_{package} = 1\n{_SOURCE}")
        groups.append(names)
    return groups


def _bytecode(root: Path, package: str) -> dict[str, str]:
    files = (root / "lib" / package).rglob("*.pyc")
    return {each.name: hashlib.sha256(each.read_bytes()).hexdigest() for each in files}


def _compile(root: Path, groups: list[list[str]]) -> tuple[str, ...]:
    return compile_modules(Path(sys.executable), root, groups, _LIMIT, silent)


def test_a_package_has_the_same_bytecode_everywhere(tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "another place"
    assert _compile(one, _tree(one, "alpha", "beta")) == ()
    # What is compiled before it shares its names.
    assert _compile(other, _tree(other, "aardvark", "alpha", "beta", "gamma")) == ()

    for package in ("alpha", "beta"):
        found = _bytecode(one, package)
        assert len(found) == 2
        assert found == _bytecode(other, package)
    assert str(tmp_path).encode() not in b"".join(f.read_bytes() for f in one.rglob("*.pyc"))


def test_what_does_not_compile_is_told_and_left_out(tmp_path: Path) -> None:
    groups = _tree(tmp_path, "alpha")
    (tmp_path / "lib/alpha/template.py").write_text("class {{ name }}:\n    pass\n")
    (tmp_path / "lib/alpha/zeroes.py").write_bytes(b"a = 1\0\n")
    groups[0] += ["lib/alpha/template.py", "lib/alpha/zeroes.py"]

    left_out = _compile(tmp_path, groups)

    assert [line.partition(":")[0] for line in left_out] == groups[0][2:]
    assert len(_bytecode(tmp_path, "alpha")) == 2


def test_an_interpreter_that_cannot_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ToolError, match="cannot be compiled"):
        _compile(tmp_path, [["lib/not_there.py"]])


@pytest.fixture(scope="module")
def prefix(
    shared_sample: Sample, sample_lock: Lock, tmp_path_factory: pytest.TempPathFactory
) -> Prefix:
    root = tmp_path_factory.mktemp("sealed")
    return Prefix(shared_sample.build(root, sample_lock).path, sample_lock)


def _state(prefix: Prefix) -> dict[str, tuple[int, int]]:
    """Return the time and the inode of everything but the marker, which says when it was used."""
    return {
        os.path.relpath(each, prefix.path): (each.lstat().st_mtime_ns, each.lstat().st_ino)
        for each in prefix.path.rglob("*")
        if each.name != MARKER
    }


def test_a_sealed_prefix_is_compiled_and_nothing_writes_into_it(
    prefix: Prefix, sample: Sample, tmp_path: Path
) -> None:
    del tmp_path
    before = _state(prefix)
    assert [
        name for name in before if name.endswith(".py") and not _is_compiled(name, before)
    ] == []

    assert run_in(prefix.path, "alpha").returncode == 0
    assert run_in(prefix.path, "tally").returncode == 0
    script = "import sysconfig, sqlite3, ssl, asyncio, beta; sysconfig.get_config_vars()"
    assert run_in(prefix.path, "python", "-c", script).returncode == 0
    toolbox = sample.toolbox(prefix.path.parents[2])
    for check in ("pip_check", "imports", "console_scripts", "mixed_managers", "isolation"):
        assert prove(check, prefix.lock, toolbox, silent, again=True).status == "passed", check

    assert _state(prefix) == before


def _is_compiled(name: str, state: dict[str, tuple[int, int]]) -> bool:
    directory, _, file = name.rpartition("/")
    stem = f"{directory}/__pycache__/{file.removesuffix('.py')}.cpython-"
    # lib2to3 and distutils bring templates; bin/ and config-*/ hold programs.
    return any(each.startswith(stem) for each in state) or not name.startswith("lib/")


def test_bytecode_that_is_there_is_used(prefix: Prefix) -> None:
    script = "import beta, sys; print(beta.__cached__, beta.__spec__.origin)"
    cached, origin = run_in(prefix.path, "python", "-c", script).stdout.split()
    assert Path(cached).is_file()
    # Word 1 of the header: 0b11 is a hash that is checked (PEP 552).
    assert Path(cached).read_bytes()[4:8] == b"\x03\0\0\0"
    assert origin == str(prefix.site_packages / "beta" / "__init__.py")


def test_a_source_that_is_changed_is_noticed(
    sample: Sample, sample_lock: Lock, tmp_path: Path
) -> None:
    prefix = Prefix(sample.build(tmp_path, sample_lock).path, sample_lock)
    source = prefix.site_packages / "beta" / "__init__.py"
    moment = source.stat().st_mtime_ns
    replace(source, source.read_bytes().replace(b'"1.0"', b'"9.9"'))
    os.utime(source, ns=(moment, moment))

    done = run_in(prefix.path, "python", "-c", "import beta; print(beta.__version__)")

    assert done.stdout == "9.9\n"


def test_what_no_python_takes_is_compiled_anew(sample: Sample, tmp_path: Path) -> None:
    own = f"ship/__pycache__/__init__.cpython-{sample.python.replace('.', '')}.pyc"
    sample.offer_conda("ship", "1.0", {"ship/__init__.py": "", own: "conda's own"})
    made = sample.lock(conda=["ship"])

    prefix = Prefix(sample.build(tmp_path, made).path, made)

    assert (prefix.site_packages / own).read_bytes()[4:8] == b"\x03\0\0\0"
