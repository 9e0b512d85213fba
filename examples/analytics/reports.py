"""What a team runs with programs of the release, from an interpreter of its own."""

from pathlib import Path

import dagster as dg
from dagster_dbt import DbtCliResource

from elt_env import released_tool

_HERE = Path(__file__).parent


@dg.asset(group_name="reports", kinds={"dbt"})
def model_names(dbt: DbtCliResource) -> dg.MaterializeResult[None]:
    """The models of the dbt project, as the released dbt lists them."""
    listed = dbt.cli(["list", "--resource-type", "model", "--output", "name", "--quiet"])
    names = [each.raw_event["info"]["msg"] for each in listed.stream_raw_events()]
    return dg.MaterializeResult(metadata={"models": names})


@dg.asset(deps=["orders_by_day"], group_name="reports", kinds={"python"})
def orders_report(
    context: dg.AssetExecutionContext, pipes: dg.PipesSubprocessClient
) -> dg.MaterializeResult[None]:
    """The numbers of the mart, from a script that the released Python runs."""
    command = [str(released_tool("python")), str(_HERE / "report.py")]
    return pipes.run(command=command, context=context).get_materialize_result()


defs = dg.Definitions(
    assets=[model_names, orders_report],
    resources={
        "dbt": DbtCliResource(
            project_dir=str(_HERE / "dbt"), dbt_executable=str(released_tool("dbt"))
        ),
        "pipes": dg.PipesSubprocessClient(),
    },
)
