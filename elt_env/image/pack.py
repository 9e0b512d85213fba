"""Pack: a sealed prefix and the projects become an OCI image that names nothing of this machine."""

from __future__ import annotations

from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path

from elt_env.environment.build import require_prefix
from elt_env.environment.licences import licences
from elt_env.environment.prefix import Prefix
from elt_env.image import bases
from elt_env.image import spec as oci
from elt_env.image.bases import Base
from elt_env.image.config import image_config, manifest_annotations
from elt_env.image.files import image_files
from elt_env.image.interpreter import interpreter_layer, require_interpreter
from elt_env.image.layering import plan_layers
from elt_env.image.layers import (
    LayerJob,
    megabytes,
    prefix_question,
    project_layer,
    write_all,
)
from elt_env.image.oci.attachments import attach, attached
from elt_env.image.oci.layout import file_fault
from elt_env.image.packing import FORMAT
from elt_env.image.record import ImageRecord, image_name, own_name, sbom_name
from elt_env.image.spec import Descriptor, Layer, Manifest
from elt_env.image.store import ImageStore
from elt_env.lockfile.document import Lock
from elt_env.machine.process import Say
from elt_env.project.project import Project
from elt_env.runtime.files import write_atomically
from elt_env.store.locks import Store

IMAGE_FORMAT = FORMAT
"""Of how images are made; one that was made otherwise is made again."""


@dataclass(frozen=True)
class Draft:
    """An image to be.

    Attributes:
        lock: what it is packed from.
        base: what it stands on.
        layers: those that are there, from the lowest; first the base's alone.
        reused: digests of those that were there before.
    """

    lock: Lock
    base: Base
    layers: tuple[Layer, ...]
    reused: tuple[str, ...] = ()


@dataclass(frozen=True)
class PackedImage:
    """The image of a lock.

    Attributes:
        kept: whether it is the one that was there before.
        path: the layout that holds it.
        sbom: what it consists of, as an artifact that refers to it.
    """

    image: ImageRecord
    kept: bool
    path: Path
    sbom: Descriptor


def pack(
    lock: Lock, project: Project, store: Store, say: Say, *, refresh_base: bool = False
) -> PackedImage:
    """Return the image of the lock's prefix; what did not change since it was packed is reused.

    Raises: as its steps.
    """
    draft = prepare_base(lock, project, store, say, refresh=refresh_base)
    return write_image(pack_layers(draft, project, store, say), project, store, say)


def prepare_base(
    lock: Lock, project: Project, store: Store, say: Say, *, refresh: bool = False
) -> Draft:
    """Return an image that has only what the policy wants it to stand on; with `refresh`, anew.

    Raises:
        InputError: the prefix is a venv of what no image can have.
        ToolError: the prefix is not built, or a tool that makes the base fails.
        PolicyError: the policy asks for a base that is none.
        NetworkError: where it comes from does not answer.
        IntegrityError, StorageError: as they say.
    """
    from elt_env.image.oci.registry import Registry  # slow to load

    require_interpreter(lock, project, store)
    prefix = require_prefix(lock, store, "pack")
    images = ImageStore(store)
    limit = project.policy.tool_limit.total_seconds()
    base = bases.provide(
        _wanted_base(project, prefix),
        prefix,
        images.layout,
        images.bases,
        compression=project.policy.image_compression,
        limit=limit,
        say=say,
        pull=Registry(insecure=project.policy.insecure_registries, limit=limit).pull,
        caches=project.caches,
        refresh=refresh,
    )
    say(f"image: on {base.said}")
    return Draft(lock, base, base.layers)


def _wanted_base(project: Project, prefix: Prefix) -> str:
    """Return what the policy names; a path is relative to the project.

    The system's own Python is in no base but Debian's.
    """
    if prefix.base and prefix.base.of_system:
        return "debian"
    wanted = project.policy.image_base
    place = project.root / wanted.rpartition(":")[0]
    here = project.root / wanted
    return str(here) if here.exists() or (":" in wanted and place.is_dir()) else wanted


def pack_layers(draft: Draft, project: Project, store: Store, say: Say) -> Draft:
    """Return the image with the layers of the packages and of the project on top.

    Raises:
        ToolError: the prefix is not built.
        PolicyError: the path in the image does not fit.
        IntegrityError: a file is gone or cannot live at another path.
        BusyError, StorageError: the next call takes it up again.
    """
    prefix = require_prefix(draft.lock, store, "pack")
    images = ImageStore(store)
    with images.sole_packer(draft.lock.digest, project.policy.busy_limit.total_seconds()):
        mine, fresh = _package_layers(prefix, project, images, say)
        others = [project_layer(project, images)]
        if prefix.base:
            others.insert(0, interpreter_layer(prefix, prefix.base, project, images))
    fresh |= {each.blob.digest for each, is_new in others if is_new}
    *python, top = (each for each, _ in others)
    layers = (*draft.layers, *python, *mine, top)
    reused = tuple(each.blob.digest for each in layers if each.blob.digest not in fresh)
    return replace(draft, layers=layers, reused=reused)


def _package_layers(
    prefix: Prefix, project: Project, images: ImageStore, say: Say
) -> tuple[tuple[Layer, ...], set[str]]:
    """Return the layers of packages, and the digests of those that were written now."""
    lock, question = prefix.lock, prefix_question(prefix, project)
    there = images.known_layers(lock.digest, question) if question else None
    if there is not None:
        say(f"image: {len(there)} of {len(there)} layers of packages are there")
        return there, set()
    files = image_files(prefix)
    plans = plan_layers({owner: each.size for owner, each in files.items()})
    jobs = [
        LayerJob(plan, [files[each] for each in plan.owners], prefix, project) for plan in plans
    ]
    known = {job: images.known_layer(job.key) for job in jobs}
    due = [job for job in jobs if known[job] is None]
    say(f"image: {len(jobs) - len(due)} of {len(jobs)} layers of packages are there")
    made = dict(zip(due, write_all(due, images, say), strict=True))
    images.keep_layers(lock.digest, question, {job.key: job.plan.holds for job in jobs})
    mine = tuple(replace(known[job] or made[job], holds=job.plan.holds) for job in jobs)
    return mine, {each.blob.digest for each in made.values()}


def write_image(draft: Draft, project: Project, store: Store, say: Say) -> PackedImage:
    """Return the image, named in the layout, with its SBOM beside it.

    Raises:
        IntegrityError: what is known of an earlier image cannot be read.
        StorageError: the disk is full or not writable.
    """
    lock, images = draft.lock, ImageStore(store)
    layout = images.layout
    config = layout.add(
        image_config(lock, draft.layers, draft.base.env, project, store).to_bytes(), oci.CONFIG
    )
    content = Manifest(
        config, tuple(each.blob for each in draft.layers), manifest_annotations(lock)
    )
    manifest = layout.add(content.to_bytes(), oci.MANIFEST)
    before = images.image(lock.digest)
    name = image_name(lock.target)
    kept = before is not None and before.digest == manifest.digest
    artifact = attach_sbom(lock, manifest, draft.base.packages, store)
    image = ImageRecord(
        name=name,
        manifest=manifest,
        base=draft.base.said,
        base_packages=draft.base.packages,
        layers=draft.layers,
        reused=draft.reused,
        at=store.now().replace(microsecond=0),
        sbom=oci.parse_manifest(layout.read(artifact)).layers[0],
    )
    if before is not None and kept:
        image = replace(image, at=before.at)
    layout.name(own_name(name, lock.digest), manifest)
    layout.name(name, manifest)
    images.record(image, lock.digest)
    state = "is what it was" if kept else "is packed"
    volume = f"{megabytes(image.size)} in {len(image.layers)} layers"
    say(f"image: {name} {image.digest} {state}, {volume}")
    return PackedImage(image, kept, layout.path, artifact)


def attach_sbom(
    lock: Lock, manifest: Descriptor, base_packages: tuple[str, ...], store: Store
) -> Descriptor:
    """Keep the SBOM as a file, and as an artifact that refers to the image; return the latter.

    Raises:
        ToolError: it has to be made, and the prefix is not built.
        StorageError: the disk is full or not writable.
    """
    images = ImageStore(store)
    name = sbom_name(image_name(lock.target))
    known = attached(images.layout, manifest, name)
    path = images.sbom_path(lock.digest)
    if known is not None:
        (layer,) = oci.parse_manifest(images.layout.read(known)).layers
        if file_fault(path, layer.digest) is None:
            return known
    from elt_env.image import sbom  # takes longer to load than a kept image to find

    prefix = require_prefix(lock, store, "pack")
    tools = (*lock.tools, ("elt-env", version("elt-env")))
    copied = prefix.base.version if prefix.base and not prefix.base.of_system else ""
    content = sbom.render(lock, licences(prefix), base_packages, tools, python=copied)
    artifact = attach(images.layout, manifest, content, name=name)
    write_atomically(path, content)
    return artifact
