from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.utils import canonicalize_name

from elt_env.conda.distributions import distributions_in

_SITE = "lib/python3.11/site-packages"


@pytest.mark.parametrize(
    ("path", "found"),
    [
        (f"{_SITE}/pandas-2.3.3.dist-info/METADATA", [("pandas", "2.3.3")]),
        ("site-packages/pandas-2.3.3.dist-info/METADATA", [("pandas", "2.3.3")]),
        (f"{_SITE}/Ruamel.Yaml_Clib-0.2.8.dist-info/METADATA", [("ruamel-yaml-clib", "0.2.8")]),
        (f"{_SITE}/my-old-pkg-1.0.dist-info/METADATA", [("my-old-pkg", "1.0")]),
        (f"{_SITE}/torch-2.1+cu_118.dist-info/METADATA", [("torch", "2.1+cu-118")]),
        (f"{_SITE}/epoch-1!2.0.dist-info/METADATA", [("epoch", "1!2.0")]),
        (f"{_SITE}/old-1.0-py3.11.egg-info/PKG-INFO", [("old", "1.0")]),
        (f"{_SITE}/my-old-1.0-py3.11.egg-info/PKG-INFO", [("my-old", "1.0")]),
        (f"{_SITE}/old_name-1.0.egg-info/PKG-INFO", [("old-name", "1.0")]),
        (f"{_SITE}/single-1.0-py3.11.egg-info", [("single", "1.0")]),
        (f"{_SITE}/pandas-2.3.3.dist-info/RECORD", []),
        (f"{_SITE}/pandas/METADATA", []),
        (f"{_SITE}/pip/_vendor/six-1.16.dist-info/METADATA", []),
        ("share/doc/six-1.16.dist-info/METADATA", []),
        (f"{_SITE}/nameless.dist-info/METADATA", []),
        (f"{_SITE}/six-1.16.dist-info/licenses/METADATA", []),
        ("METADATA", []),
        ("", []),
    ],
)
def test_a_distribution_is_known_by_its_metadata(path: str, found: list[tuple[str, str]]) -> None:
    assert list(distributions_in([path])) == found


def test_a_package_may_own_several_and_lists_each_once() -> None:
    paths = [
        f"{_SITE}/setuptools-80.dist-info/METADATA",
        f"{_SITE}/pkg_resources-0.1.dist-info/METADATA",
        f"{_SITE}/old-1.0-py3.11.egg-info",
        f"{_SITE}/old-1.0-py3.11.egg-info/PKG-INFO",
    ]
    random.Random(1).shuffle(paths)  # noqa: S311  # no secret
    assert distributions_in(paths) == (
        ("old", "1.0"),
        ("pkg-resources", "0.1"),
        ("setuptools", "80"),
    )


@pytest.mark.parametrize("version", ["0.9", "1.0", "1.1"])
@pytest.mark.parametrize("order", [1, -1])
def test_a_dist_info_holds_where_there_is_an_egg_info_too(version: str, order: int) -> None:
    paths = [f"{_SITE}/a-1.0.dist-info/METADATA", f"{_SITE}/a-{version}-py3.11.egg-info/PKG-INFO"]
    assert distributions_in(paths[::order]) == (("a", "1.0"),)


@given(
    st.from_regex(r"[A-Za-z0-9]([A-Za-z0-9._]{0,8}[A-Za-z0-9])?", fullmatch=True),
    st.from_regex(r"[0-9]+(\.[0-9]+)*((a|rc)[0-9])?(\.post[0-9])?(\+[a-z]+)?", fullmatch=True),
)
def test_every_escaped_name_and_version_is_found(name: str, version: str) -> None:
    (found,) = distributions_in([f"{_SITE}/{name}-{version}.dist-info/METADATA"])
    assert found == (canonicalize_name(name), version)
