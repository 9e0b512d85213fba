"""The proofs of an environment, as checks that leave evidence in the store."""

import warnings
from collections.abc import Callable, Iterator, Mapping

import dagster as dg

from elt_env.defs.metadata import evidence_metadata
from elt_env.defs.names import group_name, python_partitions
from elt_env.defs.notices import tell
from elt_env.defs.resources import EltProject, work
from elt_env.defs.run_tags import AGAIN
from elt_env.model.evidence import Evidence
from elt_env.model.policy import EnvironmentPolicy
from elt_env.stages import build
from elt_env.stages.checks import NOT_BLOCKING
from elt_env.stages.prove import HEALTH_CHECKS, IMAGE_CHECKS, prove_all, prove_image

Prove = Callable[..., tuple[Evidence, ...]]
"""Runs checks by their names, as `elt_env.stages.prove.prove_all` does."""


def environment_checks(
    environment: str, policy: EnvironmentPolicy
) -> list[dg.AssetChecksDefinition]:
    """Return the checks on the asset `<environment>/environment`."""
    specs = check_specs(environment, "environment", HEALTH_CHECKS, policy)
    return [checks_op(environment, "environment", specs, prove_all)]


def image_checks(environment: str, policy: EnvironmentPolicy) -> list[dg.AssetChecksDefinition]:
    """Return the checks on the asset `<environment>/image`."""
    specs = check_specs(environment, "image", IMAGE_CHECKS, policy)
    return [checks_op(environment, "image", specs, prove_image)]


def check_keys(environment: str, *names: str) -> list[dg.AssetCheckKey]:
    """Return the keys of checks on the asset `<environment>/environment`."""
    return [dg.AssetCheckKey(dg.AssetKey([environment, "environment"]), name) for name in names]


def check_specs(
    environment: str, asset: str, checks: Mapping[str, object], policy: EnvironmentPolicy
) -> list[dg.AssetCheckSpec]:
    """Return what Dagster is to know about the checks on the asset `<environment>/<asset>`."""
    with warnings.catch_warnings():
        # Partitioned checks are marked as a preview; a check without its Python says nothing.
        warnings.simplefilter("ignore", dg.PreviewWarning)
        return [
            dg.AssetCheckSpec(
                name,
                asset=[environment, asset],
                description=check.__doc__,
                blocking=name not in NOT_BLOCKING,
                partitions_def=python_partitions(policy),
            )
            for name, check in checks.items()
        ]


def checks_op(
    environment: str, asset: str, specs: list[dg.AssetCheckSpec], prove: Prove
) -> dg.AssetChecksDefinition:
    """Return the one step that runs these checks, or those of them that a run selects.

    One step, so that independent checks run side by side whatever the executor.
    """

    @dg.multi_asset_check(
        name=f"{group_name(environment)}__{asset}__prove", specs=specs, can_subset=True
    )
    def checks(
        context: dg.AssetCheckExecutionContext, project: EltProject
    ) -> Iterator[dg.AssetCheckResult]:
        """Run the checks, two at a time."""
        names = {key.name for key in context.selected_asset_check_keys}
        with work(context, project, environment) as (toolbox, target):
            lock = build.require_lock(target, toolbox)
            again = AGAIN in context.run.tags
            results = prove(lock, toolbox, context.log.info, names=names, again=again)
            failed = [f"{each.check}: {each.detail}" for each in results if each.failed]
            if failed:
                say = context.log.info
                tell("failed", "\n".join(failed), target, toolbox, context.run, say)
            for each in results:
                # What could not run has not passed; it warns, and keeps nothing from being built.
                level = dg.AssetCheckSeverity.ERROR if each.failed else dg.AssetCheckSeverity.WARN
                if each.failed:
                    # Said when it was seen, but others went on beside it.
                    context.log.error("%s failed: %s", each.check, each.detail)
                yield dg.AssetCheckResult(
                    passed=each.holds,
                    check_name=each.check,
                    severity=level,
                    metadata=evidence_metadata(each, toolbox.store),
                    description=each.detail.partition("\n")[0],
                )

    return checks
