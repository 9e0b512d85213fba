from __future__ import annotations

import contextlib
import random
import re
import textwrap
from dataclasses import replace

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from packaging.requirements import Requirement

from elt_env.errors import SpecError
from elt_env.spec.conda_spec import CondaSpec
from elt_env.spec.document import Spec
from elt_env.spec.environment_yml import parse_spec
from elt_env.spec.faults import FaultsError
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
        name="elt",
    )


def test_the_pip_section_may_be_missing() -> None:
    assert _spec("pip").pip == ()


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("a: [1", "line 1: not valid YAML"),
        ("channels:\n\t- a", "line 2: not valid YAML"),
        ("name: 2024-13-45", "'dependencies' is missing"),
        ("!!python/object:os.system {}", "a mapping is expected"),
        ("a: 1\n---\nb: 2", "not valid YAML"),
        ("\0", "not valid YAML"),
        ("", "a mapping is expected"),
        ("- python", "a mapping is expected"),
        ("{name: x, dependancies: [python]}", "unknown key 'dependancies'"),
        ("{packages: [python]}", "unknown key 'packages'"),
        ("{dependencies: [python], pip: [dagster]}", "'pip' at the top is no key"),
        ("{dependencies: [python], Channels: [a]}", "unknown key 'Channels'"),
        (
            "{dependencies: [python], dependencies: [six]}",
            "'dependencies' stands on line 1 already",
        ),
        ("{channels: conda-forge, dependencies: [python]}", "'channels' is not a list"),
        ("{channels: [1], dependencies: [python]}", "the channel '1' is not a name"),
        ("{channels: [[a]], dependencies: [python]}", "the channel '[a]' is not a name"),
        ("{channels: [a]}", "'dependencies' is missing"),
        ("{channels: [a], dependencies:}", "'dependencies' is not a list"),
        ("{channels: [a], dependencies: python}", "'dependencies' is not a list"),
        ("{channels: [a], dependencies: [python, 3.11]}", "'3.11' is neither"),
        ("{channels: [a], dependencies: [python, ~]}", "nothing stands behind a '-'"),
        ("dependencies: [python, {{ package }}]", "'{{ package }}' is neither a requirement"),
        ("dependencies:\n- python\n  - six", "line 2: 'python - six' is not a valid conda"),
        ("{channels: [a], dependencies: [python, {pip: requests}]}", "'pip' is not a list"),
        ("{channels: [a], dependencies: [python, {pip: [1]}]}", "neither a requirement"),
        ("{channels: [a], dependencies: [python, {pip: [a], npm: [b]}]}", "neither a requirement"),
        ("{channels: [a], dependencies: [python, {'sel(linux)': pkg}]}", "neither a requirement"),
        ("{channels: [a], dependencies: [python, {npm: [left-pad]}]}", "neither a requirement"),
    ],
)
def test_what_is_no_spec_is_refused_and_named(text: str, complaint: str) -> None:
    assert complaint in _refused(text).problem


@pytest.mark.parametrize(
    ("requirement", "complaint"),
    [
        ("pandas >=", "not a valid conda requirement: '>='"),
        ("pandas[version='>=2'", "bracket"),
        ("", "package name"),
        ("-c conda-forge", "package name"),
    ],
)
def test_an_invalid_conda_requirement_is_named(requirement: str, complaint: str) -> None:
    with pytest.raises(SpecError) as caught:
        _spec(requirement)
    assert f"'{requirement}'" in caught.value.problem
    assert complaint in caught.value.problem
    assert caught.value.remedy.startswith("Write")


@pytest.mark.parametrize(
    "requirement", ["dagster >=", "dagster=1.0", "-e .", "dagster; python > 3"]
)
def test_an_invalid_pip_requirement_is_named_with_its_line(requirement: str) -> None:
    text = f"dependencies:\n- python\n- pip:\n  - six\n  - {requirement}\n"
    with pytest.raises(FaultsError) as caught:
        parse_spec(text, _SOURCE)
    assert [each.line for each in caught.value.faults] == [5]
    assert (
        requirement.split(";", maxsplit=1)[0].strip() in caught.value.problem + caught.value.remedy
    )


def test_a_spec_needs_no_channels_and_no_python() -> None:
    spec = parse_spec("dependencies: [pandas]", _SOURCE)
    assert (spec.channels, spec.python, spec.name) == ((), "", "")
    assert parse_spec("{channels:, dependencies: [pandas]}", _SOURCE) == spec
    assert parse_spec("{channels: [nodefaults], dependencies: [pandas]}", _SOURCE) == spec
    assert parse_spec("{dependencies: [pandas, {pip: }, {pip: []}]}", _SOURCE) == spec


@pytest.mark.parametrize(
    ("conda", "expected"),
    [
        (("pandas", "pandas >=2"), "pandas >=2"),
        (("pandas >=2", "Pandas <3"), "pandas >=2,<3"),
        (("pandas >=2", "pandas >=2"), "pandas >=2"),
        (("pandas >=2|<1", "pandas <3"), "pandas >=2,<3|<1,<3"),
        (("pandas >=2|<1", "pandas >2"), "pandas >=2,>2"),
        (("pandas=2.1", "pandas[build=py_0]"), "pandas 2.1.* py_0"),
        (("pandas=2.1=py_0", "pandas[build='py*']"), "pandas ==2.1 py_0"),
        (("pandas=2.1=py_0", "pandas[build='^py.*$']"), "pandas ==2.1 py_0"),
        (("forge::pandas", "pandas >=2"), "forge::pandas >=2"),
        (
            ("pandas[build_number=1]", "forge/noarch::pandas"),
            'forge/noarch::pandas[build_number="1"]',
        ),
        (("pandas=2", "pandas=2.1", "pandas=2.1.3"), "pandas =2,=2.1,=2.1.3"),
        (("pandas =2.0rc1", "pandas <2"), "pandas =2.0rc1,<2"),
    ],
)
def test_what_is_asked_for_twice_of_conda_has_to_be_all_of_it(
    conda: tuple[str, ...], expected: str
) -> None:
    assert [str(each) for each in _spec(*conda).conda] == [expected]


@pytest.mark.parametrize(
    ("pip", "expected"),
    [
        (("dbt-core", "dbt_core<2"), ("dbt-core<2",)),
        (("moto[s3]>=1", "Moto[EC2]"), ("moto[ec2,s3]>=1",)),
        (
            ("moto>=1; python_version < '3.12'", "moto>=5; python_version >= '3.12'"),
            ('moto>=1; python_version < "3.12"', 'moto>=5; python_version >= "3.12"'),
        ),
    ],
)
def test_what_is_asked_for_twice_of_pip_has_to_be_all_of_it(
    pip: tuple[str, ...], expected: tuple[str, ...]
) -> None:
    assert _spec(pip=pip).pip == expected


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("- pandas=1.2", "- pandas>=2"),
        ("- pandas 1.2", "- pandas 1.3"),
        ("- pandas 1.*|3.*", "- pandas >=2,<3"),
        ("- pandas=1=py_0", "- pandas=1=py_1"),
        ("- pandas[build='a*']", "- pandas[build=b0]"),
        ("- forge::pandas", "- bio::pandas"),
        ("- pandas[build_number=0]", "- pandas[build_number=1]"),
        ("- pip: [pandas==1.2]", "- pip: [pandas>=2]"),
    ],
)
def test_what_nothing_can_be_at_once_is_named_with_both_lines(one: str, other: str) -> None:
    with pytest.raises(FaultsError) as caught:
        parse_spec(f"dependencies:\n- python\n{one}\n- six\n{other}\n", _SOURCE)
    (fault,) = caught.value.faults
    assert fault.line == 5
    assert "pandas" in fault.problem
    assert re.search(r"lines? 3\b", fault.problem)


def test_a_package_may_be_named_on_both_sides() -> None:
    spec = _spec("graphviz", pip=("graphviz",))
    assert (spec.conda, spec.pip) == ((CondaSpec("graphviz"),), ("graphviz",))


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


@pytest.mark.parametrize(
    ("python", "version", "whole"),
    [
        ("python=3.11", "=3.11", "python =3.11"),
        ("python=3.11.7", "=3.11.7", "python =3.11.7"),
        ("python 3.11.7", "==3.11.7", "python ==3.11.7"),
        ("python=3.11.7=h1_cpython", "==3.11.7", "python ==3.11.7 h1_cpython"),
        ("forge::python", "", "forge::python"),
        ("python[build='*_cpython']", "", "python * *_cpython"),
    ],
)
def test_all_that_is_asked_of_python_is_kept(python: str, version: str, whole: str) -> None:
    spec = parse_spec(f'dependencies: ["{python}", six]', _SOURCE)
    assert (spec.python, str(spec.python_spec)) == (version, whole)
    assert spec.conda == (CondaSpec("six"),)
    plain = parse_spec(f'dependencies: ["python {version}", six]', _SOURCE)
    assert (plain.digest == spec.digest) is (whole == f"python {version}")
    spec.require_python(["3.11"])


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
        _spec("pandas[build_number=1]", pip=("dagster",)),
        _spec("pandas", pip=("dagster", "--pre")),
        _spec("pandas", pip=("dagster", "--index-url https://host.invalid/simple")),
        _spec(
            "pandas",
            pip=("dagster", "a @ https://host.invalid/a-1-py3-none-any.whl#sha256=" + "0" * 64),
        ),
        parse_spec(
            "{channels: [conda-forge], dependencies: [pandas, {pip: [dagster, -c c.txt]}]}",
            _SOURCE,
            lambda _: "click<9",
        ),
        parse_spec(
            "{channels: [conda-forge], dependencies: [pandas, pip: [dagster]], variables: {A: b}}",
            _SOURCE,
        ),
    ],
)
def test_every_other_question_has_another_digest(other: Spec) -> None:
    assert other.digest != _spec("pandas", pip=("dagster",)).digest


def test_a_spec_of_before_keeps_its_digest() -> None:
    text = (
        "{name: elt, channels: [conda-forge, nodefaults], dependencies: ['pandas >= 2, <3', "
        "'python >=3.11, <3.13', PyYAML, six=1.17, idna 3.*, 'forge::click ==8.1', "
        "'certifi >=2,!=3.*|>5', pip: ['Duck_DB [all] >=1,<2', 'dagster; python_version < \"4\"'], "
        "pip: [dbt.core]]}"
    )
    digest = "sha256:f05e8190c0203f916422d33fc5f118be2c25519ec663d065a5926f2beb06bcf8"
    assert parse_spec(text, _SOURCE).digest == digest


def test_the_order_of_channels_counts() -> None:
    assert _spec(channels=("a", "b")).digest != _spec(channels=("b", "a")).digest


_ANY_KEYS = ["channels", "dependencies", "pip", "name", "variables", "prefix", "platforms"]
_YAML = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.sampled_from(["python"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(_ANY_KEYS), inner),
    max_leaves=8,
)


@given(st.text(max_size=20) | _YAML.map(yaml.safe_dump))
def test_no_text_ends_in_anything_but_a_spec_error(text: str) -> None:
    with contextlib.suppress(FaultsError):
        assert parse_spec(text, _SOURCE).digest


@pytest.mark.parametrize(
    ("text", "line", "remedy"),
    [
        ("dependencies:\n\t- python", 2, "Indent it with spaces"),
        ("dependencies:\n- python\n-six\n- idna", 3, "Write a space behind the '-'"),
        ("dependencies:\n- python\n---\nname: b\n", 3, "a second one begins at this '---'"),
        ("name: {{ name }}-{{ x }}\ndependencies: [python]", 1, "not as a template"),
        ("{% set a = 1 %}\ndependencies: [python]", 1, "not as a template"),
        ("dependencies:\n<<<<<<< HEAD\n- python\n=======\n", 2, "Git could not merge"),
        ("dependencies:\n- python\n- pip:\n  - six\n name: b\n", 5, "Indent it as"),
        ("name: a\ndependencies:\n- python\n- b: c: d\n", 4, "into quotes"),
    ],
)
def test_what_is_no_yaml_is_told_with_what_mends_it(text: str, line: int, remedy: str) -> None:
    with pytest.raises(FaultsError) as caught:
        parse_spec(text, _SOURCE)
    (fault,) = caught.value.faults
    assert fault.line == line
    assert "not valid YAML" in fault.problem
    assert remedy in fault.remedy


@pytest.mark.parametrize(
    ("item", "remedy"),
    [
        ("python={{ py }}", "Write its value"),
        ("numpy=$NUMPY", "Write its value"),
        ("numpy=${NUMPY}", "Write its value"),
        ("prefix: /home/me", "Indent 'prefix' as 'dependencies' is"),
    ],
)
def test_what_does_not_belong_into_the_list_is_told(item: str, remedy: str) -> None:
    with pytest.raises(FaultsError) as caught:
        parse_spec(f"dependencies:\n- python\n- {item}\n", _SOURCE)
    (fault,) = caught.value.faults
    assert fault.line == 3
    assert remedy in fault.remedy
