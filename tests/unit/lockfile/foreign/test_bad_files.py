"""Lock files that are cut off, changed or made up: a message, and nothing else."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from elt_env.errors import EltEnvError, InputError
from elt_env.lockfile.foreign.document import Wanted
from elt_env.lockfile.foreign.read import open_lock_files
from elt_env.runtime.limits import MOST_LOCK_BYTES

_SAMPLES = Path(__file__).parents[3] / "samples/locks"
_FILES = sorted(each for each in _SAMPLES.rglob("*") if each.is_file())
_HASH = "sha256:" + "0" * 64
_POETRY = """
package = [{{ name = "it", version = "1", files = [
    {{ file = "../../it.whl", hash = "{}" }}, {{ file = "it.whl", hash = "md5:1" }}
] }}]
[metadata]
lock-version = "2.1"
"""
_PYLOCK = """
lock-version = "1.0"
created-by = "it"
packages = [{{ name = "it", version = "1", marker = "python_version > '3.{}'", wheels = [
    {{ url = "https://files.invalid/it-1-py3-none-any.whl", hashes = {{ sha256 = "0" }} }}
] }}]
"""
_UV = 'version = 1\n[[package]]\nname = "own"\nsource = { virtual = "." }\n'


def _select(path: Path) -> None:
    for each in open_lock_files([path]):
        each.select(Wanted("3.11.7", "linux-64"))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=st.data())
def test_a_changed_file_is_read_or_refused(data: st.DataObject, tmp_path: Path) -> None:
    sample = data.draw(st.sampled_from(_FILES))
    text = sample.read_text(encoding="utf-8")
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.one_of(st.just(len(text)), st.integers(start, min(len(text), start + 80))))
    put = data.draw(st.one_of(st.just(""), st.text(max_size=20), st.sampled_from(['"', "[", "{}"])))
    path = tmp_path / sample.name
    path.write_text(text[:start] + put + text[end:], encoding="utf-8", errors="replace")
    refused = None
    try:
        _select(path)
    except EltEnvError as error:
        refused = error
    if refused is not None:
        assert refused.exit_code in {2, 5}
        assert str(path) in refused.problem
        assert len(refused.problem) < 20_000


@pytest.mark.parametrize("sample", _FILES, ids=lambda each: f"{each.parent.name}/{each.name}")
def test_a_file_of_50_mb_is_refused_at_once(sample: Path, tmp_path: Path) -> None:
    path = tmp_path / sample.name
    with path.open("wb") as file:
        file.truncate(50 << 20)
    with pytest.raises(InputError, match=f"larger than {MOST_LOCK_BYTES >> 20} MiB"):
        _select(path)


def _uv(**fields: str) -> str:
    told = "\n".join(f"{name} = {value}" for name, value in fields.items())
    need = 'dependencies = [{ name = "it" }]\n'
    return f'{_UV}{need}[[package]]\nname = "it"\n{told}\n'


def _pipfile(**fields: object) -> str:
    return json.dumps({"_meta": {"pipfile-spec": 6}, "default": {"it": fields}})


_REGISTRY = '{ registry = "https://index.invalid/simple" }'


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("uv.lock", "version = 7\n", "version 7; 1 can be read"),
        ("uv.lock", "version = 1\n", "no project"),
        ("uv.lock", _uv(version='"1.0"', source=_REGISTRY, sdist='{ url = "x" }'), "no sha256"),
        ("uv.lock", _uv(version='"no"', source=_REGISTRY), "it is no version"),
        ("uv.lock", _uv(version='"1.0"', source='{ registry = "../wheels" }'), "one machine"),
        (
            "uv.lock",
            _uv(
                version='"1.0"',
                source=_REGISTRY,
                wheels=f'[{{ url = "https://x.invalid/..%2f..%2fit.whl", hash = "{_HASH}" }}]',
            ),
            "no name of a file",
        ),
        ("poetry.lock", '[metadata]\nlock-version = "3.0"\n', "version 3.0"),
        ("poetry.lock", 'package = 1\n[metadata]\nlock-version = "2.1"\n', "package: "),
        (
            "poetry.lock",
            '[[package]]\nname = "../it"\nversion = "1"\n[metadata]\nlock-version = "2.1"\n',
            "package.0.name: it is no name of a distribution",
        ),
        (
            "poetry.lock",
            _POETRY.format(_HASH),
            "package.0.files.0.file: it is no name of a file\n  package.0.files.1.hash: it is no",
        ),
        ("Pipfile.lock", "[]", "no object"),
        ("Pipfile.lock", '{"_meta": {"pipfile-spec": 5}}', "version 5"),
        ("Pipfile.lock", _pipfile(version="==1.0"), "no exact version with a hash"),
        ("Pipfile.lock", _pipfile(version=">1", hashes=[_HASH]), "no exact version with a hash"),
        ("Pipfile.lock", _pipfile(version="==1", hashes=["md5:0"]), "no sha256"),
        ("Pipfile.lock", _pipfile(version="==1", hashes=[_HASH], markers="x"), "no marker"),
        ("pylock.toml", 'lock-version = "9"\n', "version 9"),
        ("pdm.lock", "", "a format that is not read"),
        ("requirements.lock", "six==1\n", "no exact version with a hash"),
    ],
)
def test_each_fault_is_named(name: str, text: str, words: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError) as refused:
        _select(path)
    assert words in refused.value.problem
    assert refused.value.exit_code == 2


@pytest.mark.parametrize("name", ["pylock.toml", "Pipfile.lock"])
def test_a_marker_with_a_number_of_thousands_of_digits(name: str, tmp_path: Path) -> None:
    number = "9" * 5000
    markers = f"python_version > '3.{number}'"
    text = _PYLOCK.format(number)
    if name == "Pipfile.lock":
        text = _pipfile(version="==1", hashes=[_HASH], markers=markers)
    (tmp_path / name).write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match="marker"):
        _select(tmp_path / name)


def test_what_no_index_has_is_taken_from_its_url(tmp_path: Path) -> None:
    commit = "c" * 40
    path = tmp_path / "uv.lock"
    source = f'{{ git = "https://git.invalid/team/it?subdirectory=lib&rev=main#{commit}" }}'
    path.write_text(_uv(version='"1.0"', source=source), encoding="utf-8")
    (file,) = open_lock_files([path])
    (found,) = file.select(Wanted("3.11.7", "linux-64")).pip
    assert str(found.direct) == (f"it @ git+https://git.invalid/team/it@{commit}#subdirectory=lib")


def test_a_directory_is_noted_and_what_it_needs_is_taken(tmp_path: Path) -> None:
    path = tmp_path / "uv.lock"
    path.write_text(_uv(version='"1.0"', source='{ editable = "libs/it" }'), encoding="utf-8")
    (file,) = open_lock_files([path])
    found = file.select(Wanted("3.11.7", "linux-64"))
    assert not found.pip
    assert found.notes == (f"it of {path} is a directory, libs/it, which no lock can hold",)
