"""Finding interpreters: real ones, and stand-ins that answer as others would."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from elt_env.errors import ToolError
from elt_env.machine.process import run
from elt_env.python.interpreters import Interpreter, Refused, find_interpreter, list_interpreters

_FACTS = {
    "implementation": "cpython",
    "built": "May  9 2026 07:35:25",
    "identity": "3.99.1 (main, May  9 2026, 07:35:25) [GCC 12.2.0]",
    "build_prefix": "/install",
    "schemes": ["posix_prefix", "venv"],
    "platform": "linux-x86_64",
    "platlibdir": "lib",
    "abiflags": "",
}


def _stand_in(
    place: Path, version: str = "3.99.1", facts: Mapping[str, object] | None = None
) -> Path:
    """Write a program that answers as a Python whose prefix is `place` would."""
    minor = version.rpartition(".")[0]
    own = {"version": version, "minor": minor, "prefix": str(place)}
    answer = json.dumps({**_FACTS, **own, **(facts or {})})
    library = place / f"lib/python{minor}/os.py"
    library.parent.mkdir(parents=True)
    library.touch()
    return _program(place / f"bin/python{minor}", f"cat <<'END'\n{answer}\nEND\n")


def _program(path: Path, script: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}")
    path.chmod(0o755)
    return path


def _environ(home: Path, *folders: Path) -> dict[str, str]:
    return {"HOME": str(home), "PATH": os.pathsep.join(map(str, folders))}


def _usable(environ: dict[str, str], minor: str = "3.99") -> list[Interpreter]:
    return [each for each in list_interpreters(environ=environ)[0] if each.minor == minor]


def _reason(executable: Path, environ: dict[str, str]) -> str:
    refused = list_interpreters(environ=environ)[1]
    return next(each.reason for each in refused if each.executable == executable)


def test_the_real_interpreters_of_this_machine_are_what_they_are_said_to_be() -> None:
    usable, _ = list_interpreters()
    for each in usable:
        script = "import platform, sys; print(platform.python_version(), sys.base_prefix)"
        said = run([each.executable, "-I", "-c", script], limit=20).stdout.split()
        assert said == [each.version, str(each.prefix)]
        assert each.version.startswith(f"{each.minor}.")
        assert each.built_at.year > 2000
    assert len({each.prefix for each in usable}) == len(usable)


def test_debians_python_is_refused() -> None:
    python = Path("/usr/bin/python3").resolve()
    if not Path("/etc/debian_version").exists() or not python.exists():
        pytest.skip("this machine has no Debian Python")
    assert "Debian" in _reason(python, _environ(Path("/nowhere"), Path("/usr/bin")))


def test_a_virtual_environment_leads_to_its_base(tmp_path: Path) -> None:
    base = next(iter(list_interpreters()[0]), None)
    if base is None:
        pytest.skip("this machine has no usable Python")
    place = tmp_path / "venv"
    run([base.executable, "-m", "venv", "--without-pip", "--copies", place], limit=60)
    found, _ = list_interpreters(environ=_environ(tmp_path, place / "bin"))
    assert base in found
    assert all(tmp_path not in each.executable.parents for each in found)


def test_path_pyenv_and_uv_are_looked_at(tmp_path: Path) -> None:
    home = tmp_path.resolve()
    pyenv = _stand_in(home / ".pyenv/versions/3.99.1", "3.99.1")
    uv = _stand_in(home / ".local/share/uv/python/cpython-3.99.3", "3.99.3")
    path = _stand_in(home / "somewhere", "3.99.2")
    found = _usable(_environ(home, path.parent))
    assert [each.executable for each in found] == [uv, path, pyenv]
    assert find_interpreter("3.99", environ=_environ(home, path.parent)).version == "3.99.3"


def test_variables_say_where_pyenv_and_uv_keep_theirs(tmp_path: Path) -> None:
    one = _stand_in(tmp_path.resolve() / "p/versions/x", "3.99.1")
    two = _stand_in(tmp_path.resolve() / "u/y", "3.99.2")
    environ = {"PYENV_ROOT": str(tmp_path / "p"), "UV_PYTHON_INSTALL_DIR": str(tmp_path / "u")}
    found = _usable({**_environ(tmp_path), **environ})
    assert [each.executable for each in found] == [two, one]


def test_facts_become_an_interpreter(tmp_path: Path) -> None:
    prefix = tmp_path.resolve() / "python"
    link = tmp_path / "link"
    python = _stand_in(prefix, facts={"prefix": str(link)})
    link.symlink_to(prefix)
    (found,) = _usable(_environ(tmp_path, link / "bin"))
    assert found.executable == python
    assert found.prefix == prefix
    assert found.built_at.isoformat() == "2026-05-09T07:35:25+00:00"
    assert set(found.spellings) == {str(prefix), str(link), "/install"}
    assert len(found.spellings[0]) == max(map(len, found.spellings))


@pytest.mark.parametrize(
    ("facts", "reason"),
    [
        ({"implementation": "pypy"}, "is pypy, not CPython"),
        ({"minor": "3.7", "version": "3.7.1"}, "is Python 3.7.1, which is too old"),
        ({"schemes": ["posix_local", "deb_system"]}, "is Debian's"),
        ({"prefix": "/usr"}, "belongs to the operating system"),
        ({"abiflags": "t"}, "is a special build (t)"),
        ({"platlibdir": "lib64"}, "keeps its modules in lib64"),
        ({"prefix": "/nowhere"}, "has no bin/python3.99 and no lib/python3.99/os.py under"),
    ],
)
def test_what_no_package_can_be_made_of_is_refused(
    tmp_path: Path, facts: Mapping[str, object], reason: str
) -> None:
    python = _stand_in(tmp_path.resolve() / "python", facts=facts)
    assert _reason(python, _environ(tmp_path, python.parent)).startswith(reason)


def test_a_conda_environments_python_is_refused(tmp_path: Path) -> None:
    python = _stand_in(tmp_path.resolve() / "conda")
    (tmp_path / "conda/conda-meta").mkdir()
    assert "conda environment" in _reason(python, _environ(tmp_path, python.parent))


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("echo 'pyenv: version not installed' >&2; exit 127", "pyenv: version not installed"),
        ("echo hello", "it says nothing"),
        ("exit 0", "it says nothing"),
        ("echo '[]'", "it says nothing"),
    ],
)
def test_a_shim_that_fails_is_refused(tmp_path: Path, script: str, reason: str) -> None:
    shim = _program(tmp_path.resolve() / "shims/python3.99", script)
    assert _reason(shim, _environ(tmp_path, shim.parent)) == f"does not run: {reason}"


def test_what_cannot_be_started_is_refused(tmp_path: Path) -> None:
    broken = tmp_path.resolve() / "bin/python3.99"
    broken.parent.mkdir()
    broken.write_bytes(b"\x7fELF")
    broken.chmod(0o755)
    assert _reason(broken, _environ(tmp_path, broken.parent)).startswith("does not run: ")


def test_no_interpreter_names_what_was_looked_at(tmp_path: Path) -> None:
    python = _stand_in(tmp_path.resolve() / "python", facts={"implementation": "pypy"})
    with pytest.raises(ToolError) as caught:
        find_interpreter("3.99", environ=_environ(tmp_path, python.parent))
    assert "no Python 3.99 on this machine" in caught.value.problem
    assert f"{python} is pypy, not CPython" in caught.value.problem
    assert "pyenv install 3.99" in caught.value.remedy


def test_this_process_base_is_looked_at_without_any_path() -> None:
    usable, refused = list_interpreters(environ={"HOME": "/nowhere", "PATH": ""})
    looked_at: list[Interpreter | Refused] = [*usable, *refused]
    base = Path(sys.base_prefix).resolve() / "bin"
    assert any(base == each.executable.parent for each in looked_at)
