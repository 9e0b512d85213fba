"""Files that a person hands over and that hold too much, or are no files: one message, at once."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st

from elt_env.cli import main
from elt_env.errors import EltEnvError
from elt_env.image.oci.docker_config import find_login
from elt_env.lockfile import lock_json
from elt_env.machine.condarc import read_conda_settings
from elt_env.machine.logins import Logins, read_auth_file
from elt_env.machine.network_settings import network_variables
from elt_env.runtime import limits
from elt_env.runtime.files import sha256_of
from elt_env.runtime.input_files import read_bytes
from elt_env.spec.marked_yaml import compose
from tests.support.locks import lock_of
from tests.support.memory import most_memory

_TOP = "name: x\ndependencies:\n- python=3.11\n"
_PIP = f"{_TOP}- pip:\n"
_BOMB = "".join(
    f"{name}: &{name} [{', '.join([f'*{before}'] * 9)}]\n"
    for before, name in zip("abcdefghij", "bcdefghijk", strict=True)
)
_MEMORY = 64 << 20  # bytes, beside what is there before

_SPECS: Mapping[str, tuple[str, str]] = {
    "flow lists in each other": ("name: " + "[" * 100_000, "nested"),
    "flow mappings in each other": (f"{_TOP}- " + "{a: " * 50_000, "nested"),
    "lists in each other": (
        _TOP + "".join(f"{' ' * each}-\n" for each in range(500)),
        "nested",
    ),
    "a bomb of aliases in the name": (
        f"a: &a [x]\n{_BOMB}name: *k\ndependencies: [python]\n",
        "more than 10000 values",
    ),
    "a bomb of aliases for pip": (
        f"a: &a [x]\n{_BOMB}dependencies: [python, pip: *k]\n",
        "more than 10000 values",
    ),
    "a bomb of aliases in a key that is ignored": (
        f"a: &a [x]\n{_BOMB}dependencies: [python]\nother: *k\n",
        "more than 10000 values",
    ),
    "an alias of what it is in": (
        "name: &a [*a]\ndependencies: [python]\n",
        "stands for what it is in",
    ),
    "300,000 dependencies": (
        _TOP + "".join(f"- p{each}\n" for each in range(60_000)),
        "more than 10000 values",
    ),
    "one text of two megabytes": ("name: " + "x" * (2 << 20), "larger than 1 MiB"),
    "a file of eight megabytes": ("#" * (8 << 20), "larger than 4 MiB"),
    "thousands of lines for pip": (
        _PIP + "".join(f"  - p{each}\n" for each in range(3000)),
        "more than 2000 lines for pip",
    ),
    "thousands of bounds for pip": (
        _PIP + "".join(f"  - p!={each}\n" for each in range(1900)),
        "more than 50 bounds",
    ),
    "thousands of bounds for conda": (
        _TOP + "".join(f"- p !={each}\n" for each in range(3000)),
        "more than 50 bounds",
    ),
    "hundreds of bounds in one line": (
        f"{_TOP}- p {'|'.join(map(str, range(300)))}\n",
        "more than 50 bounds",
    ),
    "a version of 5,000 digits": (f"{_PIP}  - p=={'1' * 5000}\n", "5003 characters"),
    "a conda version of 5,000 digits": (f"{_TOP}- p =={'1' * 5000}\n", "5004 characters"),
    "a marker in hundreds of parentheses": (
        f"{_PIP}  - \"p; {'(' * 500}python_version > '3'{')' * 500}\"\n",
        "parentheses",
    ),
    "a marker without a variable": (f"{_PIP}  - \"p; 'a' > 'b'\"\n", "cannot be compared"),
    "a marker without a meaning": (f"{_PIP}  - \"p; os_name ~= 'b'\"\n", "cannot be compared"),
    "100,000 extras": (
        f"{_PIP}  - p[{','.join(f'e{each}' for each in range(100_000))}]\n",
        "more than any requirement needs",
    ),
    "a word of 500,000 characters": (
        f"{_PIP}  - {'p' * 500_000}\n",
        "more than any requirement needs",
    ),
    "a requirement of spaces": (
        f'{_PIP}  - "p{" " * 500_000}x"\n',
        "more than any requirement needs",
    ),
    "a URL with 100,000 segments": (
        f"{_PIP}  - p @ http://a:{'/b' * 100_000}\n",
        "more than any requirement needs",
    ),
    "an option of 400,000 characters": (
        f"{_PIP}  - --{'a-' * 200_000}\n",
        "more than any requirement needs",
    ),
    "a path of 100,000 levels": (
        f"{_PIP}  - -r {'../' * 100_000}x\n",
        "more than any requirement needs",
    ),
    "conda's brackets in each other": (
        f"{_TOP}- p {'(' * 3000}>=1{')' * 3000}\n",
        "more than 40 parentheses",
    ),
    "a conda package of 500,000 characters": (
        f"{_TOP}- {'p' * 500_000}\n",
        "more than any requirement needs",
    ),
    "a channel of 200,000 characters": (
        f"channels: ['http://a:{'/b' * 100_000}']\ndependencies: [python=3.11]\n",
        "longer than any",
    ),
    "a variable that no program can be given": (
        f"variables: {{A: '{'$' * 300_000}'}}\ndependencies: [python=3.11]\n",
        "300000 characters in its value",
    ),
    "a key of 100,000 characters": (
        f"dependencies: [python=3.11]\nvariables:\n  ? {'-' * 100_000}\n  : x\n",
        "cannot be a variable's name",
    ),
    "a file that includes itself often": (f"{_PIP}  - -r 0.txt\n", "files are included"),
}


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def _command(*arguments: str) -> Result:
    """Run a command, which must end by itself, without much memory and without a traceback."""
    with most_memory(_MEMORY):
        result = CliRunner().invoke(main, arguments)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


@pytest.mark.parametrize("name", _SPECS)
def test_a_spec_that_holds_too_much_is_refused(name: str) -> None:
    text, said = _SPECS[name]
    Path("environment.yml").write_text(text)
    for each in range(30):
        Path(f"{each}.txt").write_text(f"-r {each + 1}.txt\n" * 2)
    result = _command("lint", "environment.yml")
    assert result.exit_code == 2
    assert said in result.output
    assert len(result.output) < 20_000


@pytest.mark.parametrize("command", ["lock", "build"])
def test_nothing_is_made_of_a_spec_that_holds_too_much(command: str) -> None:
    Path("environment.yml").write_text(_SPECS["a bomb of aliases for pip"][0])
    assert _command(command, "./environment.yml").exit_code == 2
    assert [each.name for each in Path().iterdir()] == ["environment.yml"]


@pytest.mark.parametrize("digits", [100, 101, 5000])
def test_a_name_of_many_digits_is_a_name(digits: int) -> None:
    Path("environment.yml").write_text(f"name: {'1' * digits}\ndependencies: [python=3.11]\n")
    assert _command("lint", "environment.yml").exit_code == 0


def _pipe(path: Path) -> None:
    os.mkfifo(path)


def _zeros(path: Path) -> None:
    path.symlink_to("/dev/zero")


def _socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))


def _directory(path: Path) -> None:
    path.mkdir()


def _huge(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(1 << 40)


_ODD: Mapping[str, tuple[Callable[[Path], None], str]] = {
    "a pipe": (_pipe, "a pipe, not a file"),
    "a device": (_zeros, "a device, not a file"),
    "a socket": (_socket, "a socket, not a file"),
    "a directory": (_directory, "a directory"),
    "a terabyte": (_huge, "larger than"),
}
_odd = pytest.mark.parametrize("name", _ODD)


@_odd
def test_a_spec_that_is_no_file_is_refused(name: str) -> None:
    make, said = _ODD[name]
    make(Path("spec.yml"))
    for command in ("lint", "lock", "build"):
        result = _command(command, "./spec.yml")
        assert result.exit_code == 2
        assert said in result.output or "directory" in result.output
    assert not Path(".elt_env").exists()


@_odd
@pytest.mark.parametrize("option", ["-r", "-c"])
def test_an_included_file_that_is_no_file_is_refused(name: str, option: str) -> None:
    make, said = _ODD[name]
    make(Path("more.txt"))
    Path("environment.yml").write_text(f"{_PIP}  - {option} more.txt\n")
    result = _command("lint", "environment.yml")
    assert result.exit_code == 2
    assert said in result.output


@pytest.mark.parametrize("name", ["a pipe", "a device", "a terabyte"])
def test_a_policy_that_is_no_file_is_refused(name: str) -> None:
    make, said = _ODD[name]
    make(Path("pyproject.toml"))
    result = _command("show", "elt@3.11")
    assert result.exit_code == 2
    assert said in result.output


def test_a_policy_that_is_nested_deeply_is_refused() -> None:
    for depth in (100, 5000):
        Path("pyproject.toml").write_text(f"[tool.elt-env]\nx = {'[' * depth}{']' * depth}\n")
        result = _command("show", "elt@3.11")
        assert result.exit_code == 2
        assert "nested" in result.output


def test_a_policy_with_a_number_of_5000_digits_is_refused() -> None:
    Path("pyproject.toml").write_text(f"[tool.elt-env]\ncooldown = {'1' * 5000}\n")
    result = _command("show", "elt@3.11")
    assert result.exit_code == 2
    assert "not valid TOML" in result.output


@pytest.mark.parametrize(
    ("policy", "said"),
    [
        (f"cooldown = '{'9' * 5000} days'", "longer than a century"),
        (
            "".join(f"[tool.elt-env.environments.e{each}]\nspec = 'x'\n" for each in range(5000)),
            "and more",
        ),
    ],
)
def test_of_a_policy_with_much_that_is_wrong_little_is_said(policy: str, said: str) -> None:
    Path("pyproject.toml").write_text(f"[tool.elt-env]\n{policy}\n")
    result = _command("show", "elt@3.11")
    assert result.exit_code == 2
    assert said in result.output
    assert "sys." not in result.output
    assert len(result.output) < 20_000


@_odd
def test_settings_that_are_no_files_are_passed_over_or_refused(name: str) -> None:
    make, said = _ODD[name]
    make(Path("settings"))
    here = {"HOME": str(Path.cwd()), "PATH": "", "CONDARC": "settings", "NETRC": "settings"}
    assert read_conda_settings(here).channels == ()
    assert Logins(environ=here).find("https://packages.example/simple") is None
    with pytest.raises(EltEnvError, match=said):
        read_auth_file(here | {"RATTLER_AUTH_FILE": "settings"})


@pytest.mark.parametrize("name", ["a pipe", "a device", "a terabyte"])
def test_certificates_that_are_no_file_are_refused(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    make, said = _ODD[name]
    make(Path("certificates"))
    monkeypatch.setenv("SSL_CERT_FILE", "certificates")
    with pytest.raises(EltEnvError, match=said):
        network_variables()


@_odd
def test_a_docker_config_that_is_no_file_is_passed_over(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    make, said = _ODD[name]
    Path("docker").mkdir()
    make(Path("docker/config.json"))
    monkeypatch.setenv("DOCKER_CONFIG", "docker")
    found = find_login("registry.example", "team/elt")
    assert any(said in each for each in found.looked_in)


def test_conda_settings_with_a_bomb_are_passed_over() -> None:
    for text in (
        f"a: &a [x]\n{_BOMB}channels: *k\n",
        "channels: &a [*a]\n",
        f"channels: {'[' * 5000}",
        "channels: [" + "a," * 50_000 + "]",
    ):
        Path(".condarc").write_text(text)
        found = read_conda_settings({"HOME": str(Path.cwd()), "PATH": ""})
        assert found.channels == ()
        assert len(found.ignored) == 1


@pytest.mark.parametrize("depth", [100, 900, 100_000])
def test_a_lock_that_is_nested_deeply_is_refused(depth: int) -> None:
    content = json.loads(lock_json.render(lock_of())) | {"more": "here"}
    text = json.dumps(content).replace('"here"', "[" * depth + "]" * depth)
    with pytest.raises(EltEnvError, match="nested") as caught:
        lock_json.parse(text, "lock.json", "")
    assert caught.value.exit_code == 5


def test_a_lock_with_a_number_of_5000_digits_is_refused() -> None:
    with pytest.raises(EltEnvError, match="a number in it has thousands of digits") as caught:
        lock_json.parse(f'{{"schema": {"1" * 5000}}}', "lock.json", "")
    assert caught.value.exit_code == 5


@pytest.mark.parametrize("name", ["a pipe", "a device", "a directory"])
def test_what_is_no_file_has_no_hash(name: str) -> None:
    make, said = _ODD[name]
    make(Path("wheel"))
    with pytest.raises(OSError, match=said):
        sha256_of(Path("wheel"))


def test_nothing_is_read_of_what_people_name_for_none() -> None:
    assert read_bytes(Path(os.devnull)) == b""


_nested = st.recursive(
    st.text("ab", max_size=3), lambda inner: st.lists(inner, max_size=4), max_leaves=30
)


@given(_nested, st.integers(1, 60))
def test_what_is_shallow_is_read_and_what_is_deep_is_not(content: object, more: int) -> None:
    deep = content
    for _ in range(more):
        deep = [deep]
    levels = _levels(deep)
    for read, write in ((limits.load_json, json.dumps), (compose, yaml.safe_dump)):
        text = write(deep)
        fault: type[Exception] = ValueError if read is limits.load_json else yaml.YAMLError
        if levels > limits.MOST_DEPTH + (read is limits.load_json):
            with pytest.raises(fault, match="nested"):
                read(text)
        else:
            assert read(text) is not None


def _levels(content: object) -> int:
    """Return how many values stand in each other, the innermost included."""
    return 1 + max(map(_levels, content), default=0) if isinstance(content, list) else 1


@given(st.lists(st.integers(1, 12), min_size=1, max_size=6), st.integers(1, 40))
def test_an_alias_counts_as_what_it_stands_for(widths: list[int], last: int) -> None:
    text, size = "a0: &a0 [x]\n", 2
    total = 1 + (1 + size)
    for number, width in enumerate([*widths, last], start=1):
        aliases = ", ".join([f"*a{number - 1}"] * width)
        text += f"a{number}: &a{number} [{aliases}]\n"
        size = 1 + width * size
        total += 1 + size
    if total > limits.MOST_VALUES:
        with pytest.raises(yaml.YAMLError, match="more than 10000 values"):
            compose(text)
    else:
        node = compose(text)
        assert node is not None
        assert _nodes(node) == total


def _nodes(node: yaml.Node) -> int:
    if isinstance(node, yaml.MappingNode):
        return 1 + sum(_nodes(each) for pair in node.value for each in pair)
    return 1 + (sum(map(_nodes, node.value)) if isinstance(node, yaml.SequenceNode) else 0)
