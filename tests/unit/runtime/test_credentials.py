from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from elt_env.runtime.credentials import (
    carries_credentials,
    channel_carries_credentials,
    requirement_carries_credentials,
    without_credentials,
)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("https://me:pa55@host.invalid/x", "https://***@host.invalid/x"),
        ("a @ https://token@host.invalid/a.whl", "a @ https://***@host.invalid/a.whl"),
        ("https://host.invalid/t/tk-123/forge", "https://host.invalid/t/***/forge"),
        ("{'pip': 'http://a:b@c d://e:f@g'}", "{'pip': 'http://***@c d://***@g'}"),
        ("https://host.invalid/x/t/tk-1/forge?a=b", "https://host.invalid/x/t/***/forge?a=b"),
        ("https://host.invalid/c?token=s3", "https://host.invalid/c?token=***"),
        ("https://h.invalid/c?a=b&access_token=s3#x", "https://h.invalid/c?a=b&access_token=***#x"),
        ("https://h.invalid/?X-Amz-Signature=s3&n=1", "https://h.invalid/?X-Amz-Signature=***&n=1"),
        ("https://h.invalid/?sv=1&sig=s3", "https://h.invalid/?sv=1&sig=***"),
        ("https://me%3Apa55%40host.invalid/x", "https://***@host.invalid/x"),
        ("https://host.invalid/%74/s3cr/x", "https://host.invalid/t/***/x"),
        ("https://host.invalid%2Ft%2Fs3cr%2Fx y", "https://host.invalid/t/***/x y"),
        ("u=https%3A%2F%2Fme%3Apa55%40host.invalid%2Fx", "u=https%3A%2F%2F***%40host.invalid%2Fx"),
        ("https://a.invalid/a?author=me&design=x", "https://a.invalid/a?author=me&design=x"),
        ("https://a.invalid/a.whl#sha256=abc&egg=b", "https://a.invalid/a.whl#sha256=abc&egg=b"),
        ("git+ssh://git@host.invalid/r.git", "git+ssh://git@host.invalid/r.git"),
        ("file:///mnt/t/channel/noarch", "file:///mnt/t/channel/noarch"),
        ("https://host.invalid/a@b", "https://host.invalid/a@b"),
        ("pandas >=2", "pandas >=2"),
        ("http://user:pa/ss@host/simple", "http://***@host/simple"),
        ("http://user:pa?ss@host/simple x", "http://***@host/simple x"),
        ("http://user:pa#s@s@host/simple", "http://***@host/simple"),
        ("http://user:12/3@host.example/simple", "http://***@host.example/simple"),
        ("https://tok/en@host.example/simple", "https://***@host.example/simple"),
        ("https://h.invalid/CmmTZPjRuqu4qoED/simple", "https://h.invalid/***/simple"),
        ("https://h.invalid/a1B2c3D4e5F6g7H8", "https://h.invalid/***"),
        ("https://h.invalid/xY7z-CmmTZ_PjRuqu4q/simple", "https://h.invalid/***/simple"),
        (f"https://h.invalid/ghp_{'aB1' * 12}/simple", "https://h.invalid/***/simple"),
        (f"https://h.invalid/glpat-{'a1' * 10}/simple", "https://h.invalid/***/simple"),
        ("https://h.invalid/eyJhbGci.eyJzdWIi.a-B/simple", "https://h.invalid/***/simple"),
        (
            "https://h.invalid/Pypi-Internal_2024-Mirror/simple",
            "https://h.invalid/Pypi-Internal_2024-Mirror/simple",
        ),
        (
            "https://h.invalid/manylinux_2_17_x86_64/ghp_short/eyJ/x",
            "https://h.invalid/manylinux_2_17_x86_64/ghp_short/eyJ/x",
        ),
        (
            "https://h.invalid/linux-64/PyYAML-6.0-py311h64a7726_0.conda",
            "https://h.invalid/linux-64/PyYAML-6.0-py311h64a7726_0.conda",
        ),
        ("https://h.invalid/MyCompany2Python/x", "https://h.invalid/MyCompany2Python/x"),
        ("https://h:8080/npm/@scope.ab/x", "https://h:8080/npm/@scope.ab/x"),
        ("https://intranet/r.git@v1.0/x", "https://intranet/r.git@v1.0/x"),
        ("https://h.invalid:8443/a:b@c/x", "https://h.invalid:8443/a:b@c/x"),
        (
            "https://h.invalid/r.git@main#subdirectory=x",
            "https://h.invalid/r.git@main#subdirectory=x",
        ),
        ("http://[::1]:8080/a@b", "http://[::1]:8080/a@b"),
        (
            f"https://h.invalid/packages/{'0a' * 30}/a-1.whl",
            f"https://h.invalid/packages/{'0a' * 30}/a-1.whl",
        ),
        (
            "https://h.invalid/0a1b2c3d-0000-4000-8000-0123456789ab/simple",
            "https://h.invalid/0a1b2c3d-0000-4000-8000-0123456789ab/simple",
        ),
        ("http://HOST:PORT/simple or a@b", "http://HOST:PORT/simple or a@b"),
    ],
)
def test_credentials_of_urls_are_hidden_and_nothing_else(text: str, shown: str) -> None:
    assert without_credentials(text) == shown


@given(st.from_regex(r"[A-Z0-9:._~!$&()*+,;=%-]{4,12}", fullmatch=True), st.text(max_size=10))
def test_no_userinfo_survives(userinfo: str, around: str) -> None:
    shown = without_credentials(f"{around} https://{userinfo}@host.invalid/ {around}")
    assert f"{userinfo}@" not in shown


@given(st.from_regex(r"[A-Z0-9._~!$&()*+,;=%/?#@-]{4,12}", fullmatch=True))
def test_no_password_survives_that_should_have_been_encoded(password: str) -> None:
    shown = without_credentials(f"see http://user:x{password}x@host.invalid/simple for more")
    assert shown.endswith("@host.invalid/simple for more")
    assert f"x{password}x" not in shown


@given(st.text(max_size=60))
def test_what_is_masked_stays_as_it_is(text: str) -> None:
    masked = without_credentials(f"https://{text}")
    assert without_credentials(masked) == masked


_FORMS = [
    "https://me:{}@host.invalid/c",
    "https://{}@host.invalid/c",
    "https://:{}@host.invalid/c",
    "https://host.invalid/t/{}/c",
    "https://host.invalid/conda/t/{}/c/label/main",
    "https://host.invalid/t/{}",
    "https://host.invalid/c?token={}",
    "https://host.invalid/c?access_token={}",
    "https://host.invalid/c?k={}",
    "https://host.invalid/%74/{}/c",
    "https://host.invalid/t%2F{}/c",
    "https://host.invalid/c%3Ftoken%3D{}",
    "https://me%3A{}%40host.invalid/c",
    "//me:{}@host.invalid/c",
    "me:{}@host.invalid/c",
    "t/{}/c",
    "/t/{}/c",
]


@pytest.mark.parametrize("form", _FORMS)
def test_a_credential_in_a_channel_is_found_in_each_of_its_forms(form: str) -> None:
    channel = form.format("hunter22")
    assert channel_carries_credentials(channel)
    assert requirement_carries_credentials(f"{channel}::pandas >=2")


@pytest.mark.parametrize(
    "channel",
    [
        "conda-forge",
        "conda-forge/label/main",
        "pkgs/main",
        "https://host.invalid/conda/forge",
        "https://host.invalid:8443/t",
        "file:///srv/t/channel",
        "./t/channel",
        "s3://bucket/channel",
    ],
)
def test_a_channel_without_a_credential(channel: str) -> None:
    assert not channel_carries_credentials(channel)
    assert not requirement_carries_credentials(f"{channel}::pandas >=2")


def test_a_requirement_with_its_channel_in_brackets() -> None:
    assert requirement_carries_credentials("pandas[channel=https://me:pa55@host.invalid/c]")
    assert not requirement_carries_credentials("pandas[channel=conda-forge,version='>=1']")


def test_a_url_requirement_without_a_credential() -> None:
    assert not carries_credentials("a@https://host.invalid/a-1.0-py3-none-any.whl#sha256=00")
    assert carries_credentials("a @ git+https://x-token:pa55@host.invalid/r.git@main")
