"""The commands about releases, as a person meets them."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from click.testing import CliRunner, Result
from dagster._core.events import StepMaterializationData

from elt_env.cli import main
from elt_env.definitions import project_definitions
from elt_env.defs.resources import EltProject
from elt_env.project.settings import open_project
from tests.support.channel import Channel
from tests.support.chat import chatting
from tests.support.index_server import IndexServer
from tests.support.isolation import clear_settings
from tests.support.loopback import running
from tests.support.terminal import Terminal, make_terminal, running_prefix

pytestmark = pytest.mark.xdist_group("cli_release")

_BROKEN = {"tool/__init__.py": "raise ImportError('libfoo.so.1 is missing')"}


@pytest.fixture(scope="module")
def terminal(
    shared_python: Channel, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Terminal]:
    """A terminal at which two locks were built, one after the other; both were released."""
    with pytest.MonkeyPatch.context() as patch, running(IndexServer()) as index:
        clear_settings(patch, keep_registry=False)
        made = make_terminal(tmp_path_factory.mktemp("release"), shared_python, index)
        ok(typed(made, "build", made.target))
        made.offer("part", "1.1")
        ok(typed(made, "relock", made.target, "-P", "part"))
        ok(typed(made, "build", made.target))
        yield made


def typed(terminal: Terminal, *arguments: str, **variables: str) -> Result:
    """Run `elt-env` in this process, which saves its start."""
    place = {"ELT_ENV_PROJECT": str(terminal.site.directory)}
    env = {**terminal.environment(), **variables, **place}
    return CliRunner().invoke(main, arguments, env=env, prog_name="elt-env")


def ok(done: Result) -> Result:
    assert done.exit_code == 0, done.stderr
    return done


def history(terminal: Terminal) -> list[dict[str, Any]]:
    content = json.loads(ok(typed(terminal, "history", terminal.target, "--json")).stdout)
    assert content["target"] == terminal.target
    releases: list[dict[str, Any]] = content["releases"]
    assert [each["number"] for each in releases] == list(range(1, len(releases) + 1))
    return releases


def show(terminal: Terminal) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(
        ok(typed(terminal, "show", terminal.target, "--json")).stdout
    )
    return content


def released(terminal: Terminal) -> str:
    """Return the released digest, on which everything that can be asked agrees."""
    shown = show(terminal)["release"]
    last = history(terminal)[-1]
    assert (shown["current"], shown["promoted_at"]) == (last["digest"], last["at"])
    assert (shown["number"], shown["action"]) == (last["number"], last["action"])
    prefix = running_prefix(Path(shown["entry_points"]))
    digest: str = shown["current"]
    assert digest.removeprefix("sha256:").startswith(prefix.rpartition("-")[2])
    return digest


@pytest.fixture
def forward(terminal: Terminal) -> Terminal:
    """The terminal, with the current lock released."""
    ok(typed(terminal, "promote", terminal.target))
    return terminal


def test_a_build_releases_what_holds(terminal: Terminal) -> None:
    first, second, *_ = history(terminal)
    assert (first["action"], first["by"]) == ("promoted", "elt-env build")
    assert first["trigger"] == "there is no lock yet"
    assert (second["previous"], second["changes"]) == (first["digest"], {"upgraded": 1})
    assert second["evidence"]["imports"] == "passed"
    assert "dbt_smoke" not in second["evidence"]


def test_again_nothing_moves(forward: Terminal) -> None:
    before = history(forward)
    done = ok(typed(forward, "promote", forward.target))
    assert "kept" in done.stdout
    ok(typed(forward, "build", forward.target))
    assert history(forward) == before


def test_show_tells_the_release_and_the_one_before(forward: Terminal) -> None:
    digest = released(forward)
    shown = show(forward)
    assert digest == shown["lock"]["digest"]
    assert shown["release"]["previous"] == history(forward)[0]["digest"]
    text = ok(typed(forward, "show", forward.target, "--next")).stdout
    assert re.search(rf"^  release +{digest}$", text, re.MULTILINE)
    assert f"current/{forward.target}/bin/python --version" in text


def test_history_is_read_by_a_person(forward: Terminal) -> None:
    text = ok(typed(forward, "history", forward.target)).stdout
    assert "the first release" in text
    assert "1 upgraded" in text
    command = next(line for line in text.splitlines() if "elt-env diff " in line)
    ends = command.partition("elt-env diff ")[2].split()
    assert "part" in ok(typed(forward, "diff", *ends)).stdout


def test_back_and_not_forward_again_by_itself(forward: Terminal) -> None:
    good, bad = history(forward)[0]["digest"], released(forward)
    done = ok(typed(forward, "rollback", forward.target, "--why", "dbt test fails"))
    assert f"{forward.target} {good} rolled back" in done.stdout
    assert released(forward) == good
    last = history(forward)[-1]
    assert (last["action"], last["trigger"]) == ("rolled back", "dbt test fails")
    assert last["by"] == "elt-env rollback"

    built = ok(typed(forward, "build", forward.target))
    assert "was rolled back from" in built.stderr
    assert released(forward) == good

    ok(typed(forward, "promote", forward.target, "--why", "it was the network"))
    assert released(forward) == bad
    assert history(forward)[-1]["trigger"] == "it was the network"


def test_run_uses_the_release_and_says_so_where_the_lock_is_another(forward: Terminal) -> None:
    command = ("run", forward.target, "--", "python", "-c", "import part; print(part.__file__)")
    assert forward.type(*command).stderr == ""
    before, now = history(forward)[0]["digest"], released(forward)
    ok(typed(forward, "rollback", forward.target, "--to", before))
    done = forward.type(*command)
    assert f"-{before[7:19]}/" in done.stdout
    assert done.stderr.count("\n") == 1
    assert before[7:19] in done.stderr
    assert now[7:19] in done.stderr


def test_no_promote_leaves_the_release(forward: Terminal) -> None:
    before = ok(typed(forward, "rollback", forward.target)).stdout.split()[1]
    ok(typed(forward, "promote", forward.target))
    ok(typed(forward, "rollback", forward.target, "--to", before))
    done = ok(typed(forward, "build", forward.target, "--no-promote"))
    assert "promote" not in done.stderr
    assert released(forward) == before


def test_where_the_policy_waits_for_a_person(forward: Terminal) -> None:
    other = forward.with_home(forward.root / "manual", locks=True)
    manual = {"ELT_ENV_ENVIRONMENTS__ELT__PROMOTE": "manual"}
    built = ok(typed(other, "build", other.target, **manual))
    assert f"elt-env promote {other.target}" in built.stderr
    assert show(other)["release"] is None
    assert ok(typed(other, "history", other.target)).stdout.strip() == (
        f"{other.target} has no release yet"
    )
    ok(typed(other, "promote", other.target, **manual))
    assert show(other)["release"]["previous"] is None


def test_what_is_not_proven_is_refused_by_name(forward: Terminal) -> None:
    other = forward.with_home(forward.root / "unproven", locks=True)
    refused = typed(other, "promote", other.target)
    assert refused.exit_code == 8
    assert "pip_check was not run" in refused.stderr
    assert f"elt-env doctor {other.target} --check pip_check" in refused.stderr
    assert show(other)["release"] is None


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.local_temp(str(tmp_path)) as made:
        yield made


def _hears(terminal: Terminal, instance: dg.DagsterInstance) -> list[str]:
    """Evaluate the sensor of the store as the daemon does; return what Dagster was told of."""
    project = open_project(terminal.site.directory)
    definitions = project_definitions(project)
    resource = EltProject(directory=str(project.root))
    with dg.build_sensor_context(
        instance=instance,
        definitions=definitions,
        sensor_name="store_sensor",
        resources={"project": resource},
    ) as context:
        asked = definitions.resolve_sensor_def("store_sensor").evaluate_tick(context).run_requests
    if not asked:
        return []
    job = definitions.resolve_job_def("store_report")
    done = job.execute_in_process(instance=instance, resources={"project": resource})
    assert done.success
    made = [
        str(each.event_specific_data.materialization.asset_key.path[-1])
        for each in done.all_events
        if isinstance(each.event_specific_data, StepMaterializationData)
    ]
    checks = [each.check_name for each in done.get_asset_check_evaluations()]
    return [*made, *checks]


def test_dagster_hears_of_what_was_done_at_the_command_line(
    forward: Terminal, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in forward.environment().items():
        monkeypatch.setenv(name, value)
    heard = _hears(forward, instance)
    assert heard[:4] == ["spec", "lockfile", "environment", "release"]
    assert {"pip_check", "imports", "isolation"} <= set(heard)
    assert _hears(forward, instance) == []

    release = dg.AssetKey(["elt", "release"])
    ok(typed(forward, "rollback", forward.target, "--why", "dbt test fails"))
    assert _hears(forward, instance) == ["release"]
    event = instance.get_latest_materialization_event(release)
    assert event
    assert event.asset_materialization
    told = event.asset_materialization
    assert told.partition == forward.python
    assert told.metadata["why"].value == "dbt test fails, by elt-env rollback"

    ok(typed(forward, "doctor", forward.target, "--check", "imports", "--again"))
    assert _hears(forward, instance) == ["imports"]
    assert _hears(forward, instance) == []

    # What is made again and is the same leaves what was found of it as it was.
    environment = dg.AssetKey(["elt", "environment"])
    made = instance.get_latest_materialization_event(environment)
    assert made
    assert made.asset_materialization
    instance.report_runless_asset_event(made.asset_materialization)
    time.sleep(1.1)  # Dagster keeps in whole seconds when it heard of a check
    assert {"pip_check", "imports", "isolation"} <= set(_hears(forward, instance))
    assert _hears(forward, instance) == []

    spec = forward.site.directory / "environments" / "elt.yml"
    before = spec.read_text()
    try:
        spec.write_text(before + "# a remark\n")
        assert _hears(forward, instance) == []
        spec.write_text("dependencies: {}\n")
        assert _hears(forward, instance) == []
        spec.write_text(before.replace("tool", "tool<9"))
        assert _hears(forward, instance) == ["spec"]
    finally:
        spec.write_text(before)


def test_the_webhook_hears_of_what_was_done_at_the_command_line(forward: Terminal) -> None:
    with chatting() as chat:
        told = {"ELT_ENV_NOTIFY_WEBHOOK": chat.url, "CHAT_TOKEN": "secret"}
        ok(typed(forward, "rollback", forward.target, "--why", "dbt test fails", **told))
        ok(typed(forward, "promote", forward.target, **told))
        ok(typed(forward, "promote", forward.target, **told))
        forward.offer("part", "1.2")
        ok(typed(forward, "relock", forward.target, "-P", "part", **told))
        ok(typed(forward, "build", forward.target, **told))
    assert [each["outcome"] for each in chat.taken] == [
        *("promoted", "promoted"),
        *("relocked", "promoted"),
    ]
    first, _, last, _ = chat.taken
    assert (first["target"], first["trigger"]) == (forward.target, "dbt test fails")
    assert first["detail"].startswith("rolled back: the lock sha256:")
    assert last["detail"] == "1 upgraded"


def test_a_failing_proof_leaves_the_release(forward: Terminal) -> None:
    before = released(forward)
    forward.offer("tool", "2.0", requires=["part"], files=_BROKEN)
    ok(typed(forward, "relock", forward.target, "-P", "tool"))
    assert typed(forward, "build", forward.target).exit_code == 8
    refused = typed(forward, "promote", forward.target)
    assert refused.exit_code == 8
    assert re.search(r"imports failed: .*libfoo\.so\.1 is missing", refused.stderr)
    assert "Traceback" not in refused.stderr
    assert released(forward) == before


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("rollback", "elt", "--to", "0000"), 2, "no lock whose digest starts with '0000'"),
        (("promote", "elt@3.98"), 2, "no lock of elt@3.98"),
        (("rollback", "elt@3.98"), 2, "no release yet"),
        (("promote", "nonsense"), 2, "nonsense"),
    ],
)
def test_what_goes_wrong_is_said(
    terminal: Terminal, arguments: tuple[str, ...], code: int, words: str
) -> None:
    done = typed(terminal, *arguments)
    assert done.exit_code == code, done.stderr
    assert words in done.stderr
    assert "\n  -> " in done.stderr
    assert "Traceback" not in done.stderr
