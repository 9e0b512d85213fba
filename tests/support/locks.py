"""Locks, packages and versions that no tool made: examples, and strategies for hypothesis."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from elt_env.lock.satisfaction import requirement_lines
from elt_env.lockfile.document import Bound, CondaDetail, HeldBack, Lock, Package
from elt_env.package.target import Target
from elt_env.spec.document import Spec

TARGET = Target("elt", "3.11", "linux-64")
MOMENT = datetime(2026, 5, 4, 3, 2, 1, tzinfo=timezone.utc)
CHANNEL = "https://channel.example.invalid/forge"
INDEX = "https://index.example.invalid/simple"
_FILES = "https://files.example.invalid"


def pip_package(
    name: str = "alpha",
    version: str = "1.0",
    **changes: Any,  # properties of a Package
) -> Package:
    """Return a package that pip installs from a wheel, released a year before MOMENT."""
    file = f"{name.replace('-', '_')}-{version}-py3-none-any.whl"
    package = Package(
        manager="pip",
        name=name,
        version=version,
        url=f"{_FILES}/{file}",
        sha256=f"{len(name):02x}" * 32,
        released_at=MOMENT - timedelta(days=365),
        index=INDEX,
    )
    return replace(package, **changes)


def sdist_package(name: str, version: str = "1.0") -> Package:
    """Return a package that pip builds from an sdist."""
    return pip_package(name, version, url=f"{_FILES}/{name}-{version}.tar.gz")


def conda_package(
    name: str = "gamma",
    version: str = "1.0",
    *,
    depends: tuple[str, ...] = (),
    **changes: Any,  # properties of a Package
) -> Package:
    """Return a package that conda links; it owns no Python distribution."""
    package = Package(
        manager="conda",
        name=name,
        version=version,
        url=f"{CHANNEL}/linux-64/{name}-{version}-py311_0.conda",
        sha256=f"{len(name) + 128:02x}" * 32,
        build="py311_0",
        conda=CondaDetail(subdir="linux-64", build_number=0, depends=depends),
    )
    return replace(package, **changes)


def owning(package: Package, *distributions: tuple[str, str]) -> Package:
    """Return a conda package that owns these distributions."""
    assert package.conda is not None
    return replace(package, conda=replace(package.conda, distributions=distributions))


def python_package(version: str = "3.11.7") -> Package:
    """Return conda's Python, as a person asked for it."""
    return conda_package("python", version, build="h1_0_cpython", requested=True)


def lock_of(
    *packages: Package,
    spec: Spec | None = None,
    **changes: Any,  # properties of a Lock
) -> Lock:
    """Return a lock of `packages` and a Python, as if it had been made for `spec`."""
    has_python = any(each.name == "python" for each in packages)
    lock = Lock(
        target=TARGET,
        spec_digest=spec.digest if spec else "sha256:" + "5" * 64,
        requirements=requirement_lines(spec) if spec else ("channel: forge", "conda: python"),
        channels=(CHANNEL,),
        channel_source="remote",
        indexes=(INDEX,),
        exclude_newer=MOMENT - timedelta(days=3),
        locked_at=MOMENT,
        tools=(("rattler", "0.28.0"), ("uv", "0.13.8")),
        negotiated=(),
        packages=packages if has_python else (python_package(), *packages),
    )
    return replace(lock, **changes)


_NAMES = st.sampled_from(["a", "alpha", "b2", "dbt-core", "delta", "g-a-m", "x0-9", "zeta"])
_VERSIONS = st.builds(
    "{}{}{}{}".format,
    st.sampled_from(["", "", "", "1!"]),
    st.lists(st.sampled_from("0123"), min_size=1, max_size=3).map(".".join),
    st.sampled_from(["", "", "", "a1", "b2", "rc1", ".post1", ".dev2", "rc1.post1"]),
    st.sampled_from(["", "", "", "+cpu", "+cu12.1"]),
)
_MOMENTS = st.datetimes(
    datetime(1980, 1, 1),  # noqa: DTZ001  # hypothesis wants it so
    datetime(2100, 1, 1),  # noqa: DTZ001
    timezones=st.just(timezone.utc),
)
_DETAILS = st.builds(
    CondaDetail,
    subdir=st.sampled_from(["linux-64", "noarch"]),
    build_number=st.integers(0, 2000),
    noarch=st.sampled_from([None, "python", "generic"]),
    depends=st.sampled_from([(), ("alpha >=1,<2.0a0", "zeta")]),
    constrains=st.sampled_from([(), ("delta <3",)]),
    license=st.sampled_from([None, "Apache-2.0", "Grüße"]),
    md5=st.sampled_from([None, "a" * 32]),
    python_site_packages_path=st.sampled_from([None, "lib/python3.11/site-packages"]),
    distributions=st.sampled_from([(), (("clib", "0.2"), ("my-lib", "1.0"))]),
)
_COMMON = st.fixed_dictionaries(
    {
        "sha256": st.integers(0, 2**256 - 1).map("{:064x}".format),
        "size": st.none() | st.integers(0, 2**40),
        "released_at": st.none() | _MOMENTS,
        "requested": st.booleans(),
        "required_by": st.sampled_from([(), ("alpha",), ("alpha", "zeta")]),
        "requires_python": st.sampled_from([None, ">=3.8", ">=3.8,<4,!=3.9.*"]),
    }
)
_WHEELS = st.builds(pip_package, _NAMES, _VERSIONS)
_SDISTS = st.builds(sdist_package, _NAMES, _VERSIONS)
_CONDA = st.builds(
    conda_package,
    _NAMES,
    st.sampled_from(["9e", "2024a", "1.1.1w"]) | _VERSIONS,
    build=st.sampled_from(["py311_0", "h1a_7"]),
    conda=_DETAILS,
)
_PACKAGES = st.lists(
    st.builds(
        lambda package, changes: replace(package, **changes), _WHEELS | _SDISTS | _CONDA, _COMMON
    ),
    max_size=6,
    unique_by=lambda package: (package.manager, package.name),
)
_LOCKS = st.builds(
    lambda packages, changes: lock_of(*packages, **changes),
    _PACKAGES,
    st.fixed_dictionaries(
        {
            "requirements": st.lists(st.text(max_size=8), max_size=2).map(tuple),
            "channel_source": st.sampled_from(["remote", "host"]),
            "exclude_newer": st.none() | _MOMENTS,
            "locked_at": _MOMENTS,
            "layout": st.sampled_from([1, 2]),
            "negotiated": st.sampled_from([(), (Bound("gamma", ">=2", "1.1", ("alpha 1.0",)),)]),
            "held_back": st.sampled_from([(), (HeldBack("alpha", "1.0", "2.0"),)]),
        }
    ),
)


def names() -> SearchStrategy[str]:
    """Strategy: normalized names of distributions, few enough to meet in both halves."""
    return _NAMES


def versions() -> SearchStrategy[str]:
    """Strategy: versions in PEP 440's normal form; dense, so that near ones meet."""
    return _VERSIONS


def locks() -> SearchStrategy[Lock]:
    """Strategy: a lock with a Python and packages in any order, some names in both halves."""
    return _LOCKS
