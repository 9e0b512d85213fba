"""The SBOM: what an environment consists of, as CycloneDX 1.6.

Components are named by package URL and sha256. Where they were downloaded from is left out: a
mirror makes no other environment, and nobody's index is told to whoever reads the SBOM. It is
written as JSON here, since the library's model takes ten times as long; a test holds it against
the schema.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from cyclonedx.spdx import fixup_id, is_expression
from packageurl import PackageURL

from elt_env.lockfile.document import Lock, Manager, Package

Licences = Mapping[tuple[Manager, str], str]
"""The licence of each package, by manager and name, as the package itself states it."""

_Component = dict[str, Any]
"""A component, as CycloneDX has it in JSON."""

_SCHEMA = "http://cyclonedx.org/schema/bom-1.6.schema.json"

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
    made_by = [_component(name, version) for name, version in tools]
    packages = {each: _of_package(each, licences) for each in lock.packages}
    base = [*map(_python, filter(None, [python])), *map(_debian, base_packages)]
    root = _root(lock)
    made_of = "\n".join((lock.digest, *filter(None, [python]), *base_packages))
    needs = [_needs(root, [*_direct(packages), *base]), *_graph(packages, base)]
    content = {
        "$schema": _SCHEMA,
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "serialNumber": f"urn:uuid:{uuid.uuid5(_NAMESPACE, made_of)}",
        "metadata": {"component": root, "tools": {"components": _sorted(made_by)}},
        "components": _sorted([*packages.values(), *base]),
        "dependencies": list({each["ref"]: each for each in sorted(needs, key=_ref)}.values()),
    }
    return (json.dumps(content, indent=1, sort_keys=True) + "\n").encode()


def _sorted(components: Iterable[_Component]) -> list[_Component]:
    """Return components in the order of their names, each once."""
    found = {(each["name"], each["version"], each.get("bom-ref", "")): each for each in components}
    return [each for _, each in sorted(found.items(), key=lambda one: one[0])]


def _ref(needs: Mapping[str, Any]) -> str:
    return str(needs["ref"])


def _component(name: str, version: str, purl: PackageURL | None = None) -> _Component:
    ref = {"bom-ref": purl.to_string(), "purl": purl.to_string()} if purl else {}
    return {"type": "library", "name": name, "version": version, **ref}


def _root(lock: Lock) -> _Component:
    return {
        "type": "application",
        "name": lock.target.name,
        "version": lock.digest,
        "bom-ref": str(lock.target),
        "properties": [{"name": "elt-env:platform", "value": lock.target.platform}],
    }


def _of_package(package: Package, licences: Licences) -> _Component:
    licence = _licence(licences.get((package.manager, package.name), ""))
    requested = {"name": "elt-env:requested", "value": str(package.requested).lower()}
    return {
        **_component(package.name, package.version, _purl(package)),
        "hashes": [{"alg": "SHA-256", "content": package.sha256}],
        **({"licenses": [licence]} if licence else {}),
        "properties": [requested],
    }


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


def _licence(text: str) -> dict[str, Any] | None:
    """Return a licence by its SPDX identifier, as an expression of some, or by its name."""
    words = " ".join(text.split())
    if not words:
        return None
    if spdx := fixup_id(words):
        return {"license": {"id": spdx}}
    return {"expression": words} if is_expression(words) else {"license": {"name": words}}


def _python(version: str) -> _Component:
    """Return CPython as nobody's package, by the definition of the type generic."""
    return _component("python", version, PackageURL("generic", name="python", version=version))


def _debian(package: str) -> _Component:
    name, _, version = package.partition(" ")
    return _component(name, version, PackageURL("deb", "debian", name, version))


def _direct(packages: Mapping[Package, _Component]) -> list[_Component]:
    return [
        component
        for package, component in packages.items()
        if package.requested or not package.required_by
    ]


def _graph(
    packages: Mapping[Package, _Component], base: Iterable[_Component]
) -> list[dict[str, Any]]:
    """Return what each package needs; what the base's need of each other is not known."""
    named = _by_name(packages)
    needs: dict[Package, list[_Component]] = {each: [] for each in packages}
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


def _needs(component: _Component, found: Iterable[_Component]) -> dict[str, Any]:
    others = sorted({each["bom-ref"] for each in found} - {component["bom-ref"]})
    return {"ref": component["bom-ref"], **({"dependsOn": others} if others else {})}
