"""Projects to build wheels of: a backend that an index can offer, sdists, git repositories."""

from __future__ import annotations

import os
import subprocess
import tarfile
from collections.abc import Sequence
from pathlib import Path

from tests.support.wheels import make_wheel

_BACKEND = '''\
"""A build backend (PEP 517): the module and the metadata that pyproject.toml names."""

import base64, hashlib, os, time, tomllib, zipfile


def encoded(text):
    digest = hashlib.sha256(text.encode()).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    with open("pyproject.toml", "rb") as file:
        project = tomllib.load(file)["project"]
    name, version = project["name"], project["version"]
    stem = f"{name.replace('-', '_')}-{version}"
    info = f"{stem}.dist-info"
    requires = "".join(f"Requires-Dist: {each}\\n" for each in project.get("dependencies", []))
    extras = project.get("optional-dependencies", {})
    for extra, needed in extras.items():
        requires += f"Provides-Extra: {extra}\\n"
        requires += "".join(f"Requires-Dist: {each}; extra == '{extra}'\\n" for each in needed)
    files = {
        f"{name.replace('-', '_')}.py": open("module.py").read(),
        f"{info}/METADATA": f"Metadata-Version: 2.1\\nName: {name}\\nVersion: {version}\\n"
        + requires,
        f"{info}/WHEEL": "Wheel-Version: 1.0\\nGenerator: tiny\\nRoot-Is-Purelib: true\\n"
        "Tag: py3-none-any\\n",
    }
    files[f"{info}/RECORD"] = f"{info}/RECORD,,\\n" + "".join(
        f"{each},sha256={encoded(text)},{len(text.encode())}\\n" for each, text in files.items()
    )
    moment = time.gmtime(int(os.environ.get("SOURCE_DATE_EPOCH", "315532800")))[:6]
    with zipfile.ZipFile(os.path.join(wheel_directory, f"{stem}-py3-none-any.whl"), "w") as wheel:
        for path, text in files.items():
            wheel.writestr(zipfile.ZipInfo(path, moment), text)
    return f"{stem}-py3-none-any.whl"
'''

_PYPROJECT = """\
[build-system]
requires = ["tiny-backend"]
build-backend = "tiny_backend"

[project]
name = "{name}"
version = "{version}"
dependencies = {requires}

[project.optional-dependencies]
more = {more}
"""


def make_backend(directory: Path, *, careless: bool = False) -> Path:
    """Write the wheel of the backend `tiny-backend`; a careless one never writes the same bytes."""
    text = _BACKEND
    if careless:
        text = text.replace("Generator: tiny", "Generator: {os.urandom(8).hex()}").replace(
            '"Wheel-Version', 'f"Wheel-Version'
        )
    return make_wheel(directory, "tiny-backend", "1.0", files={"tiny_backend.py": text})


def write_source(
    directory: Path,
    name: str,
    version: str,
    *,
    requires: Sequence[str] = (),
    more: Sequence[str] = (),
    module: str = "",
) -> Path:
    """Write a project that the backend builds, and return its directory."""
    directory.mkdir(parents=True, exist_ok=True)
    text = _PYPROJECT.format(name=name, version=version, requires=[*requires], more=[*more])
    (directory / "pyproject.toml").write_text(text, encoding="utf-8")
    (directory / "module.py").write_text(module or f"VERSION = {version!r}\n", encoding="utf-8")
    return directory


def pack_source(source: Path, archive: Path) -> Path:
    """Pack a project's directory as an sdist has it, and return the archive."""
    archive.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(archive, "w:gz") as packed:
        packed.add(source, archive.name.removesuffix(".tar.gz"))
    return archive


def commit(repository: Path, message: str = "work") -> str:
    """Commit everything in a directory, making it a repository, and return the commit."""
    if not (repository / ".git").is_dir():
        _git(repository, "init", "--quiet", "--initial-branch=main")
    _git(repository, "add", "--all")
    if _git(repository, "status", "--porcelain"):
        _git(repository, "commit", "--quiet", f"--message={message}")
    return _git(repository, "rev-parse", "HEAD")


def _git(repository: Path, *arguments: str) -> str:
    who = {
        f"GIT_{role}_{key}": value
        for role in ("AUTHOR", "COMMITTER")
        for key, value in (
            ("NAME", "A Person"),
            ("EMAIL", "person@example.test"),
            ("DATE", "2024-05-06T07:08:09Z"),
        )
    }
    done = subprocess.run(
        ["git", "-C", str(repository), *arguments],
        env={**os.environ, **who},
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    )
    return done.stdout.strip()
