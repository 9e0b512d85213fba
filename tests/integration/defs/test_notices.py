"""What came of a run is told, whatever launched it, and a dead webhook fails none."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from elt_env.defs.assets import environment_assets
from elt_env.defs.resources import EltProject
from elt_env.defs.sensors.instance import lost_run_sensor
from elt_env.project.project import Project
from tests.support.chat import Chat, chatting
from tests.support.index_server import dead_url
from tests.support.project import ENVIRONMENT, make_project
from tests.support.sample import Sample

TRIGGER = "alpha 0.9 → 1.0"


@pytest.fixture
def chat() -> Iterator[Chat]:
    with chatting() as made:
        yield made


def project(sample: Sample, root: Path, webhook: str, pip: list[str]) -> Project:
    return make_project(
        root,
        channels=[sample.channel.url],
        index=sample.index.url,
        pip=pip,
        policy={"cooldown": "0", "notify-webhook": webhook},
        pythons=[sample.python],
    )


def lock(project: Project) -> bool:
    """Materialize the lockfile alone; return whether the run succeeded."""
    policy = project.policy.environments[ENVIRONMENT]
    definitions = dg.Definitions(
        assets=environment_assets(ENVIRONMENT, policy),
        resources={"project": EltProject(directory=str(project.root))},
    )
    with dg.DagsterInstance.ephemeral() as instance:
        return (
            definitions.resolve_implicit_global_asset_job_def()
            .execute_in_process(
                instance=instance,
                partition_key=policy.pythons[0],
                asset_selection=[dg.AssetKey([ENVIRONMENT, "lockfile"])],
                tags={"elt-env/trigger": TRIGGER},
                raise_on_error=False,
            )
            .success
        )


def test_a_new_lock_and_what_blocks_the_next_are_told(
    sample: Sample, chat: Chat, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHAT_TOKEN", "secret")
    assert lock(project(sample, tmp_path, chat.url, ["alpha"]))
    assert lock(project(sample, tmp_path, chat.url, ["alpha"]))
    assert not lock(project(sample, tmp_path, chat.url, ["alpha>2"]))

    assert [each["outcome"] for each in chat.taken] == ["relocked", "blocked"]
    first, second = chat.taken
    assert first["trigger"] == TRIGGER
    assert first["detail"].endswith("added")
    assert first["run"]
    assert "alpha" in second["detail"]
    assert second["digest"] == first["digest"]


def test_nobody_there_to_be_told_fails_no_run(sample: Sample, tmp_path: Path) -> None:
    assert lock(project(sample, tmp_path, dead_url(), ["alpha"]))


def test_a_lost_run_is_told_once_though_a_tick_is_made_again(
    sample: Sample, chat: Chat, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHAT_TOKEN", "secret")
    made = project(sample, tmp_path, chat.url, ["alpha"])
    sensor = lost_run_sensor(made.policy)
    partition = made.policy.environments[ENVIRONMENT].pythons[0]
    with dg.DagsterInstance.ephemeral() as instance:
        run = instance.create_run_for_job(
            dg.job(name="elt_build")(lambda: None),
            tags={"elt-env/environment": ENVIRONMENT, "dagster/partition": partition},
        )
        event = instance.report_run_failed(run, "Lost: its process is gone.")

        def tick() -> object:
            now = instance.get_run_by_id(run.run_id)
            assert now is not None
            context = dg.build_run_status_sensor_context(
                sensor.name,
                event,
                instance,
                now,
                resources={"project": EltProject(directory=str(made.root))},
            )
            return sensor(context.for_run_failure())

        assert tick() is None
        assert isinstance(tick(), dg.SkipReason)
    (told,) = chat.taken
    assert told["run"] == run.run_id
    assert (
        told["detail"]
        == f"the run {run.run_id[:8]} of elt_build was lost: Lost: its process is gone."
    )
