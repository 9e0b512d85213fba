"""dbt alone, with its adapters: run as far as that goes without a connection."""

from __future__ import annotations

from pathlib import Path

import pytest

from elt_env.environment.prefix import Prefix
from elt_env.proof.checks.smoke_dbt import dbt_smoke
from elt_env.tools import Tools
from tests.support.overlay import make_overlay, own_copy, plant
from tests.support.proving import toolbox_at
from tests.support.sample import silent

pytestmark = pytest.mark.slow

# An adapter whose client exists: what dbt asks of one, on top of that of DuckDB.
_PLUGIN = """\
from dbt.adapters.base import AdapterPlugin
from dbt.adapters.duckdb.impl import DuckDBAdapter
from dbt.adapters.elsewhere.connections import Credentials, Manager
from dbt.include import elsewhere


class Adapter(DuckDBAdapter):
    ConnectionManager = Manager


Plugin = AdapterPlugin(
    adapter=Adapter,
    credentials=Credentials,
    include_path=elsewhere.PACKAGE_PATH,
    dependencies=["duckdb"],
)
"""
_CONNECTIONS = """\
from dataclasses import dataclass

from dbt.adapters.contracts.connection import Credentials as Base
from dbt.adapters.duckdb.connections import DuckDBConnectionManager


@dataclass
class Credentials(Base):
    server: str
    cloud_host: str | None = None  # as some write what they cannot do without
    disable_transactions: bool = False

    @property
    def type(self):
        return "elsewhere"

    @property
    def unique_field(self):
        return self.cloud_host

    def _connection_keys(self):
        return ("server",)


class Manager(DuckDBConnectionManager):
    TYPE = "elsewhere"

    @classmethod
    def open(cls, connection):
        if True:
            import {client}
        else:
            import msvcrt
        raise AssertionError("nobody is to connect")
"""
_INCLUDE = "from pathlib import Path\n\nPACKAGE_PATH = str(Path(__file__).parent)\n"
_PROJECT = "name: dbt_elsewhere\nversion: 1.0\nconfig-version: 2\nmacro-paths: [macros]\n"


@pytest.fixture
def prefix(tmp_path: Path) -> Prefix:
    return make_overlay(tmp_path / "prefix", "dbt-core", "dbt-duckdb")


@pytest.fixture
def toolbox(tmp_path: Path) -> Tools:
    return toolbox_at(tmp_path / "project")


def offer_adapter(prefix: Prefix, client: str) -> None:
    """Let the prefix have an adapter `elsewhere`, and none by the name of DuckDB."""
    (duckdb,) = prefix.site_packages.glob("dbt_duckdb-*.dist-info")
    duckdb.unlink()
    own_copy(prefix, "dbt")
    plant(prefix, "dbt/adapters/elsewhere/__init__.py", _PLUGIN)
    plant(prefix, "dbt/adapters/elsewhere/__version__.py", 'version = "1.0.0"\n')
    plant(prefix, "dbt/adapters/elsewhere/connections.py", _CONNECTIONS.format(client=client))
    plant(prefix, "dbt/include/elsewhere/__init__.py", _INCLUDE)
    plant(prefix, "dbt/include/elsewhere/dbt_project.yml", _PROJECT)
    info = "dbt_elsewhere-1.0.dist-info"
    plant(prefix, f"{info}/METADATA", "Metadata-Version: 2.1\nName: dbt-elsewhere\nVersion: 1.0\n")
    files = ("dbt/adapters/elsewhere/__init__.py", "the_client/__init__.py")
    plant(prefix, f"{info}/RECORD", "".join(f"{each},,\n" for each in files))


def test_without_meltano_dbt_builds_over_the_rows_all_the_same(
    prefix: Prefix, toolbox: Tools
) -> None:
    finding = dbt_smoke(prefix, toolbox, silent)
    assert finding.status == "passed", finding
    assert "packages: 3 in the lock, 3 in the source, 3 in the mart" in finding.detail
    assert finding.counts["nodes"] > 50


def test_a_macro_that_breaks_is_found(prefix: Prefix, toolbox: Tools) -> None:
    path = own_copy(prefix, "dbt/include/duckdb/macros/adapters.sql")
    path.write_text(path.read_text() + "\n{% macro duckdb__broken() %}{{ nowhere( }}{% endmacro %}")
    finding = dbt_smoke(prefix, toolbox, silent)
    assert finding.status == "failed"
    assert "duckdb__broken" in finding.detail or "adapters.sql" in finding.detail


def test_another_adapter_is_compiled_with_a_profile_of_its_type(
    prefix: Prefix, toolbox: Tools
) -> None:
    offer_adapter(prefix, "the_client")
    plant(prefix, "the_client/__init__.py", "")
    finding = dbt_smoke(prefix, toolbox, silent)
    assert finding.status == "passed", finding
    assert "elsewhere: Manager imports, with" in finding.detail
    assert "the_client" in finding.detail
    assert "dbt compile of 5 nodes" in finding.detail


@pytest.mark.parametrize(
    ("client", "content", "status"),
    [
        ("the_client", "raise ImportError('libclient.so.5: cannot open')", "failed"),
        ("of_an_extra", "", "passed"),
    ],
)
def test_a_driver_that_only_a_connection_imports(
    prefix: Prefix, toolbox: Tools, client: str, content: str, status: str
) -> None:
    offer_adapter(prefix, client)
    plant(prefix, "the_client/__init__.py", content)
    finding = dbt_smoke(prefix, toolbox, silent)
    assert finding.status == status, finding
    if status == "failed":
        assert "it imports the_client: ImportError: libclient.so.5" in finding.detail
    else:
        assert "left out: of_an_extra, which nothing here requires" in finding.detail
