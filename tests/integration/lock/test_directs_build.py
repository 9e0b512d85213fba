"""Prefixes with what no index has: wheels by URL, commits, directories of archives."""

from __future__ import annotations

import json
import shutil
from hashlib import sha256
from pathlib import Path

import pytest

from elt_env.environment.build import ensure_prefix
from elt_env.environment.prefix import Prefix
from elt_env.lock.make import lock
from elt_env.lockfile.document import Lock
from elt_env.machine.platform import target_here
from elt_env.tools import Tools
from tests.support.project import make_project, toolbox_of
from tests.support.proving import prove
from tests.support.sample import Sample, run_in, silent
from tests.support.sources import commit, make_backend, write_source
from tests.support.wheels import make_wheel

_SAYS = "import tool, mine, linked; print(tool.SAYS, mine.__name__, linked.__name__)"


def project_of(sample: Sample, root: Path, installer: str) -> Tools:
    """Return the tools of a project that asks for one of each kind."""
    sample.index.add(make_backend(root / "backend"))
    source = write_source(
        root / "repository", "tool", "3.0", requires=["beta"], module="SAYS = 'built'\n"
    )
    wheel = make_wheel(root / "served", "mine", "1.0", requires=["tool>=3"])
    make_wheel(root / "links", "linked", "1.0")
    project = make_project(
        root / "project",
        channels=[sample.channel.url],
        index=sample.index.url,
        pip=[
            f"tool @ git+{source.as_uri()}@{commit(source)}",
            f"mine @ {wheel.as_uri()}#sha256={sha256(wheel.read_bytes()).hexdigest()}",
            f"--find-links {root / 'links'}",
            "linked",
        ],
        policy={"cooldown": "0", "allow-sdist": ["tool"]},
        environment={"installer": installer},
        pythons=[sample.python],
    )
    return toolbox_of(project)


@pytest.mark.parametrize("installer", ["uv", "pip"])
def test_the_prefix_has_what_was_locked(installer: str, sample: Sample, tmp_path: Path) -> None:
    toolbox = project_of(sample, tmp_path, installer)
    target = target_here("elt", sample.python)
    made = lock(target, toolbox, silent).lock
    shutil.rmtree(toolbox.project.local_home / "cache" / "wheels")  # built again, to the same bytes

    built = ensure_prefix(made, toolbox, silent)

    prefix = Prefix(built.path, made)
    found = {each.name: each.version for each in prefix.distributions()}
    assert found == {"beta": "1.0", "linked": "1.0", "mine": "1.0", "tool": "3.0"}
    assert run_in(built.path, "python", "-c", _SAYS).stdout == "built mine linked\n"
    # Where it was fetched from on this machine is nobody's business elsewhere.
    assert not [*prefix.site_packages.glob("*.dist-info/direct_url.json")]
    for check in ("pip_check", "imports", "solver_differences"):
        assert prove(check, made, toolbox, silent).status == "passed", check


def test_a_lock_with_them_is_read_again(sample: Sample, tmp_path: Path) -> None:
    toolbox = project_of(sample, tmp_path, "uv")
    target = target_here("elt", sample.python)
    made = lock(target, toolbox, silent)

    again: Lock | None = toolbox.store.current_lock(target)

    assert again == made.lock
    content = json.loads((Path(made.path) / "lock.json").read_text())
    tool = next(each for each in content["packages"] if each["name"] == "tool")
    assert tool["built"]["wheel"] == "tool-3.0-py3-none-any.whl"
