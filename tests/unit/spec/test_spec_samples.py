"""Files of the shapes that people bring, as the reader takes them."""

from __future__ import annotations

from pathlib import Path

import pytest

from elt_env.spec.document import Spec
from elt_env.spec.faults import FaultsError
from elt_env.spec.file import read_spec

_SAMPLES = Path(__file__).parents[2] / "samples"
_MANY_FAULTS = """\
many-faults.yml, line 2: 'channels' is not a list of names or URLs.
  -> Write: channels: [conda-forge]
many-faults.yml, line 3: unknown key 'packages', which conda ignores.
  -> Write it as 'dependencies', or remove it.
many-faults.yml, line 6: 'python=3.11=' is not a valid conda requirement: '=3.11=' is not a \
version bound.
  -> Write 'python=3.11'.
many-faults.yml, line 7: 'pandas>>2' is not a valid conda requirement: '>>2' is not a version bound.
  -> Write 'pandas>2'.
many-faults.yml, line 10: 'duckdb=1.4' has one '=', which is conda's way of writing; pip wants two.
  -> Write 'duckdb==1.4', or 'duckdb==1.4.*'.
many-faults.yml, line 11: a bracket of 'moto[s3' is not closed.
  -> Write 'moto[s3]'.
many-faults.yml, line 12: 'python_version > 3' is not a marker (PEP 508): the value is a text, in \
quotes.
  -> Write "dagster; python_version > '3'".
  -> Correct these 7 faults; what is left is told by: elt-env lint many-faults.yml"""


def _sample(name: str) -> Spec:
    return read_spec(_SAMPLES, name)


def _conda(spec: Spec) -> list[str]:
    return [str(each) for each in (spec.python_spec, *spec.conda)]


@pytest.mark.parametrize(
    ("name", "conda", "pip"),
    [
        (
            "exported-with-builds.yml",
            (
                *("python ==3.11.7 hab00c5b_1_cpython", "_libgcc_mutex ==0.1 conda_forge"),
                *("bzip2 ==1.0.8 h4bc722e_7", "requests ==2.32.3 pyhd8ed1ab_0"),
                "x264 ==1!164.3095 h166bdaf_2",
            ),
            ("duckdb==1.4.2",),
        ),
        (
            "exported-no-builds.yml",
            ("python 3.11.*", "pip", "requests =2.32.5", "six =1.17.0"),
            ("duckdb==1.4.2", "python-dotenv==1.1.1"),
        ),
        (
            "elt-course.yml",
            ("python =3.11", "dbt-core <1.12", "dbt-duckdb", "pandas <3", "pip"),
            (
                *("dagster", "dagster-dbt", "dagster-duckdb-pandas", "dagster-webserver"),
                *("meltano", "python-dotenv"),
            ),
        ),
        ("twice.yml", ("python", "pip", "requests >=2.31"), ("python-dotenv==1.1.1",)),
        ("same-name-both.yml", ("python", "graphviz"), ("graphviz",)),
        ("defaults.yml", ("python", "pandas"), ()),
        ("no-channels.yml", ("python >=3.10", "requests"), ()),
        ("variables.yml", ("python",), ("dbt-core<1.12", "dbt-duckdb")),
        (
            "short-forms.yml",
            (
                *("python 3.11.*", "certifi !=2020.1.1", "idna >=3,<4", "requests 2.32.*"),
                *("six =1.17", "tzdata 2026.*", "urllib3 >=2"),
            ),
            (),
        ),
        (
            "includes.yml",
            ("python", "pip"),
            ('moto[s3]; python_version >= "3.10"', "python-dotenv>=1"),
        ),
    ],
)
def test_what_a_sample_asks_for(name: str, conda: tuple[str, ...], pip: tuple[str, ...]) -> None:
    spec = _sample(name)
    assert (tuple(_conda(spec)), spec.pip) == (conda, pip)


def test_the_channels_are_those_of_the_file_and_may_be_missing() -> None:
    assert _sample("defaults.yml").channels == ("defaults",)
    assert _sample("no-channels.yml").channels == ()


def test_a_prefix_is_ignored_and_said_once() -> None:
    (said,) = _sample("elt-course.yml").warnings
    assert (said.line, "'prefix' is ignored" in said.problem) == (17, True)


def test_variables_are_kept_as_conda_exports_them() -> None:
    assert _sample("variables.yml").variables == (
        ("DBT_PARTIAL_PARSE", "0"),
        ("DBT_PROFILES_DIR", "ci/profiles"),
    )


def test_what_a_file_includes_is_part_of_what_is_asked_for() -> None:
    spec = _sample("includes.yml")
    assert spec.constraints == ("click<9",)
    assert spec.files == ("constraints.txt", "requirements-base.txt")


def test_urls_are_read_and_a_local_project_is_refused_with_the_way_that_works() -> None:
    with pytest.raises(FaultsError) as caught:
        _sample("urls.yml")
    (fault,) = caught.value.faults
    assert (fault.line, "'-e .'" in fault.problem) == (9, True)
    assert "--find-links" in fault.remedy


def test_all_that_is_wrong_with_a_file_is_said_at_once() -> None:
    with pytest.raises(FaultsError) as caught:
        _sample("many-faults.yml")
    assert str(caught.value) == _MANY_FAULTS
