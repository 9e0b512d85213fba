"""What is needed for extras alone, and whether an import misses it."""

from __future__ import annotations

import pytest

from elt_env.spec.extras import (
    InstalledMetadata,
    missing_distribution,
    missing_package,
    needed_always,
    needed_by_extras,
    unmet_extras,
)

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


def test_what_an_extra_requires_has_to_be_there() -> None:
    installed = {
        "app": InstalledMetadata(
            "1", ["lib[fast]>=1", 'far-db; extra == "all"', "not a requirement"]
        ),
        "lib": InstalledMetadata(
            "1.2",
            ['speed[simd]>=2; extra == "fast"', 'old; extra == "fast" and python_version < "3"'],
        ),
        "speed": InstalledMetadata("1.0", ['vector; extra == "simd"', 'rust; extra == "other"']),
    }
    assert unmet_extras(["app"], installed, "3.11.4") == [
        "lib[fast] requires speed>=2, speed 1.0 is installed",
        "speed[simd] requires vector, which is not installed",
    ]
    whole = {
        **installed,
        "speed": InstalledMetadata("2.0", []),
        "vector": InstalledMetadata("1", []),
    }
    assert unmet_extras(["app[unknown]"], whole, "3.11.4") == []
    assert unmet_extras(["App[ALL]; python_version >= '3'"], whole, "3.11.4") == [
        "app[all] requires far-db, which is not installed"
    ]
    assert unmet_extras(["app[all]; python_version < '3'", "gone[x]"], whole, "3.11.4") == []


def test_what_is_required_in_any_case() -> None:
    requires = [*_REQUIRES, 'Old_Thing; python_version < "3"']
    assert needed_always(requires, "3.11.4") == {"numpy"}
