"""The page that tells of every environment: what is released, what waits and why, what failed."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

import dagster as dg

from elt_env.defs.automation import at_first
from elt_env.defs.checks import evaluation
from elt_env.defs.metadata import Metadata, made, materialization
from elt_env.defs.names import group_name, owners
from elt_env.defs.resources import EltProject, reporting
from elt_env.defs.sensors.runs import Runs
from elt_env.defs.sensors.walk import Tracked, tracked_by
from elt_env.defs.store_report import targets
from elt_env.package.canonical import digest_of
from elt_env.project.policy import Policy
from elt_env.report.standing import Standing, records_of, to_markdown
from elt_env.report.standing_of import standing_of
from elt_env.tools import Tools

KEY = dg.AssetKey("overview")
_SECONDS = 30
_FOLDED = 1000  # characters of Markdown that the web UI shows as a link


def overview_definitions(policy: Policy) -> dg.Definitions:
    """Return the asset `overview`, its checks, and the sensor that keeps it up to date."""
    tracked = tracked_by(policy)
    specs = [
        dg.AssetCheckSpec(
            _check(name),
            asset=KEY,
            description=f"What is in use of `{name}` is the current lock, for every Python.",
        )
        for name in tracked
    ]

    @dg.asset(
        key=KEY,
        check_specs=specs,
        group_name="overview",
        kinds={"table"},
        owners=owners(policy),
        description="Every environment in one look: what is released and how old it is, what waits "
        "and why it does not come, what failed last, and what to do. It is up to date by itself.",
    )
    def overview(context: dg.AssetExecutionContext, project: EltProject) -> Iterator[Any]:
        """Tell how every environment stands."""
        with reporting(context):
            standings = _standings(tracked, project, context.instance)
            yield made(_metadata(standings), _version(standings))
            yield from _results(standings)

    return dg.Definitions(assets=[overview], sensors=[_sensor(policy, tracked)])


def _sensor(policy: Policy, tracked: Tracked) -> dg.SensorDefinition:
    @dg.sensor(
        name="overview_sensor",
        target=dg.AssetSelection.assets(KEY),
        minimum_interval_seconds=_SECONDS,
        default_status=at_first(policy),
        description="Writes the asset `overview` anew when something has changed; takes no run.",
    )
    def sensor(context: dg.SensorEvaluationContext, project: EltProject) -> dg.SensorResult:
        standings = _standings(tracked, project, context.instance)
        version = _version(standings)
        if version == context.cursor:
            return dg.SensorResult(skip_reason="nothing has changed", cursor=version)
        for event in _events(standings, version):
            context.instance.report_runless_asset_event(event)
        return dg.SensorResult(skip_reason="the overview is written anew", cursor=version)

    return sensor


def _standings(
    tracked: Tracked, project: EltProject, instance: dg.DagsterInstance
) -> list[tuple[Standing, Tools]]:
    """Return how every target stands, and its tools."""
    runs = Runs(instance)
    found = []
    for target, tools in targets(tracked, project):
        standing = standing_of(target, tools.project, tools.store)
        found.append((standing.with_failure(runs.last_failure(target)), tools))
    return found


def _version(standings: Sequence[tuple[Standing, Tools]]) -> str:
    """Return what is another one each day, and when something is new."""
    days = sorted({f"{tools.store.now():%Y-%m-%d}" for _, tools in standings})
    return digest_of([*days, *(each.digest for each, _ in standings)])


def _metadata(standings: Sequence[tuple[Standing, Tools]]) -> Metadata:
    """Return the tables, and numbers that the web UI plots over time."""
    _, tools = standings[0]
    now = tools.store.now()
    numbers = {
        f"{each.target.name} {name}": dg.MetadataValue.float(number)
        for each, _ in standings
        for name, number in each.numbers(now).items()
    }
    return {
        **overview_tables([each for each, _ in standings], now),
        "waiting": dg.MetadataValue.int(sum(bool(each.waits) for each, _ in standings)),
        "failed": dg.MetadataValue.int(sum(bool(each.failed) for each, _ in standings)),
        **numbers,
    }


def overview_tables(standings: Sequence[Standing], now: datetime) -> Metadata:
    """Return a table for each environment: the web UI folds up Markdown that is long."""
    found: dict[str, Any] = {}
    for name in dict.fromkeys(each.target.environment for each in standings):
        rows = [each for each in standings if each.target.environment == name]
        text = to_markdown(rows, now)
        records = [dg.TableRecord(each) for each in records_of(rows, now)]
        is_short = len(text) < _FOLDED
        found[name] = dg.MetadataValue.md(text) if is_short else dg.MetadataValue.table(records)
    return found


def _results(standings: Sequence[tuple[Standing, Tools]]) -> Iterator[dg.AssetCheckResult]:
    """Yield for each environment whether the current locks are in use."""
    for environment in dict.fromkeys(each.target.environment for each, _ in standings):
        waiting = [
            f"{each.target.name}: {each.waits}\n{each.remedy}"
            for each, _ in standings
            if each.waits and each.target.environment == environment
        ]
        yield dg.AssetCheckResult(
            check_name=_check(environment),
            asset_key=KEY,
            passed=not waiting,
            severity=dg.AssetCheckSeverity.WARN,
            description="\n\n".join(waiting) or "The current locks are in use.",
        )


def _events(
    standings: Sequence[tuple[Standing, Tools]], version: str
) -> Iterator[dg.AssetMaterialization | dg.AssetCheckEvaluation]:
    yield materialization(KEY.path, _metadata(standings), version)
    for each in _results(standings):
        yield evaluation(each, KEY, None)


def _check(environment: str) -> str:
    return f"{group_name(environment)}_current_lock_in_use"
