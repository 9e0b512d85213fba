"""Locks of a venv for other platforms: the markers of each, and wheels that it takes."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest
import uv

from elt_env.environment.build import ensure_prefix
from elt_env.errors import IntegrityError
from elt_env.lock.make import lock
from elt_env.lock.platforms import lock_others
from elt_env.lockfile.document import Lock
from elt_env.machine.platform import target_here
from elt_env.package.platform import PLATFORMS, this_platform
from elt_env.tools import Tools
from tests.support.index_server import IndexServer
from tests.support.locking import LONG_AGO, PYTHON
from tests.support.project import ENVIRONMENT
from tests.support.sample import silent
from tests.support.venvs import open_venv
from tests.support.wheels import make_wheel

pytestmark = pytest.mark.skipif(this_platform() != "linux-64", reason="uv is asked for the others")

_UV = {  # what uv calls the platforms, with the glibc that is taken for granted
    "linux-64": "x86_64-manylinux_2_28",
    "linux-aarch64": "aarch64-manylinux_2_28",
    "osx-64": "x86_64-apple-darwin",
    "osx-arm64": "aarch64-apple-darwin",
}
_TAGS = ("manylinux_2_28_x86_64", "manylinux_2_28_aarch64", "macosx_13_0_x86_64")
_MARKERS = [
    f"{variable} {operator} '{value}'"
    for variable, values in {
        "sys_platform": ("linux", "darwin", "win32"),
        "platform_system": ("Linux", "Darwin", "Windows"),
        "platform_machine": ("x86_64", "aarch64", "arm64", "AMD64"),
        "os_name": ("posix", "nt"),
    }.items()
    for value in values
    for operator in ("==", "!=")
] + [
    "sys_platform == 'linux' and platform_machine == 'aarch64'",
    "sys_platform == 'darwin' or platform_machine == 'x86_64'",
    "python_full_version >= '3.11' and sys_platform != 'win32'",
    "python_version < '3.11' or platform_system == 'Darwin'",
    "implementation_name == 'cpython' and platform_machine in 'arm64 aarch64'",
]


@pytest.fixture
def offered(index: IndexServer, tmp_path: Path) -> IndexServer:
    """An index with `tool`, which needs one distribution for each marker, and wheels of each."""
    place = tmp_path / "wheels"
    needed = {f"for-{number}": each for number, each in enumerate(_MARKERS)}
    requires = [f"{name} ; {marker}" for name, marker in needed.items()]
    wheels = [make_wheel(place, "tool", "1.0", requires=[*requires, "fast"])]
    wheels += [make_wheel(place, name, "1.0") for name in needed]
    wheels += [make_wheel(place, "fast", "1.0", tag=f"cp311-cp311-{each}") for each in _TAGS]
    # Newer, and for one more platform: the others stay with what they can have.
    wheels.append(make_wheel(place, "fast", "2.0", tag="cp311-cp311-macosx_13_0_arm64"))
    for each in wheels:
        index.add(each, uploaded=LONG_AGO)
    return index


def lock_all(tools: Tools) -> dict[str, Lock]:
    own = lock(target_here(ENVIRONMENT, PYTHON), tools, silent)
    found = (own, *lock_others(own, tools, silent))
    return {each.lock.target.platform: each.lock for each in found}


def versions(text: str) -> Mapping[str, str]:
    pairs = (line.partition("==") for line in text.splitlines() if "==" in line)
    return {name: version for name, _, version in pairs}


@pytest.mark.parametrize("resolver", ["uv", "pip"])
def test_each_platform_gets_what_uv_says_of_it(
    resolver: str, offered: IndexServer, tmp_path: Path
) -> None:
    tools = open_venv(tmp_path, offered, platforms=[*PLATFORMS], resolver=resolver)
    locks = lock_all(tools)
    assert sorted(locks) == sorted(_UV)
    for platform, made in locks.items():
        interpreter = str(made.interpreter)
        command = [uv.find_uv_bin(), "pip", "compile", "-", "--quiet", "--no-annotate"]
        command += ["--no-header", "--only-binary", ":all:", "--python-version", interpreter]
        command += ["--python-platform", _UV[platform], "--index-url", offered.url, "--no-cache"]
        done = subprocess.run(
            command, input="tool\n", capture_output=True, text=True, check=True, timeout=6000
        )
        assert {each.name: each.version for each in made.pip} == versions(done.stdout), platform
        assert not made.conda
        assert interpreter.startswith(f"{PYTHON}.")
    fast = {platform: made.package("pip", "fast").file_name for platform, made in locks.items()}
    assert fast["linux-aarch64"] == "fast-1.0-cp311-cp311-manylinux_2_28_aarch64.whl"
    assert fast["osx-arm64"] == "fast-2.0-cp311-cp311-macosx_13_0_arm64.whl"
    assert len({each.digest for each in locks.values()}) == len(locks)


def test_they_are_kept_and_built_on_machines_of_the_platform_alone(
    offered: IndexServer, tmp_path: Path
) -> None:
    tools = open_venv(tmp_path, offered, platforms=["linux-aarch64"])
    first = lock_all(tools)
    assert lock_all(tools) == first
    with pytest.raises(IntegrityError, match="is for linux-aarch64; this machine is linux-64"):
        ensure_prefix(first["linux-aarch64"], tools, silent)
