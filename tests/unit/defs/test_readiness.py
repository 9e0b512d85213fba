"""The asset of the readiness of Pythons, and its job."""

from __future__ import annotations

import dagster as dg
import pytest

from elt_env.defs.readiness import readiness_job
from elt_env.project.policy import EnvironmentPolicy
from tests.support.definitions import environment_definitions

_POLICY = EnvironmentPolicy(spec="environments/my-elt.yml", pythons=("3.11", "3.12"))
_KEY = dg.AssetKey(["my-elt", "python_readiness"])


@pytest.fixture(scope="module")
def defs() -> dg.Definitions:
    return dg.Definitions.merge(
        environment_definitions("my-elt", _POLICY),
        readiness_job(["my-elt"]),
    )


def test_the_job_looks_and_does_nothing_else(defs: dg.Definitions) -> None:
    job = defs.resolve_job_def("python_readiness")
    assert job.partitions_def is None
    assert job.asset_layer.asset_graph.executable_asset_keys == {_KEY}


def test_the_asset_belongs_to_its_environment(defs: dg.Definitions) -> None:
    node = defs.resolve_asset_graph().get(_KEY)
    assert (node.group_name, node.kinds, node.partitions_def) == ("my_elt", {"python"}, None)
    assert node.description


@pytest.mark.parametrize("job", ["my_elt_build", "my_elt_relock"])
def test_a_build_does_not_look(defs: dg.Definitions, job: str) -> None:
    assert _KEY not in defs.resolve_job_def(job).asset_layer.asset_graph.executable_asset_keys
