"""The asset that shows on which Pythons an environment can be had, and the job that looks."""

from collections.abc import Iterable, Mapping, Sequence

import dagster as dg

from elt_env.defs.levels import leveled
from elt_env.defs.metadata import Metadata, made, table
from elt_env.defs.names import group_name
from elt_env.defs.resources import EltProject, reporting
from elt_env.defs.run_tags import ENVIRONMENT, IDENTITY, PYTHONS
from elt_env.package.canonical import digest_of
from elt_env.package.target import parse_target
from elt_env.project.policy import EnvironmentPolicy
from elt_env.store.locks import Store
from elt_env.watch.readiness import Readiness, Verdict
from elt_env.watch.readiness_render import COLUMNS, next_step, rows, to_markdown
from elt_env.watch.store import ReadinessStore
from elt_env.watch.trial import examine_python, pythons_to_examine

JOB = "python_readiness"


def readiness_job(environments: Iterable[str]) -> dg.Definitions:
    """Return the job that makes the asset `<environment>/python_readiness` of each of these."""
    job = dg.define_asset_job(
        JOB,
        dg.AssetSelection.assets(*([each, "python_readiness"] for each in environments)),
        tags=IDENTITY,
        description="Look on which Pythons the specs can be locked, installed and proven; for one "
        f"environment, materialize its asset. With the tag {PYTHONS}, as in '3.13,3.14', look at "
        "these only.",
    )
    return dg.Definitions(jobs=[job])


def readiness_asset(environment: str, owners: Sequence[str] = ()) -> dg.AssetsDefinition:
    """Return the asset `<environment>/python_readiness`."""

    @dg.asset(
        key=[environment, "python_readiness"],
        group_name=group_name(environment),
        kinds={"python"},
        tags={ENVIRONMENT: environment},
        owners=owners,
        description=f"On which Pythons `{environment}` can be locked, installed and proven; where "
        "it cannot, what stands in the way, and since when.",
    )
    def python_readiness(
        context: dg.AssetExecutionContext, project: EltProject
    ) -> dg.MaterializeResult[None]:
        """Look at each Python, in the policy or not; nothing that is in use changes."""
        say = leveled(context.log)
        with reporting(context):
            tools = project.tools(environment)
            asked = _asked(environment, context.run.tags)
            for python in asked or pythons_to_examine(environment, tools, say):
                examine_python(environment, python, tools, say)
            known = ReadinessStore(tools.store.documents).all(environment)
            return made(readiness_metadata(known, tools.environment, tools.store), _digest(known))

    return python_readiness


def _asked(environment: str, tags: Mapping[str, str]) -> tuple[str, ...]:
    """Return the Python minors that a run's tags name; () for none.

    Raises:
        PolicyError: one is not a Python minor.
    """
    names = [each.strip() for each in tags.get(PYTHONS, "").split(",") if each.strip()]
    return tuple(parse_target(f"{environment}@{each}", "").python for each in names)


def _digest(known: tuple[Readiness, ...]) -> str:
    """Return what changes when a verdict or what blocks changes, whatever the versions."""
    return digest_of(
        {
            each.python: [each.verdict, *sorted(map(list, (b.identity for b in each.blocked_by)))]
            for each in known
        }
    )


def readiness_metadata(
    known: tuple[Readiness, ...], environment: EnvironmentPolicy, store: Store
) -> Metadata:
    """Return the verdicts as a table, as Markdown and as numbers, and what to do next."""
    today = store.now().date()
    listed = environment.pythons
    return {
        "pythons": table(COLUMNS, rows(known, today)),
        "summary": dg.MetadataValue.md(to_markdown(known, listed, today)),
        "ready": dg.MetadataValue.int(_count(known, "ready")),
        "not_ready": dg.MetadataValue.int(_count(known, "not ready")),
        "unknown": dg.MetadataValue.int(_count(known, "unknown")),
        "how_to_use": dg.MetadataValue.md(next_step(known, listed, today)),
    }


def _count(known: tuple[Readiness, ...], verdict: Verdict) -> int:
    return sum(each.verdict == verdict for each in known)
