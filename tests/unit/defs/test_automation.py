"""What follows a lock, shown on a chain of assets that make nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from elt_env.defs.assets import environment_assets
from elt_env.defs.automation import automation_sensor, follows_upstream, made_by_schedule
from elt_env.defs.project import asset_definitions
from elt_env.defs.resources import EltProject
from elt_env.project.policy import EnvironmentPolicy, Policy

_PARTITIONS = dg.StaticPartitionsDefinition(["3.11", "3.12"])
_POLICY = EnvironmentPolicy(spec="environments/elt.yml", pythons=("3.11", "3.12"))


@dataclass
class Chain:
    """`lockfile`, `environment` with a blocking check, and `image`.

    Attributes:
        content: the data version that each asset has when it is made next.
        holds: whether the check passes.
    """

    instance: dg.DagsterInstance
    content: dict[str, str] = field(default_factory=dict)
    holds: bool = True
    cursor: Any = None

    @property
    def definitions(self) -> dg.Definitions:
        return dg.Definitions(
            assets=[
                self._asset("lockfile"),
                self._asset("environment", "lockfile"),
                self._asset("image", "environment"),
            ],
            asset_checks=[self._check()],
        )

    def _asset(self, name: str, *deps: str) -> dg.AssetsDefinition:
        @dg.asset(
            name=name,
            deps=deps,
            partitions_def=_PARTITIONS,
            automation_condition=follows_upstream() if deps else None,
        )
        def made() -> dg.MaterializeResult[None]:
            version = dg.DataVersion(self.content.get(name, "1"))
            return dg.MaterializeResult(data_version=version)

        return made

    def _check(self) -> dg.AssetChecksDefinition:
        @dg.asset_check(asset="environment", blocking=True, partitions_def=_PARTITIONS)
        def works() -> dg.AssetCheckResult:
            return dg.AssetCheckResult(passed=self.holds)

        return works

    def make(self, *names: str, python: str = "3.11") -> None:
        """Make some of the assets in one run."""
        keys = [dg.AssetKey(name) for name in names]
        self.definitions.resolve_implicit_global_asset_job_def().execute_in_process(
            instance=self.instance,
            partition_key=python,
            asset_selection=keys,
            raise_on_error=False,
        )

    def tick(self) -> Mapping[str, list[str]]:
        """Return which assets are requested now, and their partitions."""
        found = dg.evaluate_automation_conditions(
            self.definitions, self.instance, cursor=self.cursor
        )
        self.cursor = found.cursor
        names = ("environment", "image")
        partitions = {name: found.get_requested_partitions(dg.AssetKey(name)) for name in names}
        return {name: sorted(map(str, each)) for name, each in partitions.items() if each}


@pytest.fixture
def chain(tmp_path: Path) -> Iterator[Chain]:
    """A chain that was made once, in one run."""
    with dg.DagsterInstance.ephemeral(str(tmp_path)) as instance:
        made = Chain(instance)
        made.tick()
        made.make("lockfile", "environment", "image")
        assert made.tick() == {}
        yield made


def test_another_lock_is_followed_step_by_step(chain: Chain) -> None:
    chain.content["lockfile"] = "2"
    chain.make("lockfile")
    assert chain.tick() == {"environment": ["3.11"]}
    assert chain.tick() == {}
    chain.content["environment"] = "2"
    chain.make("environment")
    assert chain.tick() == {"image": ["3.11"]}
    chain.make("image")
    assert chain.tick() == {}


def test_the_same_content_is_not_followed(chain: Chain) -> None:
    chain.make("lockfile")
    assert chain.tick() == {}
    chain.content["lockfile"] = "2"
    chain.make("lockfile")
    assert chain.tick() == {"environment": ["3.11"]}
    chain.make("environment")
    assert chain.tick() == {}


def test_a_run_that_makes_all_leaves_nothing_to_follow(chain: Chain) -> None:
    chain.content = dict.fromkeys(("lockfile", "environment", "image"), "2")
    chain.make("lockfile", "environment", "image")
    assert chain.tick() == {}


def test_a_partition_is_followed_by_itself(chain: Chain) -> None:
    chain.content["lockfile"] = "2"
    chain.make("lockfile", python="3.12")
    assert chain.tick() == {"environment": ["3.12"]}


def test_what_does_not_work_is_not_built_upon(chain: Chain) -> None:
    chain.content = dict.fromkeys(("lockfile", "environment", "image"), "2")
    chain.holds = False
    chain.make("lockfile", "environment")
    assert chain.tick() == {}
    chain.holds = True
    chain.make("environment")
    assert chain.tick() == {"image": ["3.11"]}


def test_nothing_is_requested_while_a_run_makes_it(chain: Chain) -> None:
    chain.content["lockfile"] = "2"
    chain.make("lockfile")
    keys = frozenset({dg.AssetKey("lockfile"), dg.AssetKey("environment")})
    run = chain.instance.create_run_for_job(
        chain.definitions.resolve_implicit_global_asset_job_def(),
        tags={"dagster/partition": "3.11"},
        asset_selection=keys,
        status=dg.DagsterRunStatus.STARTED,
    )
    chain.instance.report_engine_event("begins", run)
    assert chain.tick() == {}


@pytest.mark.parametrize(
    ("promote", "following"),
    [("auto", {"environment", "image", "release"}), ("manual", {"environment", "image"})],
)
def test_a_release_follows_where_the_policy_promotes_by_itself(
    promote: str, following: set[str]
) -> None:
    policy = _POLICY.model_copy(update={"promote": promote})
    definitions = dg.Definitions(environment_assets("elt", policy), resources={"project": "none"})
    graph = definitions.resolve_asset_graph()
    assert following == {
        key.path[-1]
        for key in graph.materializable_asset_keys
        if graph.get(key).automation_condition is not None
    }


@pytest.mark.parametrize("watch", [True, False])
def test_the_policy_turns_it_on_and_off(watch: bool) -> None:  # noqa: FBT001
    policy = Policy(environments={"elt": _POLICY}, watch=watch)
    assert automation_sensor(policy).default_status.name == ("RUNNING" if watch else "STOPPED")


@pytest.mark.parametrize(
    ("keys", "days"),
    [
        ({}, 8),
        ({"relock_schedule": "0 4 * * *"}, 2),
        ({"relock_schedule": "0 4 * * 1,3"}, 6),
        ({"relock_schedule": "0 4 1 * *"}, 32),
        ({"relock_schedule": None}, None),
        ({"relock_schedule": "now and then"}, None),
        ({"watch": False}, None),
    ],
)
def test_what_the_schedule_makes_is_fresh_for_a_day_longer(
    keys: dict[str, Any], days: int | None
) -> None:
    manual = _POLICY.model_copy(update={"promote": "manual"})
    policy = Policy(environments={"elt": _POLICY, "other": manual})
    fresh = made_by_schedule(policy.model_copy(update=keys))
    window = getattr(fresh, "fail_window", None)
    given = dg.Definitions(resources={"project": EltProject()})
    assert (window and window.to_timedelta()) == (None if days is None else timedelta(days=days))
    for name, each in policy.environments.items():
        made = dg.Definitions.merge(asset_definitions(name, each, Path(), fresh), given)
        specs = made.resolve_all_asset_specs()
        found = {spec.key.path[-1] for spec in specs if spec.freshness_policy}
        expected = {"lockfile", "release"} if each.promote == "auto" else {"lockfile"}
        assert found == (expected if days else set())
