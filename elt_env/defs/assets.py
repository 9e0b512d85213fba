"""The story of an environment: spec -> lockfile -> environment -> image -> release.

Every step is an op that one can see, retry and read the log of; what it does stands in the rooms
beside `defs`. The assets at the end say which steps they are made of, a partition a Python.
"""

import contextlib
from pathlib import Path

import dagster as dg

from elt_env.defs.automation import follows_upstream
from elt_env.defs.metadata import image_metadata, lock_metadata, made, prefix_metadata
from elt_env.defs.names import about, group_name
from elt_env.defs.release_metadata import release_metadata, release_version
from elt_env.defs.resources import Work
from elt_env.defs.run_tags import ENVIRONMENT, asked_upgrade, is_unasked, mover, steering
from elt_env.defs.steps import Made, chain, step
from elt_env.environment import build
from elt_env.environment.prefix import FORMAT as PREFIX_FORMAT
from elt_env.environment.prefix import Stage
from elt_env.errors import PlatformsError
from elt_env.image import pack as packing
from elt_env.image.pack import Draft
from elt_env.image.push import push_candidate
from elt_env.lock import make as locking
from elt_env.lock.make import Locked, Resolution, Solved
from elt_env.lock.platforms import lock_others
from elt_env.lockfile.document import SCHEMA as LOCK_FORMAT
from elt_env.project.policy import EnvironmentPolicy
from elt_env.release.move import mend_entry_points


@step()
def solve_conda(at: Work) -> Locked | Solved | Resolution:
    """Keep the current lock while it satisfies, else let conda answer first."""
    return locking.solve_unless_kept(at.target, at.tools, at.say, **steering(at.run.tags))


@step(after=solve_conda)
def resolve_pip(at: Work, solved: Locked | Solved | Resolution) -> Locked | Resolution:
    """Resolve all pip requirements in one command beside what conda owns, until both agree."""
    return locking.resolve(solved, at.tools, at.say)


@step(after=resolve_pip)
def write_lockfile(at: Work, resolved: Locked | Resolution) -> Made:
    """Write the lock's files and make it the current one."""
    locked = locking.write(resolved, at.tools, at.say)
    at.tell_locked(locked)
    with contextlib.suppress(PlatformsError):  # they were told; this one is healthy
        lock_others(locked, at.tools, at.say, upgrade=asked_upgrade(at.run.tags))
    return made(lock_metadata(locked), locked.lock.digest)


@step()
def create_prefix(at: Work) -> str:
    """Link conda's packages into the prefix of the current lock; return the lock's digest."""
    lock = build.require_lock(at.target, at.tools.store)
    build.advance(lock, Stage.LINKED, at.tools, at.say)
    return lock.digest


@step(after=create_prefix)
def pip_install_once(at: Work, digest: str) -> str:
    """Install pip's half in one command, hashes required, nothing resolved."""
    lock = at.tools.store.read_lock(digest, at.target)
    build.advance(lock, Stage.INSTALLED, at.tools, at.say)
    return digest


@step(after=pip_install_once)
def seal_prefix(at: Work, digest: str) -> Made:
    """Verify that the prefix is what the lock says, then mark it ready.

    Where a person promotes, the entry points of the release that there is are kept whole.
    """
    lock = at.tools.store.read_lock(digest, at.target)
    built = build.advance(lock, Stage.READY, at.tools, at.say)
    if at.tools.environment.promote == "manual":
        mend_entry_points(at.target, at.tools.project, at.tools.store, at.say)
    return made(prefix_metadata(lock, built), digest)


@step()
def prepare_base(at: Work) -> Draft:
    """Find or make what the image stands on."""
    lock = build.require_lock(at.target, at.tools.store)
    build.ensure_prefix(lock, at.tools, at.say)
    return packing.prepare_base(lock, at.tools.project, at.tools.store, at.say)


@step(after=prepare_base)
def pack_layers(at: Work, draft: Draft) -> Draft:
    """Write the layers that changed; the others are used again."""
    return packing.pack_layers(draft, at.tools.project, at.tools.store, at.say)


@step(after=pack_layers)
def write_image(at: Work, draft: Draft) -> Made:
    """Name the image, attach its SBOM, and push it by its lock where the policy says so."""
    packed = packing.write_image(draft, at.tools.project, at.tools.store, at.say)
    pushed = push_candidate(at.target, at.tools.project, at.tools.store, at.say)
    return made(image_metadata(packed, pushed), packed.image.digest)


@step()
def move_release(at: Work) -> Made:
    """Let the release be the current lock, in one rename, if all that is required is proven."""
    moved = at.promote_current(unasked=is_unasked(at.run.tags), **mover(at.run))
    return made(
        release_metadata(moved, at.target, at.tools.project, at.tools.store),
        release_version(moved.release),
    )


def spec_asset(environment: str, policy: EnvironmentPolicy, root: Path) -> dg.AssetSpec:
    """Return the spec, which people write and Dagster only shows.

    Args:
        environment: its name.
        policy: where the spec is, and whose.
        root: directory of the project.
    """
    file = dg.LocalFileCodeReference(file_path=str(root / policy.spec), label=policy.spec)
    references = dg.CodeReferencesMetadataValue(code_references=[file])
    return dg.AssetSpec(
        [environment, "spec"],
        group_name=group_name(environment),
        kinds={"yaml"},
        tags={ENVIRONMENT: environment},
        owners=list(policy.owners),
        metadata={"dagster/code_references": references},
        description=f"What people ask for in `{environment}`: the file `{policy.spec}`. A change "
        "that the lock does not satisfy is seen by the sensor, which asks for a build.",
    )


def environment_assets(name: str, policy: EnvironmentPolicy) -> list[dg.AssetsDefinition]:
    """Return the assets of an environment, each after the one before it.

    A lockfile is made anew where the spec's sensor finds that it has to; a release follows only
    where the policy promotes by itself.
    """

    @dg.graph_asset(
        **about(name, "lockfile", policy, {"conda", "python"}, after="spec"),
        code_version=str(LOCK_FORMAT),
        description=f"Every package of `{name}` by name, version, URL and sha256: conda's "
        "half solved first, pip's half resolved in one command beside it.",
    )
    def lockfile(spec: None) -> Made:
        return chain(name, spec, solve_conda, resolve_pip, write_lockfile)

    @dg.graph_asset(
        **about(name, "environment", policy, {"conda", "python"}, after="lockfile"),
        code_version=str(PREFIX_FORMAT),
        automation_condition=follows_upstream(),
        description=f"`{name}` installed from its lock: conda's packages linked, pip's in "
        "one command, verified and sealed. Nothing in it changes afterwards.",
    )
    def installed(lockfile: None) -> Made:
        return chain(name, lockfile, create_prefix, pip_install_once, seal_prefix)

    @dg.graph_asset(
        **about(name, "image", policy, {"docker", "python"}, after="environment"),
        code_version=str(packing.IMAGE_FORMAT),
        automation_condition=follows_upstream(),
        description=f"`{name}` and the projects as an OCI image, packed without a daemon: "
        "the same lock gives the same digest, and only layers that changed are made.",
    )
    def image(environment: None) -> Made:
        return chain(name, environment, prepare_base, pack_layers, write_image)

    made = [lockfile, installed, image] if policy.has_image else [lockfile, installed]
    return [*made, _release_asset(name, policy)]


def _release_asset(name: str, policy: EnvironmentPolicy) -> dg.AssetsDefinition:
    """Return the release, which is after the image where there is one."""

    def after_image(image: None) -> Made:
        return chain(name, image, move_release)

    def after_environment(environment: None) -> Made:
        return chain(name, environment, move_release)

    asset = dg.graph_asset(
        **about(
            *(name, "release", policy, {"python"}),
            after="image" if policy.has_image else "environment",
        ),
        automation_condition=follows_upstream() if policy.promote == "auto" else None,
        description=f"The lock of `{name}` that is in use: what the entry points run. It "
        "moves when every required check holds, and back in one command; nothing is rebuilt.",
    )
    return asset(after_image if policy.has_image else after_environment)
