"""Push: a packed image, and what belongs to it, is in a registry with the digest it has here."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from elt_env.environment.build import require_lock
from elt_env.errors import InputError, ToolError
from elt_env.image import spec as oci
from elt_env.image.oci.layout import Layout
from elt_env.image.record import ImageRecord, image_name
from elt_env.image.reference import Reference, parse_reference
from elt_env.image.spec import Descriptor
from elt_env.image.store import ImageStore
from elt_env.lockfile.document import Lock
from elt_env.machine.process import Say
from elt_env.package.canonical import short
from elt_env.package.target import Target
from elt_env.project.policy import EnvironmentPolicy, Policy
from elt_env.project.project import Project
from elt_env.store.locks import Store

if TYPE_CHECKING:
    from elt_env.image.oci.registry import PushResult, Registry

_ATTACHED = (".sbom",)


@dataclass(frozen=True)
class PushedImage:
    """An image in a registry.

    Attributes:
        references: every name that it has there now.
        what: was done for it.
    """

    references: tuple[Reference, ...]
    what: PushResult


def push(  # noqa: PLR0913, PLR0917  # what, from where, to where, under which names
    image: Descriptor,
    layout: Layout,
    reference: Reference,
    tags: Sequence[str],
    registry: Registry,
    say: Say,
    *,
    referrers: Iterable[Descriptor] = (),
) -> PushResult:
    """Have an image and its referrers in a repository, under each of the tags.

    Raises: as `Registry.push`.
    """
    pushed = registry.push(image, layout, reference, tags, say, referrers=referrers)
    where = f"{reference.registry}/{reference.repository}"
    say(
        f"push: {where} has {pushed.digest} as {', '.join(tags)}; {pushed.blobs_sent} blobs with "
        f"{pushed.bytes_sent / 1e6:.1f} MB sent, {pushed.blobs_there} were there"
    )
    return pushed


def push_image(
    target: Target, project: Project, store: Store, ref: str | None, say: Say
) -> PushedImage:
    """Push the image that was packed for the target's lock.

    Args:
        target: whose image.
        project: whose policy says where to.
        store: where the image is kept.
        say: told of progress.
        ref: where to, by default the environment's `push` in the policy. Without a tag in it, the
            tags are the Python minor and the start of the lock's digest.

    Raises:
        InputError: there is nowhere to push to, or it is no reference.
        ToolError: there is no image of the lock.
        And as `push`.
    """
    reference = _destination(target, project.environment(target.environment), ref)
    lock = require_lock(target, store)
    tags = [reference.tag] if reference.tag else [target.python, short(lock.digest)]
    return _push_packed(lock, project.policy, store, reference, tags, say)


def push_candidate(target: Target, project: Project, store: Store, say: Say) -> PushedImage | None:
    """Push the image of the target's lock to where the policy says, if it does.

    Its tag is the start of the lock's digest; the tag of the release stays where it is.

    Raises: as `push_image`.
    """
    environment = project.environment(target.environment)
    if environment.push is None:
        return None
    reference = _destination(target, environment, None)
    lock = require_lock(target, store)
    return _push_packed(lock, project.policy, store, reference, [short(lock.digest)], say)


def pull_candidate(
    lock: Lock, image: ImageRecord, project: Project, store: Store, say: Say
) -> bool:
    """Have an image that another machine packed and pushed in the layout; return whether it is.

    Raises:
        RegistryError: the registry does not answer, or has no such image.
        And as `Registry.pull`.
    """
    environment = project.environment(lock.target.environment)
    if environment.push is None:
        return False
    layout = ImageStore(store).layout
    repository = repository_of(lock.target, environment)
    pull_release(repository, image.digest, project.policy, layout, say)
    return True


def repository_of(target: Target, environment: EnvironmentPolicy) -> str:
    """Return the repository that the policy pushes images to, as in `registry.example/team/elt`.

    "" where it pushes none.

    Raises:
        InputError: it is no reference, or names a digest.
    """
    if environment.push is None:
        return ""
    reference = _destination(target, environment, None)
    return f"{reference.registry}/{reference.repository}"


def pull_release(
    repository: str, image: str, policy: Policy, layout: Layout, say: Say
) -> Descriptor:
    """Have the image with that digest in a layout, without a name; return its manifest.

    Raises: as `Registry.pull`.
    """
    reference = parse_reference(repository).at(image)
    found = _registry(policy).pull(reference, layout, say)
    say(f"image: {reference} is here")
    return found


def push_release(
    lock: Lock, image: str | None, project: Project, store: Store, say: Say
) -> Reference | None:
    """Let the registry's tag of the release name an image, if the policy pushes images.

    The tag is that of `push` in the policy, by default the Python minor. An image that is not here
    any more has to be in the registry.

    Args:
        lock: what is released.
        image: the digest of its image; without one the tag stays.
        project: whose policy says where to.
        store: where the image is kept.
        say: told of progress.

    Raises: as `push_image`.
    """
    target = lock.target
    environment = project.environment(target.environment)
    if environment.push is None:
        return None
    reference = _destination(target, environment, None)
    tag = reference.tag or target.python
    if image is None:
        say(f"push: this release has no image, so {reference.at(tag)} stays what it is")
        return None
    packed = ImageStore(store)
    record = packed.image(lock.digest)
    if record and record.digest == image and packed.layout.has(record.manifest):
        _push_packed(lock, project.policy, store, reference, [tag], say)
    else:
        _registry(project.policy).tag(reference.at(image), tag, say)
        say(f"push: {reference.at(tag)} is {image}, which was there")
    return reference.at(tag)


def _push_packed(  # noqa: PLR0913, PLR0917  # what, from where, to where, under which names
    lock: Lock, policy: Policy, store: Store, reference: Reference, tags: Sequence[str], say: Say
) -> PushedImage:
    images = ImageStore(store)
    image = images.image(lock.digest)
    if image is None:
        raise ToolError(
            f"The lock {short(lock.digest)} of {lock.target.name} has no image, so there is "
            "nothing to push.",
            f"Pack it: elt-env image {lock.target.name}",
        )
    attached = attachments(images.layout, image_name(lock.target), image.manifest)
    registry = _registry(policy)
    pushed = push(
        *(image.manifest, images.layout, reference, tags, registry, say), referrers=attached
    )
    return PushedImage(tuple(reference.at(tag) for tag in tags), pushed)


def _registry(policy: Policy) -> Registry:
    from elt_env.image.oci.registry import Registry  # slow to load, and many push nowhere

    return Registry(insecure=policy.insecure_registries, limit=policy.tool_limit.total_seconds())


def attachments(layout: Layout, name: str, image: Descriptor) -> tuple[Descriptor, ...]:
    """Return the artifacts of a layout that are named after an image and refer to it.

    Raises:
        IntegrityError: the layout's index or one of them cannot be read.
    """
    found = (layout.find(f"{name}{each}") for each in _ATTACHED)
    return tuple(each for each in found if each is not None and _refers(layout, each, image))


def _refers(layout: Layout, artifact: Descriptor, image: Descriptor) -> bool:
    try:
        subject = oci.parse_manifest(layout.read(artifact)).subject
    except ValueError:  # somebody else's, of a kind that refers to nothing
        return False
    return subject is not None and subject.digest == image.digest


def _destination(target: Target, environment: EnvironmentPolicy, ref: str | None) -> Reference:
    text = ref or environment.push
    if text is None:
        raise InputError(
            f"It is not said where to push the image of {target.name} to.",
            f"Name it: elt-env push {target.name} registry.example/team/elt; or set 'push' in "
            f"[tool.elt-env.environments.{target.environment}].",
        )
    reference = parse_reference(text)
    if reference.digest:
        raise InputError(
            f"'{reference}' names a digest, which the image brings along.",
            "Leave out what follows the @.",
        )
    return reference
