from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from elt_env.runtime.masking import masking


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("get https://user:pa55@host.invalid/x", "get https://***@host.invalid/x"),
        ("https://token@host.invalid:8080", "https://***@host.invalid:8080"),
        ("http://:pa55@host.invalid", "http://***@host.invalid"),
        ("http://u:p@ss@host.invalid", "http://***@host.invalid"),
        ("git+ssh://me:pa55@host.invalid/x", "git+ssh://***@host.invalid/x"),
        ("s3://key:pa55@bucket http://a:b@c", "s3://***@bucket http://***@c"),
    ],
)
def test_credentials_in_urls_are_hidden(text: str, masked: str) -> None:
    assert masking(())(text) == masked


@pytest.mark.parametrize(
    "text",
    [
        "https://host.invalid:8080/a@b",
        "name @ https://host.invalid/name-1.0.whl",
        "git+https://host.invalid/repo@v1.0",
        "git+ssh://git@host.invalid/repo",
        "file:///some/dir@2/x",
        '{"url":"https://host.invalid","author":"me@host.invalid"}',
        "['https://host.invalid','me@host.invalid']",
        "me@host.invalid",
    ],
)
def test_what_is_no_credential_stays(text: str) -> None:
    assert masking(())(text) == text


def test_a_secret_is_hidden_as_it_is_and_percent_encoded() -> None:
    mask = masking(["p@ss/word"])
    assert mask("p@ss/word and p%40ss%2Fword") == "*** and ***"


def test_the_longer_of_two_secrets_is_hidden_whole() -> None:
    assert masking(["abc", "abcdef"])("abcdef abc") == "*** ***"


def test_an_empty_secret_changes_nothing() -> None:
    assert masking([""])("text") == "text"


@given(
    secrets=st.lists(st.text(min_size=1).filter(lambda each: each not in "***"), min_size=1),
    around=st.text(),
)
def test_no_secret_survives_in_the_text_that_held_it(secrets: list[str], around: str) -> None:
    left = masking(secrets)(around.join(secrets)).replace("***", "")
    assert not [each for each in secrets if each in left]


@pytest.mark.parametrize("text", ["a" * 5_000_000, "://" + ":" * 5_000_000, "://a" * 1_000_000])
def test_a_long_text_takes_no_quadratic_time(text: str) -> None:
    started = time.monotonic()
    masking(["secret"])(text)
    assert time.monotonic() - started < 20
