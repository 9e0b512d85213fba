"""The check that an image is what the OCI Image Format Specification 1.1 says one is."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from elt_env.environment.scratch_dir import scratch_dir
from elt_env.errors import EltEnvError, IntegrityError, ToolError
from elt_env.image import spec as oci
from elt_env.image.oci.layout import Layout
from elt_env.image.oci.reader import LAYER_TYPES, Image, layer_content, read_image, single_image
from elt_env.image.spec import Descriptor, Layer
from elt_env.machine.process import Say, clean_environment, end_of, run
from elt_env.project.project import Project
from elt_env.proof.checks.check_tools import CheckTools
from elt_env.proof.checks.finding import Finding, judge
from elt_env.proof.checks.image_subject import ImageUnderTest
from elt_env.runtime.files import sha256_of
from elt_env.runtime.input_files import read_stored

_NAME = "checked"
_MOST_LAYERS = 127  # what overlayfs can stack, less the one that is written to
_LAYOUT = "layout"
_COPY = "copy"


@dataclass(frozen=True)
class Skopeo:
    """The program skopeo.

    Attributes:
        limit: seconds that it may take.
    """

    limit: float

    @property
    def installed(self) -> bool:
        """Whether it is there."""
        return shutil.which("skopeo") is not None

    def copy(self, layout: Layout, manifest: Descriptor, name: str, place: Path, say: Say) -> str:
        """Let it inspect and copy an image of a layout; return the digest of the copy's manifest.

        The image is called `name` meanwhile, and `place`, which is empty, then holds the copy.

        Raises:
            ToolError: it refuses the image.
            TimeLimitError: it took too long.
            IntegrityError: the manifest cannot be read.
        """
        single_image(layout, manifest, name, place / _LAYOUT)
        source = f"oci:{_LAYOUT}:{name}"
        self._run(place, say, "inspect", "--no-tags", source)
        self._run(place, say, "--insecure-policy", "copy", "--quiet", source, f"dir:{_COPY}")
        return "sha256:" + sha256_of(place / _COPY / "manifest.json")

    def _run(self, place: Path, say: Say, *arguments: str) -> None:
        # Paths are relative: it takes what follows a colon for a tag.
        command = [shutil.which("skopeo") or "skopeo", *arguments]
        done = run(command, limit=self.limit, env=clean_environment(), cwd=place, merge=True)
        if done.returncode:
            say(f"skopeo: {done.stdout.strip()}")
            raise ToolError(
                f"skopeo does not take the image: {end_of(done.stdout.strip(), 5)}",
                "Pack the image again.",
            )


def image_format(image: ImageUnderTest, tools: CheckTools, say: Say) -> Finding:
    """Manifest, config and layers are there, have their digests, and fit together.

    Every layer unpacks to its diff_id. Where skopeo is installed, it copies the image as well, and
    the manifest is the same afterwards.
    """
    try:
        content = read_image(image.layout, image.manifest)
    except IntegrityError as error:
        return Finding("failed", error.problem)
    faults = [
        *_of_layout(image),
        *_of_manifest(image),
        *_of_config(image, content),
        *_of_layers(image, content),
    ]
    said = "skopeo is not installed, so it was not asked"
    skopeo = Skopeo(tools.project.policy.tool_limit.total_seconds())
    if skopeo.installed and not faults:
        said = "skopeo copies it as it is"
        faults += _of_skopeo(image, tools.project, skopeo, say)
    size = sum(each.blob.size for each in content.layers)
    passed = f"{len(content.layers)} layers, {size / 1e6:.0f} MB, all as their digests say; {said}"
    counts = {"layers": len(content.layers), "bytes": size}
    return replace(judge(faults, passed), counts=counts)


def _of_layout(image: ImageUnderTest) -> Iterator[str]:
    path = image.layout.path / "oci-layout"
    try:
        version = json.loads(read_stored(path))["imageLayoutVersion"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        yield f"{path} does not say that this is a layout: {error}"
    else:
        if version != "1.0.0":
            yield f"{path} says version {version}, not 1.0.0"
    try:
        named = {each.digest for each in image.layout.images()}
    except IntegrityError as error:
        yield error.problem
    else:
        if image.manifest.digest not in named:
            yield f"the index names no manifest {image.manifest.digest}"


def _of_manifest(image: ImageUnderTest) -> Iterator[str]:
    content = json.loads(image.layout.read(image.manifest))
    if content.get("schemaVersion") != 2:  # noqa: PLR2004  # manifest.md
        yield f"the manifest has schemaVersion {content.get('schemaVersion')}, not 2"
    for what, found in (
        ("the manifest says", content.get("mediaType")),
        ("the index says", image.manifest.media_type),
    ):
        if found != oci.MANIFEST:
            yield f"{what} that the manifest is a {found}, not a {oci.MANIFEST}"
    if content["config"]["mediaType"] != oci.CONFIG:
        yield f"the config is a {content['config']['mediaType']}, not a {oci.CONFIG}"


def _of_config(image: ImageUnderTest, content: Image) -> Iterator[str]:
    manifest = oci.parse_manifest(image.layout.read(image.manifest))
    config = json.loads(image.layout.read(manifest.config))
    platform = image.prefix.lock.target.platform
    expected = oci.architecture(platform)
    if content.config.architecture != expected:
        yield f"the config says {content.config.architecture}; {platform} is {expected}"
    if config.get("os") != "linux":
        yield f"the config says that the system is {config.get('os')}, not linux"
    if config["rootfs"].get("type") != "layers":
        yield "the config's rootfs is not of type layers"
    past = config.get("history") or []
    filled = [each for each in past if not each.get("empty_layer")]
    if past and len(filled) != len(content.layers):
        yield f"the history tells of {len(filled)} layers, there are {len(content.layers)}"
    if len(content.layers) > _MOST_LAYERS:
        yield f"it has {len(content.layers)} layers; engines can stack {_MOST_LAYERS}"


def _of_layers(image: ImageUnderTest, content: Image) -> list[str]:
    # From the end: `image_content` reads them from the beginning meanwhile.
    found = [_layer_fault(image, each) for each in reversed(content.layers)]
    return [each for each in reversed(found) if each]


def _layer_fault(image: ImageUnderTest, layer: Layer) -> str:
    """Return what is wrong with a layer; "" where nothing is."""
    named = f"the layer {layer.blob.digest} ({layer.holds})"
    if layer.blob.media_type not in LAYER_TYPES:
        return f"{named} is a {layer.blob.media_type}, which is no layer"
    if not image.layout.has(layer.blob):
        return f"{named} is not there, or not of {layer.blob.size} bytes"
    if not image.layout.intact(layer.blob):
        return f"{named} has another digest: it was changed"
    if (layer.blob.digest, layer.diff_id) in image.read:
        return ""
    try:
        with layer_content(image.layout, layer):
            pass
    except IntegrityError as error:
        return error.problem
    return ""


def _of_skopeo(image: ImageUnderTest, project: Project, skopeo: Skopeo, say: Say) -> Iterator[str]:
    with scratch_dir(project.local_home, image.prefix.lock.digest) as place:
        try:
            copied = skopeo.copy(image.layout, image.manifest, _NAME, Path(place.path), say)
        except EltEnvError as error:
            yield error.problem
            return
    if copied != image.manifest.digest:
        yield f"skopeo's copy has the manifest {copied}, not {image.manifest.digest}"
