"""The story of an environment: spec -> lockfile -> environment, one partition a Python minor.

Every op is one step one can see, retry and read the log of. What a step does stands in
`elt_env.stages`.
"""

import dagster as dg

from elt_env.defs.metadata import lock_metadata, prefix_metadata
from elt_env.defs.names import group_name, op_name, python_partitions
from elt_env.defs.resources import EltProject, work
from elt_env.defs.run_tags import asked_upgrade
from elt_env.model.policy import EnvironmentPolicy
from elt_env.stages import build
from elt_env.stages import lock as locking
from elt_env.stages.lock import Locked, Resolution, Solved
from elt_env.tools.prefix import Stage


def lockfile_asset(environment: str, policy: EnvironmentPolicy) -> dg.AssetsDefinition:
    """Return the asset `<environment>/lockfile`."""

    @dg.op(name=op_name(environment, "solve_conda"), out=dg.Out(dg.Any))
    def solve_conda(context: dg.OpExecutionContext, project: EltProject) -> Locked | Solved:
        """Keep the current lock while it satisfies, else let conda answer first."""
        with work(context, project, environment) as (toolbox, target):
            upgrade = asked_upgrade(context.run.tags)
            return locking.solve_unless_kept(target, toolbox, context.log.info, upgrade=upgrade)

    @dg.op(
        name=op_name(environment, "resolve_pip"),
        ins={"solved": dg.In(dg.Any)},
        out=dg.Out(dg.Any),
    )
    def resolve_pip(
        context: dg.OpExecutionContext, project: EltProject, solved: Locked | Solved
    ) -> Locked | Resolution:
        """Resolve all pip requirements in one command beside what conda owns, until both agree."""
        with work(context, project, environment) as (toolbox, _):
            return locking.resolve(solved, toolbox, context.log.info)

    @dg.op(name=op_name(environment, "write_lockfile"), ins={"resolved": dg.In(dg.Any)})
    def write_lockfile(
        context: dg.OpExecutionContext, project: EltProject, resolved: Locked | Resolution
    ) -> dg.MaterializeResult[None]:
        """Write the lock's files and make it the current one."""
        with work(context, project, environment) as (toolbox, _):
            locked = locking.write(resolved, toolbox, context.log.info)
            return dg.MaterializeResult(
                metadata=lock_metadata(locked), data_version=dg.DataVersion(locked.lock.digest)
            )

    @dg.graph_asset(
        key=[environment, "lockfile"],
        group_name=group_name(environment),
        partitions_def=python_partitions(policy),
        kinds={"conda", "python"},
        description=f"Every package of `{environment}` by name, version, URL and sha256: conda's "
        "half solved first, pip's half resolved in one command beside it.",
    )
    def lockfile() -> dg.MaterializeResult[None]:
        solved = solve_conda.alias("solve_conda")()
        resolved = resolve_pip.alias("resolve_pip")(solved)
        written: dg.MaterializeResult[None] = write_lockfile.alias("write_lockfile")(resolved)
        return written

    return lockfile


def environment_asset(environment: str, policy: EnvironmentPolicy) -> dg.AssetsDefinition:
    """Return the asset `<environment>/environment`."""

    @dg.op(
        name=op_name(environment, "create_prefix"),
        ins={"lockfile": dg.In(dg.Nothing)},
    )
    def create_prefix(context: dg.OpExecutionContext, project: EltProject) -> str:
        """Link conda's packages into the prefix of the current lock; return the lock's digest."""
        with work(context, project, environment) as (toolbox, target):
            lock = build.require_lock(target, toolbox)
            build.advance(lock, Stage.LINKED, toolbox, context.log.info)
            return lock.digest

    @dg.op(name=op_name(environment, "pip_install_once"))
    def pip_install_once(context: dg.OpExecutionContext, project: EltProject, digest: str) -> str:
        """Install pip's half in one command, hashes required, nothing resolved."""
        with work(context, project, environment) as (toolbox, target):
            lock = toolbox.store.read_lock(digest, target)
            build.advance(lock, Stage.INSTALLED, toolbox, context.log.info)
            return digest

    @dg.op(name=op_name(environment, "seal_prefix"))
    def seal_prefix(
        context: dg.OpExecutionContext, project: EltProject, digest: str
    ) -> dg.MaterializeResult[None]:
        """Verify that the prefix is what the lock says, then mark it ready."""
        with work(context, project, environment) as (toolbox, target):
            lock = toolbox.store.read_lock(digest, target)
            built = build.advance(lock, Stage.READY, toolbox, context.log.info)
            return dg.MaterializeResult(
                metadata=prefix_metadata(lock, built), data_version=dg.DataVersion(digest)
            )

    @dg.graph_asset(
        key=[environment, "environment"],
        ins={"lockfile": dg.AssetIn([environment, "lockfile"], dagster_type=dg.Nothing)},
        group_name=group_name(environment),
        partitions_def=python_partitions(policy),
        kinds={"conda", "python"},
        description=f"`{environment}` installed from its lock: conda's packages linked, pip's in "
        "one command, verified and sealed. Nothing in it changes afterwards.",
    )
    def installed(lockfile: None) -> dg.MaterializeResult[None]:
        prefix = create_prefix.alias("create_prefix")(lockfile)
        filled = pip_install_once.alias("pip_install_once")(prefix)
        sealed: dg.MaterializeResult[None] = seal_prefix.alias("seal_prefix")(filled)
        return sealed

    return installed
