"""A person brings a file: it is built without any policy, and is a target as any other after."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import yaml

from tests.support.channel import Channel
from tests.support.index_server import IndexServer, dead_url
from tests.support.isolation import clear_settings
from tests.support.loopback import running
from tests.support.terminal import Terminal, make_terminal

_SHARED = pytest.mark.xdist_group("cli-file")  # they look at what was built once

_POLICY = """
[tool.elt-env]
channel-fallback = "none"
[tool.elt-env.environments.elt]
spec = "environments/elt.yml"
pythons = ["3.11", "3.12"]
"""


@dataclass(frozen=True)
class Stranger:
    """Somebody in a directory with nothing in it, who types `elt-env`."""

    terminal: Terminal
    place: Path

    @property
    def python(self) -> str:
        return self.terminal.python

    def write(self, file: str, *, name: str | None = "my Team", **changes: object) -> Path:
        path = self.place / file
        path.parent.mkdir(parents=True, exist_ok=True)
        document = {
            "name": name,
            "channels": [self.terminal.channel.url],
            "dependencies": [f"python={self.python}", {"pip": ["tool"]}],
        } | changes
        path.write_text(yaml.safe_dump({key: each for key, each in document.items() if each}))
        return path

    def type(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        own = {
            "ELT_ENV_HOME": "",
            "ELT_ENV_INDEX": self.terminal.index.url,
            "ELT_ENV_COOLDOWN": "0",
            "ELT_ENV_IMAGE_BASE": "host",
        }
        site = replace(self.terminal.site, directory=self.place)
        return site.elt_env(*arguments, variables={**self.terminal.variables, **own, **variables})

    def elsewhere(self, place: Path) -> Stranger:
        """Return the same person with another directory that holds nothing."""
        place.mkdir()
        return replace(self, place=place)


@pytest.fixture(scope="module")
def stranger(
    shared_python: Channel, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stranger]:
    """A person whose file was built: `things/environment.yml`, called `my Team` inside."""
    with pytest.MonkeyPatch.context() as patch, running(IndexServer()) as index:
        clear_settings(patch, keep_registry=False)
        root = tmp_path_factory.mktemp("stranger")
        place = root / "empty"
        place.mkdir()
        yield Stranger(make_terminal(root / "terminal", shared_python, index), place)


@pytest.fixture(scope="module")
def built(stranger: Stranger) -> subprocess.CompletedProcess[str]:
    """What building the file said."""
    stranger.write("things/environment.yml")
    return stranger.type("build", "things/environment.yml")


@pytest.fixture
def newcomer(stranger: Stranger, tmp_path: Path) -> Stranger:
    """A person with nothing built."""
    return stranger.elsewhere(tmp_path / "new")


def _refused(done: subprocess.CompletedProcess[str], *words: str, code: int = 2) -> str:
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    for word in words:
        assert word in done.stderr
    return done.stderr


@_SHARED
def test_a_file_is_locked_built_proven_and_released(
    stranger: Stranger, built: subprocess.CompletedProcess[str]
) -> None:
    assert built.returncode == 0, built.stderr
    target = f"my-team@{stranger.python}"
    assert f"it becomes my-team, in the store {stranger.place}/.elt_env" in built.stderr
    assert built.stdout.startswith(f"{target} sha256:")
    assert f"run {target} -- python --version" in built.stdout
    assert "build things/environment.yml" in built.stdout
    shown = json.loads(stranger.type("show", target, "--json").stdout)
    assert shown["release"]["current"] == shown["lock"]["digest"]
    assert {"pip_check", "imports"} <= {each["check"] for each in shown["evidence"]}
    assert sorted(each.name for each in stranger.place.iterdir()) == [".elt_env", "things"]
    assert (stranger.place / ".elt_env/.gitignore").read_text() == "*\n"


def _commands(python: str) -> Sequence[tuple[str, ...]]:
    target = f"my-team@{python}"
    return (
        ("run", target, "--", "tool"),
        ("run", "things/environment.yml", "--", "tool"),
        ("show", target),
        ("build", target),
        ("relock", target),
        ("verify", target),
        ("promote", target),
        ("image", target),
        ("gc", "--dry-run"),
        ("build", "things/environment.yml"),
    )


@_SHARED
@pytest.mark.parametrize("number", range(10))
def test_afterwards_it_is_a_target_as_any_other(
    stranger: Stranger, built: subprocess.CompletedProcess[str], number: int
) -> None:
    del built
    done = stranger.type(*_commands(stranger.python)[number])
    assert done.returncode == 0, done.stderr


def test_it_is_rolled_back_and_compared_as_any_other(newcomer: Stranger) -> None:
    newcomer.write("environment.yml", name="elt")
    target = f"elt@{newcomer.python}"
    first = newcomer.type("build", "environment.yml")
    assert first.returncode == 0, first.stderr
    newcomer.write(
        "environment.yml",
        name="elt",
        dependencies=[f"python={newcomer.python}", {"pip": ["part"]}],
    )
    second = newcomer.type("build", "environment.yml")
    assert second.returncode == 0, second.stderr
    differs = newcomer.type("diff", target)
    assert "tool" in differs.stdout
    back = newcomer.type("rollback", target)
    assert back.returncode == 0, back.stderr
    assert first.stdout.split()[1] in back.stdout


def test_a_file_is_locked_alone_too(newcomer: Stranger) -> None:
    newcomer.write("dev.yaml", name=None)
    done = newcomer.type("lock", "dev.yaml")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"dev@{newcomer.python} sha256:")
    assert newcomer.type("show", "dev").returncode == 0


def test_the_python_is_asked_for_or_the_newest_that_the_channel_has(newcomer: Stranger) -> None:
    files = newcomer.terminal.channel.root.glob("*/python-3.*")
    newest = max(int(each.name.split(".")[1]) for each in files)
    newcomer.write("a.yml", name="a", dependencies=["python", {"pip": ["tool"]}])
    assert newcomer.type("lock", "a.yml").stdout.startswith(f"a@3.{newest} ")
    newcomer.write("b.yml", name="b", dependencies=["python>=3.8", {"pip": ["tool"]}])
    done = newcomer.type("lock", "b.yml", "--python", newcomer.python, "--name", "c")
    assert done.stdout.startswith(f"c@{newcomer.python} ")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("lock", "e.yml", "--python", "3.9"), ("excludes Python 3.9",)),
        (("lock", "e.yml", "--python", "3.11.4"), ("not a Python minor",)),
        (("lock", "e.yml", "--name", "A B"), ("not a name",)),
        (("lock", "old.yml"), ("no Python 3 satisfies", "2.7")),
        (("lock", "gone.yml"), ("gone.yml does not exist",)),
        (("lock", "."), ("no environment.yml in the directory",)),
        (("show", "e.yml"), ("Nothing was built from e.yml", "elt-env build e.yml")),
        (("show", "e@3.11"), ("elt-env build environment.yml",)),
        (("lock", "e@3.11", "--python", "3.11"), ("--python",)),
    ],
)
def test_what_cannot_be_is_said(
    newcomer: Stranger, arguments: Sequence[str], words: Sequence[str]
) -> None:
    newcomer.write("e.yml", name="e")
    newcomer.write("old.yml", name="old", dependencies=["python=2.7"])
    _refused(newcomer.type(*arguments), *words)
    assert not (newcomer.place / ".elt_env/unlisted").exists()


def test_two_files_of_one_name_are_not_mixed(newcomer: Stranger) -> None:
    newcomer.write("a/environment.yml", name="elt")
    newcomer.write("b/environment.yml", name="elt")
    assert newcomer.type("lock", "a/environment.yml").returncode == 0
    said = _refused(newcomer.type("lock", "b/environment.yml"), "elt-env build", "--name elt-2")
    assert str(newcomer.place / "a/environment.yml") in said
    done = newcomer.type("lock", "b/environment.yml", "--name", "elt-2")
    assert done.stdout.startswith("elt-2@")
    # As it was called, it is found again.
    assert newcomer.type("show", "b/environment.yml").returncode == 0


def test_a_file_that_moved_is_told(newcomer: Stranger) -> None:
    newcomer.write("a/environment.yml", name="elt")
    newcomer.type("lock", "a/environment.yml")
    (newcomer.place / "a").rename(newcomer.place / "b")
    said = _refused(newcomer.type("relock", "elt"), "a/environment.yml does not exist")
    assert "elt-env build FILE" in said
    done = newcomer.type("lock", "b/environment.yml")
    assert done.returncode == 0, done.stderr
    assert "which is gone" in done.stderr
    assert newcomer.type("relock", "elt").returncode == 0


def test_a_file_that_asks_for_another_python_is_locked_for_that(newcomer: Stranger) -> None:
    newcomer.write("environment.yml", name="elt", dependencies=["python=3.11"])
    assert newcomer.type("lock", ".").stdout.startswith("elt@3.11 ")
    newcomer.write("environment.yml", name="elt", dependencies=["python=3.12"])
    _refused(newcomer.type("lock", "elt"), "excludes Python 3.11", "elt-env build environment.yml")
    assert newcomer.type("lock", "environment.yml").stdout.startswith("elt@3.12 ")
    assert newcomer.type("lock", "elt").stdout.startswith("elt@3.12 ")


def test_a_directory_can_be_moved_with_its_store(newcomer: Stranger) -> None:
    newcomer.write("environment.yml", name="elt")
    newcomer.type("lock", "environment.yml")
    moved = newcomer.place.rename(newcomer.place.with_name("moved"))
    assert replace(newcomer, place=moved).type("lock", "elt").returncode == 0


def test_a_project_with_a_policy_builds_other_files_too(newcomer: Stranger) -> None:
    (newcomer.place / "pyproject.toml").write_text(_POLICY)
    newcomer.write("environments/elt.yml", name="elt", dependencies=["python"])
    newcomer.write("theirs.yml", name="elt")
    said = _refused(newcomer.type("lock", "theirs.yml"), "The policy has an environment 'elt'")
    assert "--name elt-2" in said
    listed = newcomer.type("lock", "environments/elt.yml", "--python", newcomer.python)
    assert listed.stdout.startswith(f"elt@{newcomer.python} ")
    assert not (newcomer.place / ".elt_env/unlisted").exists()
    done = newcomer.type("lock", "theirs.yml", "--name", "theirs")
    assert done.stdout.startswith(f"theirs@{newcomer.python} ")
    other = _refused(newcomer.type("lock", "theirs@3.9"), "3.9")
    assert "elt-env build theirs.yml --python 3.9" in other


def test_without_a_channel_it_is_told_what_replaces_it(newcomer: Stranger) -> None:
    newcomer.write("environment.yml", name="elt", channels=[dead_url()])
    newcomer.terminal.offer("lib", "1.0")
    done = newcomer.type("lock", "environment.yml")
    assert done.returncode == 0, done.stderr
    assert "HOST CHANNEL" in done.stderr
    strict = newcomer.type(
        "lock", "environment.yml", "--name", "x", ELT_ENV_CHANNEL_FALLBACK="none"
    )
    _refused(strict, 'channel-fallback = "host"', code=4)


def test_a_record_that_cannot_be_read_is_named(newcomer: Stranger) -> None:
    newcomer.write("environment.yml", name="elt")
    newcomer.type("lock", "environment.yml")
    record = newcomer.place / ".elt_env/unlisted/elt.json"
    record.write_text("{")
    _refused(newcomer.type("show", "elt"), str(record), code=5)


@_SHARED
def test_what_is_exported_is_locked_elsewhere_as_it_was(
    stranger: Stranger, built: subprocess.CompletedProcess[str], tmp_path: Path
) -> None:
    assert built.returncode == 0, built.stderr
    target = f"my-team@{stranger.python}"
    other = stranger.elsewhere(tmp_path / "other")
    done = stranger.type("export", target, "-o", str(other.place / "environment.yml"))
    assert done.returncode == 0, done.stderr
    assert "does not carry the hashes, and from which index pip's half comes" in done.stderr
    locked = other.type("lock", "environment.yml")
    digest = json.loads(stranger.type("show", target, "--json").stdout)["lock"]["digest"]
    assert locked.stdout.startswith(f"{target} {digest}")


@_SHARED
def test_what_is_exported_as_locks_is_adopted_as_it_was(
    stranger: Stranger, built: subprocess.CompletedProcess[str], tmp_path: Path
) -> None:
    assert built.returncode == 0, built.stderr
    target = f"my-team@{stranger.python}"
    other = stranger.elsewhere(tmp_path / "other")
    names = {"explicit": "conda-linux-64.lock", "requirements": "requirements.txt"}
    for form, name in names.items():
        done = stranger.type("export", target, "--format", form, "-o", str(other.place / name))
        assert done.returncode == 0, done.stderr
    adopted = other.type("adopt", *names.values(), "--as", target)
    shown = json.loads(stranger.type("show", target, "--json").stdout)
    assert adopted.stdout.startswith(f"{target} {shown['lock']['digest']}"), adopted.stderr
    assert f"next: elt-env build {target}" in adopted.stderr
    kept = other.type("lock", "my-team")
    assert kept.stdout.startswith(f"{target} {shown['lock']['digest']} kept"), kept.stderr
    again = other.type("adopt", "--prefix", shown["prefix"]["path"], "--as", target)
    assert again.stdout.startswith(f"{target} {shown['lock']['digest']} kept"), again.stderr


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("pyproject.toml", '[project]\nname = "team"\ndependencies = ["tool"]\n'),
        ("requirements.in", "tool\n"),
        ("Pipfile", '[packages]\ntool = "*"\n'),
    ],
)
def test_files_of_other_tools_are_specs(newcomer: Stranger, name: str, text: str) -> None:
    newcomer.place.mkdir(exist_ok=True)
    (newcomer.place / name).write_text(text)
    channels = json.dumps([newcomer.terminal.channel.url])
    done = newcomer.type("lock", name, "--name", "team", ELT_ENV_CHANNELS=channels)
    assert done.returncode == 0, done.stderr
    kept = newcomer.type("lock", "team", ELT_ENV_CHANNELS=channels)
    assert kept.stdout.rstrip().splitlines()[0].endswith(" kept"), kept.stderr
    shown = json.loads(newcomer.type("show", "team", "--json").stdout)
    assert shown["lock"]["pip"] > 0


@_SHARED
def test_other_resolvers_are_asked_what_a_lock_was_made_from(
    stranger: Stranger, built: subprocess.CompletedProcess[str]
) -> None:
    assert built.returncode == 0, built.stderr
    target = f"my-team@{stranger.python}"
    count = json.loads(stranger.type("show", target, "--json").stdout)["lock"]["pip"]
    done = stranger.type("compare", target, "--resolvers", "pip,uv")
    assert done.returncode == 0, done.stderr
    lines = [line.rpartition(", ")[0] for line in done.stdout.splitlines()]
    assert [line.partition(": ")[2] for line in lines] == [f"the same {count} packages"] * 2
    assert [line.partition(" ")[0] for line in lines] == ["pip", "uv"]
    nobody = stranger.type("compare", target, "--resolvers", "pipp")
    _refused(nobody, "there is no resolver 'pipp'", code=2)
    missing = stranger.type("compare", target, "--resolvers", "poetry", PATH="/nowhere")
    _refused(missing, "uv tool install poetry", code=9)
    assert "taken" not in missing.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "There is nothing to adopt."),
        (("uv.lock",), "The lock file uv.lock cannot be read"),
        (("--prefix", "."), ". is no environment"),
        (("environment.yml",), "environment.yml is no lock file of a known format"),
    ],
)
def test_what_is_no_lock_is_not_adopted(
    stranger: Stranger, tmp_path: Path, arguments: tuple[str, ...], words: str
) -> None:
    other = stranger.elsewhere(tmp_path / "other")
    other.write("environment.yml")
    _refused(other.type("adopt", *arguments, "--as", "my-team@3.11"), words)
    assert [each.name for each in other.place.iterdir()] == ["environment.yml"]


@_SHARED
def test_an_export_is_no_file_that_is_there_already(
    stranger: Stranger, built: subprocess.CompletedProcess[str]
) -> None:
    del built
    before = (stranger.place / "things/environment.yml").read_text()
    done = stranger.type("export", f"my-team@{stranger.python}", "-o", "things/environment.yml")
    _refused(done, "things/environment.yml is there already, and is left as it is.")
    assert (stranger.place / "things/environment.yml").read_text() == before


@_SHARED
@pytest.mark.parametrize("form", ["explicit", "requirements", "pylock"])
def test_files_of_the_lock_are_exported_as_they_are(
    stranger: Stranger, built: subprocess.CompletedProcess[str], form: str
) -> None:
    del built
    target = f"my-team@{stranger.python}"
    done = stranger.type("export", target, "--format", form)
    assert done.returncode == 0, done.stderr
    place = json.loads(stranger.type("show", target, "--json").stdout)["lock"]["path"]
    assert done.stdout in [each.read_text() for each in Path(place).iterdir()]
