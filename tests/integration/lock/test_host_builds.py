"""A spec that names builds, as `conda env export` writes them."""

from __future__ import annotations

import re
import subprocess

import pytest

from elt_env.errors import ChannelUnreachableError, CondaUnsatisfiableError
from elt_env.python.interpreters import find_interpreter
from elt_env.spec.environment_yml import parse_spec
from tests.support.index_server import dead_url
from tests.support.locking import PYTHON, Scene, versions_of

_HOST = {"channel-fallback": "host"}


def test_a_build_of_the_channel_is_locked(scene: Scene) -> None:
    scene.offer_conda("lib", "1.0", "2.0")
    build = next(
        each.build for each in scene.lock(conda=["lib=1.0"]).lock.conda if each.name == "lib"
    )
    exported = ["python=3.11.5=0", f"lib=1.0={build}"]
    assert scene.lock(conda=exported).kept
    locked = scene.lock(conda=exported, upgrade=None)
    assert versions_of(locked) == {"lib": "1.0"}
    with pytest.raises(CondaUnsatisfiableError, match="py_other_0"):
        scene.lock(conda=["python=3.11.5=py_other_0", "lib"])


def test_builds_that_only_the_channel_has_are_named_with_the_command_that_drops_them(
    scene: Scene,
) -> None:
    scene.channel_url = dead_url()
    scene.offer_pip("lib", "1.0")
    conda = ["python=3.11.99=hab00c5b_1_cpython", "bzip2=1.0.8=h4bc722e_7", "lib=1.0=py_0"]
    with pytest.raises(ChannelUnreachableError) as caught:
        scene.lock(conda=conda, policy=_HOST)
    for each in ("python ==3.11.99 hab00c5b_1_cpython", "bzip2 ==1.0.8 h4bc722e_7", "lib ==1.0"):
        assert each in caught.value.problem
    assert "conda env export --no-builds" in caught.value.remedy
    assert "no index has a distribution of that name: bzip2" in caught.value.problem
    command = re.search(r"sed -i -E '.*?' \S+", caught.value.remedy)
    assert command is not None
    root = scene.root / "project"
    subprocess.run(command[0], shell=True, check=True, cwd=root)  # noqa: S602  # as a person does
    spec = parse_spec((root / "environments/elt.yml").read_text(encoding="utf-8"), "elt.yml")
    assert [str(each) for each in (spec.python_spec, *spec.conda)] == [
        *("python =3.11.99", "bzip2 =1.0.8", "lib =1.0"),
    ]


@pytest.mark.xdist_group("cli")
def test_builds_that_the_host_channel_makes_are_locked_again(scene: Scene) -> None:
    scene.channel_url = dead_url()
    scene.offer_pip("lib", "1.0")
    first = scene.lock(conda=["lib"], policy=_HOST).lock
    exported = [f"{each.name}={each.version}={each.build}" for each in first.conda]
    assert first.python.version == find_interpreter(PYTHON).version
    again = scene.lock(conda=exported, policy=_HOST)
    assert again.lock.digest == first.digest
