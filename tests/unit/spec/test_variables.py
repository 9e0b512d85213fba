from __future__ import annotations

import pytest

from elt_env.errors import SpecError
from elt_env.spec.document import Spec
from elt_env.spec.environment_yml import parse_spec
from elt_env.spec.variables import is_secret


def _read(*lines: str) -> Spec:
    text = "\n".join(["dependencies: [python]", "variables:", *(f"  {each}" for each in lines)])
    return parse_spec(text, "elt.yml")


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("0", "0"),
        ("'0'", "0"),
        ("true", "True"),
        ("'true'", "true"),
        ("FALSE", "False"),
        ("yes", "yes"),
        ("on", "on"),
        ("1.10", "1.1"),
        ("'1.10'", "1.10"),
        ("3.0", "3.0"),
        ("1e3", "1000.0"),
        ("010", "10"),
        ("0x10", "16"),
        ("1_000", "1000"),
        ("12:30", "12:30"),
        ("2020-01-01", "2020-01-01"),
        ("a b", "a b"),
        ("''", ""),
        ("|\n    a\n    b", "a\nb"),
    ],
)
def test_a_value_is_what_conda_exports(written: str, value: str) -> None:
    assert _read(f"A: {written}").variables == (("A", value),)


def test_what_conda_changes_on_the_way_is_said() -> None:
    spec = _read("dbt_target: 1.10", "B: 'true'", "C: 7")
    assert spec.variables == (("B", "true"), ("C", "7"), ("DBT_TARGET", "1.1"))
    assert [(each.line, each.problem) for each in spec.warnings] == [
        (3, "the variable 'dbt_target' is exported as DBT_TARGET, as conda does."),
        (3, "the variable DBT_TARGET is '1.10' without quotes, which conda exports as 1.1."),
    ]


def test_a_variable_without_a_value_stays_unset() -> None:
    spec = _read("A:", "B: ~")
    assert spec.variables == ()
    assert ["has no value" in each.problem for each in spec.warnings] == [True, True]


@pytest.mark.parametrize(
    ("lines", "problem"),
    [
        (("1A: x",), "line 3: '1A' cannot be a variable's name"),
        (("'A B': x",), "line 3: 'A B' cannot be a variable's name"),
        (("A: [x]",), "line 3: the variable A is a list or a mapping"),
        (("A: {b: c}",), "line 3: the variable A is a list or a mapping"),
        (('A: "\\0"',), "line 3: the variable A has a NUL"),
        (("A: x", "a: y"), "line 4: the variable A is set on line 3 already"),
        (("- A",), "'variables' is not a mapping"),
    ],
)
def test_what_cannot_be_a_variable_is_named(lines: tuple[str, ...], problem: str) -> None:
    with pytest.raises(SpecError) as caught:
        _read(*lines)
    assert problem in caught.value.problem


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DBT_TOKEN", "abc"),
        ("SNOWFLAKE_PASSWORD", "abc"),
        ("PG_PASS", "abc"),
        ("AWS_SECRET_ACCESS_KEY", "abc"),
        ("API_KEY", "1234"),
        ("APIKEY", "abc"),
        ("PLAIN", "https://me:pass@host.invalid/x"),
        ("PLAIN_URL", "postgresql://me:pass@host.invalid/x"),
        ("PLAIN", "https://host.invalid/?token=abc"),
        ("PLAIN", "ghp_" + "a" * 36),
        ("PLAIN", "AKIA" + "A" * 16),
        ("PLAIN", "dapi" + "0" * 32),
        ("PLAIN", "-----BEGIN RSA PRIVATE KEY-----\nabc"),
        ("TOKEN_URL", "https://me:pass@host.invalid/x"),
    ],
)
def test_a_secret_is_left_out_and_it_is_said_where_it_belongs(name: str, value: str) -> None:
    spec = _read(f"{name}: {value!r}".replace("\\n", " "), "B: b")
    assert is_secret(name, value)
    assert spec.variables == (("B", "b"),)
    (said,) = spec.warnings
    assert (said.line, name in said.problem, f"export {name}=" in said.remedy) == (3, True, True)
    assert value not in str(said)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DBT_PROFILES_DIR", "profiles"),
        ("GOOGLE_APPLICATION_CREDENTIALS", "/etc/keys/bigquery.json"),
        ("GOOGLE_APPLICATION_CREDENTIALS", "service-account.json"),
        ("SSL_KEY_FILE", "a"),
        ("TOKEN_URL", "https://host.invalid/token"),
        ("USE_TOKEN", "true"),
        ("API_KEY", ""),
        ("KEYBOARD", "de"),
        ("MONKEY", "de"),
        ("AUTHOR", "me"),
        ("PASSING", "abc"),
    ],
)
def test_what_is_no_secret_is_kept(name: str, value: str) -> None:
    assert not is_secret(name, value)
