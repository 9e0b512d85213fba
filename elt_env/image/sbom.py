"""The SBOM: what an environment consists of, as CycloneDX 1.6.

Components are named by package URL and sha256. Where they were downloaded from is left out: a
mirror makes no other environment, and nobody's index is told to whoever reads the SBOM.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable, Mapping, Sequence

from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model import HashAlgorithm, HashType, Property
from cyclonedx.model.bom import Bom, BomMetaData
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.model.dependency import Dependency
from cyclonedx.model.license import License
from cyclonedx.model.tool import ToolRepository
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL

from elt_env.lockfile.document import Lock, Manager, Package

Licences = Mapping[tuple[Manager, str], str]
"""The licence of each package, by manager and name, as the package itself states it."""

_NAMESPACE = uuid.UUID("a0825d1e-aa71-4d5a-9d6e-b82c94514a2b")
_TYPES = (".conda", ".tar.bz2")  # what a conda archive's name ends with


def render(
    lock: Lock,
    licences: Licences,
    base_packages: Sequence[str],
    tools: Iterable[tuple[str, str]],
    *,
    python: str = "",
) -> bytes:
    """Return the SBOM of a lock's environment, the same bytes for the same arguments.

    It carries no time. Its serial number is a UUIDv5 of the lock's digest and what is not of the
    lock, for no other content may carry it.

    Args:
        lock: its packages are the components; the environment depends on those that a person
            asked for or that nothing else needs.
        licences: what is a valid SPDX expression becomes one, any other text a named licence.
        base_packages: the Debian packages that an image's base has, as in `libc6 2.36-9`.
        tools: names and versions of those that made the lock and the SBOM.
        python: the version of an interpreter that no package brought, or "".
    """
    made_by = [Component(name=name, version=version) for name, version in tools]
    packages = {each: _component(each, licences) for each in lock.packages}
    base = [*map(_python, filter(None, [python])), *map(_debian, base_packages)]
    root = _root(lock)
    bom = Bom(
        serial_number=uuid.uuid5(
            _NAMESPACE, "\n".join((lock.digest, *filter(None, [python]), *base_packages))
        ),
        metadata=BomMetaData(component=root, tools=ToolRepository(components=made_by)),
        components=[*packages.values(), *base],
        dependencies=[_needs(root, [*_direct(packages), *base]), *_graph(packages, base)],
    )
    return _without_time(JsonV1Dot6(bom).output_as_string())


def _without_time(text: str) -> bytes:
    """Return the SBOM without the moment that the library cannot be kept from adding."""
    content = json.loads(text)
    del content["metadata"]["timestamp"]
    return (json.dumps(content, indent=1, sort_keys=True) + "\n").encode()


def _root(lock: Lock) -> Component:
    return Component(
        type=ComponentType.APPLICATION,
        name=lock.target.name,
        version=lock.digest,
        bom_ref=str(lock.target),
        properties=[Property(name="elt-env:platform", value=lock.target.platform)],
    )


def _component(package: Package, licences: Licences) -> Component:
    licence = _licence(licences.get((package.manager, package.name), ""))
    purl = _purl(package)
    return Component(
        name=package.name,
        version=package.version,
        purl=purl,
        bom_ref=purl.to_string(),
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=package.sha256)],
        licenses=[licence] if licence else [],
        properties=[Property(name="elt-env:requested", value=str(package.requested).lower())],
    )


def _purl(package: Package) -> PackageURL:
    """Return the package URL, by the definitions of the types conda and pypi.

    https://github.com/package-url/purl-spec/tree/main/types
    """
    if package.conda is None:
        return PackageURL("pypi", name=package.name, version=package.version)
    ending = next((each for each in _TYPES if package.file_name.endswith(each)), "")
    qualifiers = {
        "build": package.build or "",
        "subdir": package.conda.subdir,
        "type": ending.lstrip("."),
    }
    return PackageURL("conda", name=package.name, version=package.version, qualifiers=qualifiers)


def _licence(text: str) -> License | None:
    words = " ".join(text.split())
    return LicenseFactory().make_from_string(words) if words else None


def _python(version: str) -> Component:
    """Return CPython as nobody's package, by the definition of the type generic."""
    purl = PackageURL("generic", name="python", version=version)
    return Component(name="python", version=version, purl=purl, bom_ref=purl.to_string())


def _debian(package: str) -> Component:
    name, _, version = package.partition(" ")
    purl = PackageURL("deb", "debian", name, version)
    return Component(name=name, version=version, purl=purl, bom_ref=purl.to_string())


def _direct(packages: Mapping[Package, Component]) -> list[Component]:
    return [
        component
        for package, component in packages.items()
        if package.requested or not package.required_by
    ]


def _graph(packages: Mapping[Package, Component], base: Iterable[Component]) -> list[Dependency]:
    """Return what each package needs; what the base's need of each other is not known."""
    named = _by_name(packages)
    needs: dict[Package, list[Component]] = {each: [] for each in packages}
    for package, component in packages.items():
        for name in package.required_by:
            for needy in named.get(name, ()):
                needs[needy].append(component)
    return [
        *(_needs(packages[each], found) for each, found in needs.items()),
        *(_needs(each, []) for each in base),
    ]


def _by_name(packages: Iterable[Package]) -> dict[str, set[Package]]:
    """Return the packages that a name in `required_by` can mean.

    The name is a package's, of either manager, or that of a distribution that conda owns.
    """
    found: dict[str, set[Package]] = {}
    for package in packages:
        owned = package.conda.distributions if package.conda else ()
        for name in (package.name, *(name for name, _ in owned)):
            found.setdefault(name, set()).add(package)
    return found


def _needs(component: Component, found: Iterable[Component]) -> Dependency:
    others = [Dependency(ref=each.bom_ref) for each in found if each is not component]
    return Dependency(ref=component.bom_ref, dependencies=others)
