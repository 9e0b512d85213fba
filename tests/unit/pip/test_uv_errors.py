"""The texts are what uv 0.13.8 printed for an index on loopback."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from elt_env.errors import (
    EltEnvError,
    IndexUnreachableError,
    IntegrityError,
    NoReleaseError,
    NoWheelError,
    PackageNotFoundError,
    PipConflictError,
    StorageError,
    ToolError,
)
from elt_env.machine.indexes import Index, Indexes
from elt_env.machine.process import Completed
from elt_env.pip import uv_errors
from elt_env.pip.port import ResolveRequest

_URL = "http://127.0.0.1:9/simple"
_HEAD = "error: No solution found when resolving dependencies\n  cause: "
_UNUSABLE = "we can conclude that your requirements are unsatisfiable.\n"

CONFLICT = (
    f"{_HEAD}Because all versions of beta depend on gamma>=2 and all versions of alpha depend on "
    "gamma<2, we can conclude that all versions of alpha and all versions of beta are "
    f"incompatible.\n         And because you require alpha and beta, {_UNUSABLE}"
)
MISSING = (
    f"{_HEAD}Because nope was not found in the package registry and you require nope, {_UNUSABLE}"
)
MISSING_BELOW = (
    f"{_HEAD}Because nowhere was not found in the package registry and all versions of lost depend "
    "on nowhere, we can conclude that all versions of lost cannot be used.\n"
    f"         And because you require lost, {_UNUSABLE}"
)
SDIST_ONLY = (
    f"{_HEAD}Because source==1.0 has no usable wheels and only source==1.0 is available, we can "
    "conclude that all versions of source cannot be used.\n"
    f"         And because you require source, {_UNUSABLE}\n"
    "hint: Wheels are required for `source` because building from source is disabled for all "
    "packages (i.e., with `--no-build`)\n"
)
OTHER_PLATFORM = (
    f"{_HEAD}Because winonly==1.0 has no wheels with a matching platform tag (e.g., "
    "`manylinux_2_36_x86_64`) and only winonly==1.0 is available, we can conclude that all "
    f"versions of winonly cannot be used.\n         And because you require winonly, {_UNUSABLE}\n"
    "hint: Wheels are available for `winonly` (v1.0) on the following platform: `win_amd64`\n"
)
YANKED = 'Resolved 1 package in 9ms\nwarning: `bad==1.0` is yanked (reason: "broken build")\n'
TOO_YOUNG = (
    f"{_HEAD}Because there are no versions of young and you require young, {_UNUSABLE}\n"
    "hint: `young` was filtered by `exclude-newer` to only include packages uploaded before "
    "2026-01-01T00:00:00Z. The latest version satisfying the requirement is v1.0, published at "
    "2026-06-01T00:00:00Z. Consider using `exclude-newer-package` to override the cutoff for this "
    "package.\n"
)
UNDATED = (
    "warning: `delta-1.0-py3-none-any.whl` is missing an upload date, but user provided: "
    f"2026-01-01T00:00:00Z\n{_HEAD}Because there are no versions of delta and you require delta, "
    f"{_UNUSABLE}"
)
SERVER_ERROR = (
    f"error: Failed to fetch: {_URL}/delta/\n  cause: HTTP status server error (500 Internal "
    f"Server Error) for url ({_URL}/delta/)\n"
)
NONSENSE = f"{_HEAD}Because there are no versions of delta and you require delta, {_UNUSABLE}"
LOGIN = (
    f"{_HEAD}Because delta was not found in the package registry and you require delta, {_UNUSABLE}"
    f"\nhint: An index URL ({_URL}) could not be queried due to a lack of valid authentication "
    "credentials (401 Unauthorized)\n"
)
REFUSED = (
    f"error: Failed to fetch: {_URL}/delta/\n  cause: error sending request for url "
    f"({_URL}/delta/)\n  cause: client error (Connect)\n  cause: tcp connect error\n"
    "  cause: Connection refused (os error 111)\n"
)
MISMATCH = (
    "error: Failed to download `delta==1.0`\n  cause: Hash mismatch for `delta==1.0`\n\n"
    "         Expected:\n           sha256:00\n\n         Computed:\n           sha256:0d\n"
)


def _check(stderr: str, *requirements: str, code: int = 1, **more: Any) -> None:
    done = Completed(("uv", "pip", "compile"), code, "", stderr, 0.1)
    request = ResolveRequest(requirements, "3.11.5", **{"wheels_only": True, **more})
    uv_errors.check_compile(done, request, Indexes(Index(_URL)))


def _error(stderr: str, *requirements: str, wheels_only: bool = True) -> EltEnvError:
    with pytest.raises(EltEnvError) as caught:
        _check(stderr, *requirements, wheels_only=wheels_only)
    return caught.value


def test_a_success_is_one_whatever_uv_warns_of() -> None:
    _check("Resolved 4 packages in 14ms\nwarning: this is slow\n", "alpha", code=0)


@pytest.mark.parametrize(
    ("stderr", "requirement", "kind", "problem", "remedy"),
    [
        (MISSING, "nope", PackageNotFoundError, "'nope'", "correct the name"),
        (MISSING_BELOW, "lost", PackageNotFoundError, "'nowhere'", "extra-indexes"),
        (SDIST_ONLY, "source", NoWheelError, "source has no wheel", 'allow-sdist = ["source"]'),
        (OTHER_PLATFORM, "winonly", NoWheelError, "winonly has no wheel", "version with a wheel"),
        (TOO_YOUNG, "young", PipConflictError, "young", "cooldown"),
        (UNDATED, "delta", PipConflictError, "no upload times for delta", "undated-rel"),
        (SERVER_ERROR, "delta", IndexUnreachableError, _URL, "Check the network"),
        (REFUSED, "delta", IndexUnreachableError, "Connection refused", "Check the network"),
        (NONSENSE, "delta", NoReleaseError, "'delta'", "browser"),
        (LOGIN, "delta", IndexUnreachableError, "401", "password"),
        ("error: No space left on device (os error 28)", "a", StorageError, "No space", "Free"),
        ("error: something new", "a", ToolError, "exit code 1: error: something new", "uv cache"),
    ],
)
def test_what_a_failed_resolve_means(
    stderr: str, requirement: str, kind: type[EltEnvError], problem: str, remedy: str
) -> None:
    error = _error(stderr, requirement)
    assert type(error) is kind
    assert problem in error.problem
    assert remedy in error.remedy


def test_a_conflict_names_the_direct_requirements_that_take_part() -> None:
    error = _error(CONFLICT, "alpha>=1", "beta", "alphabet", "beta-other", "delta")
    assert type(error) is PipConflictError
    first = error.problem.splitlines()[0]
    assert first.endswith("alpha>=1, beta")
    assert "depend on gamma>=2" in error.problem


def test_a_long_explanation_keeps_its_head_and_its_tail() -> None:
    middle = "".join(f"         And because middle-{number}\n" for number in range(900))
    error = _error(CONFLICT + middle + "the end\n", "alpha", "beta")
    lines = error.problem.splitlines()
    assert len(lines) < 25
    assert "depend on gamma>=2" in lines[2]
    assert lines[-1] == "the end"
    assert any("lines left out" in line for line in lines)


def test_a_yanked_pin_is_refused_where_the_policy_says_so() -> None:
    with pytest.raises(PipConflictError) as caught:
        _check(YANKED, "bad==1.0", code=0, yanked="refuse")
    assert "bad==1.0 was yanked" in caught.value.problem
    assert "broken build" in caught.value.problem
    assert "another version" in caught.value.remedy


def test_a_yanked_pin_is_taken_as_pip_takes_it_and_said() -> None:
    _check(YANKED, "bad==1.0", code=0)
    (note,) = uv_errors.yanked_notes(YANKED)
    assert note.startswith("bad 1.0 was yanked from its index")
    assert "broken build" in note


def test_whose_files_have_no_upload_time() -> None:
    text = UNDATED + "warning: `delta-1.0.tar.gz` is missing an upload date, but user\n"
    text += "warning: `my_lib-1.0-py3-none-any.whl` is missing an upload date, but user\n"
    assert uv_errors.dateless(text + text) == {"delta", "my-lib"}
    assert uv_errors.dateless(YANKED) == set()
    assert uv_errors.is_undated(text.splitlines()[0])
    assert not uv_errors.is_undated(YANKED)


@pytest.mark.parametrize(
    ("stderr", "kind", "problem"),
    [
        (MISMATCH, IntegrityError, "Hash mismatch of delta==1.0"),
        (SERVER_ERROR, IndexUnreachableError, "500"),
        (REFUSED, IndexUnreachableError, "Connection refused"),
        ("No space left on device", StorageError, "/store/prefix"),
        ("error: something new", ToolError, "exit code 2: error: something new"),
    ],
)
def test_what_a_failed_install_means(stderr: str, kind: type[EltEnvError], problem: str) -> None:
    error = uv_errors.install(stderr, 2, Path("/store/prefix"))
    assert type(error) is kind
    assert problem in error.problem
    assert error.remedy


@given(st.text(max_size=200))
def test_every_text_of_a_failure_is_some_error(text: str) -> None:
    error = _error(text, "alpha")
    assert error.remedy
    assert uv_errors.install(text, 1, Path("/store")).remedy


_CHECK = """\
Using Python 3.11.7 environment at: /a place
Checked 6 packages in 1ms
Found 3 incompatibilities
The package `alpha` requires `beta>=2`, but `1.0` is installed
The package `gamma` is broken or incomplete (unable to read `METADATA` file). Consider recreating.
"""
_TWICE = "The package `delta` has multiple installed distributions: \n"
_NO_WHEEL = (
    "The package `vtk` is broken or incomplete (unable to read `WHEEL` file). Consider recreating "
    "the virtualenv, or removing the package directory at: /a place/vtk-9.dist-info.\n"
)


def test_what_uv_check_finds_wrong() -> None:
    faults, complete = uv_errors.inconsistencies(_CHECK)
    assert [each.split("`")[1] for each in faults] == ["alpha", "gamma"]
    assert complete


def test_what_conda_packages_have_is_no_fault_and_not_looked_at() -> None:
    egg = "  - /a place/delta-1.0-py3.11.egg-info\n  - /a place/delta-1.0.dist-info\n"
    assert uv_errors.inconsistencies(_TWICE + egg) == ([], False)
    assert uv_errors.inconsistencies(_NO_WHEEL) == ([], False)
    faults, complete = uv_errors.inconsistencies(_CHECK + _NO_WHEEL)
    assert len(faults) == 2
    assert not complete


@pytest.mark.parametrize(
    "second", ["delta-0.9.dist-info", "delta-0.9.egg-info\n  - /b/delta.egg-info"]
)
def test_a_distribution_that_is_twice_there_is_a_fault(second: str) -> None:
    text = f"{_TWICE}  - /a place/delta-1.0.dist-info\n  - /a place/{second}\n"
    (fault,), complete = uv_errors.inconsistencies(text)
    assert "/a place/delta-1.0.dist-info" in fault
    assert complete


@pytest.mark.parametrize(
    "text",
    [
        "thread 'main2' panicked at functions.rs:131:29:\nfailed to spawn thread: Os { code: 11 }",
        "memory allocation of 1048576 bytes failed",
        "error: Cannot allocate memory (os error 12)",
    ],
)
def test_too_little_memory_is_called_so(text: str) -> None:
    error = uv_errors.other(text, -6)
    assert error.exit_code == 9
    assert "not enough memory" in error.problem
    assert "ulimit -v" in error.remedy
