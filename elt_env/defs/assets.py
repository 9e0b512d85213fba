"""The story of an environment: spec -> lockfile -> environment -> image, a partition a Python.

Every op is one step one can see, retry and read the log of. What a step does stands in
`elt_env.stages`.
"""

import dagster as dg

from elt_env.defs.metadata import image_metadata, lock_metadata, made, prefix_metadata
from elt_env.defs.names import about, last_step, step
from elt_env.defs.resources import EltProject, work
from elt_env.defs.run_tags import asked_upgrade
from elt_env.model.policy import EnvironmentPolicy
from elt_env.stages import build
from elt_env.stages import lock as locking
from elt_env.stages import pack as packing
from elt_env.stages.lock import Locked, Resolution, Solved
from elt_env.stages.pack import Draft
from elt_env.stages.push import push_image
from elt_env.tools.prefix import Stage

Context = dg.OpExecutionContext
Made = dg.MaterializeResult[None]


def lockfile_asset(environment: str, policy: EnvironmentPolicy) -> dg.AssetsDefinition:
    """Return the asset `<environment>/lockfile`."""

    @step(environment, "solve_conda")
    def solve_conda(context: Context, project: EltProject) -> Locked | Solved:
        """Keep the current lock while it satisfies, else let conda answer first."""
        with work(context, project, environment) as (toolbox, target):
            upgrade = asked_upgrade(context.run.tags)
            return locking.solve_unless_kept(target, toolbox, context.log.info, upgrade=upgrade)

    @step(environment, "resolve_pip", solved=dg.Any)
    def resolve_pip(
        context: Context, project: EltProject, solved: Locked | Solved
    ) -> Locked | Resolution:
        """Resolve all pip requirements in one command beside what conda owns, until both agree."""
        with work(context, project, environment) as (toolbox, _):
            return locking.resolve(solved, toolbox, context.log.info)

    @last_step(environment, "write_lockfile", resolved=dg.Any)
    def write_lockfile(
        context: Context, project: EltProject, resolved: Locked | Resolution
    ) -> Made:
        """Write the lock's files and make it the current one."""
        with work(context, project, environment) as (toolbox, _):
            locked = locking.write(resolved, toolbox, context.log.info)
            return made(lock_metadata(locked), locked.lock.digest)

    @dg.graph_asset(
        **about(environment, "lockfile", policy, {"conda", "python"}),
        description=f"Every package of `{environment}` by name, version, URL and sha256: conda's "
        "half solved first, pip's half resolved in one command beside it.",
    )
    def lockfile() -> Made:
        solved = solve_conda.alias("solve_conda")()
        resolved = resolve_pip.alias("resolve_pip")(solved)
        written: Made = write_lockfile.alias("write_lockfile")(resolved)
        return written

    return lockfile


def environment_asset(environment: str, policy: EnvironmentPolicy) -> dg.AssetsDefinition:
    """Return the asset `<environment>/environment`."""

    @step(environment, "create_prefix", lockfile=dg.Nothing)
    def create_prefix(context: Context, project: EltProject) -> str:
        """Link conda's packages into the prefix of the current lock; return the lock's digest."""
        with work(context, project, environment) as (toolbox, target):
            lock = build.require_lock(target, toolbox)
            build.advance(lock, Stage.LINKED, toolbox, context.log.info)
            return lock.digest

    @step(environment, "pip_install_once", digest=str)
    def pip_install_once(context: Context, project: EltProject, digest: str) -> str:
        """Install pip's half in one command, hashes required, nothing resolved."""
        with work(context, project, environment) as (toolbox, target):
            lock = toolbox.store.read_lock(digest, target)
            build.advance(lock, Stage.INSTALLED, toolbox, context.log.info)
            return digest

    @last_step(environment, "seal_prefix", digest=str)
    def seal_prefix(context: Context, project: EltProject, digest: str) -> Made:
        """Verify that the prefix is what the lock says, then mark it ready."""
        with work(context, project, environment) as (toolbox, target):
            lock = toolbox.store.read_lock(digest, target)
            built = build.advance(lock, Stage.READY, toolbox, context.log.info)
            return made(prefix_metadata(lock, built), digest)

    @dg.graph_asset(
        **about(environment, "environment", policy, {"conda", "python"}),
        ins={"lockfile": dg.AssetIn([environment, "lockfile"], dagster_type=dg.Nothing)},
        description=f"`{environment}` installed from its lock: conda's packages linked, pip's in "
        "one command, verified and sealed. Nothing in it changes afterwards.",
    )
    def installed(lockfile: None) -> Made:
        prefix = create_prefix.alias("create_prefix")(lockfile)
        filled = pip_install_once.alias("pip_install_once")(prefix)
        sealed: Made = seal_prefix.alias("seal_prefix")(filled)
        return sealed

    return installed


def image_asset(environment: str, policy: EnvironmentPolicy) -> dg.AssetsDefinition:
    """Return the asset `<environment>/image`."""

    @step(environment, "prepare_base", environment=dg.Nothing)
    def prepare_base(context: Context, project: EltProject) -> Draft:
        """Find or make what the image stands on."""
        with work(context, project, environment) as (toolbox, target):
            lock = build.require_lock(target, toolbox)
            return packing.prepare_base(lock, toolbox, context.log.info)

    @step(environment, "pack_layers", draft=dg.Any)
    def pack_layers(context: Context, project: EltProject, draft: Draft) -> Draft:
        """Write the layers that changed; the others are used again."""
        with work(context, project, environment) as (toolbox, _):
            return packing.pack_layers(draft, toolbox, context.log.info)

    @last_step(environment, "write_image", draft=dg.Any)
    def write_image(context: Context, project: EltProject, draft: Draft) -> Made:
        """Name the image, attach its SBOM, and push it where the policy says so."""
        with work(context, project, environment) as (toolbox, target):
            packed = packing.write_image(draft, toolbox, context.log.info)
            where = toolbox.environment.push
            pushed = push_image(target, toolbox, where, context.log.info) if where else None
            return made(image_metadata(packed, pushed), packed.image.digest)

    @dg.graph_asset(
        **about(environment, "image", policy, {"docker", "python"}),
        ins={"environment": dg.AssetIn([environment, "environment"], dagster_type=dg.Nothing)},
        description=f"`{environment}` and the projects as an OCI image, packed without a daemon: "
        "the same lock gives the same digest, and only layers that changed are made.",
    )
    def image(environment: None) -> Made:
        base = prepare_base.alias("prepare_base")(environment)
        stack = pack_layers.alias("pack_layers")(base)
        written: Made = write_image.alias("write_image")(stack)
        return written

    return image
