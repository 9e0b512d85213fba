from __future__ import annotations

import re
from dataclasses import replace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from packaging.specifiers import SpecifierSet
from packaging.version import Version
from rattler import MatchSpec, PackageRecord, VersionSpec
from rattler import Version as CondaVersion
from rattler.package.build_string import BuildString

from elt_env.spec.conda_bounds import admits_minor, from_pep440, to_pep440
from elt_env.spec.conda_spec import CondaSpec, parse_conda_spec
from elt_env.spec.faults import WrittenError
from tests.support.locks import versions

_RELEASES = st.lists(st.integers(0, 3), min_size=1, max_size=3).map(
    lambda parts: ".".join(map(str, parts))
)
_OPERATORS = st.sampled_from([">=", "<", "<=", "==", "!=", ">", "=", "~=", ""])
_CLAUSES = st.builds("{}{}".format, _OPERATORS, _RELEASES) | _RELEASES.map("{}.*".format)
_BOUNDS = st.lists(_CLAUSES, min_size=1, max_size=3).map(",".join)
_BUILDS = st.sampled_from(["py311_0", "py311*", "*_cp311", "0", "h12ab_1"])


_MD5 = "8b1a9953c4611296a827abf8c47804d7"


@pytest.mark.parametrize(
    ("text", "spec"),
    [
        ("pandas", CondaSpec("pandas")),
        ("  PyYAML ", CondaSpec("pyyaml")),
        ("__glibc", CondaSpec("__glibc")),
        ("pandas *", CondaSpec("pandas")),
        ("pandas=1.2", CondaSpec("pandas", "=1.2")),
        ("pandas = 1.2", CondaSpec("pandas", "=1.2")),
        ("pandas=1.2.3", CondaSpec("pandas", "=1.2.3")),
        ("pandas=1.2.*", CondaSpec("pandas", "1.2.*")),
        ("pandas =1.2.*", CondaSpec("pandas", "1.2.*")),
        ("pandas=1.2*", CondaSpec("pandas", "1.2.*")),
        ("pandas==1.2.*", CondaSpec("pandas", "1.2.*")),
        ("pandas==1.2", CondaSpec("pandas", "==1.2")),
        ("pandas 1.2", CondaSpec("pandas", "==1.2")),
        ("pandas 1.2.*", CondaSpec("pandas", "1.2.*")),
        ("pandas>=1,<2", CondaSpec("pandas", ">=1,<2")),
        ("pandas >= 1 , < 2", CondaSpec("pandas", ">=1,<2")),
        ("pandas >=1.2.*,<2.*", CondaSpec("pandas", ">=1.2,<2")),
        ("pandas >1.2.*", CondaSpec("pandas", ">1.2")),
        ("pandas !=1.2.*", CondaSpec("pandas", "!=1.2.*")),
        ("pandas >=1.2*", CondaSpec("pandas", ">=1.2")),
        ("pandas >=1,<2|>3", CondaSpec("pandas", ">=1,<2|>3")),
        ("pandas>=1|<0.5", CondaSpec("pandas", ">=1|<0.5")),
        ("pandas=1.2|1.3", CondaSpec("pandas", "=1.2|==1.3")),
        ("pandas=1.2|1.3=py*", CondaSpec("pandas", "1.2.*|==1.3", "py*")),
        ("pandas >=1|*", CondaSpec("pandas")),
        ("pandas >=1,*", CondaSpec("pandas", ">=1")),
        ("pandas ~=1.2.3", CondaSpec("pandas", "~=1.2.3")),
        ("pandas 1!2.0", CondaSpec("pandas", "==1!2.0")),
        ("x264=1!164.3095=h166bdaf_2", CondaSpec("x264", "==1!164.3095", "h166bdaf_2")),
        ("openssl=1.1.1w", CondaSpec("openssl", "=1.1.1w")),
        ("pandas=1.2=0", CondaSpec("pandas", "==1.2", "0")),
        ("pandas=1.2=py311_0", CondaSpec("pandas", "==1.2", "py311_0")),
        ("pandas==1.2=py311_0", CondaSpec("pandas", "==1.2", "py311_0")),
        ("pandas>=1.2=py311_0", CondaSpec("pandas", ">=1.2", "py311_0")),
        ("pandas=1.2.*=py311_0", CondaSpec("pandas", "1.2.*", "py311_0")),
        ("pandas=*=py311_0", CondaSpec("pandas", "", "py311_0")),
        ("pandas=1.2=*", CondaSpec("pandas", "==1.2")),
        ("pandas 1.2 py311_0", CondaSpec("pandas", "==1.2", "py311_0")),
        ("pandas =1.2 py311_0", CondaSpec("pandas", "==1.2", "py311_0")),
        ("pandas >=1, <2 py311*", CondaSpec("pandas", ">=1,<2", "py311*")),
        ("pandas=1.2=^py.*$", CondaSpec("pandas", "==1.2", "^py.*$")),
        ("pandas=1.2#why", CondaSpec("pandas", "=1.2")),
        ("conda-forge::pandas >=1", CondaSpec("pandas", ">=1", channel="conda-forge")),
        ("forge/label/dev::pandas", CondaSpec("pandas", channel="forge/label/dev")),
        ("forge/noarch::pandas", CondaSpec("pandas", channel="forge", subdir="noarch")),
        ("https://a.invalid/c::pandas=1", CondaSpec("pandas", "=1", channel="https://a.invalid/c")),
        (
            "https://a.invalid/c/linux-64::pandas",
            CondaSpec("pandas", channel="https://a.invalid/c", subdir="linux-64"),
        ),
        ("pandas[]", CondaSpec("pandas")),
        ("pandas[version='>=2']", CondaSpec("pandas", ">=2")),
        ("pandas[version=1.2]", CondaSpec("pandas", "==1.2")),
        ("pandas[version='=1.2']", CondaSpec("pandas", "=1.2")),
        ("pandas [version=\">=1, <2\", build='mkl*']", CondaSpec("pandas", ">=1,<2", "mkl*")),
        ("pandas=1.2[build=mkl]", CondaSpec("pandas", "1.2.*", "mkl")),
        ("pandas>=1.2[version='<2']", CondaSpec("pandas", "<2")),
        ("blas[build='*mkl*']", CondaSpec("blas", "", "*mkl*")),
        ("blas[channel=forge,subdir=noarch]", CondaSpec("blas", channel="forge", subdir="noarch")),
        ("blas[subdir=linux-64]", CondaSpec("blas", subdir="linux-64")),
        ("blas[build_number='>=1']", CondaSpec("blas", fields=(("build_number", ">=1"),))),
        (f"blas[md5={_MD5}]", CondaSpec("blas", fields=(("md5", _MD5),))),
    ],
)
def test_the_forms_of_conda_mean_what_they_mean_to_conda(text: str, spec: CondaSpec) -> None:
    assert parse_conda_spec(text) == spec
    assert parse_conda_spec(str(spec)) == spec
    MatchSpec(str(spec), strict=True)


@pytest.mark.parametrize("end", [".conda", ".tar.bz2"])
def test_an_archive_in_a_channel_is_that_build_from_that_channel(end: str) -> None:
    address = f"https://a.invalid/c/linux-64/my-lib-1.2-py_0{end}"
    expected = CondaSpec("my-lib", "==1.2", "py_0", "https://a.invalid/c", "linux-64")
    assert parse_conda_spec(address) == expected
    assert parse_conda_spec(f"{address}#{_MD5}") == replace(expected, fields=(("md5", _MD5),))


@pytest.mark.parametrize(
    ("text", "complaint", "remedy"),
    [
        ("", "package name", "Write it as in: name"),
        ("=1.2", "package name", "Write it as in: name"),
        ("über", "package name", "Write it as in: name"),
        ("py*", "not by a pattern", "Write it as in: name"),
        ("forge:pandas", "'forge:pandas' is neither a name nor a channel", "'channel::name'"),
        ("::pandas", "no channel", "Write it as in: name"),
        ("pandas >=", "'>=' is not a version bound", "Write 'pandas'."),
        ("pandas=1.2=", "'=1.2=' is not a version bound", "Write 'pandas=1.2'."),
        ("pandas>>2", "'>>2' is not a version bound", "Write 'pandas>2'."),
        ("pandas >=1,,<2", "'' is not a version bound", "Write 'pandas >=1,<2'."),
        ("pandas >=1,", "'' is not a version bound", "Write 'pandas >=1'."),
        ("pandas =>1", "'=>1' is not a version bound", "Write 'pandas >=1'."),
        ("pandas=~1.2", "'=~1.2' is not a version bound", "Write 'pandas~=1.2'."),
        ("pandas ~=1", "'~=1' is not a version bound", "Write 'pandas ~=1.0'."),
        ("pandas !=1.2*", "'!=1.2*' means different things", "Write '!=1.2.*'."),
        ("pandas <1.2*", "'<1.2*' means different things", "Write '<1.2'."),
        ("pandas~1.2", "'~1.2' is not a version bound", "Write 'pandas~=1.2'."),
        ("pandas ~=1.2.*", "'~=1.2.*' is not a version bound", "Write 'pandas ~=1.2'."),
        ("pandas===1.2", "'===1.2' is not a version bound", "Write 'pandas==1.2'."),
        ("pandas (>=1)", "'(>=1)' is not a version bound", "Write 'pandas >=1'."),
        ("pandas (>=1)|<0.5", "'(>=1)' is not a version bound", "Write it as in: name"),
        ("pandas >=1 <2", "'>=1<2' is not a version bound", "Write 'pandas >=1,<2'."),
        ("pandas !2", "'!2' is not a version bound", "Write 'pandas !=2'."),
        ("pandas >=*", "'>=*' is not a version bound", "Write it as in: name"),
        ("pandas ==1.*,<2", "'==1.*,<2' has '==' and '*'", "Write '1.2.*'"),
        ("pandas[version='==1.*']", "'==1.*' has '==' and '*'", "Write '1.2.*'"),
        ("pandas==1.*=py_0", "'==1.*' has '==' and '*'", "Write '1.2.*'"),
        ("pandas=<1=py_0", "'=<1' is not a version bound", "Write 'pandas<=1=py_0'."),
        ("pandas 1.*.2", "'1.*.2' is a pattern", "Write bounds"),
        ("pandas ^1.2$", "'^1.2$' is a pattern", "Write bounds"),
        ("pandas 1 b c", "'b c' is not a build", "Write it as in: name"),
        ("pandas=1=b c", "'b c' is not a build", "Write it as in: name"),
        ("pandas 1 é", "'é' is not a build", "Write it as in: name"),
        ("pandas 1 ^(a$", "'^(a$' is not a regular expression", "Write it as in: name"),
        ("pandas; python_version>'3'", "package name", "Write 'pandas'."),
        ("pandas[version='>=2'", "brackets are not closed", "Write 'pandas[version='>=2']'."),
        ("dask[complete]", "are extras", "Write 'dask', or ask pip for 'dask[complete]'"),
        ("a[b, c-d]>=1", "brackets are not closed, or something", "Write it as in: name"),
        ("pandas['optional']", "not a list of key=value", "Write it as in: name"),
        ("pandas[url=x]", "'url' in its brackets is not supported", "Use version, build"),
        ("pandas[md5=x]", "'x' is not a md5", "Write it as in: name"),
    ],
)
def test_what_conda_would_not_understand_is_named_with_what_to_write(
    text: str, complaint: str, remedy: str
) -> None:
    with pytest.raises(WrittenError) as caught:
        parse_conda_spec(text)
    assert complaint in caught.value.problem
    assert remedy in caught.value.remedy


@given(st.text(alphabet=st.sampled_from("ab_1.*!=<>~,|:[]()'- #\n\té"), max_size=14) | st.text())
def test_no_text_ends_in_anything_but_a_fault(text: str) -> None:
    try:
        spec = parse_conda_spec(text)
    except WrittenError:
        return
    assert parse_conda_spec(str(spec)) == spec
    MatchSpec(str(spec), strict=True)


_ODD_VERSIONS = ["1.1.1w", "2.0rc1", "1.0_", "1.0.post1", "1.0+a.1", "1.2-3", "2024a", "1!1.0"]
_BOUND = st.builds(
    "{}{}{}".format,
    _OPERATORS,
    _RELEASES | st.sampled_from(_ODD_VERSIONS),
    st.sampled_from(["", "", ".*", "*"]),
)
_WRITTEN = st.lists(
    st.lists(_BOUND | st.just("*"), min_size=1, max_size=2).map(",".join), min_size=1, max_size=2
).map("|".join)
_SHAPES = st.sampled_from(
    [
        "{name} {version}",
        "{name}{version}",
        "{name}={version}={build}",
        "{name} {version} {build}",
        "{name}[version='{version}']",
        "{name}[version='{version}',build='{build}']",
        "{name} {version}[build={build}]",
        "forge::{name} {version}",
        "forge/noarch::{name} {version}",
    ]
)
_TEXTS = st.builds(
    lambda shape, name, version, build: shape.format(name=name, version=version, build=build),
    _SHAPES,
    st.sampled_from(["pkg", "My.Pkg", "_a-b"]),
    _WRITTEN,
    _BUILDS | st.sampled_from(["*", "^py.*$", "mkl", "1.2_x", "cuda+0"]),
)
_PUBLISHED = (
    *("0", "0.9", "1", "1.0", "1.0.1", "1.1", "1.2", "1.2.3", "1.2.10", "1.3", "2", "2.0.1", "3.3"),
    *("2.1.1", "1.1.1x", "1.0.0.post1", "1!2.1", "1.2_3", *_ODD_VERSIONS),
)


def _accepted(spec: MatchSpec) -> list[tuple[str, str]]:
    """Return which of some versions and builds a requirement accepts, by rattler."""
    name = spec.name.normalized
    records = {
        (version, build): PackageRecord(name, version, BuildString(build), 0, "noarch")
        for version in _PUBLISHED
        for build in ("0", "py311_0", "mkl", "x_cp311", "1.2_x", "cuda+0")
    }
    return [key for key, record in records.items() if spec.matches(record)]


@given(_TEXTS)
@example("pkg =1.2 py311_0")
@example("pkg=1.2.*=py311_0")
@example("pkg=1.2[build=py311_0]")
def test_a_requirement_in_the_one_form_means_what_rattler_reads_in_it(text: str) -> None:
    try:
        spec = parse_conda_spec(text)
    except WrittenError:
        return
    assert parse_conda_spec(str(spec)) == spec
    mine = _accepted(MatchSpec(str(spec), strict=True))
    assert mine == _accepted(MatchSpec(str(spec)))
    if not re.search(r"[^=!<>]>[^=]*\*", text):  # conda reads >1.2.* as >1.2, rattler as >=1.2
        assert mine == _accepted(MatchSpec(text))


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
