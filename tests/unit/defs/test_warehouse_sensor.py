from __future__ import annotations

import dagster as dg

from elt_env.defs.names import owners
from elt_env.defs.warehouse import JOB, warehouse_sensor
from elt_env.project.policy import EnvironmentPolicy, Policy

_POLICY = Policy(
    environments={
        name: EnvironmentPolicy(spec=f"{name}.yml", pythons=("3.11",), owners=(f"team:{name}",))
        for name in ("elt", "dbt-only")
    }
)


@dg.job(name=JOB)
def _refresh() -> None:
    """Stand in for the job."""


def _tick(instance: dg.DagsterInstance, cursor: str | None) -> tuple[int, str | None]:
    sensor = warehouse_sensor(_POLICY, _refresh)
    with dg.build_sensor_context(instance=instance, cursor=cursor) as context:
        found = sensor.evaluate_tick(context)
    return len(found.run_requests or ()), found.cursor


def test_a_release_of_any_environment_refreshes_the_warehouse_once() -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        asked, cursor = _tick(instance, None)
        assert asked == 0
        for environment in ("elt", "dbt-only"):
            key = dg.AssetKey([environment, "release"])
            instance.report_runless_asset_event(dg.AssetMaterialization(key, partition="3.11"))
            asked, cursor = _tick(instance, cursor)
            assert asked == 1
            assert _tick(instance, cursor) == (0, cursor)
        image = dg.AssetKey(["elt", "image"])
        instance.report_runless_asset_event(dg.AssetMaterialization(image, partition="3.11"))
        assert _tick(instance, cursor) == (0, cursor)


def test_what_is_told_of_all_belongs_to_all_owners() -> None:
    assert owners(_POLICY) == ["team:dbt-only", "team:elt"]
