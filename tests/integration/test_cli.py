"""The command line as a person meets it: lock, build, show, diff, and what goes wrong."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from filelock import FileLock

from elt_env.cli import COMMANDS, main
from tests.support.channel import Channel
from tests.support.index_server import IndexServer, dead_url
from tests.support.isolation import clear_settings
from tests.support.loopback import running
from tests.support.project import write_spec
from tests.support.terminal import Terminal, make_terminal

pytestmark = pytest.mark.xdist_group("cli")

CONTRACT = {
    "": {"target", "platform", "lock", "prefix", "evidence", "image", "release"},
    "lock": {
        *("digest", "path", "packages", "conda", "pip", "locked_at", "exclude_newer"),
        *("channels", "indexes"),
    },
    "prefix": {"path", "ready"},
    "evidence": {"check", "status", "at", "seconds", "detail"},
}
DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


@pytest.fixture
def terminal(tmp_path: Path, shared_python: Channel, index: IndexServer) -> Terminal:
    """A terminal with nothing locked."""
    return make_terminal(tmp_path / "terminal", shared_python, index)


@pytest.fixture(scope="module")
def built(
    shared_python: Channel, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Terminal, subprocess.CompletedProcess[str]]]:
    """A terminal at which the environment was built, and what the command printed."""
    with pytest.MonkeyPatch.context() as patch, running(IndexServer()) as index:
        clear_settings(patch, keep_registry=False)
        made = make_terminal(tmp_path_factory.mktemp("built"), shared_python, index)
        yield made, made.type("build", made.target)


@pytest.fixture
def at_work(built: tuple[Terminal, subprocess.CompletedProcess[str]]) -> Terminal:
    """The terminal at which the environment was built; not to be changed."""
    assert built[1].returncode == 0, built[1].stderr
    return built[0]


def failed(done: subprocess.CompletedProcess[str], code: int, *words: str) -> None:
    """Assert that a command failed as it should: one message, with what to do next."""
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    message = done.stderr[done.stderr.index("elt-env: ") :]
    assert "\n  -> " in message
    for word in words:
        assert word in message
    assert done.stdout == ""


# Help


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_is_documented_with_an_example(name: str) -> None:
    done = CliRunner().invoke(main, [name, "--help"], prog_name="elt-env")
    assert done.exit_code == 0
    assert re.search(rf"Examples?:\n +elt-env {name}\b", done.output), done.output
    options = re.findall(r"^  (-.*)$", done.output, re.MULTILINE)
    assert all(re.search(r"\S {2,}\S", each) for each in options), options


def test_the_help_lists_every_command_and_says_what_it_does(terminal: Terminal) -> None:
    done = terminal.type("-h")
    for name in COMMANDS:
        assert re.search(rf"^  {name} +\w+", done.stdout, re.MULTILINE), name
    assert "elt-env build elt@3.11" in done.stdout


# Lock


def test_a_lock_is_made_then_kept_then_upgraded(terminal: Terminal) -> None:
    made = terminal.type("lock", "elt")
    assert made.returncode == 0, made.stderr
    first, *changes, path = made.stdout.splitlines()
    assert re.match(rf"{terminal.target} {DIGEST.pattern} first lock: \d+ packages: ", first)
    assert "  + tool 1.0" in changes
    assert Path(path, "lock.json").is_file()

    terminal.offer("part", "1.1")
    terminal.offer("tool", "1.1", requires=["part"])
    asked = terminal.index.requests.total()
    kept = terminal.type("lock", terminal.target)
    digest = first.split()[1]
    assert kept.stdout.splitlines() == [f"{terminal.target} {digest} kept", path]
    assert terminal.index.requests.total() == asked

    some = terminal.type("relock", terminal.target, "-P", "part")
    assert some.stdout.splitlines()[0].endswith("1 upgraded")
    assert some.stdout.splitlines()[1].startswith("^ part 1.0 → 1.1  minor, pip, transitive")
    rest = terminal.type("relock", terminal.target)
    assert rest.stdout.splitlines()[1].startswith("^ tool 1.0 → 1.1  minor, pip, direct")


def test_progress_is_told_on_stderr_while_it_happens(terminal: Terminal) -> None:
    done = terminal.type("lock", terminal.target)
    times = [float(each) for each in re.findall(r"^ *(\d+\.\d) s  \w", done.stderr, re.MULTILINE)]
    assert len(times) > 2
    assert times == sorted(times)


# Build


def test_build_locks_installs_and_checks(
    built: tuple[Terminal, subprocess.CompletedProcess[str]],
) -> None:
    terminal, done = built
    assert done.returncode == 0, done.stderr
    first, prefix = done.stdout.splitlines()
    assert re.fullmatch(rf"{terminal.target} {DIGEST.pattern}", first)
    assert Path(prefix, "bin", "tool").is_file()
    for told in ("pip: installing 2 packages in one command", "imports: passed"):
        assert told in done.stderr


def test_a_second_build_does_nothing_and_says_so(at_work: Terminal) -> None:
    asked = at_work.index.requests.total()
    done = at_work.type("build", at_work.target)
    assert done.returncode == 0
    assert "lock: kept" in done.stderr
    assert "nothing to do" in done.stderr
    evidence = at_work.site.show(at_work.target)["evidence"]
    held = [each for each in evidence if each["status"] == "passed"]
    assert done.stderr.count("not run again") == len(held) > 1
    assert at_work.index.requests.total() == asked


def test_again_runs_the_checks_again(at_work: Terminal) -> None:
    done = at_work.type("build", at_work.target, "--again")
    assert done.returncode == 0
    assert "nothing to do" in done.stderr
    assert "not run again" not in done.stderr
    assert "pip_check: passed" in done.stderr


def test_a_lock_from_elsewhere_is_built_as_it_is_and_becomes_the_current_one(
    at_work: Terminal, tmp_path: Path
) -> None:
    content = at_work.site.show(at_work.target)
    carried = tmp_path / "carried lock"
    shutil.copytree(content["lock"]["path"], carried)
    other = at_work.with_home(tmp_path / "other home")
    at_work.offer("tool", "1.5")
    done = other.type("build", at_work.target, "--lock", str(carried))
    assert done.returncode == 0, done.stderr
    assert "resolving" not in done.stderr
    there = other.site.show(at_work.target)
    assert there["lock"]["digest"] == content["lock"]["digest"]
    assert there["prefix"]["ready"]
    assert there["prefix"]["path"] != content["prefix"]["path"]
    assert other.type("run", at_work.target, "tool").returncode == 0


def test_a_check_that_fails_names_environment_check_and_culprit(terminal: Terminal) -> None:
    broken = {"tool/__init__.py": "raise ImportError('libfoo.so.1 is missing')"}
    terminal.offer("tool", "2.0", files=broken)
    done = terminal.type("build", terminal.target)
    digest, prefix = done.stdout.splitlines()
    assert digest.startswith(f"{terminal.target} sha256:")
    assert Path(prefix).is_dir()
    done.stdout = ""
    failed(
        done, 8, f"{terminal.target} is built", "hold: imports", "tool of tool 2.0", "libfoo.so.1"
    )
    evidence = {each["check"]: each for each in terminal.site.show(terminal.target)["evidence"]}
    assert evidence["imports"]["status"] == "failed"


# Show


def test_show_says_what_is_known(at_work: Terminal) -> None:
    text = at_work.type("show", at_work.target).stdout
    content = at_work.site.show(at_work.target)
    assert content["lock"]["digest"] in text
    assert f"{content['prefix']['path']} (ready)" in text
    assert "asked for" in text
    assert "pip_check passed" in text
    assert "Next:" not in text


def test_the_json_of_show_keeps_its_contract(at_work: Terminal) -> None:
    content = at_work.site.show("elt")
    assert content.keys() == CONTRACT[""]
    assert content["lock"].keys() >= CONTRACT["lock"]
    assert content["prefix"].keys() == CONTRACT["prefix"]
    assert {"imports", "pip_check"} <= {each["check"] for each in content["evidence"]}
    assert all(each.keys() >= CONTRACT["evidence"] for each in content["evidence"])
    assert content["lock"]["packages"] == content["lock"]["conda"] + content["lock"]["pip"]
    assert content["image"] is None
    assert content["release"].keys() >= {"current", "previous", "promoted_at"}
    assert content["release"]["current"] == content["lock"]["digest"]


def test_what_is_not_there_yet_is_null_in_the_json(terminal: Terminal) -> None:
    content = terminal.site.show(terminal.target)
    nothing = dict.fromkeys(("lock", "prefix", "image", "release"))
    assert content == {
        "target": terminal.target,
        "platform": content["platform"],
        "evidence": [],
        **nothing,
    }
    assert "none yet" in terminal.type("show", terminal.target).stdout


def test_show_lists_packages_with_their_reasons_and_the_next_commands(at_work: Terminal) -> None:
    text = at_work.type("show", at_work.target, "--packages", "--next").stdout
    assert re.search(r"^  pip   tool 1\.0  2020-01-01  asked for$", text, re.MULTILINE)
    assert re.search(r"^  pip   part 1\.0  2020-01-01  for tool$", text, re.MULTILINE)
    assert f"run {at_work.target} -- python --version" in text


# Diff


@pytest.fixture
def relocked(at_work: Terminal, tmp_path: Path) -> Terminal:
    """A terminal whose lock has replaced the one that was built."""
    changed = at_work.with_home(tmp_path / "home", locks=True)
    changed.ask_for("part")
    done = changed.type("lock", changed.target)
    changed.ask_for("tool")
    assert done.returncode == 0, done.stderr
    return changed


def test_diff_takes_targets_digests_and_directories(relocked: Terminal, at_work: Terminal) -> None:
    old = at_work.site.show(at_work.target)["lock"]
    new = relocked.site.show(relocked.target)["lock"]
    expected = rf"{relocked.target}: 1 removed.*\n- tool 1\.0  removed, pip, direct.*\n"
    target, bare, digest = relocked.target, old["digest"].removeprefix("sha256:"), new["digest"]
    for arguments in (
        ("elt",),
        (target,),
        (old["path"], target),
        (old["digest"], digest),
        (bare[:12], "elt"),
    ):
        done = relocked.type("diff", *arguments)
        assert re.fullmatch(expected, done.stdout), (arguments, done.stderr)
    back = relocked.type("diff", digest, old["digest"])
    assert re.match(rf"{target}: 1 added.*\n\+ tool 1\.0  added, pip, direct, ", back.stdout)
    assert relocked.type("diff", target, target).stdout == f"{target}: no changes\n"


def test_the_diff_is_printed_as_json_and_as_markdown(relocked: Terminal) -> None:
    content = json.loads(relocked.type("diff", "elt", "--json").stdout)
    assert content["counts"]["removed"] == 1
    assert [each["name"] for each in content["changes"]] == ["tool"]
    table = relocked.type("diff", "elt", "--markdown").stdout
    assert re.search(r"^\| removed \| \*\*tool\*\* \| 1\.0 \|", table, re.MULTILINE)


def test_the_diff_of_the_first_lock_tells_what_was_asked_for(at_work: Terminal) -> None:
    lines = at_work.type("diff", at_work.target).stdout.splitlines()
    assert lines[0].startswith(f"{at_work.target}: first lock: ")
    assert "  + tool 1.0" in lines
    assert not any("part" in each for each in lines)
    assert lines[-1].endswith(f"elt-env show {at_work.target} --packages")


@pytest.mark.parametrize("text", ["nonsense", "no/such/place", "sha256:", "", "../..", "elt@3.99"])
def test_what_is_no_lock_has_no_diff(at_work: Terminal, text: str) -> None:
    failed(at_work.type("diff", text), 2, f"'{text}'" if "@" not in text else text)


# What goes wrong: one case for each exit code


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("lock", "other@3.11"), ("'other'", "elt")),
        (("lock", "other"), ("'other'", "elt")),
        (("build", "elt@3.9"), ("3.9", "pythons")),
        (("lock", "elt@three"), ("'elt@three'", "elt@3.11")),
        (("show", "elt@"), ("'elt@'", "elt@3.11")),
        (("run", "elt", "--", "tool"), ("no lock", "elt-env lock elt@")),
        (("build", "elt", "--lock", "nowhere"), ("lock.json", "nowhere")),
    ],
)
def test_2_a_mistake_at_the_command_line(
    terminal: Terminal, arguments: tuple[str, ...], words: tuple[str, ...]
) -> None:
    failed(terminal.type(*arguments), 2, *words)


def test_2_a_package_to_upgrade_that_is_not_locked(at_work: Terminal) -> None:
    done = at_work.type("relock", "elt", "-P", "stranger")
    failed(done, 2, "'stranger'", f"elt-env show {at_work.target} --packages")


def test_2_outside_of_a_project(terminal: Terminal, tmp_path: Path) -> None:
    done = terminal.type("show", "elt", ELT_ENV_PROJECT=str(tmp_path))
    failed(done, 2, "pyproject.toml", "ELT_ENV_PROJECT")


def test_2_an_unknown_option_is_told_by_its_name(terminal: Terminal) -> None:
    done = terminal.type("lock", "elt", "--fast")
    assert done.returncode == 2
    assert re.search("No such option.*--fast", done.stderr)


def test_3_nothing_satisfies(terminal: Terminal) -> None:
    terminal.ask_for("nowhere")
    failed(terminal.type("lock", "elt"), 3, "nowhere")


def test_4_the_network(terminal: Terminal) -> None:
    write_spec(terminal.site.directory, channels=[dead_url()], pip=["tool"])
    failed(terminal.type("build", "elt"), 4, dead_url(), "channel-fallback")


def test_5_not_what_was_locked(at_work: Terminal, tmp_path: Path) -> None:
    changed = at_work.with_home(tmp_path / "home", locks=True)
    [manifest] = changed.site.home.glob("locks/*/lock.json")
    manifest.write_text(manifest.read_text().replace('"tool"', '"toll"'))
    for arguments in (("lock", "elt"), ("show", "elt", "--json"), ("diff", "elt")):
        done = changed.type(*arguments)
        failed(done, 5, str(manifest), f"elt-env relock {at_work.target}")
    assert changed.type("relock", "elt").returncode == 0
    assert changed.type("lock", "elt").returncode == 0


def test_6_the_disk(terminal: Terminal, unwritable: Path) -> None:
    failed(terminal.with_home(unwritable / "home").type("lock", "elt"), 6, str(unwritable))


def test_7_busy(at_work: Terminal, tmp_path: Path) -> None:
    other = at_work.with_home(tmp_path / "home", locks=True)
    prefix = Path(other.site.show("elt")["prefix"]["path"])
    prefix.parent.mkdir(parents=True)
    with FileLock(prefix.parent / f".{prefix.name}.lock"):
        done = other.type("build", "elt", ELT_ENV_BUSY_LIMIT="0")
    failed(done, 7, str(prefix), "busy-limit")
    assert not prefix.exists()


def test_not_built_is_a_clear_error(at_work: Terminal, tmp_path: Path) -> None:
    other = at_work.with_home(tmp_path / "home", locks=True)
    for arguments in (("run", "elt", "tool"), ("shell", "elt")):
        done = other.type(*arguments)
        failed(done, 2, f"{at_work.target} is not built", f"elt-env build {at_work.target}")


def test_pythons_lists_what_a_host_channel_can_be_made_of(terminal: Terminal) -> None:
    done = terminal.type("pythons")
    assert done.returncode == 0
    assert re.search(rf"^{re.escape(terminal.python)}\.\d+ +/", done.stdout, re.MULTILINE)
    assert terminal.type("pythons", "--pick", "elt").stdout == f"{terminal.python}\n"
    failed(terminal.type("pythons", "--pick", "other"), 2, "'other'")


def test_nothing_but_json_stands_on_stdout(at_work: Terminal) -> None:
    done = at_work.type("show", "elt", "--json", "--packages", "--next")
    assert json.loads(done.stdout)["target"] == at_work.target
    assert done.stderr == ""
