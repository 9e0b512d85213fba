from __future__ import annotations

import contextlib

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from packaging.specifiers import SpecifierSet
from packaging.version import Version
from rattler import MatchSpec, VersionSpec
from rattler import Version as CondaVersion

from elt_env.model.conda_spec import (
    CondaSpec,
    admits_minor,
    from_pep440,
    parse_conda_spec,
    to_pep440,
)
from tests.support.locks import versions

_RELEASES = st.lists(st.integers(0, 3), min_size=1, max_size=3).map(
    lambda parts: ".".join(map(str, parts))
)
_OPERATORS = st.sampled_from([">=", "<", "<=", "==", "!=", ">", "=", "~=", ""])
_CLAUSES = st.builds("{}{}".format, _OPERATORS, _RELEASES) | _RELEASES.map("{}.*".format)
_BOUNDS = st.lists(_CLAUSES, min_size=1, max_size=3).map(",".join)
_BUILDS = st.sampled_from(["py311_0", "py311*", "*_cp311", "0", "h12ab_1"])
_NAMES = st.from_regex(r"[a-z_][a-z0-9_.-]{0,6}", fullmatch=True)


@pytest.mark.parametrize(
    ("text", "spec"),
    [
        ("pandas", CondaSpec("pandas")),
        ("  PyYAML ", CondaSpec("pyyaml")),
        ("__glibc", CondaSpec("__glibc")),
        ("pandas *", CondaSpec("pandas")),
        ("pandas=1.2", CondaSpec("pandas", "=1.2")),
        ("pandas = 1.2", CondaSpec("pandas", "=1.2")),
        ("pandas==1.2", CondaSpec("pandas", "==1.2")),
        ("pandas 1.2.*", CondaSpec("pandas", "1.2.*")),
        ("pandas>=1,<2", CondaSpec("pandas", ">=1,<2")),
        ("pandas >= 1 , < 2", CondaSpec("pandas", ">=1,<2")),
        ("pandas >=1,<2|>3", CondaSpec("pandas", ">=1,<2|>3")),
        ("pandas ~=1.2.3", CondaSpec("pandas", "~=1.2.3")),
        ("pandas 1!2.0", CondaSpec("pandas", "1!2.0")),
        ("pandas=1.2=py311_0", CondaSpec("pandas", "1.2", "py311_0")),
        ("pandas=*=py311_0", CondaSpec("pandas", "", "py311_0")),
        ("pandas 1.2 py311_0", CondaSpec("pandas", "1.2", "py311_0")),
        ("pandas >=1, <2 py311*", CondaSpec("pandas", ">=1,<2", "py311*")),
        ("conda-forge::pandas >=1", CondaSpec("pandas", ">=1", channel="conda-forge")),
    ],
)
def test_the_short_forms_of_conda_are_understood(text: str, spec: CondaSpec) -> None:
    assert parse_conda_spec(text) == spec
    assert str(MatchSpec(str(spec))) == str(MatchSpec(text.strip())).removesuffix(" *")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "package name"),
        ("=1.2", "package name"),
        ("über", "package name"),
        ("https://host.invalid/c::pandas", "package name"),
        ("pandas[version='>=2']", "bracket"),
        ("pandas >=", "'>=' is not a version bound"),
        ("pandas >=1,,<2", "'' is not a version bound"),
        ("pandas >=1,", "'' is not a version bound"),
        ("pandas =>1", "'=>1' is not a version bound"),
        ("pandas (>=1)", "'(>=1)' is not a version bound"),
        ("pandas >=1 <2", "'>=1<2' is not a version bound"),
        ("pandas !2", "'!2' is not a version bound"),
        ("pandas 1 b c", "'b c' is not a build"),
        ("pandas=1=b c", "'b c' is not a build"),
        ("pandas 1 é", "'é' is not a build"),
        ("pandas==1=b", "'==1=b' is not a version bound"),
    ],
)
def test_what_conda_would_not_understand_is_named(text: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=r".") as caught:
        parse_conda_spec(text)
    assert complaint in str(caught.value)


@given(st.text(alphabet=st.sampled_from("ab_1.*!=<>~,|:[]- \n\té"), max_size=14) | st.text())
def test_no_text_ends_in_anything_but_a_value_error(text: str) -> None:
    with contextlib.suppress(ValueError):
        spec = parse_conda_spec(text)
        assert parse_conda_spec(str(spec)) == spec


@given(_NAMES, st.just("") | _BOUNDS, st.just("") | _BUILDS, st.sampled_from(["", "conda-forge"]))
@example("pandas", "=1.2", "", "")
def test_a_requirement_reads_what_it_writes(
    name: str, version: str, build: str, channel: str
) -> None:
    plain = build and version.startswith("=") and not version.startswith("==")
    spec = CondaSpec(name, version.removeprefix("=") if plain else version, build, channel)
    assert parse_conda_spec(str(spec)) == spec


@pytest.mark.parametrize(
    ("conda", "pep440"),
    [
        ("", ""),
        ("*", ""),
        ("=*", ""),
        ("=1.2", "==1.2.*"),
        ("=1.2.*", "==1.2.*"),
        ("1.2.*", "==1.2.*"),
        ("1.2*", "==1.2.*"),
        ("1.2", "==1.2"),
        ("==1.2", "==1.2"),
        ("!=1.2.*", "!=1.2.*"),
        (">=1.2.*,<2", ">=1.2,<2"),
        ("~=1.2.3", "~=1.2.3"),
        ("<3.0a0", "<3.0"),
        (">=2,<3.0.0.dev0", ">=2,<3.0.0"),
        ("<3dev0", "<3"),
        ("<3.0a1", "<3.0a1"),
    ],
)
def test_a_conda_bound_has_a_pep_440_form(conda: str, pep440: str) -> None:
    assert to_pep440(conda) == SpecifierSet(pep440)


@pytest.mark.parametrize("conda", ["1.2|>=3", ">=9e", "1.*.2"])
def test_a_bound_without_a_pep_440_form_has_none(conda: str) -> None:
    assert to_pep440(conda) is None


@given(_BOUNDS, _RELEASES)
def test_pep_440_admits_the_releases_that_conda_admits(bound: str, version: str) -> None:
    specifiers = to_pep440(bound)
    if specifiers is not None:  # ~=1 has no meaning in PEP 440
        assert specifiers.contains(version) == VersionSpec(bound).matches(CondaVersion(version))


# With a suffix all have as many parts: to conda, 1rc1 and 1.0rc1 are two versions.
_SUFFIXED = st.builds(
    "{}.{}.{}{}".format,
    *(st.integers(0, 3) for _ in range(3)),
    st.sampled_from(["a1", "b2", "rc1", ".post1"]),
)
_VERSIONS = st.builds("{}{}".format, st.sampled_from(["", "", "1!"]), _RELEASES | _SUFFIXED)
_PLAIN = st.builds("{}{}".format, st.sampled_from([">=", "<", "<=", "==", "!="]), _VERSIONS)
_SERIES = st.builds("{}{}.*".format, st.sampled_from(["==", "!="]), _RELEASES)
_COMPATIBLE = st.builds("~={}.{}".format, _RELEASES, st.integers(0, 3))
_SETS = st.lists(_PLAIN | _SERIES | _COMPATIBLE, max_size=4).map(",".join).map(SpecifierSet)


@given(_SETS, _VERSIONS)
def test_conda_admits_the_versions_that_pep_440_admits(
    specifiers: SpecifierSet, version: str
) -> None:
    bound = from_pep440(specifiers)
    admitted = not bound or VersionSpec(bound).matches(CondaVersion(str(Version(version))))
    assert admitted == specifiers.contains(version, prereleases=True), bound


@given(_SETS, _VERSIONS)
def test_a_bound_survives_the_way_to_conda_and_back(specifiers: SpecifierSet, version: str) -> None:
    back = to_pep440(from_pep440(specifiers))
    assert back is not None
    assert back.contains(version, prereleases=True) == specifiers.contains(
        version, prereleases=True
    )


@pytest.mark.parametrize(
    ("pep440", "conda"),
    [
        (">=2,>=2.5,<4,<3", "<3dev0,>=2.5"),
        ("<3,<3.0rc1", "<3dev0"),
        (">1,>1.5,<=3,<=2", "<=2,>1.5"),
        ("!=1,!=2,==1.*", "!=1,!=2,1.*"),
        ("~=1.4,>=1.4.3", ">=1.4.3,1.*"),
        ("===1.2", "==1.2"),
        ("", ""),
    ],
)
def test_only_the_tightest_clauses_are_asked_of_conda(pep440: str, conda: str) -> None:
    bound = from_pep440(SpecifierSet(pep440))
    assert sorted(bound.split(",")) == sorted(conda.split(","))


@given(st.lists(_PLAIN, max_size=4))
def test_the_order_of_clauses_does_not_change_a_bound(clauses: list[str]) -> None:
    bound = from_pep440(SpecifierSet(",".join(clauses)))
    assert from_pep440(SpecifierSet(",".join(reversed(clauses)))) == bound


@given(versions())
def test_every_pin_is_readable_for_conda(version: str) -> None:
    assert VersionSpec(from_pep440(SpecifierSet(f"=={version}"))).matches(CondaVersion(version))


@pytest.mark.parametrize(
    ("bound", "minor", "admitted"),
    [
        ("", "3.11", True),
        (">=3.11,<3.13", "3.11", True),
        (">=3.11,<3.13", "3.13", False),
        ("<3.13.0a0", "3.12", True),
        (">=3.11.4", "3.11", True),
        ("=3.11", "3.12", False),
        ("3.11.*", "3.11", True),
        ("3.11", "3.11", True),
        ("3.11.99", "3.11", True),
        ("!=3.12.*", "3.12", False),
        ("3.9.*|3.10.*", "3.11", False),
        ("3.9.*|>=3.11,<3.12", "3.11", True),
        ("<3", "3.11", False),
    ],
)
def test_a_minor_is_admitted_when_one_of_its_releases_is(
    bound: str, minor: str, *, admitted: bool
) -> None:
    assert admits_minor(bound, minor) is admitted
