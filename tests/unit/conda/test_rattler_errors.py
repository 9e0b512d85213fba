"""The texts are what py-rattler 0.28 raised for a channel on loopback."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from elt_env.conda import rattler_errors
from elt_env.errors import (
    ChannelUnreachableError,
    CondaUnsatisfiableError,
    EltEnvError,
    IntegrityError,
    NetworkError,
    PackageNotFoundError,
    StorageError,
    ToolError,
)
from elt_env.index.http_errors import TryAgainError
from tests.support.locks import conda_package

_CHANNEL = "http://127.0.0.1:9/channel"
_CANNOT = "Cannot solve the request because of: "
_PACKAGES = (conda_package("python", "3.11.5"), conda_package("lib", "1.0"))
_UNPACKED_ANEW = (
    "failed to link lib-1.0-py311_0.conda\n"
    "Caused by: failed to link 'lib/data'\n"
    "Caused by: failed to copy file from /store/cache/conda/pkgs/lib-1.0-py311_0/lib/data to "
    "/store/prefix/lib/data: No such file or directory (os error 2)"
)
_FETCHING = (
    "failed to fetch lib-1.0-py311_0.conda\n"
    "Caused by: failed to interact with the package cache layer.\n"
)
_REFUSED = (
    "Request failed after 1 retries\nCaused by: error sending request for url "
    f"({_CHANNEL}/noarch/repodata_shards.msgpack.zst)\nCaused by: client error (Connect)\n"
    "Caused by: tcp connect error\nCaused by: Connection refused (os error 111)"
)
_SERVER_ERROR = (
    "HTTP status server error (500 Internal Server Error) for url "
    f"({_CHANNEL}/linux-64/repodata_shards.msgpack.zst)"
)


_NO_CANDIDATE = (
    f"{_CANNOT}old * cannot be installed because there are no viable options:\n"
    "└─ old 1.0 would require\n   └─ lib <1, for which no candidates were found.\n"
)
_TOO_YOUNG = (
    f"{_CANNOT}The following packages are incompatible\n└─ young * cannot be installed because "
    "there are no viable options:\n   └─ young 1.0 is excluded because the package is uploaded "
    "after the cutoff date of 2026-01-01 00:00:00\n"
)
_NO_SUBDIR = (
    f"could not find subdir 'noarch' in channel '{_CHANNEL}/'\nCaused by: HTTP status client "
    f"error (404 Not Found) for url ({_CHANNEL}/noarch/repodata.json)"
)
_NONSENSE = (
    f"failed to decode zstd shard from '{_CHANNEL}/linux-64/repodata_shards.msgpack.zst' (54 bytes "
    "received). The server may have returned invalid or truncated data.\n"
    "Caused by: Unknown frame descriptor"
)
_MISMATCH = (
    f"{_FETCHING}Caused by: hash mismatch when extracting http://x to /cache: expected 21, got b9, "
    "total size 666 bytes"
)


@pytest.mark.parametrize(
    ("text", "kind", "problem", "remedy"),
    [
        (_NO_CANDIDATE, CondaUnsatisfiableError, "lib <1, for which no candidates", "Loosen"),
        (_TOO_YOUNG, CondaUnsatisfiableError, "young 1.0 is excluded", "cooldown"),
        (
            f"{_CANNOT}No candidates were found for nope *.\n",
            PackageNotFoundError,
            "'nope'",
            "Correct the name",
        ),
    ],
)
def test_what_a_solve_without_a_solution_means(
    text: str, kind: type[EltEnvError], problem: str, remedy: str
) -> None:
    error = rattler_errors.unsatisfiable(text, ["python =3.11", "old"], (_CHANNEL,))
    assert type(error) is kind
    assert problem in error.problem
    assert remedy in error.remedy


def test_a_long_explanation_of_the_solver_is_cut() -> None:
    text = "\n".join(f"line {number}" for number in range(500))
    error = rattler_errors.unsatisfiable(text, ["a", "b >=1"], (_CHANNEL,))
    assert "a, b >=1" in error.problem.splitlines()[0]
    assert len(error.problem.splitlines()) < 40
    assert error.problem.endswith("line 499")


def test_a_channel_that_cannot_be_reached_is_one_line() -> None:
    problem = rattler_errors.channel(_REFUSED, (_CHANNEL,)).problem
    wanted = f"The conda channel {_CHANNEL} cannot be reached: Connection refused (os error 111)."
    assert problem == wanted


@pytest.mark.parametrize(
    ("text", "kind", "remedy"),
    [
        (_REFUSED, ChannelUnreachableError, "channel-fallback"),
        (_SERVER_ERROR, ChannelUnreachableError, "channel-fallback"),
        (_NO_SUBDIR, NetworkError, "Check the channel's name"),
        (_NONSENSE, NetworkError, "Check the channel's name"),
    ],
)
def test_what_missing_repodata_means(text: str, kind: type[EltEnvError], remedy: str) -> None:
    error = rattler_errors.channel(text, (_CHANNEL, "https://other.example.invalid"))
    assert type(error) is kind
    assert _CHANNEL in error.problem
    assert remedy in error.remedy


@pytest.mark.parametrize(
    ("text", "kind", "problem"),
    [
        (_FETCHING + f"Caused by: {_REFUSED}", NetworkError, "lib-1.0-py311_0.conda"),
        (_FETCHING + f"Caused by: {_SERVER_ERROR}", NetworkError, "lib-1.0-py311_0.conda"),
        (
            _FETCHING + "Caused by: HTTP status client error (404 Not Found) for url (http://x)",
            NetworkError,
            "no longer on its channel",
        ),
        (_MISMATCH, IntegrityError, "Hash mismatch of lib-1.0-py311_0.conda"),
        ("failed to link: No space left on device (os error 28)", StorageError, "/store/prefix"),
        ("failed to link: Permission denied (os error 13)", StorageError, "/store/prefix"),
        ("failed to link: Read-only file system (os error 30)", StorageError, "/store/prefix"),
        (_UNPACKED_ANEW, ToolError, "could not link lib-1.0-py311_0.conda"),
        ("something new about lib", ToolError, "lib-1.0-py311_0.conda"),
        ("something new", ToolError, "a conda package"),
    ],
)
def test_what_a_failed_link_means(text: str, kind: type[EltEnvError], problem: str) -> None:
    error = rattler_errors.link(text, _PACKAGES, Path("/store/prefix"))
    assert type(error) is kind
    assert problem in error.problem
    assert error.remedy


def test_what_is_unpacked_anew_meanwhile_is_linked_again() -> None:
    error = rattler_errors.link(_UNPACKED_ANEW, _PACKAGES, Path("/store/prefix"))
    assert isinstance(rattler_errors.passing(error, _UNPACKED_ANEW), TryAgainError)
    assert rattler_errors.passing(error, "something new") is error


@given(st.text(max_size=200))
def test_every_text_of_a_failure_is_some_error(text: str) -> None:
    assert rattler_errors.unsatisfiable(text, ["a"], (_CHANNEL,)).remedy
    assert rattler_errors.channel(text, (_CHANNEL,)).remedy
    assert rattler_errors.link(text, _PACKAGES, Path("/store")).remedy
