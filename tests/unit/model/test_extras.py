"""What is needed for extras alone, and whether an import misses it."""

from __future__ import annotations

import pytest

from elt_env.model.extras import missing_distribution, missing_package, needed_by_extras

_REQUIRES = [
    "numpy",
    'adbc-driver-manager; extra == "all"',
    'google-cloud-bigquery-storage>=2; python_version >= "3.8" and extra == "ray"',
    'numpy>=2; extra == "all"',
    'tomli; python_version < "3.11"',
    "what is this",
]
_EXTRA = {"adbc-driver-manager", "google-cloud-bigquery-storage"}


def test_what_is_needed_in_any_case_is_no_extra() -> None:
    assert needed_by_extras(_REQUIRES) == _EXTRA


@pytest.mark.parametrize(
    ("fault", "missing"),
    [
        ("ModuleNotFoundError: No module named 'adbc_driver_manager'", "adbc-driver-manager"),
        ("ModuleNotFoundError: No module named 'adbc_driver_manager.dbapi'", "adbc-driver-manager"),
        (
            "ImportError: cannot import name 'bigquery_storage' from 'google.cloud' (unknown)",
            "google-cloud-bigquery-storage",
        ),
        ("ModuleNotFoundError: No module named 'numpy'", None),
        ("ImportError: cannot import name 'gone' from 'adbc_driver_duckdb'", None),
        ("AttributeError: module 'adbc_driver_manager' has no attribute 'x'", None),
        ("SystemExit: 1", None),
    ],
)
def test_an_import_misses_what_an_extra_brings(fault: str, missing: str | None) -> None:
    assert missing_distribution(fault, _EXTRA) == missing


@pytest.mark.parametrize(
    ("fault", "name"),
    [
        ("ModuleNotFoundError: No module named 'grpc'", "grpc"),
        ("ModuleNotFoundError: No module named 'grpc.aio'; 'grpc' is not a package", "grpc"),
        ("ModuleNotFoundError: No module named '_sqlite3'", None),
        ("ModuleNotFoundError: No module named 'distutils.core'", None),
        ("ImportError: cannot import name 'x' from 'grpc'", None),
        ("RuntimeError: exit code 4", None),
    ],
)
def test_a_package_that_is_not_there(fault: str, name: str | None) -> None:
    assert missing_package(fault) == name
