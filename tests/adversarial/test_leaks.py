"""Secrets planted wherever a person can have one: whatever was printed or made is searched."""

from __future__ import annotations

import base64
import gzip
import json
import subprocess
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
import yaml
import zstandard
from click.testing import CliRunner

from elt_env.cli import main
from elt_env.report.history import read_changes
from elt_env.runtime.masking import hidden, masking, remember
from elt_env.store.locks import Store
from tests.support.channel import Channel
from tests.support.index_server import IndexServer, dead_url
from tests.support.isolation import clear_settings
from tests.support.loopback import running
from tests.support.sample import silent
from tests.support.terminal import Terminal, make_terminal

_SECRET = "pX7unguessable9q"  # noqa: S105  # of servers of these tests
_VARIABLES = (
    *("AWS_SECRET_ACCESS_KEY", "GITHUB_TOKEN", "DBT_ENV_SECRET_TOKEN", "DBT_PASSWORD"),
    *("UV_PUBLISH_TOKEN", "TWINE_PASSWORD", "ANACONDA_API_TOKEN", "SNOWFLAKE_PASSWORD"),
)
_HOST = dead_url().partition("://")[2].partition("/")[0]

# What a person writes by mistake, or because a server wants it so.
_URLS = {
    "a password": f"http://reader:{_SECRET}@{_HOST}/simple",
    "a user name": f"http://{_SECRET}@{_HOST}/simple",
    "a password with a slash": f"http://reader:{_SECRET}/{_SECRET}@{_HOST}/simple",
    "a password with a question mark": f"http://reader:{_SECRET}?{_SECRET}@{_HOST}/simple",
    "a password with a hash": f"http://reader:{_SECRET}#{_SECRET}@{_HOST}/simple",
    "a password with an at sign": f"http://reader:{_SECRET}@{_SECRET}@{_HOST}/simple",
    "a token after t": f"http://{_HOST}/t/{_SECRET}/simple",
    "a token in the path": f"http://{_HOST}/{_SECRET}/simple",
    "a token with hyphens in the path": f"http://{_HOST}/xY7z-{_SECRET}_Q3w/simple",
    "a token of GitHub's in the path": f"http://{_HOST}/ghp_{_SECRET}{'a1' * 10}/simple",
    "a web token in the path": f"http://{_HOST}/eyJhbGci.eyJ{_SECRET}.x/simple",
    "a token in a query": f"http://{_HOST}/simple?token={_SECRET}",
    "a signature": f"http://{_HOST}/simple?X-Amz-Signature={_SECRET}&n=1",
    "a broken address": f"http://reader:{_SECRET}@[{_HOST}/simple",
}
_PLACES: Mapping[str, str] = {
    "the policy's index": "ELT_ENV_INDEX",
    "further indexes": "ELT_ENV_EXTRA_INDEXES",
    "uv's index": "UV_DEFAULT_INDEX",
    "pip's index": "PIP_INDEX_URL",
    "a proxy": "HTTP_PROXY",
    "the alias of channels": "CONDA_CHANNEL_ALIAS",
    "the channels of conda": "CONDA_CHANNELS",
    "the base of images": "ELT_ENV_IMAGE_BASE",
    "the hook for notices": "ELT_ENV_NOTIFY_WEBHOOK",
}
_LINES = {
    "an index": "--index-url {}",
    "a further index": "--extra-index-url {}",
    "a place of archives": "--find-links {}",
    "an archive": "tool @ {}/tool-1.0-py3-none-any.whl",
    "a repository": "tool @ git+{}.git@main",
    "an editable repository": "-e git+{}.git@main#egg=tool",
    "an included file": "-r {}/more.txt",
}


@pytest.fixture
def place(tmp_path: Path, channel: Channel, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty directory with a spec, in which a command fails fast."""
    project = tmp_path / "project"
    project.mkdir()
    monkeypatch.chdir(project)
    monkeypatch.setenv("HOME", str(tmp_path / "person"))
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "uv"))
    _write_spec(channel.url, "tool")
    return tmp_path


def _write_spec(channel: str, *pip: str) -> None:
    dependencies = ["python=3.11", {"pip": list(pip)}]
    content = {"name": "x", "channels": [channel], "dependencies": dependencies}
    Path("environment.yml").write_text(yaml.safe_dump(content), encoding="utf-8")


def _output(*arguments: str) -> str:
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code != 0
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.output


def _assert_nowhere(root: Path, secret: str, *but: Path) -> None:
    """Fail when a file below `root` has the secret in it; `but` are where it was planted."""
    files = [each for each in root.rglob("*") if each.is_file() and each not in but]
    assert files
    found = [each for each in files if any(secret.encode() in data for data in _contents(each))]
    assert not found
    assert not [each for each in root.rglob("*") if secret in each.name]


def _contents(path: Path) -> Iterator[bytes]:
    """Yield what a file holds: as it is, and unpacked where it is a layer or an archive."""
    data = path.read_bytes()
    yield data
    if data.startswith(b"\x28\xb5\x2f\xfd"):
        with zstandard.ZstdDecompressor().stream_reader(data, read_across_frames=True) as reader:
            yield reader.read()
    elif data.startswith(b"\x1f\x8b"):
        yield gzip.decompress(data)
    elif zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            yield from map(archive.read, archive.namelist())


def _plant(terminal: Terminal) -> list[Path]:
    """Write a secret into each file in which users keep one; return these files."""
    home, host = terminal.root / "person", "private.example.invalid"
    login = base64.b64encode(f"reader:{_SECRET}".encode()).decode()
    files = {
        ".netrc": f"machine {host} login reader password {_SECRET}\n",
        ".pypirc": f"[pypi]\nusername = __token__\npassword = {_SECRET}\n",
        ".docker/config.json": json.dumps({"auths": {host: {"auth": login, "p": _SECRET}}}),
        ".config/containers/auth.json": json.dumps({"auths": {host: {"auth": login}}}),
        ".config/uv/uv.toml": f'[[index]]\nname = "x"\nurl = "http://a:{_SECRET}@{host}/simple"\n',
        ".config/pip/pip.conf": f"[global]\ntrusted-host = {host}\nclient-cert = {_SECRET}\n",
        ".condarc": f"channel_alias: https://{host}/t/{_SECRET}\n",
        ".dbt/profiles.yml": f"x: {{outputs: {{dev: {{password: {_SECRET}}}}}}}\n",
        ".git-credentials": f"https://reader:{_SECRET}@{host}\n",
        "rattler.json": json.dumps({host: {"BearerToken": _SECRET}}),
    }
    for name, content in files.items():
        path = home / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
        path.chmod(0o600)
    beside = [terminal.site.directory / each for each in (".env", "dbt_project/.env")]
    for path in beside:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"DBT_PASSWORD={_SECRET}\n")
    return [*(home / each for each in files), *beside]


# Each place with the forms that differ most, and one place with every form.
_TELLING = ("a password with a slash", "a token in the path", "a broken address")


@pytest.mark.parametrize(
    ("where", "url"),
    [(where, url) for where in _PLACES for url in _TELLING]
    + [("uv's index", each) for each in _URLS if each not in _TELLING],
)
def test_no_setting_with_a_secret_is_printed_or_kept(
    place: Path, monkeypatch: pytest.MonkeyPatch, where: str, url: str
) -> None:
    text = json.dumps([_URLS[url]]) if "EXTRA" in _PLACES[where] else _URLS[url]
    monkeypatch.setenv(_PLACES[where], text)
    assert _SECRET not in _output("lock", "./environment.yml")
    assert _SECRET not in CliRunner().invoke(main, ["show", "--settings"]).output
    _assert_nowhere(place, _SECRET)


@pytest.mark.parametrize(
    ("what", "url"),
    [(what, url) for what in _LINES for url in _TELLING]
    + [("an index", each) for each in _URLS if each not in _TELLING],
)
def test_no_line_of_a_spec_with_a_secret_is_printed_or_kept(
    place: Path, channel: Channel, what: str, url: str
) -> None:
    _write_spec(channel.url, _LINES[what].format(_URLS[url]))
    for command in ("lint", "lock"):
        assert _SECRET not in _output(command, "./environment.yml")
    _assert_nowhere(place, _SECRET, Path("environment.yml").absolute())


@pytest.mark.parametrize("url", _URLS)
def test_no_channel_with_a_secret_is_printed_or_kept(place: Path, url: str) -> None:
    _write_spec(_URLS[url], "tool")
    assert _SECRET not in _output("lock", "./environment.yml")
    Path("environment.yml").write_text(f"dependencies: ['{_URLS[url]}::python=3.11']\n")
    assert _SECRET not in _output("lock", "./environment.yml")
    _assert_nowhere(place, _SECRET, Path("environment.yml").absolute())


def test_what_is_remembered_is_hidden_in_every_text() -> None:
    remember("open sesame/9", "short")
    assert (
        hidden("it was open sesame/9, or open%20sesame%2F9; short") == "it was ***, or ***; short"
    )
    # A program's answer is left as it is, since it may be the password that was asked for.
    assert masking(["more"])("open sesame/9 and more") == "open sesame/9 and ***"


@pytest.fixture(scope="module")
def planted() -> list[Path]:
    """The files in which there is a secret."""
    return []


@pytest.fixture(scope="module")
def private(
    shared_python: Channel, tmp_path_factory: pytest.TempPathFactory, planted: list[Path]
) -> Iterator[tuple[Terminal, subprocess.CompletedProcess[str]]]:
    """A person with secrets wherever one keeps them, and what a build said.

    The index wants a password, which stands in the policy.
    """
    with pytest.MonkeyPatch.context() as patch, running(IndexServer()) as index:
        clear_settings(patch, keep_registry=False)
        index.credentials = ("reader", _SECRET)
        index.fault = "refuse-auth"
        terminal = make_terminal(tmp_path_factory.mktemp("private"), shared_python, index)
        policy = terminal.site.directory / "pyproject.toml"
        policy.write_text(policy.read_text().replace(index.url, index.url_with_credentials))
        planted.extend(_plant(terminal))
        variables = {
            "RATTLER_AUTH_FILE": str(terminal.root / "person/rattler.json"),
            **dict.fromkeys(_VARIABLES, _SECRET),
        }
        yield terminal, terminal.type("build", terminal.target, **variables)


@pytest.mark.slow
@pytest.mark.xdist_group("leaks")
def test_nothing_that_a_build_makes_has_the_password(
    private: tuple[Terminal, subprocess.CompletedProcess[str]], planted: list[Path]
) -> None:
    terminal, done = private
    assert done.returncode == 0, done.stderr
    packed = terminal.type("image", terminal.target, **dict.fromkeys(_VARIABLES, _SECRET))
    assert packed.returncode == 0, packed.stderr
    assert _SECRET not in done.stdout + done.stderr + packed.stdout + packed.stderr
    policy = terminal.site.directory / "pyproject.toml"
    _assert_nowhere(terminal.root, _SECRET, policy, *planted)
    login = base64.b64encode(f"reader:{_SECRET}".encode()).decode()
    _assert_nowhere(terminal.root, login, policy, *planted)
    home = terminal.site.home
    for made in ("locks", "images/*.cdx.json", "oci/blobs/sha256/*", "evidence", "logs"):
        assert list(home.glob(made)), f"{made} was not made, so this shows nothing of it"
    for command in (["show", terminal.target, "--json"], ["show", terminal.target, "--settings"]):
        assert _SECRET not in terminal.type(*command).stdout


@pytest.mark.slow
@pytest.mark.xdist_group("leaks")
def test_an_index_that_refuses_is_named_without_the_password(
    private: tuple[Terminal, subprocess.CompletedProcess[str]],
) -> None:
    terminal, _ = private
    terminal.index.credentials = ("reader", "another")
    try:
        done = terminal.type("relock", terminal.target)
    finally:
        terminal.index.credentials = ("reader", _SECRET)
    assert done.returncode != 0
    assert _SECRET not in done.stdout + done.stderr


@pytest.mark.slow
@pytest.mark.xdist_group("leaks")
def test_nothing_that_dagster_keeps_has_the_password(
    private: tuple[Terminal, subprocess.CompletedProcess[str]], planted: list[Path]
) -> None:
    """Neither its event log and run storage, nor the logs of steps, nor the warehouse's rows."""
    terminal, _ = private
    variables = {**terminal.variables, **dict.fromkeys(_VARIABLES, _SECRET)}
    done = terminal.site.execute("elt_build", terminal.python, variables)
    assert done.returncode == 0, done.stderr
    terminal.index.credentials = ("reader", "another")
    try:
        refused = terminal.site.execute("elt_relock", terminal.python, variables)
    finally:
        terminal.index.credentials = ("reader", _SECRET)
    assert refused.returncode != 0
    assert "401" in refused.stderr
    assert _SECRET not in done.stdout + done.stderr + refused.stdout + refused.stderr

    kept = terminal.site.dagster_home
    for made in ("history/runs/*.db", "history/runs.db", "storage/*/compute_logs/*.err"):
        assert list(kept.glob(made)), f"{made} was not made, so this shows nothing of it"
    policy = terminal.site.directory / "pyproject.toml"
    _assert_nowhere(terminal.root, _SECRET, policy, *planted)
    rows = [each.rows for each in read_changes(Store(terminal.site.home), {}, silent).values()]
    assert all(rows)
    assert _SECRET not in repr(rows)
