"""The jobs of an environment."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import dagster as dg

from elt_env.defs.checks import check_keys
from elt_env.defs.names import group_name
from elt_env.defs.resources import after_a_crash
from elt_env.defs.run_tags import AGAIN, BY_ITSELF, ENVIRONMENT, EVERYTHING, IDENTITY, UPGRADE
from elt_env.errors import PolicyError
from elt_env.project.policy import EnvironmentPolicy, Policy
from elt_env.proof.checks import NOT_BLOCKING
from elt_env.proof.checks.registry import descriptions, health_checks
from elt_env.proof.prove import SMOKE_CHECKS


def environment_jobs(
    environment: str, policy: EnvironmentPolicy, executor: dg.ExecutorDefinition | None = None
) -> dg.Definitions:
    """Return the jobs `<environment>_build`, `_relock`, `_health`, and one for each check.

    A job runs each smoke check, and each check of the policy's own.

    The first two end with a proven environment, which is the release where the policy promotes by
    itself: `build` keeps the lock while it satisfies, `relock` upgrades it. The others run checks
    on what is built, always.

    Args:
        environment: its name.
        policy: which checks it has, and who promotes.
        executor: of these jobs; by default that of the code location.
    """
    name = group_name(environment)
    image = ("image",) if policy.has_image else ()
    last = (*image, "release") if policy.promote == "auto" else image
    made = [[environment, each] for each in ("lockfile", "environment", *last)]
    proven = dg.AssetSelection.assets(*made) - dg.AssetSelection.checks(
        *check_keys(environment, *NOT_BLOCKING)
    )
    build = dg.define_asset_job(
        f"{name}_build",
        proven,
        tags={**IDENTITY, ENVIRONMENT: environment, BY_ITSELF: "yes"},
        executor_def=executor,
        op_retry_policy=after_a_crash(executor),
        description="Lock where needed, install what is locked, and prove it.",
    )
    relock = dg.define_asset_job(
        f"{name}_relock",
        proven,
        tags={**IDENTITY, ENVIRONMENT: environment, BY_ITSELF: "yes", UPGRADE: EVERYTHING},
        executor_def=executor,
        op_retry_policy=after_a_crash(executor),
        description="Upgrade the lock within the spec and the policy, install and prove it. "
        f"With the tag {UPGRADE} set to names, as in 'dagster,duckdb', upgrade only these.",
    )
    said = descriptions(policy)
    checking = [
        _checking_job(environment, each, (each,), f"{said[each]} On what is locked.", executor)
        for each in (*SMOKE_CHECKS, *policy.checks)
    ]
    told = "Run every health check on what is locked."
    health = _checking_job(environment, "health", health_checks(policy), told, executor)
    return dg.Definitions(jobs=[build, relock, health, *checking])


def _checking_job(
    environment: str,
    job: str,
    checks: Iterable[str],
    description: str,
    executor: dg.ExecutorDefinition | None,
) -> Any:  # noqa: ANN401  # Dagster keeps the class to itself
    """Return `<environment>_<job>`, which runs these checks, always, on what is locked.

    The asset that they are on is selected too: a job of checks alone has no partitions, so nobody
    could choose a Python for it. Where the prefix is there, making it does nothing.
    """
    asset = dg.AssetSelection.assets([environment, "environment"]).without_checks()
    return dg.define_asset_job(
        f"{group_name(environment)}_{job}",
        asset | dg.AssetSelection.checks(*check_keys(environment, *checks)),
        tags={**IDENTITY, ENVIRONMENT: environment, AGAIN: "yes"},
        executor_def=executor,
        op_retry_policy=after_a_crash(executor),
        description=description,
    )


def policy_executor(policy: Policy) -> dg.ExecutorDefinition:
    """Return the executor that the policy names; in-process costs no new process a step.

    Raises:
        PolicyError: it is Celery, and that is not installed.
    """
    if policy.executor == "multiprocess":
        return dg.multiprocess_executor
    if policy.executor == "celery":
        return _celery_executor()
    return dg.in_process_executor


def _celery_executor() -> dg.ExecutorDefinition:
    """Return Celery's executor; where its broker is, Dagster's own variables say."""
    try:
        from dagster_celery import celery_executor
    except ModuleNotFoundError as error:
        raise PolicyError(
            f"The policy's executor is 'celery', and {error.name} is not installed.",
            "Install it beside elt-env: pip install 'elt-env[celery]'",
        ) from error
    return celery_executor.configured(
        {
            "broker": {"env": "DAGSTER_CELERY_BROKER_URL"},
            "backend": {"env": "DAGSTER_CELERY_BACKEND_URL"},
        },
        name="celery",
    )
