"""The sensor of Pythons, on a channel whose content changes."""

from __future__ import annotations

from datetime import datetime, timezone

import dagster as dg

from elt_env.defs.run_tags import PYTHONS as PYTHONS_TAG
from elt_env.defs.run_tags import TRIGGER
from elt_env.python.interpreters import find_interpreter
from tests.support.conda_packages import make_conda_package
from tests.support.index_server import dead_url
from tests.support.locking import LONG_AGO, Scene
from tests.support.watching import PYTHONS, Watched


def _offer_python(scene: Scene, version: str, released: datetime = LONG_AGO) -> None:
    root = scene.channel.root
    make_conda_package(root, "python", version, subdir="linux-64", timestamp=released)
    scene.channel.index()


def test_a_new_patch_leads_to_a_run_of_its_partition(tools: Watched) -> None:
    tools.edit(pythons=("3.11", "3.12"))
    _offer_python(tools.scene, "3.11.6", datetime.now(timezone.utc))
    skipped = tools.tick(PYTHONS).skipped
    assert "does not count: python: 3.11.6 is younger than the cool-down" in skipped

    _offer_python(tools.scene, "3.11.7")
    request = tools.tick(PYTHONS).request
    assert (request.job_name, request.partition_key) == ("elt_build", "3.11")
    assert request.tags[TRIGGER] == "python 3.11.5 → 3.11.7"
    assert tools.run(request).success
    assert tools.lock.python.version == "3.11.7"
    assert "elt@3.11: nothing new for what is locked (Python 3.11 in " in (
        tools.tick(PYTHONS).skipped
    )


def test_a_minor_that_is_there_at_the_first_look_is_left_to_a_person(tools: Watched) -> None:
    for _ in range(2):
        seen = tools.tick(PYTHONS)
        assert not seen.requests
        assert "elt@3.12: python 3.12.1 is in file:" in seen.skipped
        assert "the asset elt/python_readiness tells" in seen.skipped


def test_a_new_minor_is_looked_at_once_a_version(tools: Watched) -> None:
    tools.tick(PYTHONS)
    _offer_python(tools.scene, "3.12.2")
    _offer_python(tools.scene, "3.13.0rc1")
    request = tools.tick(PYTHONS).request
    assert (request.job_name, request.partition_key) == ("python_readiness", None)
    assert request.run_key == "elt python 3.12.2"
    assert request.tags[PYTHONS_TAG] == "3.12"
    assert request.asset_selection == [dg.AssetKey(["elt", "python_readiness"])]
    skipped = tools.tick(PYTHONS).skipped
    assert "elt@3.12: python 3.12.2 is new in file:" in skipped
    assert "elt@3.13: python 3.13.0rc1 is a pre-release" in skipped


def test_where_no_channel_answers_this_machines_pythons_count_if_the_policy_says_so(
    tools: Watched,
) -> None:
    nowhere = tools.scene.channel_url = dead_url()
    tools.edit()
    assert nowhere in tools.failing_tick(PYTHONS)

    tools.edit(policy={"channel-fallback": "host", "cooldown": "0"})
    newest = find_interpreter("3.11").version
    requests = tools.tick(PYTHONS).requests
    triggers = {each.job_name: each.tags[TRIGGER] for each in requests}
    assert triggers["elt_build"] == f"python 3.11.5 → {newest}"
