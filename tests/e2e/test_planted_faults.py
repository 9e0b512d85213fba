"""Faults planted in the environment of the real spec, each caught by the check that should."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from elt_env.model.evidence import Evidence
from elt_env.stages.prove import prove_all
from elt_env.tools.prefix import Prefix
from elt_env.tools.settings import open_project
from elt_env.tools.store import Store
from elt_env.tools.toolbox import Toolbox, open_toolbox
from tests.support.commands import Site
from tests.support.real_spec import copy_store, overwrite
from tests.support.sample import silent

# On one worker: they share what was built.
pytestmark = [pytest.mark.registry, pytest.mark.xdist_group("e2e")]

Prove = Callable[..., dict[str, Evidence]]


@pytest.fixture
def toolbox(site: Site, first_run: subprocess.CompletedProcess[str], tmp_path: Path) -> Toolbox:
    """The tools of the project, with a store whose prefixes may be spoiled."""
    assert first_run.returncode == 0, first_run.stderr[-5000:]
    home = copy_store(site.home, tmp_path / "home", "elt@3.11")
    return replace(open_toolbox(open_project(site.directory), "elt"), store=Store(home))


@pytest.fixture
def prefix(toolbox: Toolbox) -> Prefix:
    lock = toolbox.store.current_lock(toolbox.target("elt", "3.11"))
    assert lock is not None
    return Prefix(toolbox.store.prefix_path(lock), lock)


@pytest.fixture
def proven(prefix: Prefix, toolbox: Toolbox) -> Prove:
    """Return the evidence of the checks named."""

    def run(*names: str) -> dict[str, Evidence]:
        results = prove_all(prefix.lock, toolbox, silent, names=names)
        return {each.check: each for each in results}

    return run


@pytest.mark.parametrize(
    ("fault", "needed_by", "module"),
    [
        ("protobuf<6", "dbt-common", "dagster_dbt of dagster-dbt"),
        ("sqlalchemy<2", "meltano", "alembic of alembic"),
        ("click<8", "dbt-core", "meltano.cli of meltano"),
        ("pydantic<2", "dagster-shared", "dagster of dagster"),
        ("jinja2<3", "dbt-common", "jinja2 of jinja2"),
    ],
)
def test_another_major_of_a_shared_package(
    fault: str, needed_by: str, module: str, prefix: Prefix, proven: Prove
) -> None:
    name = fault.split("<", maxsplit=1)[0]
    overwrite(prefix, fault)
    (installed,) = (each.version for each in prefix.distributions() if each.name == name)

    found = proven("pip_check", "mixed_managers", "imports")

    assert {each.status for each in found.values()} == {"failed"}
    locked = prefix.lock.distributions[name]
    assert found["mixed_managers"].detail == f"{name}: locked {locked}, installed {installed}"
    lines = found["pip_check"].detail.splitlines()
    (line,) = (each for each in lines if f"`{needed_by}` requires" in each)
    assert f"`{name}" in line.split("requires")[1]
    assert f"`{installed}` is installed" in line
    assert any(each.startswith(f"{module} ") for each in found["imports"].detail.splitlines())


def test_pandas_of_conda_overwritten_by_pip(prefix: Prefix, proven: Prove) -> None:
    overwrite(prefix, f"pandas<{prefix.lock.distributions['pandas']}")

    found = proven("mixed_managers")["mixed_managers"]

    assert found.status == "failed"
    assert found.detail.startswith(f"pandas: locked {prefix.lock.distributions['pandas']}, inst")
    assert "pandas/_libs/algos.cpython-311-x86_64-linux-gnu.so of conda's pandas" in found.detail


def test_an_extension_of_another_python(prefix: Prefix, proven: Prove) -> None:
    file = next((prefix.site_packages / "pandas" / "_libs").glob("lib.cpython-*"))
    file.rename(file.with_name(file.name.replace("-311-", "-312-")))

    found = proven("binary_abi")["binary_abi"]

    assert found.status == "failed"
    assert "pandas/_libs/lib.cpython-312-" in found.detail
    assert found.detail.endswith("and the interpreter is cpython-311")


def test_a_deleted_shared_library(prefix: Prefix, proven: Prove) -> None:
    library = next((prefix.site_packages / "numpy.libs").glob("*openblas*"))
    library.unlink()

    found = proven("native_libraries")["native_libraries"]

    assert found.status == "failed"
    version = prefix.lock.distributions["numpy"]
    assert f"of numpy {version} needs {library.name}, which is neither there" in found.detail
