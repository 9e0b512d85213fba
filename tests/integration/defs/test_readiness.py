"""The readiness asset, made by its job."""

from __future__ import annotations

from pathlib import Path

import dagster as dg
import pytest

from elt_env.defs.readiness import readiness_asset, readiness_job
from elt_env.defs.resources import EltProject
from elt_env.defs.run_tags import PYTHONS
from tests.support.channel import Channel
from tests.support.conda_packages import make_conda_package
from tests.support.index_server import IndexServer
from tests.support.locking import LONG_AGO, Scene
from tests.support.project import ENVIRONMENT
from tests.support.wheels import make_wheel


@pytest.fixture
def scene(index: IndexServer, tmp_path: Path) -> Scene:
    """A project whose `tool` has a wheel for Python 3.11 only; the Pythons hold nothing."""
    channel = Channel(tmp_path / "channel")
    for version in ("3.11.5", "3.12.1"):
        make_conda_package(channel.root, "python", version, subdir="linux-64", timestamp=LONG_AGO)
    channel.index()
    tag = "cp311-cp311-manylinux_2_17_x86_64"
    index.add(make_wheel(tmp_path / "wheels", "tool", "1.0", tag=tag), uploaded=LONG_AGO)
    made = Scene(tmp_path, channel, index)
    made.toolbox(pip=["tool"])
    return made


def run(scene: Scene, pythons: str) -> dg.ExecuteInProcessResult:
    """Run the job with that tag."""
    defs = dg.Definitions.merge(
        readiness_job([ENVIRONMENT]),
        dg.Definitions(
            assets=[readiness_asset(ENVIRONMENT)],
            resources={"project": EltProject(directory=str(scene.root / "project"))},
        ),
    )
    job = defs.resolve_job_def("python_readiness")
    return job.execute_in_process(tags={PYTHONS: pythons}, raise_on_error=False)


def test_the_verdicts_are_metadata(scene: Scene) -> None:
    done = run(scene, " 3.12 ,")
    assert done.success
    (made,) = done.asset_materializations_for_node("elt__python_readiness")
    metadata = made.metadata
    table = metadata["pythons"].value
    assert isinstance(table, dg.TableMetadataValue)
    (row,) = table.records
    assert {key: row.data[key] for key in ("python", "verdict", "blocked by")} == {
        "python": "3.12",
        "verdict": "not ready",
        "blocked by": "missing wheel: tool",
    }
    counts = [metadata[each].value for each in ("ready", "not_ready", "unknown")]
    assert counts == [0, 1, 0]
    assert "**not ready**" in str(metadata["summary"].value)
    assert "Nothing to add" in str(metadata["how_to_use"].value)
    (again,) = run(scene, "3.12").asset_materializations_for_node("elt__python_readiness")
    assert made.tags is not None
    assert made.tags["dagster/data_version"] == (again.tags or {})["dagster/data_version"]


def test_a_tag_that_names_no_python_says_so(scene: Scene) -> None:
    done = run(scene, "twelve")
    assert not done.success
    (failure,) = [each for each in done.all_events if each.is_step_failure]
    user = failure.step_failure_data.user_failure_data
    assert user is not None
    assert "twelve" in str(user.description)
