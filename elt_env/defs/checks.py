"""The proofs of an environment, as blocking checks that leave evidence in the store."""

import warnings

import dagster as dg

from elt_env.defs.metadata import evidence_metadata
from elt_env.defs.names import python_partitions
from elt_env.defs.resources import EltProject, work
from elt_env.defs.run_tags import AGAIN
from elt_env.model.policy import EnvironmentPolicy
from elt_env.stages import build
from elt_env.stages.prove import CHECKS, prove


def environment_checks(
    environment: str, policy: EnvironmentPolicy
) -> list[dg.AssetChecksDefinition]:
    """Return the checks on the asset `<environment>/environment`."""
    with warnings.catch_warnings():
        # Partitioned checks are marked as a preview; a check without its Python says nothing.
        warnings.simplefilter("ignore", dg.PreviewWarning)
        return [_check(environment, name, policy) for name in CHECKS]


def _check(environment: str, name: str, policy: EnvironmentPolicy) -> dg.AssetChecksDefinition:
    @dg.asset_check(
        asset=[environment, "environment"],
        name=name,
        description=CHECKS[name].__doc__,
        blocking=True,
        partitions_def=python_partitions(policy),
    )
    def check(context: dg.AssetCheckExecutionContext, project: EltProject) -> dg.AssetCheckResult:
        with work(context, project, environment) as (toolbox, target):
            lock = build.require_lock(target, toolbox)
            again = AGAIN in context.run.tags
            evidence = prove(name, lock, toolbox, context.log.info, again=again)
            # What could not run has not passed; it warns, and keeps nothing from being built.
            severity = (
                dg.AssetCheckSeverity.ERROR if evidence.failed else dg.AssetCheckSeverity.WARN
            )
            return dg.AssetCheckResult(
                passed=evidence.holds,
                severity=severity,
                metadata=evidence_metadata(evidence, toolbox.store),
                description=evidence.detail,
            )

    return check
