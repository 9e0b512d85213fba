from __future__ import annotations

import json
import uuid
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.spdx import is_expression, is_supported_id
from cyclonedx.validation.json import JsonStrictValidator
from hypothesis import given
from hypothesis import strategies as st
from packageurl import PackageURL

from elt_env.image import sbom
from elt_env.image.sbom import Licences
from elt_env.lockfile.document import CondaDetail, Lock, Package
from tests.support.locks import (
    MOMENT,
    TARGET,
    conda_package,
    lock_of,
    locks,
    owning,
    pip_package,
    python_package,
)

_VALIDATOR = JsonStrictValidator(SchemaVersion.V1_6)
_TOOLS = (("elt-env", "0.1.0"),)


def rendered(lock: Lock, licences: Licences | None = None, *base: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(sbom.render(lock, licences or {}, base, _TOOLS))
    return content


def component(package: Package, licence: str = "") -> dict[str, Any]:
    """Return the component of a package in a lock of its own."""
    licences = {(package.manager, package.name): licence}
    found = rendered(lock_of(package), licences)["components"]
    return next(each for each in found if each["name"] == package.name)


def graph(lock: Lock, *base: str) -> dict[str, set[str]]:
    """Return what each component depends on, as manager, slash and name."""

    def short(ref: str) -> str:
        if not ref.startswith("pkg:"):
            return ref
        purl = PackageURL.from_string(ref)
        return f"{purl.type}/{purl.name}"

    found = rendered(lock, None, *base)["dependencies"]
    return {short(each["ref"]): set(map(short, each.get("dependsOn", ()))) for each in found}


@given(locks())
def test_every_package_of_a_lock_is_a_component_of_a_valid_sbom(lock: Lock) -> None:
    data = sbom.render(lock, {}, ("libc6 2.36-9+deb12u14", "zlib1g 1:1.2.13"), _TOOLS)
    assert _VALIDATOR.validate_str(data.decode()) is None
    found = [each for each in json.loads(data)["components"] if "hashes" in each]
    assert sorted(
        (each["name"], each["version"], each["hashes"][0]["content"]) for each in found
    ) == (sorted((each.name, each.version, each.sha256) for each in lock.packages))
    assert len({each["bom-ref"] for each in found}) == len(found)


@given(locks())
def test_a_package_url_reads_back_as_the_package(lock: Lock) -> None:
    components = rendered(lock)["components"]
    purls = [PackageURL.from_string(each["purl"]) for each in components]
    found = {(each.type, each.name, each.version) for each in purls}
    types = {"conda": "conda", "pip": "pypi"}
    assert found == {(types[each.manager], each.name, each.version) for each in lock.packages}


@pytest.mark.parametrize(
    ("package", "purl"),
    [
        (pip_package("dbt-core", "1.11.16"), "pkg:pypi/dbt-core@1.11.16"),
        (pip_package("torch", "1!2.0+cu12.1"), "pkg:pypi/torch@1%212.0%2Bcu12.1"),
        (
            conda_package("numpy", "2.3.1"),
            "pkg:conda/numpy@2.3.1?build=py311_0&subdir=linux-64&type=conda",
        ),
        (
            conda_package(
                "tzdata",
                "2026a",
                url="https://channel.example.invalid/noarch/tzdata-2026a-0.tar.bz2",
                build="0",
                conda=CondaDetail(subdir="noarch", build_number=0),
            ),
            "pkg:conda/tzdata@2026a?build=0&subdir=noarch&type=tar.bz2",
        ),
    ],
)
def test_package_urls_are_as_their_types_define_them(package: Package, purl: str) -> None:
    found = component(package)
    assert found["purl"] == purl
    assert found["bom-ref"] == purl


def test_the_same_lock_gives_the_same_bytes_whenever_and_wherever_it_was_made() -> None:
    lock = lock_of(pip_package("beta", required_by=("alpha",)), pip_package("alpha"))
    elsewhere = replace(
        lock,
        locked_at=MOMENT + timedelta(days=9),
        channels=("https://mirror.example.invalid",),
        indexes=(),
        packages=tuple(
            replace(each, url=each.url.replace("example", "mirror"), index=None, released_at=None)
            for each in reversed(lock.packages)
        ),
    )
    assert sbom.render(elsewhere, {}, (), _TOOLS) == sbom.render(lock, {}, (), _TOOLS)


def test_no_url_no_host_and_no_credentials_of_the_lock_are_in_it() -> None:
    secret = "https://ann:hunter2@index.example.invalid/t/tk-123/simple"  # noqa: S105  # made up
    package = pip_package(url=f"{secret}/alpha-1.0-py3-none-any.whl", index=secret)
    conda = conda_package(url=f"{secret}/linux-64/gamma-1.0-py311_0.conda")
    lock = lock_of(package, conda, channels=(secret,), indexes=(secret,))
    text = sbom.render(lock, {}, (), _TOOLS).decode()
    for part in ("hunter2", "ann", "tk-123", "invalid", "https:", "forge"):
        assert part not in text
    assert text.count("://") == 1  # the schema's own name


def test_the_target_the_lock_and_the_tools_are_told() -> None:
    lock = lock_of(pip_package())
    metadata = rendered(lock)["metadata"]
    assert metadata["component"]["name"] == "elt@3.11"
    assert metadata["component"]["version"] == lock.digest
    assert metadata["component"]["properties"] == [
        {"name": "elt-env:platform", "value": TARGET.platform}
    ]
    (tool,) = metadata["tools"]["components"]
    assert (tool["name"], tool["version"]) == _TOOLS[0]
    assert "timestamp" not in metadata


def test_the_serial_number_is_of_the_lock_and_of_the_base() -> None:
    lock, other = lock_of(pip_package()), lock_of(pip_package(version="2.0"))
    serials = [
        rendered(lock)["serialNumber"],
        rendered(lock, None, "libc6 2.36")["serialNumber"],
        rendered(other)["serialNumber"],
    ]
    assert len(set(serials)) == 3
    assert all(uuid.UUID(each).version == 5 for each in serials)
    assert rendered(replace(lock, locked_at=MOMENT))["serialNumber"] == serials[0]


def test_whether_a_person_asked_for_a_package_is_a_property() -> None:
    asked = component(pip_package(requested=True))["properties"]
    needed = component(pip_package(required_by=("python",)))["properties"]
    assert asked == [{"name": "elt-env:requested", "value": "true"}]
    assert needed == [{"name": "elt-env:requested", "value": "false"}]


def test_dependencies_are_those_of_the_lock_across_both_managers() -> None:
    dateutil = owning(
        conda_package("python_dateutil", required_by=("dbt-common",)), ("python-dateutil", "1.0")
    )
    lock = lock_of(
        replace(python_package(), required_by=("python_dateutil",)),
        dateutil,
        pip_package("dbt-common", required_by=("dbt-core",)),
        pip_package("dbt-core", requested=True),
        pip_package("six", required_by=("dbt-core", "python-dateutil")),
        pip_package("stray"),
    )
    assert graph(lock) == {
        str(TARGET): {"conda/python", "pypi/dbt-core", "pypi/stray"},
        "conda/python": set(),
        "conda/python_dateutil": {"conda/python", "pypi/six"},
        "pypi/dbt-common": {"conda/python_dateutil"},
        "pypi/dbt-core": {"pypi/dbt-common", "pypi/six"},
        "pypi/six": set(),
        "pypi/stray": set(),
    }


def test_packages_that_need_each_other_are_no_trouble() -> None:
    lock = lock_of(
        pip_package("alpha", required_by=("beta", "alpha", "unheard-of")),
        pip_package("beta", required_by=("alpha",)),
    )
    found = graph(lock)
    assert found["pypi/alpha"] == {"pypi/beta"}
    assert found["pypi/beta"] == {"pypi/alpha"}


def test_the_packages_of_the_base_are_debian_s() -> None:
    base = ("libc6 2.36-9+deb12u14", "zlib1g 1:1.2.13.dfsg-1", "libc6 2.36-9+deb12u14")
    found = rendered(lock_of(), None, *base)
    assert [each["purl"] for each in found["components"] if "hashes" not in each] == [
        "pkg:deb/debian/libc6@2.36-9%2Bdeb12u14",
        "pkg:deb/debian/zlib1g@1:1.2.13.dfsg-1",
    ]
    assert graph(lock_of(), *base)[str(TARGET)] == {"conda/python", "deb/libc6", "deb/zlib1g"}


@pytest.mark.parametrize(
    ("licence", "shown"),
    [
        ("MIT", {"license": {"id": "MIT"}}),
        ("apache-2.0", {"license": {"id": "Apache-2.0"}}),
        (" MIT  OR\n Apache-2.0 ", {"expression": "MIT OR Apache-2.0"}),
        (
            "GPL-2.0-or-later WITH Classpath-exception-2.0",
            {"expression": "GPL-2.0-or-later WITH Classpath-exception-2.0"},
        ),
        ("BSD License", {"license": {"name": "BSD License"}}),
        ("MIT AND", {"license": {"name": "MIT AND"}}),
        ("LicenseRef-Own", {"license": {"name": "LicenseRef-Own"}}),
        ("Grüße <&> \x07", {"license": {"name": "Grüße <&> \x07"}}),
    ],
)
def test_a_licence_is_an_expression_if_it_is_valid_and_a_name_else(
    licence: str, shown: dict[str, Any]
) -> None:
    assert component(pip_package(), licence)["licenses"] == [shown]


@pytest.mark.parametrize("licence", ["", " ", "\n\t"])
def test_no_licence_is_none(licence: str) -> None:
    assert "licenses" not in component(pip_package(), licence)


_WORDS = st.sampled_from(
    ["MIT", "mit", "AND", "OR", "WITH", "(", ")", "BSD", "+", "Apache-2.0", "/"]
)


@given(st.text() | st.lists(_WORDS).map(" ".join))
def test_whatever_is_said_of_a_licence_the_sbom_is_valid(licence: str) -> None:
    package = pip_package()
    data = sbom.render(lock_of(package), {("pip", package.name): licence}, (), _TOOLS)
    assert _VALIDATOR.validate_str(data.decode()) is None
    words = " ".join(licence.split())
    for each in component(package, licence).get("licenses", ()):
        if "expression" in each:
            assert is_expression(each["expression"])
        elif "id" in each["license"]:
            assert is_supported_id(each["license"]["id"])
        else:
            assert each["license"]["name"] == words
