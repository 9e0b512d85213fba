from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from elt_env.errors import InputError
from elt_env.image.reference import Reference, is_loopback, parse_reference

_DIGEST = "sha256:" + "0123456789abcdef" * 4


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("registry.example/elt", Reference("registry.example", "elt")),
        ("registry.example:5000/a/b", Reference("registry.example:5000", "a/b")),
        ("localhost/elt:3.11", Reference("localhost", "elt", "3.11")),
        ("127.0.0.1:5000/elt:3.11", Reference("127.0.0.1:5000", "elt", "3.11")),
        ("[::1]:5000/elt", Reference("[::1]:5000", "elt")),
        ("builder:5000/elt", Reference("builder:5000", "elt")),
        (f"r.example/a__b-c.d@{_DIGEST}", Reference("r.example", "a__b-c.d", None, _DIGEST)),
        (f"r.example/a:1@{_DIGEST}", Reference("r.example", "a", "1", _DIGEST)),
    ],
)
def test_reads(text: str, expected: Reference) -> None:
    assert parse_reference(text) == expected
    assert str(expected) == text


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("elt", "does not begin with the host of a registry"),
        ("team/elt:3.11", "does not begin with the host"),
        ("", "does not begin with the host"),
        ("registry.example", "does not begin with the host"),
        ("registry.example:port/elt", "does not begin with the host"),
        ("registry.example:99999/elt", "does not begin with the host"),
        ("[::1::2]/elt", "does not begin with the host"),
        ("https://registry.example/elt", "it is a URL"),
        ("registry.example/Team/elt", "'Team/elt' is not a repository"),
        ("registry.example/team//elt", "is not a repository"),
        ("registry.example/", "'' is not a repository"),
        ("registry.example/elt:", "'' is not a tag"),
        ("registry.example/elt:-x", "'-x' is not a tag"),
        ("registry.example/elt@sha256:12", "not sha256: and 64 hex digits"),
        ("registry.example/elt@", "not sha256: and 64 hex digits"),
        ("registry.example/" + "a" * 255, "more than 255 characters"),
    ],
)
def test_refuses(text: str, reason: str) -> None:
    with pytest.raises(InputError) as raised:
        parse_reference(text)

    assert reason in raised.value.problem
    assert "registry.example/team/elt" in raised.value.remedy


def test_a_refusal_hides_a_password() -> None:
    with pytest.raises(InputError) as raised:
        parse_reference("https://user:s3cret@registry.example/elt")

    assert "s3cret" not in str(raised.value)


_HOSTS = st.from_regex(r"[a-z0-9]{1,8}(\.[a-z0-9]{1,8}){1,2}(:[1-9][0-9]{1,3})?", fullmatch=True)
_NAMES = st.from_regex(r"[a-z0-9]{1,8}([._-][a-z0-9]{1,4})?(/[a-z0-9]{1,8})?", fullmatch=True)
_TAGS = st.none() | st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,20}", fullmatch=True)


@given(_HOSTS, _NAMES, _TAGS, st.none() | st.just(_DIGEST))
def test_what_is_written_is_read_again(
    host: str, name: str, tag: str | None, digest: str | None
) -> None:
    reference = Reference(host, name, tag, digest)

    assert parse_reference(str(reference)) == reference


@given(st.text())
def test_any_other_text_is_an_input_error(text: str) -> None:
    try:
        found = parse_reference(text)
    except InputError:
        return
    assert str(found) == text


def test_names_another_version_of_the_same_repository() -> None:
    reference = Reference("r.example", "elt", "1")

    assert reference.version == "1"
    assert str(reference.at("2")) == "r.example/elt:2"
    assert str(reference.at(_DIGEST)) == f"r.example/elt@{_DIGEST}"
    assert Reference("r.example", "elt").version == "latest"


@pytest.mark.parametrize(
    ("registry", "expected"),
    [
        ("localhost:5000", True),
        ("a.localhost", True),
        ("127.1.2.3", True),
        ("[::1]:5000", True),
        ("128.0.0.1", False),
        ("localhost.example", False),
        ("registry.example:5000", False),
    ],
)
def test_knows_this_machine(registry: str, expected: bool) -> None:  # noqa: FBT001
    assert is_loopback(registry) is expected
