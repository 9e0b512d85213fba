from __future__ import annotations

import hashlib
import json

from hypothesis import given
from hypothesis import strategies as st

from elt_env.package.canonical import digest_of, short

_SCALARS = st.none() | st.booleans() | st.integers() | st.text()
_JSON = st.recursive(
    _SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=8
)


def test_a_digest_is_the_sha256_of_compact_sorted_json() -> None:
    text = '{"a":[1,"ä"],"b":null}'
    expected = "sha256:" + hashlib.sha256(text.encode()).hexdigest()
    assert digest_of({"b": None, "a": [1, "ä"]}) == expected


@given(_JSON)
def test_a_digest_survives_a_round_trip_through_json(content: object) -> None:
    assert digest_of(json.loads(json.dumps(content))) == digest_of(content)


@given(st.dictionaries(st.text(), _SCALARS, min_size=2))
def test_the_order_of_keys_does_not_count(content: dict[str, object]) -> None:
    assert digest_of(dict(reversed(content.items()))) == digest_of(content)


def test_a_short_digest_is_twelve_hex_digits_with_or_without_the_algorithm() -> None:
    assert short("sha256:" + "0123456789abcdef" * 4) == "0123456789ab"
    assert short("0123456789abcdef" * 4) == "0123456789ab"
