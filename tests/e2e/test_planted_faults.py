"""Faults planted in the environment of the real spec, each caught by the check that should."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from elt_env.environment.prefix import Prefix
from elt_env.machine.platform import target_here
from elt_env.project.settings import open_project
from elt_env.store.evidence import Evidence
from elt_env.store.locks import Store
from elt_env.tools import Tools, open_tools
from tests.support.commands import Site
from tests.support.proving import prove_all
from tests.support.real_spec import copy_store, overwrite
from tests.support.sample import silent

# On one worker: they share what was built.
pytestmark = [pytest.mark.registry, pytest.mark.slow, pytest.mark.xdist_group("e2e")]

Prove = Callable[..., dict[str, Evidence]]


@pytest.fixture
def toolbox(site: Site, first_run: subprocess.CompletedProcess[str], tmp_path: Path) -> Tools:
    """The tools of the project, with a store whose prefixes may be spoiled."""
    del first_run
    home = copy_store(site.home, tmp_path / "home", "elt@3.11")
    return replace(open_tools(open_project(site.directory), "elt"), store=Store(home))


@pytest.fixture
def prefix(toolbox: Tools) -> Prefix:
    lock = toolbox.store.current_lock(target_here("elt", "3.11"))
    assert lock is not None
    return Prefix(toolbox.store.prefix_path(lock), lock)


@pytest.fixture
def proven(prefix: Prefix, toolbox: Tools) -> Prove:
    """Return the evidence of the checks named."""

    def run(*names: str) -> dict[str, Evidence]:
        results = prove_all(prefix.lock, toolbox, silent, names=names)
        return {each.check: each for each in results}

    return run


@pytest.fixture
def log_of(toolbox: Tools) -> Callable[[Evidence], str]:
    """Return all that a check saw."""
    return lambda evidence: (toolbox.store.local_home / evidence.log).read_text()


@dataclass(frozen=True)
class Fault:
    """Another major of a package.

    Attributes:
        requirement: what is installed in place of what is locked.
        needed_by: a distribution that requires the locked one.
        module: what does not import any more, and `words` of the reason.
    """

    requirement: str
    needed_by: str
    module: str
    words: str

    @property
    def name(self) -> str:
        return self.requirement.split("<", maxsplit=1)[0]


@pytest.mark.parametrize(
    "faults",
    [
        # None of them keeps another's module from its own reason to fail.
        (
            Fault("protobuf<6", "dbt-common", "dagster_dbt", "incompatible Protobuf"),
            Fault("click<8", "dbt-core", "meltano.cli", "'package_name'"),
        ),
        (
            Fault("sqlalchemy<2", "meltano", "alembic", "from 'sqlalchemy."),
            Fault("pydantic<2", "dagster-shared", "dagster", "'TypeAdapter' from 'pydantic'"),
            Fault("jinja2<3", "dbt-common", "jinja2", "'soft_unicode' from 'markupsafe'"),
        ),
    ],
    ids=lambda faults: "-".join(each.name for each in faults),
)
def test_another_major_of_a_shared_package(
    faults: tuple[Fault, ...], prefix: Prefix, proven: Prove, log_of: Callable[[Evidence], str]
) -> None:
    overwrite(prefix, *(each.requirement for each in faults))
    installed = {each.name: each.version for each in prefix.distributions()}

    found = proven("pip_check", "mixed_managers", "imports")

    assert {each.status for each in found.values()} == {"failed"}
    locked = prefix.lock.distributions
    assert found["mixed_managers"].detail.splitlines() == [
        f"{name}: locked {locked[name]}, installed {installed[name]}"
        for name in sorted(each.name for each in faults)
    ]
    unfit = log_of(found["pip_check"]).splitlines()
    broken = log_of(found["imports"]).splitlines()
    for fault in faults:
        (line,) = (each for each in unfit if f"`{fault.needed_by}` requires `{fault.name}" in each)
        assert f"`{installed[fault.name]}` is installed" in line
        (line,) = (each for each in broken if f" s  {fault.module}  " in each)
        assert fault.words in line
    owners = {f"{each.module} of " for each in faults}
    assert any(line.startswith(tuple(owners)) for line in found["imports"].detail.splitlines())


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
