from __future__ import annotations

from pathlib import Path

import pytest

from elt_env.machine.shells import own_command, shell_in

PREFIX = Path("/store/prefixes/elt@3.11-12")


def test_bash_reads_the_persons_file_by_way_of_ours() -> None:
    base = {"SHELL": "/usr/bin/bash", "HOME": "/home/me", "PATH": "/bin", "ENV": "/mine"}
    command, variables = shell_in(PREFIX, "elt@3.11", base)
    assert command[0] == "/usr/bin/bash"
    assert command[1] == "--rcfile"
    assert Path(command[2]).is_file()
    assert command[3:] == ["-i"]
    assert variables["_ELT_STARTUP"] == "/home/me/.bashrc"
    assert variables["ENV"] == "/mine"
    assert variables["PATH"] == f"{PREFIX}/bin:/bin"


@pytest.mark.parametrize("shell", ["/bin/sh", "/bin/dash", "/usr/bin/ksh", ""])
def test_other_shells_read_what_env_names(shell: str) -> None:
    base = {"SHELL": shell, "PATH": "/bin", "ENV": "/home/me/.shrc"}
    command, variables = shell_in(PREFIX, "elt@3.11", base)
    assert command == [shell or "/bin/sh", "-i"]
    assert Path(variables["ENV"]).is_file()
    assert variables["_ELT_STARTUP"] == "/home/me/.shrc"
    assert variables["_ELT_BIN"] == f"{PREFIX}/bin"
    assert variables["_ELT_LABEL"] == "elt@3.11"


def test_other_environments_variables_are_left_out() -> None:
    _, variables = shell_in(PREFIX, "elt@3.11", {"PYTHONPATH": "/x", "OWN": "kept", "PATH": ""})
    assert "PYTHONPATH" not in variables
    assert variables["OWN"] == "kept"


def test_the_program_is_called_by_its_name_only_where_path_finds_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "project" / ".venv" / "bin" / "elt-env"
    program.parent.mkdir(parents=True)
    program.touch(mode=0o755)
    monkeypatch.chdir(tmp_path / "project")
    monkeypatch.setenv("PATH", "/nowhere")
    assert own_command(str(program)) == ".venv/bin/elt-env"
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    assert own_command(str(program)) == str(program)
    monkeypatch.setenv("PATH", str(program.parent))
    assert own_command(str(program)) == "elt-env"
