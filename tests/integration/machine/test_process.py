from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import textwrap
import threading
import time
import tracemalloc
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import elt_env
from elt_env.errors import TimeLimitError, ToolError
from elt_env.machine import process_pipes
from elt_env.machine.process import Completed, clean_environment, run, run_interactive
from tests.support.said import Said

SOURCE = Path(elt_env.__file__).parents[1]
LONG = 60.0  # seconds that no test takes, unless what it tests is broken


class Marked:
    """Processes that carry a variable of their own, so that every one left can be found."""

    def __init__(self) -> None:
        self.mark = f"ELT_ENV_TEST_MARK={uuid.uuid4().hex}"
        self.env = clean_environment(extra=dict([self.mark.split("=")]))

    def left(self) -> list[int]:
        """Return the numbers of the processes that carry the mark and run."""
        return [int(each.name) for each in Path("/proc").glob("[0-9]*") if self._runs(each)]

    def _runs(self, entry: Path) -> bool:
        try:
            state = (entry / "stat").read_text().rpartition(")")[2].split()[0]
            return state not in "ZX" and self.mark.encode() in (entry / "environ").read_bytes()
        except OSError:
            return False


@pytest.fixture
def marked() -> Iterator[Marked]:
    found = Marked()
    yield found
    for number in found.left():
        with contextlib.suppress(ProcessLookupError):
            os.kill(number, signal.SIGKILL)


def python(code: str, *arguments: object) -> list[str]:
    return [sys.executable, "-c", textwrap.dedent(code), *map(str, arguments)]


def wait_for(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + LONG
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


def test_both_streams_and_the_exit_code_are_kept() -> None:
    code = "import sys; print('out'); print('err', file=sys.stderr); sys.exit(3)"
    done = run(python(code), limit=LONG)
    assert done == Completed(tuple(python(code)), 3, "out\n", "err\n", done.seconds)
    assert 0 < done.seconds < LONG


def test_merged_output_stands_in_stdout_in_its_order() -> None:
    told = Said()
    command = ["sh", "-c", "for i in 1 2 3; do echo out$i; echo err$i >&2; done"]
    done = run(command, limit=LONG, merge=True, say=told)
    assert told == ["out1", "err1", "out2", "err2", "out3", "err3"]
    assert (done.stdout.split(), done.stderr) == (told, "")


def test_a_diary_is_kept_and_nobody_is_told_of_it() -> None:
    told = Said()
    command = ["sh", "-c", "echo DEBUG a >&2; echo b >&2; echo DEBUG c >&2; echo no DEBUG >&2"]
    done = run(command, limit=LONG, say=told, diary="DEBUG ")
    assert told == ["b", "no DEBUG"]
    assert done.stderr == "DEBUG a\nb\nDEBUG c\nno DEBUG\n"


def test_a_signal_shows_as_a_negative_exit_code() -> None:
    assert run(["sh", "-c", "kill -9 $$"], limit=LONG).returncode == -signal.SIGKILL


@pytest.mark.parametrize("stream", [1, 2])
def test_a_line_is_told_while_the_program_still_runs(tmp_path: Path, stream: int) -> None:
    answer = tmp_path / "answer"
    told = Said()

    def say(line: str) -> None:
        told.append(line)
        answer.touch()

    script = f"(echo first; while [ ! -e {answer} ]; do sleep 0.02; done; echo second) >&{stream}"
    run(["sh", "-c", script], limit=LONG, say=say)
    assert told == ["first", "second"]


def test_a_silent_program_gives_signs_of_life(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process_pipes, "_QUIET", 0.1)
    told = Said()
    run(["/bin/sleep", "2"], limit=LONG, say=told)
    assert told[:2] == ["... still running: sleep (0 s)"] * 2


def test_progress_bars_and_windows_line_ends_are_told_as_a_terminal_shows_them() -> None:
    told = Said()
    done = run(["printf", r"10%%\r100%%\r\nrest"], limit=LONG, say=told)
    assert told == ["100%", "rest"]
    assert done.stdout == "10%\r100%\r\nrest"


def test_input_reaches_the_program_and_is_empty_otherwise() -> None:
    assert run(["cat"], limit=LONG).stdout == ""
    assert run(["cat"], limit=LONG, input="").stdout == ""
    assert run(["cat"], limit=LONG, input="zwölf\n").stdout == "zwölf\n"


def test_large_input_flows_while_output_flows() -> None:
    text = "x" * 3_000_000
    assert run(["cat"], limit=LONG, input=text).stdout == text


def test_input_that_nobody_reads_does_no_harm() -> None:
    assert run(["true"], limit=LONG, input="x" * 1_000_000).returncode == 0


def test_the_limit_holds_for_a_program_that_stops_reading_its_input() -> None:
    script = "head -c 9000 >/dev/null; exec sleep 60"
    started = time.monotonic()
    with pytest.raises(TimeLimitError):
        run(["sh", "-c", script], limit=1, input="x" * 1_000_000)
    assert time.monotonic() - started < LONG / 2


def test_five_megabytes_on_both_streams_do_not_block() -> None:
    code = """
        import sys
        for number in range(50_000):
            print(f"{number:099}")
            print(f"{number:099}", file=sys.stderr)
    """
    lines = 0

    def say(_: str) -> None:
        nonlocal lines
        lines += 1

    done = run(python(code), limit=LONG, say=say)
    assert len(done.stdout) == len(done.stderr) == 5_000_000
    assert done.stdout.splitlines()[-1] == f"{49_999:099}"
    assert lines == 100_000


def test_a_very_long_line_is_one_line() -> None:
    told = Said()
    code = "import sys; sys.stdout.write('é' * 2_000_000)"
    utf8 = clean_environment(extra={"PYTHONUTF8": "1"})
    done = run(python(code), limit=LONG, say=told, env=utf8)
    assert told == [done.stdout] == ["é" * 2_000_000]


def test_bytes_that_are_no_utf8_are_replaced() -> None:
    told = Said()
    done = run(["printf", r"a\377b\n\303"], limit=LONG, say=told)
    assert done.stdout == "a\ufffdb\n\ufffd"
    assert told == ["a\ufffdb", "\ufffd"]


def test_secrets_are_masked_everywhere() -> None:
    told = Said()
    script = "echo key=$0; echo $1 >&2"
    url = "https://user:other@host.invalid/simple"
    command = ["sh", "-c", script, "hunter2", url]
    done = run(command, limit=LONG, say=told, secrets=["hunter2"])
    assert "hunter2" not in repr((done, told))
    assert "other@" not in repr((done, told))
    assert done.stdout == "key=***\n"
    assert done.stderr == "https://***@host.invalid/simple\n"
    assert done.command[3:] == ("***", "https://***@host.invalid/simple")


def test_a_secret_written_in_two_pieces_is_masked() -> None:
    told = Said()
    script = "printf hun; sleep 0.3; echo ter2"
    done = run(["sh", "-c", script], limit=LONG, say=told, secrets=["hunter2"])
    assert (told, done.stdout) == (["***"], "***\n")


def test_secrets_are_masked_in_the_message_of_the_time_limit() -> None:
    with pytest.raises(TimeLimitError) as caught:
        run(["sh", "-c", "echo hunter2; exec sleep 60"], limit=1, secrets=["hunter2"])
    assert "hunter2" not in str(caught.value)
    assert "***" in caught.value.problem


def test_the_environment_of_the_caller_does_not_leak(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PYTHONPATH", "LD_LIBRARY_PATH", "PIP_INDEX_URL", "UV_INDEX_URL", "VIRTUAL_ENV"):
        monkeypatch.setenv(name, "/elsewhere")
    code = "import json, os, sys; print(json.dumps([dict(os.environ), sys.path]))"
    variables, search = json.loads(run(python(code), limit=LONG).stdout)
    assert "/elsewhere" not in variables.values()
    assert "/elsewhere" not in search
    # LC_CTYPE: set by Python itself where there is no locale (PEP 538).
    assert variables.keys() - {"LC_CTYPE"} <= clean_environment().keys()


def test_a_given_environment_is_used_as_it_is() -> None:
    assert run(["/usr/bin/env"], limit=LONG, env={"ONLY": "this"}).stdout == "ONLY=this\n"


def test_the_program_is_looked_up_on_the_given_path(tmp_path: Path) -> None:
    program(tmp_path / "a-tool-of-its-own", "#!/bin/sh\necho found\n")
    done = run(["a-tool-of-its-own"], limit=LONG, env=clean_environment(path=[tmp_path]))
    assert done.stdout == "found\n"


def program(path: Path, text: str, mode: int = 0o755) -> Path:
    path.write_text(text)
    path.chmod(mode)
    return path


def test_the_working_directory_is_the_one_asked_for(tmp_path: Path) -> None:
    assert run(["pwd", "-P"], limit=LONG, cwd=tmp_path).stdout.strip() == str(tmp_path.resolve())


def test_a_missing_program_is_named() -> None:
    with pytest.raises(ToolError, match="The program no-such-tool is not there") as caught:
        run(["no-such-tool"], limit=LONG)
    assert "no-such-tool" in caught.value.remedy


def test_a_program_that_may_not_be_executed_is_named(tmp_path: Path) -> None:
    tool = program(tmp_path / "tool", "#!/bin/sh\n", mode=0o644)
    with pytest.raises(ToolError, match="may not be executed") as caught:
        run([tool], limit=LONG)
    assert str(tool) in caught.value.problem
    assert caught.value.remedy.endswith(f"chmod +x {tool}")


def test_a_script_whose_interpreter_is_missing_is_told_apart(tmp_path: Path) -> None:
    tool = program(tmp_path / "tool", "#!/no/such/python\n")
    with pytest.raises(ToolError, match="the interpreter that its first line names is not"):
        run([tool], limit=LONG)


def test_a_file_that_is_no_program_is_refused(tmp_path: Path) -> None:
    tool = program(tmp_path / "tool", "\x00\x01")
    with pytest.raises(ToolError, match="cannot be started: Exec format error"):
        run([tool], limit=LONG)


def test_a_missing_working_directory_is_named(tmp_path: Path) -> None:
    with pytest.raises(ToolError, match="there is no such directory") as caught:
        run(["true"], limit=LONG, cwd=tmp_path / "none")
    assert str(tmp_path / "none") in caught.value.remedy


STUBBORN = """
    import signal, subprocess, sys, time
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    child = "import time; print('child', flush=True); time.sleep(600)"
    subprocess.Popen([sys.executable, "-c", child])
    print("leader", flush=True)
    time.sleep(600)
"""


def test_at_the_limit_the_whole_group_is_ended_even_if_it_ignores_sigterm(marked: Marked) -> None:
    ready = threading.Event()
    told = Said()

    def say(line: str) -> None:
        told.append(line)
        if len(told) == 2:
            assert len(marked.left()) == 2
            ready.set()

    with pytest.raises(TimeLimitError) as caught:
        run(python(STUBBORN), limit=5, grace=0.5, env=marked.env, say=say)
    assert ready.is_set()
    assert marked.left() == []
    assert f"{sys.executable} was ended at its time limit of 5 s" in caught.value.problem
    assert {"leader", "child"} <= set(caught.value.problem.splitlines())


def test_a_silent_program_at_its_limit_is_said_to_have_been_silent() -> None:
    with pytest.raises(TimeLimitError, match="It had printed nothing"):
        run(["sleep", "60"], limit=0.2)


def test_the_limit_holds_for_a_program_that_never_stops_printing(marked: Marked) -> None:
    with pytest.raises(TimeLimitError) as caught:
        run(["yes"], limit=0.5, env=marked.env)
    assert caught.value.problem.splitlines()[1:] == ["y"] * 20
    assert marked.left() == []


def test_a_program_may_end_itself_properly_within_the_grace(tmp_path: Path) -> None:
    note = tmp_path / "note"
    # More than a pipe holds: it would block if nobody read on.
    script = f"trap 'yes | head -c 300000; echo cleaned > {note}; exit' TERM; echo up; "
    script += "while :; do sleep 0.05; done"
    with pytest.raises(TimeLimitError):
        run(["sh", "-c", script], limit=1, grace=LONG)
    assert note.read_text() == "cleaned\n"


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit, ValueError])
def test_an_exception_in_say_leaves_no_process(marked: Marked, kind: type[BaseException]) -> None:
    def say(line: str) -> None:
        if line == "leader":
            raise kind

    with pytest.raises(kind):
        run(python(STUBBORN), limit=LONG, grace=0.3, env=marked.env, say=say)
    assert marked.left() == []


def test_a_child_that_outlives_the_program_and_holds_its_stdout_is_ended(marked: Marked) -> None:
    told = Said()
    done = run(["sh", "-c", "echo up; sleep 600 &"], limit=LONG, env=marked.env, say=told)
    assert (done.returncode, done.stdout, told) == (0, "up\n", ["up"])
    assert marked.left() == []


def test_a_child_that_moved_to_its_own_session_does_not_hang_the_call(marked: Marked) -> None:
    done = run(["sh", "-c", "echo up; setsid sleep 600 &"], limit=LONG, env=marked.env)
    assert (done.returncode, done.stdout) == (0, "up\n")


def test_a_zombie_that_nobody_reaps_is_not_waited_for(marked: Marked) -> None:
    code = """
        import os, time
        if os.fork() == 0:  # the child leaves the group, its own child ends in it
            if os.fork() == 0:
                os._exit(0)
            os.setsid()
            time.sleep(600)
        time.sleep(0.5)
    """
    started = time.monotonic()
    assert run(python(code), limit=LONG, grace=LONG, env=marked.env).returncode == 0
    assert time.monotonic() - started < LONG / 2


def test_a_program_that_closed_its_output_is_waited_for() -> None:
    assert run(["sh", "-c", "exec >&- 2>&-; sleep 0.3; exit 4"], limit=LONG).returncode == 4


def test_many_threads_can_run_programs_at_once() -> None:
    def echo(number: int) -> str:
        return run(["sh", "-c", f"sleep 0.1; echo {number}"], limit=LONG).stdout

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(echo, range(24))) == [f"{number}\n" for number in range(24)]


@contextlib.contextmanager
def driver(code: str, env: dict[str, str]) -> Iterator[subprocess.Popen[str]]:
    """Run Python code that uses this package in a process of its own, which may get signals."""
    with subprocess.Popen(
        python(code),
        env=env | {"PYTHONPATH": str(SOURCE)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as started:
        try:
            yield started
        finally:
            started.kill()


def output_of(driven: subprocess.Popen[str]) -> str:
    return driven.communicate(timeout=LONG)[0]


def test_ctrl_c_leaves_no_process_and_a_second_one_does_not_wait_for_the_grace(
    marked: Marked, tmp_path: Path
) -> None:
    terminated = tmp_path / "terminated"
    code = """
        import signal
        from elt_env.machine.process import clean_environment, run
        # A shell starts what it puts in the background with SIGINT ignored; that is inherited.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            run(["sh", "-c", "trap 'echo > TERMINATED' TERM; echo up; while :; do sleep 0.1; done"],
                limit=600, grace=600, say=lambda line: print(line, flush=True),
                env=clean_environment(extra={"MARK_NAME": "MARK_VALUE"}))
        except KeyboardInterrupt:
            print("interrupted")
    """
    name, value = marked.mark.split("=")
    code = code.replace("MARK_NAME", name).replace("MARK_VALUE", value)
    code = code.replace("TERMINATED", str(terminated))
    with driver(code, clean_environment()) as driven:
        assert driven.stdout is not None
        assert driven.stdout.readline() == "up\n"
        driven.send_signal(signal.SIGINT)
        wait_for(terminated.exists)
        assert driven.poll() is None
        driven.send_signal(signal.SIGINT)
        assert output_of(driven) == "interrupted\n"
    assert marked.left() == []


# Where it comes within Popen's own code, CPython leaves a pipe to be closed with the object.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_while_a_program_starts_leaves_no_process(
    marked: Marked, number: signal.Signals
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(number, interrupt)
    try:
        for _ in range(10):  # it comes within the call that starts the program, or right after it
            with pytest.raises(KeyboardInterrupt):
                run(["sh", "-c", f"kill -{number:d} $PPID; sleep 60"], limit=LONG, env=marked.env)
            assert signal.getsignal(number) is interrupt
            assert not marked.left()
    finally:
        signal.signal(number, before)


def test_where_orphans_come_to_this_process_they_are_reaped() -> None:
    code = """
        import ctypes, os
        from elt_env.machine.process import run
        PR_SET_CHILD_SUBREAPER = 36  # as for the first process of a container, see prctl(2)
        assert ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0
        print(run(["sh", "-c", "sleep 600 & exit 5"], limit=60).returncode)
        try:
            os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            print("no children")
    """
    with driver(code, clean_environment()) as driven:
        assert output_of(driven) == "5\nno children\n"


@pytest.mark.parametrize(
    ("script", "code"), [("exit 0", 0), ("exit 7", 7), ("kill -TERM $$", 143), ("kill -9 $$", 137)]
)
def test_run_interactive_returns_the_exit_code_of_a_shell(script: str, code: int) -> None:
    assert run_interactive(["sh", "-c", script], env=clean_environment()) == code


def test_run_interactive_shares_the_streams_and_gives_env_and_cwd(
    capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    env = clean_environment(extra={"WORD": "hello"})
    run_interactive(["sh", "-c", "echo $WORD; pwd -P; echo err >&2"], env=env, cwd=tmp_path)
    assert capfd.readouterr() == (f"hello\n{tmp_path.resolve()}\n", "err\n")


def test_run_interactive_names_a_missing_program() -> None:
    with pytest.raises(ToolError, match="The program no-such-tool is not there"):
        run_interactive(["no-such-tool"], env=clean_environment())


@pytest.mark.parametrize(
    ("script", "answer"),
    [
        ("echo up; exec sleep 60", "130 restored"),
        ("trap 'exit 7' INT; echo up; while :; do sleep 0.05; done", "7 restored"),
    ],
)
def test_ctrl_c_goes_to_the_interactive_program_alone(script: str, answer: str) -> None:
    code = f"""
        import signal
        from elt_env.machine.process import clean_environment, run_interactive
        before = signal.getsignal(signal.SIGINT)
        code = run_interactive(["sh", "-c", {script!r}], env=clean_environment())
        print(code, "restored" if signal.getsignal(signal.SIGINT) is before else "changed")
    """
    with driver(code, clean_environment()) as driven:
        assert driven.stdout is not None
        assert driven.stdout.readline() == "up\n"
        os.killpg(driven.pid, signal.SIGINT)
        assert output_of(driven).strip() == answer


def test_a_persons_command_may_clean_up_when_this_process_is_told_to_end(tmp_path: Path) -> None:
    child = "trap 'echo cleaned > cleaned; exit 0' TERM; touch up; while :; do sleep 0.05; done"
    parent = (
        "import os, signal, sys\n"
        "from elt_env.machine.process import run_interactive\n"
        "def end(*_): raise SystemExit(3)\n"
        "signal.signal(signal.SIGTERM, end)\n"
        f"run_interactive(['sh', '-c', {child!r}], env=dict(os.environ))\n"
    )
    repository = Path(__file__).resolve().parents[3]
    with subprocess.Popen(
        [sys.executable, "-c", parent],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(repository)},
    ) as process:
        end = time.monotonic() + 30
        while not (tmp_path / "up").exists():
            assert time.monotonic() < end
            time.sleep(0.02)
        process.terminate()
        assert process.wait(30) == 3
    assert (tmp_path / "cleaned").read_text() == "cleaned\n"


def test_of_a_long_output_the_start_and_the_end_are_kept() -> None:
    code = """
        import sys
        print("the first line")
        for number in range(3000):
            print(f"{number:07d}" + "x" * 65_000)
        print("the last line")
    """
    told = Said()
    tracemalloc.start()
    try:
        done = run(python(code), limit=LONG, say=told)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert done.returncode == 0
    assert done.stdout.startswith("the first line\n")
    assert done.stdout.endswith("\nthe last line\n")
    assert re.search(r"\n\.\.\. \(\d+ bytes left out\) \.\.\.\n", done.stdout)
    assert told[0] == "the first line"
    assert told[-1] == "the last line"
    assert re.fullmatch(r"\.\.\. \(\d+ lines left out\) \.\.\.", told[-21])
    assert peak < 190_000_000  # a program printed as much; copies of what is kept are in it


def test_a_line_without_an_end_is_told_in_parts() -> None:
    code = "import sys; sys.stdout.write('y' * 40_000_000)"
    told = Said()
    done = run(python(code), limit=LONG, say=told)
    assert len(done.stdout) < 40_000_000
    assert max(map(len, told)) <= 9 << 20
    assert told[0].startswith("yyy")
