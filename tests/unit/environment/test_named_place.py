from __future__ import annotations

import base64
import hashlib
import json

from hypothesis import given
from hypothesis import strategies as st

from elt_env.environment.named_place import is_plain, moved, recorded

_OLD, _NEW = b"/home/me/store/prefixes/elt", b"/srv/prefixes/elt"
_PARTS = st.lists(st.sampled_from([_OLD, b"/bin/python", b"\n", b"x", b":"]), max_size=8)


@given(_PARTS)
def test_text_names_the_new_place_and_else_is_what_it_was(parts: list[bytes]) -> None:
    other = [_NEW if each == _OLD else each for each in parts]
    assert moved(b"".join(parts), _OLD, _NEW) == b"".join(other)
    assert moved(b"".join(other), _NEW, _OLD) == b"".join(parts)


@given(st.lists(_PARTS, min_size=1, max_size=4))
def test_a_program_keeps_its_size_and_each_string_its_place(strings: list[list[bytes]]) -> None:
    content = b"".join(b"".join(each) + b"\0" for each in strings)
    found = moved(content, _OLD, _NEW)
    assert found is not None
    assert len(found) == len(content)
    start = 0
    for each in strings:
        wanted = b"".join(_NEW if part == _OLD else part for part in each)
        assert found[start:].partition(b"\0")[0] == wanted
        start += len(b"".join(each)) + 1


def test_a_program_has_no_room_for_a_longer_place() -> None:
    assert moved(b"\x7fELF\0" + _NEW + b"\0", _NEW, _OLD) is None


def test_a_place_is_written_as_it_is_where_a_first_line_can_name_it() -> None:
    assert is_plain(b"/srv/elt")
    assert not is_plain(b"/srv/my elt")
    assert not is_plain(b"/" + b"x" * 120)


def _row(content: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()


def _hex(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def test_what_states_hashes_and_sizes_states_the_new_ones() -> None:
    changed = {_hex(b"old"): (_hex(b"newer"), 5)}
    rows = f"../bin/a,sha256={_row(b'old')},3\nb.py,sha256={_row(b'b')},1\nRECORD,,\n"
    found = recorded(rows.encode(), changed).decode()
    assert found == rows.replace(f"{_row(b'old')},3", f"{_row(b'newer')},5")

    def entries(content: bytes) -> list[dict[str, object]]:
        mine, other = _hex(content), _hex(b"other")
        return [
            {"sha256": other, "sha256_in_prefix": mine, "size_in_bytes": len(content)},
            {"sha256": mine, "size_in_bytes": len(content)},
            {"sha256": other, "size_in_bytes": 0, "sha256_in_prefix": mine},
            {"sha256": other, "size_in_bytes": 3},
        ]

    for indent in (None, 2):
        text = json.dumps(entries(b"old"), indent=indent)
        wanted = json.dumps(entries(b"newer"), indent=indent)
        assert recorded(text.encode(), changed).decode() == wanted
