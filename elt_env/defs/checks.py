"""The proofs of an environment, as checks that leave evidence in the store."""

import contextlib
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import dagster as dg

from elt_env.defs.levels import leveled
from elt_env.defs.metadata import evidence_metadata
from elt_env.defs.names import group_name, python_partitions
from elt_env.defs.resources import EltProject, Work, reporting, work, work_of
from elt_env.defs.run_tags import AGAIN
from elt_env.environment import build
from elt_env.errors import InputError, ToolError
from elt_env.lockfile.document import Lock
from elt_env.machine.platform import target_here
from elt_env.project.policy import EnvironmentPolicy
from elt_env.proof.checks import NOT_BLOCKING, registry
from elt_env.proof.checks.applies import lacking
from elt_env.proof.checks.registry import descriptions, health_checks, is_blocking
from elt_env.proof.prove import Prover, image_prover, prefix_prover
from elt_env.store.evidence import Evidence
from elt_env.store.locks import Store
from elt_env.tools import Tools

MakeProver = Callable[..., Prover]
"""Makes what runs the checks of a lock, as `elt_env.proof.prove.prefix_prover` does."""


def environment_checks(
    environment: str, policy: EnvironmentPolicy
) -> list[dg.AssetChecksDefinition]:
    """Return the checks on the asset `<environment>/environment`."""
    specs = check_specs(environment, "environment", health_checks(policy), policy)
    return [checks_op(environment, "environment", specs, prefix_prover)]


def image_checks(environment: str, policy: EnvironmentPolicy) -> list[dg.AssetChecksDefinition]:
    """Return the checks on the asset `<environment>/image`."""
    specs = check_specs(environment, "image", registry.image_checks(policy), policy)
    return [checks_op(environment, "image", specs, image_prover)]


def check_keys(environment: str, *names: str) -> list[dg.AssetCheckKey]:
    """Return the keys of checks on the asset `<environment>/environment`."""
    return [dg.AssetCheckKey(dg.AssetKey([environment, "environment"]), name) for name in names]


def check_specs(
    environment: str, asset: str, checks: Iterable[str], policy: EnvironmentPolicy
) -> list[dg.AssetCheckSpec]:
    """Return what Dagster is to know about the checks on the asset `<environment>/<asset>`."""
    said = descriptions(policy)
    with warnings.catch_warnings():
        # Partitioned checks are marked as a preview; a check without its Python says nothing.
        warnings.simplefilter("ignore", dg.PreviewWarning)
        return [
            dg.AssetCheckSpec(
                name,
                asset=[environment, asset],
                description=said[name],
                blocking=is_blocking(name, policy),
                partitions_def=python_partitions(policy),
            )
            for name in checks
        ]


def checks_op(
    environment: str, asset: str, specs: list[dg.AssetCheckSpec], make_prover: MakeProver
) -> dg.AssetChecksDefinition:
    """Return the one step that runs these checks, or those of them that a run selects.

    One step, so that independent checks run side by side whatever the executor. Without a Python,
    as where a person clicks on "Execute all", they run on every Python that is built.
    """

    @dg.multi_asset_check(
        name=f"{group_name(environment)}__{asset}__prove", specs=specs, can_subset=True
    )
    def checks(context: dg.AssetCheckExecutionContext, project: EltProject) -> Iterator[Any]:
        """Run the checks, two at a time, and report each as soon as it is known."""
        if context.has_partition_key:
            with work(context, project, environment) as at:
                lock = build.require_lock(at.target, at.tools.store)
                if asset == "image":
                    at.have_image(lock)
                else:
                    build.ensure_prefix(lock, at.tools, at.say)
                with (
                    at.preparing_base(lock)
                    if _packs_next(context, at)
                    else contextlib.nullcontext()
                ):
                    yield from _results(context, lock, at.tools, make_prover)
        else:
            yield from _results_of_all_built(context, project, environment, make_prover)

    return checks


def _packs_next(context: dg.AssetCheckExecutionContext, at: Work) -> bool:
    """Tell whether this run makes the image after these checks, on this machine."""
    image = dg.AssetKey([at.target.environment, "image"])
    selected = context.job_def.asset_layer.selected_asset_keys
    return image in selected and at.tools.project.policy.executor != "celery"


def _results(
    context: dg.AssetCheckExecutionContext, lock: Lock, tools: Tools, make_prover: MakeProver
) -> Iterator[dg.AssetCheckResult]:
    """Yield the results of the selected checks on a lock; at the end tell of those that failed."""
    at = work_of(context.run, lock.target, tools, leveled(context.log))
    prover = make_prover(lock, tools, at.say, again=AGAIN in context.run.tags)
    results = []
    for each in prover.results_as_known(_asked_for(context)):
        if each.failed:
            context.log.error("%s failed: %s", each.check, each.detail)
        results.append(each)
        yield result_of(each, lock, tools.store)
    at.tell_failed(results)


def _asked_for(context: dg.AssetCheckExecutionContext) -> set[str]:
    """Return the names of the selected checks that this run is about.

    Dagster selects with an asset every check on it. What takes as long as a build of its own and
    keeps nothing from being released runs where a run makes no asset, and in the health job; in
    others Dagster shows it as skipped.
    """
    keys = context.selected_asset_check_keys
    makes = context.run.asset_selection or set()
    aside = NOT_BLOCKING if AGAIN not in context.run.tags else ()
    return {each.name for each in keys if each.asset_key not in makes or each.name not in aside}


def result_of(evidence: Evidence, lock: Lock, store: Store) -> dg.AssetCheckResult:
    """Return a check's evidence as Dagster takes it.

    A check that does not apply keeps nothing from being built. What could not run has not passed;
    it warns.
    """
    lacks = lacking(evidence.check, lock)
    aside = f"does not apply: {lock.target.name} has no {', '.join(lacks)}" if lacks else ""
    return dg.AssetCheckResult(
        passed=evidence.holds or (bool(lacks) and not evidence.failed),
        check_name=evidence.check,
        severity=dg.AssetCheckSeverity.ERROR if evidence.failed else dg.AssetCheckSeverity.WARN,
        metadata=evidence_metadata(evidence, store),
        description=aside or evidence.detail.partition("\n")[0],
    )


def _results_of_all_built(
    context: dg.AssetCheckExecutionContext,
    project: EltProject,
    environment: str,
    make_prover: MakeProver,
) -> Iterator[dg.AssetCheckEvaluation | dg.Output[None]]:
    """Yield whether each selected check holds on every Python that is built.

    What each Python's evidence says is recorded for its own partition as well.
    """
    found: dict[str, dict[str, dg.AssetCheckResult]] = {}
    keys = {key.name: key for key in context.selected_asset_check_keys}
    with reporting(context):
        tools = project.tools(environment)
        for lock in _built(environment, tools, make_prover):
            python = lock.target.python
            for each in _results(context, lock, tools, make_prover):
                name = str(each.check_name)
                found.setdefault(name, {})[python] = each
                context.op_execution_context.log_event(
                    evaluation(each, keys[name].asset_key, python)  # type: ignore[arg-type]  # taken
                )
    for name, results in found.items():
        yield from _reported(keys[name], _together(name, results))


def _built(environment: str, tools: Tools, make_prover: MakeProver) -> list[Lock]:
    """Return the current locks of what is built.

    Raises:
        ToolError: nothing is.
    """
    targets = [target_here(environment, each) for each in tools.environment.pythons]
    built = []
    for target in targets:
        with contextlib.suppress(InputError, ToolError):
            lock = build.require_lock(target, tools.store)
            make_prover(lock, tools, str)
            built.append(lock)
    if not built:
        raise ToolError(
            f"There is nothing of '{environment}' to check: no Python of it is built.",
            f"Choose a Python and materialize it, or: elt-env build {targets[0].name}",
        )
    return built


def _reported(
    key: dg.AssetCheckKey, result: dg.AssetCheckResult
) -> Iterator[dg.AssetCheckEvaluation | dg.Output[None]]:
    """Yield what Dagster makes of a result, but for the materialization that it is about.

    Without a partition it looks for that of the whole asset, and fails where Pythons were made.
    """
    yield dg.Output(None, f"{key.asset_key.to_python_identifier()}_{key.name}")
    yield evaluation(result, key.asset_key, None)


def evaluation(
    result: dg.AssetCheckResult, asset: dg.AssetKey, python: str | None
) -> dg.AssetCheckEvaluation:
    """Return a check's result as an event of its own, for a Python or for all."""
    return dg.AssetCheckEvaluation(
        asset_key=asset,
        check_name=str(result.check_name),
        passed=result.passed,
        metadata=result.metadata,
        severity=result.severity,
        description=result.description,
        partition=python,
    )


def _together(name: str, results: Mapping[str, dg.AssetCheckResult]) -> dg.AssetCheckResult:
    error, warn = dg.AssetCheckSeverity.ERROR, dg.AssetCheckSeverity.WARN
    is_error = any(each.severity is error and not each.passed for each in results.values())
    return dg.AssetCheckResult(
        passed=all(each.passed for each in results.values()),
        check_name=name,
        severity=error if is_error else warn,
        metadata={f"python {python}": str(each.description) for python, each in results.items()},
        description="; ".join(f"{python}: {each.description}" for python, each in results.items()),
    )
