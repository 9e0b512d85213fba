"""Commands in an unpacked image, apart from this machine, in both kinds of sandbox."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from elt_env.errors import InputError, TimeLimitError
from elt_env.image.oci.layout import Layout
from elt_env.image.oci.reader import read_image
from elt_env.image.oci.unpack import ensure_root
from elt_env.image.sandbox import Bind, Sandbox, Task, run_in
from elt_env.image.sandbox.rooted import Bubblewrap, Namespaces, enter, find_user
from elt_env.image.spec import Descriptor
from elt_env.machine.process import Completed, unheard
from tests.support.layouts import (
    USERS,
    Entry,
    a_directory,
    a_file,
    a_symlink,
    add_image,
    add_layer,
    programs_of_host,
)

_LIMIT = 30.0


@pytest.fixture(scope="module")
def layout(tmp_path_factory: pytest.TempPathFactory) -> Layout:
    return Layout(tmp_path_factory.mktemp("image") / "oci")


@pytest.fixture(scope="module")
def image(layout: Layout) -> Descriptor:
    own: list[Entry] = [
        *USERS,
        a_directory("opt/data"),
        a_file("opt/data/mine", b"root's", 0o600),
        a_symlink("link", "/opt"),
    ]
    base = programs_of_host("sh", "id", "cat", "ls", "touch", "sleep", "env", "pwd", "grep")
    layers = [add_layer(layout, base), add_layer(layout, own)]
    return add_image(
        layout,
        layers,
        env=("PATH=/bin", "HOME=/home/elt", "COLOUR=blue"),
        user="1000:1000",
        working_directory="/opt/data",
    )


@pytest.fixture(scope="module")
def root(layout: Layout, image: Descriptor, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return ensure_root(layout, image, tmp_path_factory.mktemp("roots"), unheard)


@pytest.fixture(params=[Namespaces, Bubblewrap])
def sandbox(
    request: pytest.FixtureRequest, layout: Layout, image: Descriptor, root: Path
) -> Sandbox:
    kind: type[Namespaces | Bubblewrap] = request.param
    if fault := kind.fault():
        pytest.skip(f"{kind.__name__} cannot be used here: {fault}")
    return kind(root, read_image(layout, image).config)


def sh(sandbox: Sandbox, script: str, **task: object) -> Completed:
    task_ = Task(command=("sh", "-c", script), **task)  # type: ignore[arg-type]
    return run_in(sandbox, task_, limit=_LIMIT, say=None)


def test_it_runs_as_the_config_says(sandbox: Sandbox) -> None:
    done = sh(sandbox, "id -u; id -g; pwd; env", variables={"SIZE": "large", "COLOUR": "red"})
    uid, gid, directory, *env = done.stdout.splitlines()
    assert (uid, gid, directory) == ("1000", "1000", "/opt/data")
    assert set(env) - {"_=/bin/env", "OLDPWD=/", "SHLVL=1", "SHLVL=0"} == {
        "PATH=/bin",
        "HOME=/home/elt",
        "PWD=/opt/data",
        "COLOUR=red",
        "SIZE=large",
    }


def test_it_sees_nothing_of_this_machine(sandbox: Sandbox, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("mine")
    done = sh(sandbox, f"ls {tmp_path}; ls / /tmp /home/elt; grep -c : /proc/net/dev; ls /proc")
    assert "secret" not in done.stdout
    assert "No such file or directory" in done.stdout
    assert "root's" not in done.stdout
    processes = [each for each in done.stdout.split() if each.isdigit()]
    assert processes[0] == "1"  # one network device, the loopback
    assert len(processes) < 6


def test_only_what_is_scratch_or_bound_can_be_written(sandbox: Sandbox, tmp_path: Path) -> None:
    shared, kept = tmp_path / "shared", tmp_path / "kept"
    for each in (shared, kept):
        each.mkdir()
        if os.geteuid() == 0:
            os.chown(each, *sandbox.owner or (0, 0))
    done = sh(
        sandbox,
        "for each in /tmp /home/elt /dev/shm /work; do touch $each/x || echo cannot $each; done;"
        "for each in / /opt /opt/data /bin /kept /etc; do touch $each/x 2>&- && echo can $each;"
        "done; ls /work",
        binds=(Bind(shared, "/work"), Bind(kept, "/kept", writable=False)),
    )
    assert done.stdout == "x\n"
    assert (shared / "x").exists()
    again = sh(sandbox, "ls /tmp /home/elt").stdout
    assert again.split() == ["/home/elt:", "/tmp:"]  # noqa: S108


def test_exit_codes_are_passed_on(sandbox: Sandbox) -> None:
    assert sh(sandbox, "exit 3").returncode == 3
    assert sh(sandbox, "kill -9 $$").returncode == 137
    assert run_in(sandbox, Task(command=("never",)), limit=_LIMIT, say=None).returncode != 0


def test_at_the_limit_nothing_is_left_running(sandbox: Sandbox) -> None:
    mark = f"12{os.getpid()}"
    script = f"trap '' TERM; sleep {mark} & sleep {mark}; sleep {mark}"
    started = time.monotonic()
    with pytest.raises(TimeLimitError):
        run_in(sandbox, Task(command=("sh", "-c", script)), limit=1.0, say=None)
    assert time.monotonic() - started < 20
    deadline = time.monotonic() + 5
    while (left := commands_with(mark)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert left == []


def commands_with(mark: str) -> list[str]:
    found = []
    for each in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            text = each.read_text().replace("\0", " ")
        except OSError:
            continue
        if f"sleep {mark}" in text:
            found.append(text)
    return found


def test_a_host_file_can_be_bound_over_one_of_the_image(sandbox: Sandbox, tmp_path: Path) -> None:
    (tmp_path / "passwd").write_text("bound")
    task = (Bind(tmp_path / "passwd", "/etc/passwd", writable=False),)
    assert sh(sandbox, "cat /etc/passwd", binds=task).stdout == "bound"
    assert "elt" in sh(sandbox, "cat /etc/passwd").stdout


@pytest.mark.parametrize("inside", ["/link/in", "/etc/passwd/in", "/bin/sh", "relative"])
def test_a_bind_without_a_place_is_refused(sandbox: Sandbox, tmp_path: Path, inside: str) -> None:
    with pytest.raises(InputError, match=inside.rpartition("/")[2]):
        sandbox.launch(Task(command=("true",), binds=(Bind(tmp_path, inside),)))


def test_the_network_is_there_when_asked_for(sandbox: Sandbox) -> None:
    here = len(Path("/proc/net/dev").read_text().splitlines()) - 2
    done = sh(sandbox, "grep -c : /proc/net/dev", network=True)
    assert int(done.stdout) == here


def test_without_the_network_a_tool_still_reaches_itself(sandbox: Sandbox) -> None:
    assert sh(sandbox, "grep -q 127.0.0.1 /proc/net/fib_trie").returncode == 0


def test_root_only_files_are_closed_to_the_user(
    layout: Layout, image: Descriptor, root: Path
) -> None:
    if fault := Namespaces.fault():
        pytest.skip(fault)
    sandbox = Namespaces(root, read_image(layout, image).config)
    assert sh(sandbox, "cat /opt/data/mine").returncode == 1


@pytest.fixture
def users(tmp_path: Path) -> Callable[[str], tuple[int, int, str]]:
    for info, data in USERS[:2]:
        (tmp_path / info.name).parent.mkdir(exist_ok=True)
        (tmp_path / info.name).write_bytes(data)

    def look_up(name: str) -> tuple[int, int, str]:
        user = find_user(tmp_path, name)
        return user.uid, user.gid, user.home

    return look_up


def test_users_are_found_by_name_and_by_number(
    users: Callable[[str], tuple[int, int, str]],
) -> None:
    assert users("elt") == users("1000") == users("1000:1000") == (1000, 1000, "/home/elt")
    assert users("elt:staff") == (1000, 50, "/home/elt")
    assert users("") == (0, 0, "/root")
    assert users("1234:99") == (1234, 99, "/")
    with pytest.raises(InputError, match="'nobody'"):
        users("nobody")
    with pytest.raises(InputError, match="group 'nogroup'"):
        users("elt:nogroup")


def test_two_enter_one_root_at_once(layout: Layout, image: Descriptor, tmp_path: Path) -> None:
    config = read_image(layout, image).config
    both = threading.Barrier(2)

    def go(root: Path) -> None:
        both.wait(timeout=10)
        enter(root, config, Task(("sh",), directory="/" + "a/" * 200))

    with ThreadPoolExecutor(2) as pool:
        for each in range(20):
            root = tmp_path / str(each)
            (root / "etc").mkdir(parents=True)
            for done in [pool.submit(go, root) for _ in range(2)]:
                done.result()
