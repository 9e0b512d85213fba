"""Which failed imports are no fault of an environment."""

from __future__ import annotations

from dataclasses import replace

import pytest

from elt_env.proof.import_faults import ImportFault, Surroundings, excuse, hint

_AROUND = Surroundings(
    own=("tool",),
    brought=("tool", "other", "google.api_core"),
    extras=("far-db", "google-cloud-bigquery"),
    required=("other", "needed-driver"),
)
_NOT_FOUND = "ModuleNotFoundError: No module named '{}'"


def why(text: str, *, missing: str | None = None, below: bool = True) -> str | None:
    found = excuse(ImportFault("tool.part", text, missing, below), _AROUND)
    assert found is None or not found.is_lack  # an extra that nobody asked for may bring it
    return found.reason if found else None


def test_what_the_standard_library_hides_is_no_fault() -> None:
    text = _NOT_FOUND.format("test.import_test")
    found = excuse(ImportFault("test.import_test", text, hidden=True), _AROUND)
    assert found is not None
    assert found.reason == "is hidden by test of the standard library"


def test_what_lies_in_a_namespace_is_of_the_extra_whose_name_has_it() -> None:
    around = replace(
        _AROUND,
        brought=("airflow",),
        extras=("apache-airflow-providers-cncf-kubernetes",),
        required=("apache-airflow-providers-http",),
    )

    def wants(module: str) -> str | None:
        fault = ImportFault("tool.part", _NOT_FOUND.format(module), below=True)
        found = excuse(fault, around)
        return found.wants if found else None

    assert wants("airflow.providers.cncf") == "apache-airflow-providers-cncf-kubernetes"
    assert wants("airflow.providers.http") is None  # it is required, so it is to be there
    assert wants("airflow.providers.cnc") is None
    assert wants("airflow.www") is None


def test_what_only_runs_as_a_program_is_no_fault_below() -> None:
    text = "KeyError: 'MODEL_PATH'"
    found = excuse(ImportFault("tool.app", text, below=True, apart="is a program"), _AROUND)
    assert found is not None
    assert found.reason == "is a program"
    assert excuse(ImportFault("tool", text, apart="is a program"), _AROUND) is None
    assert why("AttributeError: module 'alembic.context' has no attribute 'config'")
    assert why("ModuleNotFoundError: `tool.stats` requires `scipy` to be installed.")
    library = "/site-packages/tool/libjemalloc.so: cannot allocate memory in static TLS block"
    assert why(f"ImportError: {library}") == "is a library and no module"
    assert why(f"ImportError: {library.replace('libje', 'je')}") is None


@pytest.mark.parametrize("below", [True, False])
@pytest.mark.parametrize(
    ("missing", "reason"),
    [
        ("grpc.aio", "wants grpc, which nothing here requires"),
        ("google.auth", "wants google.auth, which nothing here requires"),
        ("far_db", "wants far-db, of an extra"),
        ("google.cloud.bigquery", "wants google-cloud-bigquery, of an extra"),
        ("needed_driver", None),
        ("other.core", None),
        ("_sqlite3", None),
    ],
)
def test_a_module_that_is_not_there(missing: str, reason: str | None, *, below: bool) -> None:
    assert why(_NOT_FOUND.format(missing), below=below) == reason
    # Whoever caught it may say something else.
    assert why("SomeError: no.", missing=missing, below=below) == reason


def test_a_name_that_a_namespace_lacks_is_a_module_that_is_not_there() -> None:
    text = "ImportError: cannot import name '{}' from 'google' (unknown location)"
    assert (
        why(text.format("dataplex_v1")) == "wants google.dataplex_v1, which nothing here requires"
    )
    assert why(text.format("api_core")) is None
    known = replace(_AROUND, brought=("tool", "google.api_core"), extras=("google-dataplex",))
    found = excuse(ImportFault("tool.part", text.format("dataplex"), below=True), known)
    assert found is not None
    assert found.wants == "google-dataplex"


def test_what_helps_is_told_where_it_is_known() -> None:
    assert "setuptools<82" in hint(_NOT_FOUND.format("pkg_resources"))
    assert not hint(_NOT_FOUND.format("resources"))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("ModuleNotFoundError: No module named 'winreg'", "wants winreg, of another platform"),
        (
            "ImportError: cannot import name 'winreg' from 'six.moves' (unknown location)",
            "wants winreg, of another platform",
        ),
        (
            "ModuleNotFoundError: No module named 'distutils.core'",
            "wants distutils, which newer Pythons do not have",
        ),
        (
            "ModuleNotFoundError: No module named 'tool._cuda'",
            "wants tool._cuda, which its own distribution lacks",
        ),
        (
            "ImportError: cannot import name 'gone' from 'tool.helpers' (/x/tool/helpers.py)",
            "wants tool.helpers.gone, which its own distribution lacks",
        ),
        (
            "ImportError: dynamic module does not define module export function (PyInit_libtool)",
            "is a library and no module",
        ),
        ('AssertionError: assert sys.platform == "win32"', "is for another platform"),
        ("SystemExit: 2", "is a program"),
        (
            "FileNotFoundError: [Errno 2] No such file or directory: 'generated/lexer.py'",
            "is a program",
        ),
        ("ImportError: Install 'tool[gcp]' to use it", "wants what is to be installed with it"),
        ("ExtraError: execute `pip install tool[x]`", "wants what is to be installed with it"),
        (
            "ImportError: Please install langchain v0.3.25 (or later).",
            "wants what is to be installed with it",
        ),
        (
            "ImportError: Please refer to installation documentation page to install an engine",
            "wants what is to be installed with it",
        ),
        (
            "ModuleNotFoundError: tool.x requires the 'hypothesis' module",
            "wants what is to be installed with it",
        ),
    ],
)
def test_only_below_the_top_a_module_may_be_something_else(text: str, reason: str) -> None:
    assert why(text) == reason
    assert why(text, below=False) is None


@pytest.mark.parametrize(
    "text",
    [
        "RuntimeError: broken",
        "AssertionError: assert VERSION == other.VERSION",
        "SyntaxError: invalid syntax (part.py, line 1)",
        "ImportError: cannot import name 'gone' from 'other' (/x/other/__init__.py)",
        "ImportError: /x/tool/_fast.so: undefined symbol: PyUnicode_New",
        "ImportError: the C extensions failed, often due to how the package was installed",
        "ImportError: libpq.so.5: cannot open shared object file: No such file or directory",
        "VersionError: Detected incompatible Protobuf Gencode/Runtime versions when loading x",
        "AttributeError: module 'other' has no attribute 'x'",
        "FileNotFoundError: [Errno 2] No such file or directory: '/opt/tool/data.json'",
        "the interpreter ended with SIGSEGV",
    ],
)
def test_anything_else_is_a_fault(text: str) -> None:
    assert why(text) is None


@pytest.mark.parametrize(
    ("module", "missing", "is_lack"),
    [
        ("tool.part", "absentee", True),
        ("tool.v1.service_pb2_grpc", "absentee", True),
        ("tool.v1.service_pb2_grpc", "grpc.aio", False),
        ("tool.part", "grpc.aio", True),
    ],
)
def test_a_requirement_that_was_forgotten(module: str, missing: str, *, is_lack: bool) -> None:
    fault = ImportFault(module, _NOT_FOUND.format(missing))
    found = excuse(fault, replace(_AROUND, extras=()))
    assert found is not None
    assert found.is_lack is is_lack
