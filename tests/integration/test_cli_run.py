"""The command line as a person meets it: run and shell, interruptions, streams and encodings."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import shlex
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from elt_env.errors import SpecError
from elt_env.spec.environment_yml import parse_spec
from tests.support.channel import Channel, ChannelServer
from tests.support.index_server import IndexServer
from tests.support.isolation import clear_settings
from tests.support.loopback import running
from tests.support.project import write_spec
from tests.support.terminal import LIMIT, Terminal, make_terminal

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("cli_run")]


@pytest.fixture(scope="module")
def built(shared_python: Channel, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Terminal]:
    """A terminal at which the environment is built; not to be changed."""
    with pytest.MonkeyPatch.context() as patch, running(IndexServer()) as index:
        clear_settings(patch, keep_registry=False)
        made = make_terminal(tmp_path_factory.mktemp("built"), shared_python, index)
        done = made.type("build", made.target)
        assert done.returncode == 0, done.stderr
        yield made


def prefix_of(terminal: Terminal) -> Path:
    """Return the prefix of the built environment."""
    [prefix] = (terminal.site.home / "prefixes").glob("elt@*")
    return prefix


# Run


def test_the_command_gets_its_arguments_and_stdin_as_they_are(built: Terminal) -> None:
    arguments = ["--help", "-P", "two words", "", "*", "--", "-x"]
    for start in (["--", "tool"], ["tool"]):
        run = built.start("run", built.target, *start, *arguments, stdin=subprocess.PIPE)
        stdout, stderr = run.communicate("some\ninput", timeout=LIMIT)
        assert run.returncode == 0, stderr
        told = json.loads(stdout)
        assert told["arguments"] == arguments
        assert told["stdin"] == "some\ninput"
        assert told["prefix"] == str(prefix_of(built))
        assert stderr == ""


def test_the_exit_code_is_the_commands(built: Terminal) -> None:
    assert built.type("run", "elt", "tool", TOOL_EXIT="42").returncode == 42
    killed = built.type("run", "elt", "--", "sh", "-c", "kill -TERM $$")
    assert killed.returncode == 128 + signal.SIGTERM


def test_the_tools_of_the_prefix_win_and_the_persons_own_are_still_there(
    built: Terminal, tmp_path: Path
) -> None:
    for name in ("tool", "python", "own"):
        (tmp_path / name).write_text("#!/bin/sh\necho theirs\n")
        (tmp_path / name).chmod(0o755)
    path = f"{tmp_path}:{os.environ['PATH']}"
    tool = built.type("run", "elt", "tool", PATH=path)
    assert json.loads(tool.stdout)["prefix"] == str(prefix_of(built))
    python = built.type("run", "elt", "--", "python", "-c", "import tool; print('ours')", PATH=path)
    assert python.stdout == "ours\n"
    assert built.type("run", "elt", "own", PATH=path).stdout == "theirs\n"


def test_the_persons_variables_reach_it_but_no_other_environments_do(built: Terminal) -> None:
    foreign = {
        "PYTHONPATH": os.pathsep.join(["/elsewhere", built.site.environment["PYTHONPATH"]]),
        "PYTHONSTARTUP": "/elsewhere.py",
        "LD_LIBRARY_PATH": "/elsewhere",
        "VIRTUAL_ENV": "/elsewhere/venv",
        "CONDA_PREFIX": "/elsewhere/conda",
        "PIP_INDEX_URL": "http://elsewhere.invalid",
        "UV_INDEX_URL": "http://elsewhere.invalid",
    }
    own = {"DBT_PROFILES_DIR": "/profiles", "AWS_PROFILE": "mine", "LC_ALL": "C.UTF-8"}
    path = f"/elsewhere/venv/bin:{os.environ['PATH']}"
    done = built.type("run", "elt", "tool", **foreign, **own, PATH=path)
    found = json.loads(done.stdout)["variables"]
    assert foreign.keys().isdisjoint(found)
    assert own.items() <= found.items()
    assert found["PATH"].split(":")[0] == str(prefix_of(built) / "bin")
    assert "/elsewhere/venv/bin" not in found["PATH"].split(":")


def test_a_command_that_is_not_there_is_told_by_its_name(built: Terminal) -> None:
    done = built.type("run", "elt", "--", "no-such-tool", "--version")
    assert done.returncode != 0
    assert "no-such-tool is not there" in done.stderr
    assert "\n  -> Where it was in elt before: elt-env verify elt --repair" in done.stderr
    assert "Traceback" not in done.stderr


def test_run_wants_a_command(built: Terminal) -> None:
    for arguments in (["run", "elt"], ["run", "elt", "--"]):
        done = built.type(*arguments)
        assert done.returncode == 2
        assert "Missing argument 'COMMAND...'" in done.stderr


# Shell


@pytest.mark.parametrize("shell", ["/bin/bash", "/bin/sh"])
def test_the_prefix_stays_first_in_a_shell_whose_startup_file_puts_others_there(
    built: Terminal, tmp_path: Path, shell: str
) -> None:
    startup = tmp_path / ".bashrc"
    startup.write_text(
        f"export PATH={tmp_path}/shims:$PATH PYTHONPATH=/elsewhere OWN=own-value\nPS1='mine> '\n"
    )
    (tmp_path / "shims").mkdir()
    fake = tmp_path / "shims" / "tool"
    fake.write_text("#!/bin/sh\necho wrong one\n")
    fake.chmod(0o755)
    variables = {"SHELL": shell, "HOME": str(tmp_path), "ENV": str(startup), "TERM": "dumb"}
    code, text = typed_in_shell(
        built,
        ["command -v tool", "echo P=$PYTHONPATH= O=$OWN= E=$_ELT_BIN$_ELT_LABEL=", "exit 7"],
        variables,
    )
    assert code == 7, text
    assert f"({built.target}) mine> " in text
    assert f"\r\n{prefix_of(built) / 'bin' / 'tool'}\r\n" in text
    assert "P== O=own-value= E==" in text


def test_a_shell_without_startup_file_has_the_prefix_first(built: Terminal) -> None:
    for shell in ("/bin/bash", "/bin/sh", ""):
        variables = {"SHELL": shell, "TERM": "dumb"}
        code, text = typed_in_shell(built, ["command -v python", "exit"], variables)
        assert code == 0, text
        assert f"\r\n{prefix_of(built) / 'bin' / 'python'}\r\n" in text
        assert f"({built.target}) " in text
        assert "No such file" not in text


def test_what_is_interrupted_in_a_shell_leaves_the_shell(built: Terminal) -> None:
    variables = {"SHELL": "/bin/bash", "TERM": "dumb"}
    lines = ["sleep 100", "\x03", "echo still $((6 * 7))", "exit 3"]
    code, text = typed_in_shell(built, lines, variables)
    assert code == 3, text
    assert "still 42" in text


def typed_in_shell(
    terminal: Terminal, lines: list[str], variables: dict[str, str]
) -> tuple[int, str]:
    """Type lines into `elt-env shell` on a terminal; return its exit code and all that it shows.

    Each line is typed when the shell has come to rest: after the prompt, or while a program runs.
    """
    pid, terminal_end = pty.fork()
    if pid == 0:  # pragma: no cover  # the child becomes another program at once
        os.chdir(terminal.site.directory)
        program, *arguments = terminal.command("shell", "elt")
        env = terminal.environment(**variables)
        os.execve(program, [program, *arguments], env)  # noqa: S606  # as pty.fork wants it
    text = ""
    try:
        for line in lines:
            text += _read(
                terminal_end, quiet=0.4, until=f"({terminal.target}) " if not text else ""
            )
            os.write(terminal_end, line.encode() + (b"" if line < " " else b"\n"))
        text += _read(terminal_end, quiet=LIMIT)
    finally:
        os.close(terminal_end)
        _, status = os.waitpid(pid, 0)
    return os.waitstatus_to_exitcode(status), text


def _read(terminal_end: int, *, quiet: float, until: str = "") -> str:
    """Return what is shown until nothing more comes for a while, and `until` has come."""
    text = ""
    while select.select([terminal_end], [], [], quiet if until in text else LIMIT)[0]:
        try:
            data = os.read(terminal_end, 4096)
        except OSError:  # the other end was closed
            break
        if not data:
            break
        text += data.decode(errors="replace")
    return text


# Interruptions


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize(
    ("command", "told"), [("lock", "pip: resolving"), ("build", "pip: installing")]
)
def test_an_interrupted_command_says_so_in_one_line_and_leaves_no_process(
    built: Terminal, tmp_path: Path, command: str, told: str, number: signal.Signals
) -> None:
    other = built.with_home(tmp_path / "home", locks=command == "build")
    built.index.fault, built.index.patience = "slow", 60
    cache = str(tmp_path / "uv")
    try:
        with other.start(command, "elt", UV_CACHE_DIR=cache) as run:
            try:
                _wait_for(run, told)
                if command == "lock":  # a build waits for archives first, which no tool fetches
                    _wait_for_tools(run.pid, cache)
                run.send_signal(number)
                stdout, stderr = run.communicate(timeout=30)
            finally:
                run.kill()
    finally:
        built.index.fault = None
    assert run.returncode == 130
    assert stdout == ""
    assert stderr.splitlines()[-1] == "elt-env: interrupted; the same command takes it up again"
    assert "Traceback" not in stderr
    _wait_for_tools(run.pid, cache, running=False)  # some are ended by their guards
    content = other.site.show("elt")
    assert content["lock"] is None if command == "lock" else not content["prefix"]["ready"]


def test_an_interrupted_solve_says_so_in_one_line(built: Terminal, tmp_path: Path) -> None:
    other = built.with_home(tmp_path / "home")
    with running(ChannelServer(built.channel.root)) as server:
        server.fault, server.patience = "slow", 60
        write_spec(built.site.directory, channels=[server.url], pip=["tool"])
        with other.start("lock", "elt") as run:
            try:
                _wait_for(run, "conda: solving")
                while not server.requests:
                    time.sleep(0.02)
                run.send_signal(signal.SIGINT)
                stdout, stderr = run.communicate(timeout=20)
            finally:
                run.kill()
                built.ask_for("tool")
    assert run.returncode == 130
    assert stdout == ""
    assert stderr.splitlines()[-1] == "elt-env: interrupted; the same command takes it up again"
    assert "Traceback" not in stderr


def test_ctrl_c_during_run_is_the_commands_own(built: Terminal) -> None:
    script = "import signal, sys, time\nsignal.signal(signal.SIGINT, lambda *_: sys.exit(9))\n"
    script += "print('ready', flush=True)\ntime.sleep(60)"
    with built.start("run", "elt", "--", "python", "-c", script) as run:
        try:
            assert run.stdout is not None
            assert run.stdout.readline() == "ready\n"
            [child] = _children(run.pid)
            for pid in (run.pid, child):  # as a terminal sends it: to both
                os.kill(pid, signal.SIGINT)
            _, stderr = run.communicate(timeout=30)
        finally:
            run.kill()
    assert run.returncode == 9
    assert stderr == ""


def _wait_for(run: subprocess.Popen[str], told: str) -> None:
    assert run.stderr is not None
    lines = []
    for line in run.stderr:
        lines.append(line)
        if told in line:
            return
    raise AssertionError("".join(lines))


def _wait_for_tools(pid: int, cache: str, *, running: bool = True) -> None:
    end = time.monotonic() + 30
    while bool(tools := _tools(pid, cache)) is not running:
        assert time.monotonic() < end, tools or "no tool was started"
        time.sleep(0.02)


def _tools(pid: int, cache: str) -> list[int]:
    """Return the processes that were started with this cache of uv's, but for `pid` itself."""
    mine = os.fsencode(f"UV_CACHE_DIR={cache}")
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            variables = (process / "environ").read_bytes().split(b"\0")
        except OSError:
            continue
        if mine in variables and int(process.name) != pid:
            found.append(int(process.name))
    return found


def _children(pid: int) -> list[int]:
    return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


# Streams and encodings


def test_a_terminal_without_arrows_still_gets_the_diff(built: Terminal, tmp_path: Path) -> None:
    built.offer("part", "1.1")
    other = built.with_home(tmp_path / "home", locks=True)
    assert "part 1.0 → 1.1" in other.type("relock", "elt", "-P", "part").stdout
    for variables in (
        {"LC_ALL": "C"},
        {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
        {"PYTHONIOENCODING": "ascii"},
        {"PYTHONIOENCODING": "latin-1"},
    ):
        done = other.type("diff", "elt", **variables)
        assert done.returncode == 0, done.stderr
        assert re.search(r"\^ part 1\.0 .+ 1\.1  minor, pip", done.stdout)


def test_a_reader_that_leaves_early_causes_no_complaint(built: Terminal) -> None:
    for arguments in (("show", "elt", "--packages"), ("show", "elt", "--json"), ("diff", "elt")):
        reader, writer = os.pipe()
        os.close(reader)
        with os.fdopen(writer, "w") as stdout, built.start(*arguments, stdout=stdout) as run:
            _, stderr = run.communicate(timeout=LIMIT)
        assert stderr == ""


def test_a_project_that_is_not_installed_runs_where_it_is(built: Terminal) -> None:
    modules = built.site.directory / "environments" / "my project"
    modules.mkdir(parents=True, exist_ok=True)
    (modules / "mine.py").write_text("import part; print('mine beside', part.__name__)\n")
    with pytest.raises(SpecError) as caught:
        parse_spec("dependencies: [python, {pip: ['-e \"./my project\"']}]", "environments/elt.yml")
    line = re.search(r"elt-env (run TARGET -- env .*) -m MODULE", caught.value.remedy)
    assert line is not None
    command = [built.target if each == "TARGET" else each for each in shlex.split(line[1])]
    done = built.type(*command, "-m", "mine")
    assert done.stdout == "mine beside part\n", done.stderr
