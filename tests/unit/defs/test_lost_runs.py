"""Which environment and Python a run is about, whatever launched it."""

from __future__ import annotations

import dagster as dg
import pytest

from elt_env.defs.run_tags import ENVIRONMENT
from elt_env.defs.sensors.instance import subject_of

_PARTITION = "dagster/partition"


@pytest.mark.parametrize(
    ("tags", "asset", "expected"),
    [
        ({ENVIRONMENT: "elt", _PARTITION: "3.11"}, None, ("elt", "3.11")),
        ({_PARTITION: "elt-two@3.12"}, None, ("elt-two", "3.12")),
        ({_PARTITION: "3.12"}, "elt", ("elt", "3.12")),
        ({ENVIRONMENT: "elt"}, None, ("elt", "")),
        ({}, None, ("", "")),
    ],
)
def test_a_run_is_about_what_its_tags_and_assets_say(
    tags: dict[str, str], asset: str | None, expected: tuple[str, str]
) -> None:
    selected = frozenset({dg.AssetKey([asset, "lockfile"])}) if asset else None
    run = dg.DagsterRun("elt_two_build", tags=tags, asset_selection=selected)
    assert subject_of(run) == expected
