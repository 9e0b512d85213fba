from __future__ import annotations

import contextlib
import random
import textwrap
from dataclasses import replace

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from packaging.requirements import Requirement

from elt_env.errors import SpecError
from elt_env.model.conda_spec import CondaSpec
from elt_env.model.spec import Spec, parse_spec
from tests.support.locks import names, versions

_SOURCE = "environments/elt.yml"
_GOOD = """\
name: elt
channels:
  - conda-forge
  - nodefaults
dependencies:
  - pandas >= 2, <3
  - python >=3.11, <3.13
  - PyYAML
  - pip:
      - Duck_DB [all] >=1,<2
      - dagster; python_version < "4"
  - pip:
      - dbt.core
"""


def _spec(
    *conda: str, pip: tuple[str, ...] = (), channels: object = ("conda-forge",), python: str = ""
) -> Spec:
    listed: list[object] = [f"python {python}".strip(), *conda]
    if pip:
        listed.append({"pip": list(pip)})
    channels = list(channels) if isinstance(channels, tuple) else channels
    document = {"name": "elt", "channels": channels, "dependencies": listed}
    return parse_spec(yaml.safe_dump(document), _SOURCE)


def _refused(text: str) -> SpecError:
    with pytest.raises(SpecError) as caught:
        parse_spec(textwrap.dedent(text), _SOURCE)
    assert caught.value.exit_code == 2
    assert caught.value.problem.startswith(_SOURCE)
    assert caught.value.remedy
    return caught.value


def test_a_plain_conda_file_is_read_sorted_and_normalized() -> None:
    assert parse_spec(_GOOD, _SOURCE) == Spec(
        source=_SOURCE,
        channels=("conda-forge",),
        python=">=3.11,<3.13",
        conda=(CondaSpec("pandas", ">=2,<3"), CondaSpec("pyyaml")),
        pip=('dagster; python_version < "4"', "dbt-core", "duck-db[all]<2,>=1"),
    )


def test_the_pip_section_may_be_missing() -> None:
    assert _spec("pip").pip == ()


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("a: [1", "line 1: not valid YAML"),
        ("channels:\n\t- a", "line 2: not valid YAML"),
        ("name: 2024-13-45", "not valid YAML: month"),
        ("!!python/object:os.system {}", "not valid YAML"),
        ("a: 1\n---\nb: 2", "not valid YAML"),
        ("\0", "not valid YAML"),
        ("", "a mapping is expected"),
        ("- python", "a mapping is expected"),
        ("{name: x, dependancies: [python]}", "unknown key 'dependancies'"),
        ("{1: x}", "unknown key '1'"),
        ("dependencies: [python]", "'channels' is not a list"),
        ("{channels: conda-forge, dependencies: [python]}", "'channels' is not a list"),
        ("{channels: [1], dependencies: [python]}", "'channels' is not a list"),
        ("{channels: [], dependencies: [python]}", "no channel"),
        ("{channels: [nodefaults], dependencies: [python]}", "no channel"),
        ("{channels: [a]}", "'dependencies' is not a list"),
        ("{channels: [a], dependencies: python}", "'dependencies' is not a list"),
        ("{channels: [a], dependencies: [python, 3.11]}", "'3.11' is neither"),
        ("{channels: [a], dependencies: [python, {pip: requests}]}", "neither a requirement"),
        ("{channels: [a], dependencies: [python, {pip: [1]}]}", "neither a requirement"),
        ("{channels: [a], dependencies: [python, {pip:}]}", "neither a requirement"),
        ("{channels: [a], dependencies: [python, {npm: [left-pad]}]}", "neither a requirement"),
        ("{channels: [a], dependencies: [pandas]}", "'python' is not among"),
        ("{channels: [a], dependencies: []}", "'python' is not among"),
    ],
)
def test_what_is_no_spec_is_refused_and_named(text: str, complaint: str) -> None:
    assert complaint in _refused(text).problem


@pytest.mark.parametrize(
    ("requirement", "complaint"),
    [
        ("pandas >=", "not a valid conda requirement: '>='"),
        ("pandas[version='>=2']", "bracket"),
        ("", "package name"),
        ("-c conda-forge", "package name"),
    ],
)
def test_an_invalid_conda_requirement_is_named(requirement: str, complaint: str) -> None:
    with pytest.raises(SpecError) as caught:
        _spec(requirement)
    assert f"'{requirement}'" in caught.value.problem
    assert complaint in caught.value.problem
    assert _SOURCE in caught.value.remedy


@pytest.mark.parametrize(
    ("requirement", "complaint"),
    [
        ("dagster >=", "not a valid pip requirement"),
        ("dagster 1.0", "not a valid pip requirement"),
        ("dagster=1.0", "not a valid pip requirement"),
        ("", "not a valid pip requirement"),
        ("./local/wheel.whl", "not a valid pip requirement"),
        ("-r more.txt", "options and files"),
        ("--index-url https://host.invalid", "options and files"),
        ("-e .", "options and files"),
        ("dagster @ https://host.invalid/dagster.whl", "not from a URL"),
        ("dagster @ file:///tmp/dagster.whl", "not from a URL"),
        ("dagster; python_versio < '3'", "not a valid pip requirement"),
    ],
)
def test_an_invalid_pip_requirement_is_named(requirement: str, complaint: str) -> None:
    with pytest.raises(SpecError) as caught:
        _spec(pip=(requirement,))
    assert f"'{requirement}'" in caught.value.problem
    assert complaint in caught.value.problem
    assert "\n" not in caught.value.problem


@pytest.mark.parametrize(
    ("conda", "pip", "complaint"),
    [
        (("pandas",), ("Pandas>=2",), "'pandas' is asked for from both"),
        (("ruamel.yaml",), ("ruamel_yaml",), "'ruamel-yaml' is asked for from both"),
        ((), ("python",), "'python' is asked for from both"),
        (("pandas", "pandas >=2"), (), "'pandas' is listed twice"),
        (("python",), (), "'python' is listed twice"),
        ((), ("dbt-core", "dbt_core<2"), "'dbt-core' is listed twice"),
    ],
)
def test_a_package_that_is_asked_for_twice_is_named(
    conda: tuple[str, ...], pip: tuple[str, ...], complaint: str
) -> None:
    with pytest.raises(SpecError, match=complaint):
        _spec(*conda, pip=pip)


@pytest.mark.parametrize(
    "channel",
    [
        "https://me:hunter22@host.invalid/c",
        "https://hunter22@host.invalid/c",
        "https://:hunter22@host.invalid/c",
        "https://host.invalid/t/hunter22/c",
        "https://host.invalid/conda/t/hunter22/c",
        "https://host.invalid/c?token=hunter22",
        "https://host.invalid/%74/hunter22/c",
        "t/hunter22/c",
        "//me:hunter22@host.invalid/c",
        "https://me:hunter22@[host.invalid/c",
    ],
)
def test_a_channel_with_a_credential_is_refused_and_the_credential_is_not_shown(
    channel: str,
) -> None:
    with pytest.raises(SpecError) as caught:
        _spec(channels=("conda-forge", channel))
    assert "hunter22" not in str(caught.value)
    assert "RATTLER_AUTH_FILE" in caught.value.remedy or "not a URL" in caught.value.problem


@pytest.mark.parametrize(
    ("conda", "pip"),
    [
        (("https://me:hunter22@host.invalid/c::pandas",), ()),
        (("https://host.invalid/x/t/hunter22/c::pandas >=2",), ()),
        (("https://host.invalid/c?access_token=hunter22::pandas",), ()),
        ((), ("dagster @ https://me:hunter22@host.invalid/dagster.whl",)),
        ((), ("--index-url https://hunter22@host.invalid/simple",)),
    ],
)
def test_no_credential_of_a_requirement_is_shown(
    conda: tuple[str, ...], pip: tuple[str, ...]
) -> None:
    with pytest.raises(SpecError) as caught:
        _spec(*conda, pip=pip)
    assert "host.invalid" in caught.value.problem
    assert "hunter22" not in str(caught.value)


@pytest.mark.parametrize("python", ["python=3.11=h1_cpython", "conda-forge::python"])
def test_a_build_or_channel_of_python_is_refused_not_forgotten(python: str) -> None:
    error = _refused(f"{{channels: [a], dependencies: ['{python}']}}")
    assert str(CondaSpec("python").name) in error.problem
    assert "policy lists" in error.remedy


def test_a_python_range_admits_the_minors_inside_it() -> None:
    _spec(python=">=3.11,<3.13").require_python(["3.11", "3.12"])
    _spec().require_python(["3.11", "3.99"])


@pytest.mark.parametrize("python", [">=3.11,<3.13", "=3.11", "3.11.*|3.12.*"])
def test_a_python_range_that_excludes_a_listed_minor_names_it(python: str) -> None:
    with pytest.raises(SpecError) as caught:
        _spec(python=python).require_python(["3.11", "3.13"])
    assert "excludes Python 3.13" in caught.value.problem
    assert python in caught.value.problem
    assert "pythons" in caught.value.remedy


_PIP = st.lists(
    st.builds(
        "{}>={}".format, names().map("p-{}".format), versions().map(lambda v: v.split("+")[0])
    ),
    unique_by=lambda line: Requirement(line).name,
    max_size=4,
)
_CONDA = st.sets(names().map("c-{}".format), max_size=4).map(sorted)


@given(_CONDA, _PIP, st.randoms(use_true_random=False))
def test_the_order_of_requirements_does_not_change_the_digest(
    conda: list[str], pip: list[str], chance: random.Random
) -> None:
    spec = _spec(*conda, pip=tuple(pip))
    chance.shuffle(conda)
    chance.shuffle(pip)
    again = _spec(*conda, pip=tuple(pip))
    assert again == spec
    assert again.digest == spec.digest


def test_the_way_a_requirement_is_written_does_not_change_the_digest() -> None:
    one = _spec("pandas>=2,<3", pip=("Dbt_Core >= 1, <2",))
    other = _spec("pandas >= 2, < 3", pip=("dbt-core<2,>=1",))
    assert one.digest == other.digest


def test_where_a_spec_was_read_does_not_change_the_digest() -> None:
    assert replace(_spec(), source="elsewhere.yml").digest == _spec().digest


@pytest.mark.parametrize(
    "other",
    [
        _spec("pandas", pip=("dagster",), python=">=3.11"),
        _spec("pandas >=2", pip=("dagster",)),
        _spec("pandas", pip=("dagster<2",)),
        _spec("pandas", pip=("dagster[x]",)),
        _spec("pandas", pip=("dagster; python_version < '4'",)),
        _spec("pandas", pip=("dagster",), channels=("bioconda",)),
        _spec("pandas", pip=("dagster",), channels=("conda-forge", "bioconda")),
        _spec("pandas", "dagster"),
        _spec("pandas"),
        _spec("bioconda::pandas", pip=("dagster",)),
        _spec("pandas * py_0", pip=("dagster",)),
    ],
)
def test_every_other_question_has_another_digest(other: Spec) -> None:
    assert other.digest != _spec("pandas", pip=("dagster",)).digest


def test_the_order_of_channels_counts() -> None:
    assert _spec(channels=("a", "b")).digest != _spec(channels=("b", "a")).digest


_YAML = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.sampled_from(["python"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["channels", "dependencies", "pip", "name"]), inner)
    ),
    max_leaves=8,
)


@given(st.text(max_size=20) | _YAML.map(yaml.safe_dump))
def test_no_text_ends_in_anything_but_a_spec_error(text: str) -> None:
    with contextlib.suppress(SpecError):
        assert parse_spec(text, _SOURCE).channels
