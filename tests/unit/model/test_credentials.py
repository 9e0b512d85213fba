from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from elt_env.model.credentials import without_credentials


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("https://me:pa55@host.invalid/x", "https://***@host.invalid/x"),
        ("a @ https://token@host.invalid/a.whl", "a @ https://***@host.invalid/a.whl"),
        ("https://host.invalid/t/tk-123/forge", "https://host.invalid/t/***/forge"),
        ("{'pip': 'http://a:b@c d://e:f@g'}", "{'pip': 'http://***@c d://***@g'}"),
        ("https://host.invalid/a@b", "https://host.invalid/a@b"),
        ("pandas >=2", "pandas >=2"),
    ],
)
def test_credentials_of_urls_are_hidden_and_nothing_else(text: str, shown: str) -> None:
    assert without_credentials(text) == shown


@given(st.from_regex(r"[A-Z0-9:._~!$&()*+,;=%-]{4,12}", fullmatch=True), st.text(max_size=10))
def test_no_userinfo_survives(userinfo: str, around: str) -> None:
    shown = without_credentials(f"{around} https://{userinfo}@host.invalid/ {around}")
    assert f"{userinfo}@" not in shown
