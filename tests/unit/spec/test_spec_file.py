from __future__ import annotations

import codecs
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from elt_env.errors import SpecError
from elt_env.spec.file import read_spec

_TEXT = """\
name: elt
channels: [conda-forge]
dependencies:
  - python=3.11
  - pip:
      - -r more.txt
      - größe
"""


@given(
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"]),
    st.sampled_from(["\n", "\r\n"]),
    st.sampled_from(["\n", "\r\n"]),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_file_is_read_however_an_editor_wrote_it(
    tmp_path: Path, encoding: str, end: str, other_end: str
) -> None:
    mark = {"utf-16-le": codecs.BOM_UTF16_LE, "utf-16-be": codecs.BOM_UTF16_BE}.get(encoding, b"")
    text = _TEXT.replace("größe", "six")
    (tmp_path / "conda.yml").write_bytes(mark + text.replace("\n", end).encode(encoding))
    (tmp_path / "more.txt").write_bytes(mark + f"click<9{other_end}".encode(encoding))
    spec = read_spec(tmp_path, "conda.yml")
    assert (spec.name, spec.python, spec.pip) == ("elt", "=3.11", ("click<9", "six"))


def test_included_files_are_beside_the_file_that_names_them(tmp_path: Path) -> None:
    (tmp_path / "environments" / "base").mkdir(parents=True)
    text = _TEXT.replace("größe", "-r ../top.txt").replace("more.txt", "base/more.txt")
    (tmp_path / "environments/elt.yml").write_text(text, encoding="utf-8")
    (tmp_path / "environments/base/more.txt").write_text("-c limits.txt\nsix\n", encoding="utf-8")
    (tmp_path / "environments/base/limits.txt").write_text("click<9\n", encoding="utf-8")
    (tmp_path / "top.txt").write_text("idna\n", encoding="utf-8")
    spec = read_spec(tmp_path, "environments/elt.yml")
    assert (spec.pip, spec.constraints) == (("idna", "six"), ("click<9",))
    assert spec.files == (
        *("environments/base/limits.txt", "environments/base/more.txt"),
        "top.txt",
    )


def test_a_fault_of_an_included_file_is_named_with_its_own_line(tmp_path: Path) -> None:
    (tmp_path / "elt.yml").write_text(_TEXT.replace("größe", "a=1"), encoding="utf-8")
    (tmp_path / "more.txt").write_text("six\n\nduckdb=1\n", encoding="utf-8")
    with pytest.raises(SpecError) as caught:
        read_spec(tmp_path, "elt.yml")
    assert "elt.yml, line 7: 'a=1'" in caught.value.problem
    assert "more.txt, line 3: 'duckdb=1'" in caught.value.problem


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", b"name: \xe4"])
def test_what_is_no_text_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "elt.yml").write_bytes(content)
    with pytest.raises(SpecError, match=r"elt\.yml cannot be read"):
        read_spec(tmp_path, "elt.yml")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"elt\.yml does not exist"):
        read_spec(tmp_path, "elt.yml")
