"""buildah builds what is exported as a Dockerfile.

No image of a conda is to be had without a network. In its place is a base with a shell of this
machine, and programs that write down what they are asked.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from elt_env.lockfile import devcontainer, dockerfile
from elt_env.lockfile.document import Lock
from elt_env.store.locks import Store
from tests.support.locks import INDEX, conda_package, lock_of, owning, pip_package, python_package

_LIMIT = 120.0
# It fails where a file that it is to read is not there.
_ASKED = """\
#!/bin/sh
for last; do :; done
read line < "$last" || exit 3
printf '%s\\n' "$@" > /asked-{name}
"""
_VARIABLES = (("GREETING", 'a "quoted" $HOME \\ back'), ("LINES", "one\ntwo"))


@pytest.fixture
def buildah(tmp_path: Path) -> list[str]:
    """The command, with storage of this test's own."""
    if shutil.which("buildah") is None or os.geteuid() != 0:
        pytest.skip("needs buildah, and root")
    places = ("--root", str(tmp_path / "storage"), "--runroot", str(tmp_path / "run"))
    return ["buildah", "--storage-driver", "vfs", *places]


def _run(*command: str | Path) -> str:
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=_LIMIT,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture
def base(buildah: list[str], tmp_path: Path) -> str:
    """An image with `micromamba`, and with the Python that it would install."""
    root = tmp_path / "root"
    shell = Path(shutil.which("dash") or "/bin/sh").resolve()
    libraries = [word for word in _run("ldd", shell).split() if word.startswith("/")]
    places = {str(shell): root / "bin/sh"} | {each: root / each[1:] for each in libraries}
    for source, place in places.items():
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, place)
    for name, program in ("conda", "bin/micromamba"), ("pip", "opt/elt/bin/python"):
        path = root / program
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(_ASKED.format(name=name))
        path.chmod(0o755)
    file = tmp_path / "base.Dockerfile"
    file.write_text("FROM scratch\nCOPY . /\n")
    _run(*buildah, "bud", "--isolation", "chroot", "-t", "localhost/base", "-f", file, root)
    return "localhost/base"


def _exported(lock: Lock, form: str, place: Path) -> tuple[Path, Path]:
    """Export a lock; return a Dockerfile and the directory that it is built from."""
    if form == "dockerfile":
        (place / "Dockerfile").write_text(dockerfile.render(lock))
        return place / "Dockerfile", Path(Store(place / "store").write_lock(lock))
    for name, text in devcontainer.files(lock).items():
        (place / name).write_text(text)
    build: dict[str, str] = json.loads((place / "devcontainer.json").read_text())["build"]
    return place / build["dockerfile"], place / build["context"]


def _built(lock: Lock, form: str, buildah: list[str], base: str, tmp_path: Path) -> Path:
    """Build what is exported of a lock; return the root of the image."""
    output, place = tmp_path / "image", tmp_path / "exported"
    place.mkdir()
    file, directory = _exported(lock, form, place)
    options = ("--isolation", "chroot", "--build-arg", f"BASE={base}", "-f", str(file))
    _run(*buildah, "bud", *options, "-o", f"type=local,dest={output}", str(directory))
    return output


@pytest.mark.parametrize("form", ["dockerfile", "devcontainer"])
def test_buildah_installs_both_halves(
    buildah: list[str], base: str, tmp_path: Path, form: str
) -> None:
    lock = lock_of(
        python_package(),
        owning(conda_package("pip", "26.0"), ("pip", "26.0")),
        pip_package("alpha"),
        variables=_VARIABLES,
    )
    root = _built(lock, form, buildah, base, tmp_path)
    assert (root / "asked-conda").read_text().split("\n")[:-1] == [
        *("create", "--yes", "--prefix", "/opt/elt"),
        *("--file", "/opt/lock/conda-linux-64.lock"),
    ]
    assert (root / "asked-pip").read_text().split("\n")[:-1] == [
        *("-m", "pip", "install", "--no-cache-dir", "--no-deps", "--require-hashes"),
        *("--only-binary", ":all:", "--index-url", INDEX),
        *("--requirement", "/opt/lock/requirements.txt"),
    ]
