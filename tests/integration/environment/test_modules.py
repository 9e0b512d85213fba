"""Importing modules in a real prefix: whatever a module does, it is told which one did it."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections.abc import Mapping
from pathlib import Path

import pytest

from elt_env.environment.modules import import_all, modules_by_distribution
from elt_env.environment.prefix import Prefix
from elt_env.errors import TimeLimitError
from elt_env.lockfile.document import Lock
from tests.support.said import Said
from tests.support.sample import Sample, silent

_LIMIT = 60.0
_FAULTY = {
    "raises": ("raise ValueError('out of\\norder')", r"ValueError: out of"),
    "misses": ("import absentee", r"ModuleNotFoundError: No module named 'absentee'"),
    "leaves": ("import sys; sys.exit('no thanks')", r"SystemExit: no thanks"),
    "quits": (
        "import os; os.write(2, b'last words'); os._exit(3)",
        r"the interpreter ended with exit code 3: last words",
    ),
    "crashes": ("import ctypes; ctypes.string_at(0)", r"the interpreter ended with SIGSEGV"),
    "is_killed": (
        "import os, signal; os.kill(os.getpid(), signal.SIGKILL)",
        r"the interpreter ended with SIGKILL",
    ),
    "hangs": ("import time; time.sleep(60)", r"takes longer than 2 s"),
    "hangs_in_c": ("import ctypes; ctypes.PyDLL(None).sleep(60)", r"takes longer than 2 s"),
    "closes_all": ("import os; os.closerange(3, 100)", r"the interpreter ended with exit code 1"),
}
_HARMLESS = {
    "prints": "import os; print('{\"trying\": \"nobody\"}', flush=True); os.write(1, b'{}\\n')",
    "asks": "import sys; assert sys.stdin.read() == ''",
    "has_threads": "import threading, time; threading.Thread(target=time.sleep, args=[30]).start()",
    "replaces_stdout": "import io, sys; sys.stdout = io.StringIO()",
    "registers": "import atexit, time; atexit.register(time.sleep, 30)",
    "looks_at_arguments": "import argparse; argparse.ArgumentParser().parse_args()",
    "warns": "import warnings; warnings.warn('old', DeprecationWarning)",
    "writes": "open('left-by-a-module', 'w').close()",
    "ündçrsçörç": "",
}


@pytest.fixture(scope="module")
def prefix(
    shared_sample: Sample, sample_lock: Lock, tmp_path_factory: pytest.TempPathFactory
) -> Prefix:
    """A prefix with all kinds of modules."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("UV_CACHE_DIR", str(tmp_path_factory.mktemp("uv")))
        built = shared_sample.build(tmp_path_factory.mktemp("project"), sample_lock)
    prefix = Prefix(built.path, sample_lock)
    write(prefix, {name: text for name, (text, _) in _FAULTY.items()} | _HARMLESS)
    return prefix


def write(prefix: Prefix, modules: Mapping[str, str]) -> None:
    for name, text in modules.items():
        (prefix.site_packages / f"{name}.py").write_text(text, encoding="utf-8")


def test_what_the_standard_library_hides_is_told(prefix: Prefix) -> None:
    """dbt-protos has `test/import_test.py`, where no Python with tests of its own finds it."""
    place = prefix.site_packages / "json"
    place.mkdir()
    (place / "own.py").write_text("")
    results = import_all(["json.own", "misses", "raises"], prefix, _LIMIT, silent)
    assert {each.module: each.hidden for each in results} == {
        "json.own": True,
        "misses": False,
        "raises": False,
    }
    assert results[0].fault == "ModuleNotFoundError: No module named 'json.own'"


def test_what_wants_something_of_whoever_runs_it_is_told(prefix: Prefix) -> None:
    parsing = "import argparse\np = argparse.ArgumentParser()\np.add_argument('--model')\n"
    programs = {
        "wants_a_variable": "import os\npath = os.environ['MODEL_PATH']\n",
        "wants_one_deep": "import wants_a_variable\n",
        "parses": f"import os\n{parsing}os.stat(p.parse_args().model)\n",
    }
    gone = {
        "has_moved": "'''It was here.'''\nraise ImportError('it has moved')\n",
        "is_old": "raise DeprecationWarning(\n 'it is no longer used'\n)\n",
        "old/__init__": "raise RuntimeError('it is gone')\n",
    }
    faulty = {
        "is_too_old": "import os\nif os.name:\n raise ImportError('it wants a newer os')\n",
        "wants_a_key": "{}['MODEL_PATH']\n",
        "breaks": "raise RuntimeError('broken')\n",
        "calls_a_name": "pip_install()\n",
        "wants_an_attribute": "import os\nos.nothing\n",
        "parses_late": f"import os\ndef main():\n p.parse_args()\nos.stat(None)\n{parsing}",
        "parses_as_main": "import os\nif __name__ == '__main__':\n p.parse_args()\nos.stat(None)\n",
        "imports": "from os import nothing\n",
        "imports_a_template": "import is_a_template\n",
    }
    template = {"is_a_template": "import os\n{{pip_install}}\n"}
    every = programs | gone | faulty | template
    (prefix.site_packages / "old").mkdir()
    write(prefix, every)
    names = [each.removesuffix("/__init__") for each in every]
    results = import_all(names, prefix, _LIMIT, silent)
    assert {each.module: each.apart for each in results if each.apart} == {
        **dict.fromkeys(programs, "is a program"),
        "is_a_template": "is a template",
        **dict.fromkeys(["old", *gone.keys() - {"old/__init__"}], "is no more"),
    }
    assert all(each.fault for each in results)


def faults(prefix: Prefix, *modules: str, patience: float = 2.0) -> dict[str, str | None]:
    results = import_all(modules, prefix, _LIMIT, silent, patience)
    return {each.module: each.fault for each in results}


def processes_of(prefix: Prefix) -> list[Path]:
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if (process / "exe").readlink().is_relative_to(prefix.path):
                found.append(process)
    return found


def test_each_fault_is_its_own_and_spares_the_others(prefix: Prefix) -> None:
    said = Said()
    names = [*_FAULTY, *_HARMLESS, "alpha", "tally"]

    results = import_all(names, prefix, _LIMIT, said, 2.0)

    assert [each.module for each in results] == sorted(names)
    found = {each.module: each.fault for each in results}
    assert {name for name, fault in found.items() if fault} == set(_FAULTY)
    for name, (_, pattern) in _FAULTY.items():
        assert pattern in (found[name] or ""), name
        assert f"imports: {name}: {found[name]}" in said
    assert not processes_of(prefix)
    assert not list(prefix.path.rglob("left-by-a-module"))


def test_a_library_that_cannot_be_loaded(prefix: Prefix) -> None:
    (prefix.site_packages / "broken_library.so").write_bytes(b"\x7fELF" + bytes(200))
    (fault,) = faults(prefix, "broken_library").values()
    assert fault is not None
    assert fault.startswith("ImportError: ")
    assert "broken_library.so" in fault


def test_a_module_that_cannot_be_imported_after_another(prefix: Prefix) -> None:
    write(prefix, {f"early_{n}": "" for n in range(8)})
    write(
        prefix,
        {"late": "import sys; assert not {*sys.modules} & {'early_%d' % n for n in range(8)}"},
    )
    # One of its neighbours is imported before it, however they are distributed.
    assert set(faults(prefix, "late", *(f"early_{n}" for n in range(8))).values()) == {None}


def test_when_there_was_enough_no_import_is_begun(prefix: Prefix) -> None:
    found = import_all(["alpha"], prefix, _LIMIT, silent, below=["tally", "alpha"], enough=0.0)
    assert [each.module for each in found] == ["alpha"]


@pytest.mark.parametrize("text", ["raise ValueError", "import os; os._exit(3)"])
def test_submodules_of_what_does_not_import_are_left_out(prefix: Prefix, text: str) -> None:
    for name, content in (("apart", text), ("whole", "")):
        package = prefix.site_packages / name
        (package / "inner").mkdir(parents=True, exist_ok=True)
        (package / "__init__.py").write_text(content, encoding="utf-8")
        (package / "inner" / "__init__.py").write_text("", encoding="utf-8")
        (package / "faulty.py").write_text(text, encoding="utf-8")
    below = [f"{name}.{each}" for name in ("apart", "whole") for each in ("faulty", "inner")]

    found = import_all(["apart", "whole"], prefix, _LIMIT, silent, below=below)

    faults = {each.module: bool(each.fault) for each in found}
    assert faults == {"apart": True, "whole": False, "whole.faulty": True, "whole.inner": False}


def test_a_package_that_imports_alone_has_its_submodules_tried(prefix: Prefix) -> None:
    package = prefix.site_packages / "lonely"
    package.mkdir()
    text = "import sys; assert 'alpha' not in sys.modules"
    (package / "__init__.py").write_text(text, encoding="utf-8")
    (package / "inner.py").write_text("", encoding="utf-8")
    (package / "faulty.py").write_text("raise ValueError", encoding="utf-8")

    found = import_all(
        ["alpha", "lonely"], prefix, _LIMIT, silent, below=["lonely.inner", "lonely.faulty"]
    )

    assert {each.module for each in found if each.fault} == {"lonely.faulty"}
    assert len(found) == 4


def test_the_module_for_want_of_which_it_failed_is_told(prefix: Prefix) -> None:
    told = "try:\n    import absentee.part\nexcept ImportError as error:\n    raise KeyError"
    write(prefix, {"tells": told, "tells_why": f"{told} from error", "is_faulty": "{}['x']"})

    found = import_all(["tells", "tells_why", "is_faulty"], prefix, _LIMIT, silent)

    missing = {each.module: each.missing for each in found}
    assert missing == {"tells": "absentee", "tells_why": "absentee", "is_faulty": None}


def test_no_modules_at_all(prefix: Prefix) -> None:
    assert faults(prefix) == {}


def test_nothing_outside_the_prefix_is_imported(
    prefix: Prefix, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "outsider.py").write_text("")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    (fault,) = faults(prefix, "outsider").values()
    assert fault == "ModuleNotFoundError: No module named 'outsider'"


def test_a_python_that_does_not_start(prefix: Prefix, tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/python").write_text("#!/bin/sh\necho no such thing >&2\nexit 127\n")
    (tmp_path / "bin/python").chmod(0o755)
    broken = Prefix(tmp_path, prefix.lock)
    assert set(faults(broken, "one", "two").values()) == {
        "the interpreter ended with exit code 127: no such thing"
    }


def test_all_together_take_too_long(prefix: Prefix) -> None:
    write(prefix, {f"slow_{n}": "import time; time.sleep(0.5)" for n in range(40)})
    start = time.monotonic()
    with pytest.raises(TimeLimitError, match="slow_"):
        import_all([f"slow_{n}" for n in range(40)], prefix, 3.0, silent)
    assert time.monotonic() - start < 10
    assert not processes_of(prefix)


def test_an_interrupt_ends_it(prefix: Prefix) -> None:
    names = [f"slow_{n}" for n in range(60)]
    write(prefix, dict.fromkeys(names, "import time; time.sleep(0.5)"))
    main = threading.main_thread().ident or 0
    timer = threading.Timer(1.0, signal.pthread_kill, [main, signal.SIGINT])
    start = time.monotonic()
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        import_all(names, prefix, _LIMIT, silent)
    assert time.monotonic() - start < 10
    assert not processes_of(prefix)


def test_modules_by_distribution(sample_lock: Lock, tmp_path: Path) -> None:
    prefix = Prefix(tmp_path, sample_lock)
    solar = ["solar/core/__init__.py", "solar/core/deep/__init__.py", "solar/core/data/x.py"]
    records = {
        "Plain.Name": ["plain.py", "plain_extra/__init__.py", "plain_extra/part.py"],
        "solar-core": solar,
        "solar_wind": ["solar/wind/__init__.py", "solar/flat.py"],
        "compiled": ["fast.cpython-311-x86_64-linux-gnu.so", "other.abi3.so", "fast.libs/lib.so"],
        "scripts": ["../../../bin/tool", "../../../bin/tool.py", "scripts-1.0.data/x.py"],
        "careless": ["__init__.py", "careless/__init__.py", "__main__.py", "not-a-name.py"],
        "cached": ["cached.py", "__pycache__/cached.cpython-311.pyc"],
        "empty": [],
    }
    for name, files in records.items():
        info = prefix.site_packages / f"{name}-1.0.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        lines = [f"{file},," for file in [*files, f"{info.name}/METADATA", f"{info.name}/RECORD"]]
        (info / "RECORD").write_text("\n".join(lines))
        for file in files:
            path = Path(os.path.normpath(prefix.site_packages / file))
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()

    assert modules_by_distribution(prefix) == {
        "plain-name": ("plain", "plain_extra"),
        "solar-core": ("solar.core",),
        "solar-wind": ("solar.flat", "solar.wind"),
        "compiled": ("fast", "other"),
        "scripts": (),
        "careless": ("careless",),
        "cached": ("cached",),
        "empty": (),
    }
