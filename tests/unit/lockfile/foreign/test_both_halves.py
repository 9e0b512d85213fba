"""Lock files with both halves, of conda-lock and of pixi.

conda-lock wrote its conda half; what else is in the samples follows the formats, and rattler, which
is pixi's own reader, reads the same in them.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import rattler

from elt_env.errors import InputError
from elt_env.lockfile.foreign.document import ForeignLock, Wanted
from elt_env.lockfile.foreign.read import open_lock_files

_SAMPLES = Path(__file__).parents[3] / "samples/locks"
_PIXI = tuple(f"pixi/v{each}/pixi.lock" for each in (4, 5, 6, 7))
_FILES = ("conda-lock/conda-lock.yml", *_PIXI)


def _read(path: Path, platform: str = "linux-64", groups: tuple[str, ...] = ()) -> ForeignLock:
    (file,) = open_lock_files([path])
    assert file.has_conda
    return file.select(Wanted("3.11", platform, groups))


def _places(found: ForeignLock) -> set[str]:
    urls = {file.url for each in found.pip for file in each.files}
    return urls | {each.url for each in found.conda or ()}


@pytest.mark.parametrize("name", _FILES)
def test_rattler_reads_the_same(name: str) -> None:
    groups = ("dev",) if name.startswith("conda-lock") else ()
    found = _read(_SAMPLES / name, groups=groups)
    theirs = rattler.LockFile.from_path(_SAMPLES / name)
    environment = theirs.default_environment()
    assert environment
    (platform,) = (each for each in theirs.platforms() if each.name == "linux-64")
    packages = environment.packages(platform) or []
    assert _places(found) == {each.location for each in packages} - {"."}
    hashes = {each.location: each.hashes for each in packages}
    for archive in found.conda or ():
        told = hashes[archive.url]
        assert told
        assert archive.sha256 == (told.sha256.hex() if told.sha256 else "")
        assert archive.md5 == (told.md5.hex() if told.md5 else "")
    (click, *_) = found.pip
    assert (click.name, click.version) == ("click", "8.5.1")
    told = hashes[click.files[0].url]
    assert told
    assert told.sha256
    assert click.sha256s == {told.sha256.hex()}


def test_a_conda_lock_with_virtual_packages_and_without_a_hash(tmp_path: Path) -> None:
    text = (_SAMPLES / _FILES[0]).read_text()
    hashed = re.compile(r"sha256: [0-9a-f]{64}")
    virtual = """\
- {name: __glibc, version: '2.17', manager: conda, platform: linux-64, dependencies: {},
   url: file:///tmp/x/linux-64/__glibc-2.17-0.tar.bz2, hash: {md5: '', sha256: null}}
"""
    path = tmp_path / "conda-lock.yml"
    path.write_text(hashed.sub("sha256: null", text, count=1).rstrip() + "\n" + virtual)
    found, before = _read(path), _read(_SAMPLES / _FILES[0])
    assert [each.url for each in found.conda or ()] == [each.url for each in before.conda or ()]
    assert [each.sha256 for each in found.conda or ()].count("") == 1


@pytest.mark.parametrize("name", _FILES)
def test_the_channels(name: str) -> None:
    assert [each.rstrip("/") for each in _read(_SAMPLES / name).channels] == [
        "https://channel.invalid/main"
    ]


def test_a_category_of_conda_lock_is_taken_when_it_is_named() -> None:
    path = _SAMPLES / "conda-lock/conda-lock.yml"
    assert [each.name for each in _read(path).pip] == ["click"]
    assert [each.name for each in _read(path, groups=("dev",)).pip] == ["click", "toml"]
    assert _read(path).groups == ("dev",)


@pytest.mark.parametrize("name", _PIXI)
def test_an_environment_of_pixi_is_taken_when_it_is_named(name: str) -> None:
    found = _read(_SAMPLES / name, groups=("dev",))
    assert _places(found) == {"https://channel.invalid/main/linux-64/python-3.11.9-0.conda"}
    (directory,) = _read(_SAMPLES / name).notes
    assert directory.startswith(". of ")
    assert _read(_SAMPLES / name).groups == ("dev",)


@pytest.mark.parametrize("name", _FILES)
def test_a_platform_that_is_not_there_is_named_with_those_that_are(name: str) -> None:
    assert _read(_SAMPLES / name, "osx-arm64").conda
    with pytest.raises(InputError, match="has no packages for win-64, but for"):
        _read(_SAMPLES / name, "win-64")


@pytest.mark.parametrize(
    ("name", "old", "new", "words"),
    [
        (_FILES[0], "manager: pip", "manager: brew", "its manager is 'brew', neither conda nor"),
        (_FILES[0], "version: 1\nm", "version: 2\nm", "version 2; 1 can be read"),
        (_FILES[0], "sha256: 8bb5", "sha256: 9", "it is no digest of 64"),
        (_FILES[0], "name: click", "name: ../click", "it is no name of a distribution"),
        (_FILES[0], "31/7d/click-8.5.1-py3", "31/..%2Fclick-8.5.1-py3", "no name of a file"),
        (_FILES[0], "    sha256: 8bb5376d", "    other: 8bb5376d", "click: it has no sha256"),
        (_FILES[0], "- environment.yml", "- *a", "it has aliases"),
        (_FILES[0], "package:", "package: [", "not valid YAML, line"),
        (_PIXI[0], "kind: pypi", "kind: gem", "packages of the kind gem"),
        (_PIXI[2], "version: 6", "version: 3", "version 3; 4, 5, 6, 7 can be read"),
        (_PIXI[2], "sha256: 8bb5", "sha256: 9", "it is no digest of 64"),
        (_PIXI[2], "- pypi: https://files.invalid", "- pypi: https://x.invalid", "not described"),
        (_PIXI[2], "  default:", "  main:", "no environment 'default'"),
        (_PIXI[2], "  name: click", "  name: ..%2f", "it is no name of a distribution"),
    ],
)
def test_each_fault_is_named(name: str, old: str, new: str, words: str, tmp_path: Path) -> None:
    text = (_SAMPLES / name).read_text(encoding="utf-8")
    assert old in text
    path = tmp_path / Path(name).name
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(InputError) as refused:
        _read(path)
    assert words in refused.value.problem
    assert refused.value.exit_code == 2
