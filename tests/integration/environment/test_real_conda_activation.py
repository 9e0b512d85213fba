"""Conda itself agrees: with the bytecode of a sealed prefix, and with what its activation sets."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from elt_env.environment.build import ensure_prefix
from elt_env.environment.prefix import Prefix
from elt_env.machine.environment_variables import read_activation
from elt_env.machine.process import run
from tests.support.bytecode import bytecode
from tests.support.channel import Channel
from tests.support.conda_packages import PLACEHOLDER, make_conda_package
from tests.support.real_conda import RealConda, installed_conda
from tests.support.sample import own_sample, silent

pytestmark = [pytest.mark.registry, pytest.mark.slow, pytest.mark.xdist_group("real-conda")]

_LIMIT = 60.0
_SCRIPTS = {
    "etc/conda/activate.d/a.sh": 'export DATA="$CONDA_PREFIX/share"\nexport SEEN="$LEVEL"\n',
    "etc/conda/activate.d/b.sh": "export DATA=$DATA/b LEVEL=script\n",
    "etc/conda/activate.d/c.sh": 'export PATH="$CONDA_PREFIX/libexec:$PATH"\n',
    "etc/conda/env_vars.d/1.json": json.dumps({"LEVEL": "first", "lower": PLACEHOLDER}),
    "etc/conda/env_vars.d/2.json": json.dumps({"LEVEL": "second", "SPEC": "json"}),
}
_VARIABLES = (("PLACE", "ci/profiles"), ("QUOTED", 'two "words" $HOME'), ("SPEC", "spec"))


@dataclass(frozen=True)
class Made:
    """A sealed prefix with a package whose bytecode linking makes stale, and with scripts."""

    prefix: Prefix


@pytest.fixture(scope="module")
def conda(tmp_path_factory: pytest.TempPathFactory) -> RealConda:
    return installed_conda(tmp_path_factory.mktemp("conda"))


@pytest.fixture(scope="module")
def made(
    conda: RealConda, shared_python: Channel, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Made]:
    del conda  # installed before the machine's settings are gone
    root = tmp_path_factory.mktemp("made")
    with own_sample(root, shared_python) as sample:
        source = f'PREFIX = "{PLACEHOLDER}"\n'
        compiled = f"__pycache__/placed.cpython-{sample.python.replace('.', '')}.pyc"
        files: dict[str, str | bytes] = {"placed.py": source}
        files[compiled] = bytecode(sample.python, source, root)
        sample.offer_conda("placed", "1.0", files)
        make_conda_package(
            sample.channel.root, "geo", "1.0", subdir="linux-64", files=dict(_SCRIPTS)
        )
        sample.channel.index()
        lock = replace(sample.lock(conda=["placed", "geo"]), variables=_VARIABLES)
        path = ensure_prefix(lock, sample.toolbox(root / "project"), silent).path
        yield Made(Prefix(path, lock))


def test_its_doctor_finds_nothing(conda: RealConda, made: Made) -> None:
    told = conda("doctor", "-v", "-p", made.prefix.path).stdout
    assert "There are no packages with altered files." in told
    assert "There are no packages with missing files." in told


def test_it_knows_the_variables_of_the_spec(conda: RealConda, made: Made) -> None:
    listed = conda.json("env", "config", "vars", "list", "-p", made.prefix.path)
    assert listed == dict(_VARIABLES)


def test_its_activation_sets_what_was_recorded(
    conda: RealConda, made: Made, tmp_path: Path
) -> None:
    shell = shutil.which("bash") or "sh"
    before = _after("", shell, tmp_path)
    activation = conda("shell.posix", "activate", made.prefix.path).stdout
    after = _after(activation, shell, tmp_path)

    changed = {name: value for name, value in after.items() if before.get(name) != value}
    own = {each for each in changed if each.startswith(("CONDA_", "_CE_")) or each == "PATH"}
    recorded = read_activation(made.prefix.path)
    assert recorded.omitted == ()
    assert recorded.values(str(made.prefix.path)) == {
        name: value for name, value in changed.items() if name not in own
    }
    directories = set(recorded.path(str(made.prefix.path)))
    assert directories <= set(after["PATH"].split(":"))


def _after(commands: str, shell: str, home: Path) -> dict[str, str]:
    program = f"{commands}\nunset PS1\nenv -0 > variables\n"
    base = {"PATH": "/usr/bin:/bin", "HOME": str(home)}
    done = run([shell, "-c", program], limit=_LIMIT, env=base, cwd=home)
    assert done.returncode == 0, done.stderr
    entries = (home / "variables").read_text().split("\0")
    found = dict(each.partition("=")[::2] for each in entries if each)
    return {name: value for name, value in found.items() if name not in ("_", "SHLVL")}
