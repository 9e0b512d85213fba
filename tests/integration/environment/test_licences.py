"""The SBOM of an environment that was locked, built and packed beside an image."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from elt_env.environment.licences import licences
from elt_env.environment.prefix import Prefix
from elt_env.image import sbom
from elt_env.image import spec as oci
from elt_env.image.oci.attachments import attach
from elt_env.image.oci.layout import Layout
from elt_env.image.spec import Manifest
from elt_env.machine.process import run
from tests.support.isolation import clear_settings
from tests.support.sample import Sample

_LIMIT = 60.0
_NAME = "elt-3.11.sbom"


@pytest.fixture(scope="module")
def prefix(shared_sample: Sample, tmp_path_factory: pytest.TempPathFactory) -> Prefix:
    """A built prefix with `licensed`, whose METADATA state a licence, and `tally` from conda."""
    sample = shared_sample
    with pytest.MonkeyPatch.context() as patch:
        clear_settings(patch, keep_registry=False)
        patch.setenv("UV_CACHE_DIR", str(tmp_path_factory.mktemp("uv")))
        sample.offer_pip("licensed", requires=["beta"], fields=["License-Expression: MIT OR 0BSD"])
        made = sample.lock(conda=["tally"], pip=["licensed"])
        return Prefix(sample.build(tmp_path_factory.mktemp("built"), made).path, made)


def test_the_sbom_of_a_built_prefix_is_valid_and_complete(prefix: Prefix) -> None:
    data = sbom.render(prefix.lock, licences(prefix), (), (("elt-env", "0.1.0"),))
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(data.decode()) is None
    found = {each["name"]: each for each in json.loads(data)["components"]}
    assert found.keys() == {each.name for each in prefix.lock.packages}
    assert found["licensed"]["licenses"] == [{"expression": "MIT OR 0BSD"}]
    assert found["python"]["licenses"] == [{"license": {"id": "PSF-2.0"}}]
    assert "licenses" not in found["beta"]
    for private in (str(prefix.path), "127.0.0.1", "file:"):
        assert private not in data.decode()


@pytest.mark.skipif(shutil.which("skopeo") is None, reason="needs skopeo")
def test_skopeo_copies_an_attached_sbom_as_it_is(prefix: Prefix, tmp_path: Path) -> None:
    layout = Layout(tmp_path / "oci")
    image = layout.add(Manifest(layout.add(b"{}", oci.CONFIG), ()).to_bytes(), oci.MANIFEST)
    content = sbom.render(prefix.lock, licences(prefix), (), ())
    attached = attach(layout, image, content, name=_NAME)
    copy = Layout(tmp_path / "copy")
    places = [f"oci:{each.path}:{_NAME}" for each in (layout, copy)]
    copied = run(["skopeo", "copy", "--preserve-digests", *places], limit=_LIMIT)
    assert copied.returncode == 0, copied.stderr
    assert copy.read(attached) == layout.read(attached)
    assert copy.read(oci.parse_manifest(copy.read(attached)).layers[0]) == content
