from __future__ import annotations

import json

import pytest

from elt_env.errors import InputError, RegistryError
from elt_env.image.oci.registry_errors import RegistryAnswer, read_said, refusal
from elt_env.runtime.masking import masking

_WHERE = "r.example/team/elt"


def test_reads_what_a_registry_says_without_secrets_and_control_characters() -> None:
    errors = [{"code": "DENIED", "message": "no\x1b[31m\n s3cret"}, {"code": "UNKNOWN"}]
    body = json.dumps({"errors": errors}).encode()

    said = read_said(403, body, masking(["s3cret"]))

    assert said == RegistryAnswer(403, ("DENIED", "UNKNOWN"), "no[31m ***; UNKNOWN")
    assert str(said) == "HTTP 403, no[31m ***; UNKNOWN"


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"errors": 1}', b'{"errors": ["x"]}'])
def test_a_body_of_another_form_is_left_out(body: bytes) -> None:
    assert str(read_said(502, body, str)) == "HTTP 502"


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (RegistryAnswer(401, (), ""), "No credentials were found for it in: a, b."),
        (
            RegistryAnswer(403, ("DENIED",), "no"),
            "does not let this push to r.example/team/elt (HTTP 403",
        ),
        (RegistryAnswer(404, ("NAME_UNKNOWN",), ""), "There is no such repository"),
        (RegistryAnswer(413, (), ""), "has no room"),
        (RegistryAnswer(507, (), ""), "has no room"),
        (RegistryAnswer(403, ("DENIED",), "Quota exceeded"), "has no room"),
        (RegistryAnswer(405, ("UNSUPPORTED",), ""), "does not let this push to"),
        (RegistryAnswer(418, (), "teapot"), "HTTP 418, teapot"),
    ],
)
def test_says_what_a_refusal_means(said: RegistryAnswer, expected: str) -> None:
    error = refusal(_WHERE, "push to", said, ("a", "b"), known=False)

    assert isinstance(error, RegistryError)
    assert expected in error.problem
    assert error.remedy


def test_a_name_that_is_not_taken_is_the_persons_to_correct() -> None:
    said = RegistryAnswer(400, ("NAME_INVALID",), "invalid")

    assert isinstance(refusal(_WHERE, "push to", said, (), known=False), InputError)


def test_says_whose_credentials_were_refused() -> None:
    error = refusal(_WHERE, "pull from", RegistryAnswer(403, (), ""), ("a", "b"), known=True)

    assert "The credentials were those of b." in str(error)
    assert "docker login r.example" in str(error)
    assert "may pull" in str(error)
