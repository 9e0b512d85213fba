"""What a setup.py lists is read without running it."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from elt_env.errors import SpecError
from elt_env.spec.document import Spec
from elt_env.spec.faults import FaultsError
from elt_env.spec.file import read_spec


def _read(place: Path, text: str) -> Spec:
    (place / "setup.py").write_text(text)
    return read_spec(place, "setup.py")


@pytest.mark.parametrize("call", ["setup", "setuptools.setup"])
def test_a_code_location_of_dagster(tmp_path: Path, call: str) -> None:
    spec = _read(
        tmp_path,
        f"""\
raise SystemExit("this is not run")
NAME = "Acme ELT"
BASE = ["dagster", "dbt-duckdb<1.9"]
{call}(
    name=NAME,
    python_requires=">= 3.9, <3.13",
    install_requires=BASE,
    extras_require={{"dev": ["dagster-webserver"]}},
)
""",
    )
    assert (spec.name, spec.python) == ("Acme ELT", ">=3.9,<3.13")
    assert spec.pip == ("dagster", "dbt-duckdb<1.9")
    assert [(each.line, each.problem) for each in spec.warnings] == [
        (8, "'extras_require' is left out.")
    ]


def test_a_file_that_lists_nothing_asks_for_nothing(tmp_path: Path) -> None:
    assert _read(tmp_path, "from setuptools import setup\nsetup()\n").pip == ()


@pytest.mark.parametrize(
    ("text", "place", "problem"),
    [
        ("setup(install_requires=read('a.txt'))", "line 1", "is computed, not listed"),
        ("setup(\n install_requires=[\n  'six', f'a=={V}',\n])", "line 3", "is computed"),
        ("setup(install_requires=['dagster=1.9'])", "line 1", "one '='"),
        ("setup(\n", "line 1", "it is no Python"),
        ("\0", "setup.py", "it is no Python"),
    ],
)
def test_what_cannot_be_read_is_told_with_its_line(
    tmp_path: Path, text: str, place: str, problem: str
) -> None:
    with pytest.raises(FaultsError) as caught:
        _read(tmp_path, text)
    assert place in str(caught.value)
    assert problem in str(caught.value)


_VALUES = st.sampled_from(
    ["['six']", "('six',)", "A", "[A, 'b']", "[*A]", "None", "{'a': 1}", "f()"]
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    text=st.one_of(
        st.text(st.characters(codec="utf-8")),
        st.builds(
            "A = {}\nsetup(name={}, install_requires={})\n".format, _VALUES, _VALUES, _VALUES
        ),
    )
)
def test_any_text_is_a_spec_or_a_fault(tmp_path: Path, text: str) -> None:
    (tmp_path / "setup.py").write_text(text, encoding="utf-8")
    with contextlib.suppress(SpecError):
        read_spec(tmp_path, "setup.py")
