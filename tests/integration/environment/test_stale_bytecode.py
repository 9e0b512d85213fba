"""Bytecode that linking makes stale, or that was stale before, as real packages bring it."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from elt_env.environment.build import ensure_prefix
from elt_env.environment.file_list import list_prefix
from elt_env.environment.prefix import Prefix
from elt_env.image.pack import pack
from elt_env.image.store import ImageStore
from elt_env.lockfile.document import Lock
from elt_env.machine.environment_variables import prefix_environment, user_environment
from elt_env.machine.process import run
from elt_env.release.repair import repair
from elt_env.release.verify import require_whole, verify
from elt_env.tools import Tools
from tests.support.bytecode import bytecode
from tests.support.conda_packages import PLACEHOLDER
from tests.support.images import content_of, make_root_tar
from tests.support.proving import prove
from tests.support.releases import write_launchers
from tests.support.sample import Sample, silent

_LIMIT = 60.0
_TIME = 1_600_000_000
_PLACED = f'PREFIX = "{PLACEHOLDER}"\n'
_PLAIN = "NAME = __name__\nassert NAME\n"
_MODULES = ("__init__", "hashed", "checked", "late", "right", "hidden", "optimized", "comment")
_IMPORT_ALL = f"""\
import importlib, legacy, sys, sysconfig
sysconfig.get_config_vars()
modules = [importlib.import_module(f"placed.{{name}}") for name in {_MODULES[1:]}]
import placed
assert placed.PREFIX == modules[0].PREFIX == modules[1].PREFIX == sys.prefix, placed.PREFIX
assert modules[4].VALUE == "the source's", modules[4].VALUE
assert legacy.VALUE == 1
"""


@pytest.fixture(scope="module")
def lock(shared_sample: Sample, tmp_path_factory: pytest.TempPathFactory) -> Lock:
    """A lock of a package with every kind of bytecode, and of one of pip's that loads sysconfig."""
    scratch, python = tmp_path_factory.mktemp("scratch"), shared_sample.python
    tag = f"cpython-{python.replace('.', '')}"
    sources = {
        "placed/__init__.py": _PLACED,
        "placed/hashed.py": _PLACED,
        "placed/checked.py": _PLACED,
        "placed/late.py": _PLAIN,
        "placed/right.py": _PLAIN,
        "placed/hidden.py": 'VALUE = "the source\'s"\n',
        "placed/optimized.py": _PLACED,
        "placed/comment.py": f"# {PLACEHOLDER}\n",
        "placed/with.dot.py": _PLAIN,
        "placed/template.py": "class {{ name }}:\n    pass\n",
    }

    def compiled(source: str, **more: object) -> bytes:
        return bytecode(python, source, scratch, time=_TIME, **more)  # type: ignore[arg-type]

    def cache(module: str, level: str = "") -> str:
        return f"placed/__pycache__/{module}.{tag}{level}.pyc"

    files: dict[str, str | bytes] = dict(sources)
    files |= {
        cache("__init__"): compiled(_PLACED),
        cache("hashed"): compiled(_PLACED, kind="UNCHECKED_HASH"),
        cache("checked"): compiled(_PLACED, kind="CHECKED_HASH"),
        cache("late"): bytecode(python, _PLAIN, scratch, time=_TIME - 60),
        cache("right"): compiled(_PLAIN),
        cache("with.dot"): compiled(_PLAIN),
        cache("with.dot", ".opt-2"): compiled(_PLAIN, level=2),
        cache("hidden"): compiled('VALUE = "another\'s"\n', kind="UNCHECKED_HASH"),
        cache("optimized"): compiled(_PLACED),
        cache("optimized", ".opt-1"): compiled(_PLACED, level=1),
        cache("comment"): compiled(f"# {PLACEHOLDER}\n"),
        "legacy.pyc": compiled("VALUE = 1\n"),
    }
    shared_sample.offer_conda("placed", "1.0", files, times=dict.fromkeys(sources, _TIME))
    shared_sample.offer_pip(
        "loader", {"loader.py": "import sysconfig, placed.late\nsysconfig.get_config_vars()\n"}
    )
    return shared_sample.lock(conda=["placed"], pip=["loader"])


def built(lock: Lock, toolbox: Tools) -> Prefix:
    toolbox.store.write_lock(lock)
    return Prefix(ensure_prefix(lock, toolbox, silent).path, lock)


def use(prefix: Prefix) -> None:
    """Import everything, in an environment where nothing keeps Python from writing."""
    for options in ([], ["-O"]):
        done = run([prefix.python, *options, "-c", _IMPORT_ALL], limit=_LIMIT, env={})
        assert done.returncode == 0, done.stderr


def altered(prefix: Prefix) -> list[str]:
    """Return what `conda doctor` calls altered: each file that has another hash than is stated."""
    entries = [
        entry
        for path in (prefix.path / "conda-meta").glob("*.json")
        for entry in json.loads(path.read_bytes())["paths_data"]["paths"]
        if "sha256_in_prefix" in entry and entry.get("path_type") != "softlink"
    ]
    assert [each for each in entries if each["_path"].endswith(".pyc")]
    return [
        each["_path"]
        for each in entries
        if hashlib.sha256((prefix.path / each["_path"]).read_bytes()).hexdigest()
        != each["sha256_in_prefix"]
    ]


@pytest.mark.parametrize("installer", ["uv", "pip"])
def test_it_is_compiled_anew_and_holds_for_good(
    installer: str, lock: Lock, sample: Sample, tmp_path: Path
) -> None:
    toolbox = sample.toolbox(tmp_path, installer=installer)
    prefix = built(lock, toolbox)
    sealed = list_prefix(prefix.path).files
    assert verify(lock, toolbox.store, silent) == ()
    assert altered(prefix) == []

    use(prefix)
    expected = {"imports": "failed", "mixed_managers": "passed", "reproducible": "passed"}
    found = {check: prove(check, lock, toolbox, silent) for check in expected}
    assert {check: each.status for check, each in found.items()} == expected
    # The template, which is no module of any Python.
    assert found["imports"].detail.startswith("placed.template of placed 1.0: SyntaxError")

    added = {path for path in list_prefix(prefix.path).files.items() if path not in sealed.items()}
    assert all(".opt-1.pyc" in path for path, _ in added), added
    after = verify(lock, toolbox.store, silent)
    assert {each.part for each in after} <= {"bytecode"}
    require_whole(lock, after)
    repair(lock, after, toolbox, silent)
    assert verify(lock, toolbox.store, silent) == ()
    assert list_prefix(prefix.path).files == sealed


def test_what_is_run_from_a_prefix_does_not_write_into_it(
    lock: Lock, sample: Sample, tmp_path: Path
) -> None:
    toolbox = sample.toolbox(tmp_path)
    prefix = built(lock, toolbox)
    sealed = list_prefix(prefix.path).files
    write_launchers(tmp_path, prefix.path, "elt@3.11", lock.digest)
    for start, variables in (
        (prefix.python, user_environment(prefix.path)),
        (prefix.python, prefix_environment(prefix.path)),
        (tmp_path / "bin" / "python", dict(os.environ)),
    ):
        for options in ([], ["-O"], ["-OO"]):
            done = run([start, *options, "-c", _IMPORT_ALL], limit=_LIMIT, env=variables)
            assert done.returncode == 0, done.stderr
    assert list_prefix(prefix.path).files == sealed


def test_what_conda_brings_and_still_holds_stays(
    lock: Lock, sample: Sample, tmp_path: Path
) -> None:
    prefix = built(lock, sample.toolbox(tmp_path))
    directory = prefix.site_packages / "placed" / "__pycache__"

    def flags(module: str) -> bytes:
        return (directory / f"{module}.{prefix.bytecode_tag}.pyc").read_bytes()[4:8]

    stamped, checked = b"\0\0\0\0", b"\x03\0\0\0"
    assert flags("right") == stamped
    assert {flags(each) for each in _MODULES if each != "right"} == {checked}
    assert not (directory / f"template.{prefix.bytecode_tag}.pyc").exists()


Change = Callable[[Path], object]


@pytest.mark.parametrize("change", [Path.unlink, lambda path: replaced(path, b"no bytecode")])
def test_other_bytecode_is_no_fault_and_repair_brings_back_what_was_sealed(
    change: Change, lock: Lock, sample: Sample, tmp_path: Path
) -> None:
    toolbox = sample.toolbox(tmp_path)
    prefix = built(lock, toolbox)
    sealed = list_prefix(prefix.path).files
    changed = [
        path
        for path in sealed
        if "/__pycache__/" in path and any(name in path for name in ("placed", "loader", "/os."))
    ]
    assert len(changed) > len(_MODULES) + 2
    for path in changed:
        change(prefix.path / path)
    (prefix.site_packages / "__pycache__" / "left.nbi").write_bytes(b"of numba")

    found = verify(lock, toolbox.store, silent)
    assert {each.part for each in found} == {"bytecode"}
    assert len(found) == len(changed) + 1
    require_whole(lock, found)
    assert prove("mixed_managers", lock, toolbox, silent).status == "passed"

    repair(lock, found, toolbox, silent)
    assert list_prefix(prefix.path).files == sealed
    assert altered(prefix) == []
    use(prefix)


def test_a_source_that_is_repaired_keeps_the_bytecode_that_names_its_time(
    lock: Lock, sample: Sample, tmp_path: Path
) -> None:
    toolbox = sample.toolbox(tmp_path)
    prefix = built(lock, toolbox)
    sealed = list_prefix(prefix.path).files
    for name in ("right", "hashed", "__init__"):
        replaced(prefix.site_packages / "placed" / f"{name}.py", b"broken = True\n")

    repair(lock, verify(lock, toolbox.store, silent), toolbox, silent)
    use(prefix)

    after = verify(lock, toolbox.store, silent)
    assert all(".opt-1.pyc" in each.path for each in after), after
    assert {each: sealed[each] for each in sealed if "placed" in each} == {
        path: what
        for path, what in list_prefix(prefix.path).files.items()
        if "placed" in path and path in sealed
    }


def test_bytecode_without_a_source_is_content(lock: Lock, sample: Sample, tmp_path: Path) -> None:
    toolbox = sample.toolbox(tmp_path)
    prefix = built(lock, toolbox)
    replaced(prefix.site_packages / "legacy.pyc", b"changed")

    found = verify(lock, toolbox.store, silent)
    assert [(each.part, Path(each.path).name) for each in found] == [("prefix", "legacy.pyc")]
    evidence = prove("mixed_managers", lock, toolbox, silent)
    assert evidence.status == "failed"
    assert "legacy.pyc of conda's placed was changed" in evidence.detail


def test_an_image_does_not_show_where_it_was_built(
    lock: Lock, sample: Sample, tmp_path: Path
) -> None:
    base = str(make_root_tar(tmp_path / "root.tar"))
    digests = set()
    for place in ("one", "a place with a longer name"):
        toolbox = sample.toolbox(tmp_path / place, image_base=base)
        built(lock, toolbox)
        image = pack(lock, toolbox.project, toolbox.store, silent).image
        digests.add(image.digest)
    assert len(digests) == 1
    files = content_of(ImageStore(toolbox.store).layout, image)
    bytecode = {Path(each).name.partition(".")[0]: files[each] for each in files if _is_ours(each)}
    # Compiled, the other modules would tell where they were linked.
    assert sorted(bytecode) == ["hidden", "late", "legacy", "right", "with"]
    assert {each[4:8] for each in bytecode.values()} == {b"\1\0\0\0"}


def _is_ours(path: str) -> bool:
    return path.endswith(".pyc") and ("/placed/" in path or path.endswith("/legacy.pyc"))


def replaced(path: Path, content: bytes) -> None:
    path.unlink()
    path.write_bytes(content)
