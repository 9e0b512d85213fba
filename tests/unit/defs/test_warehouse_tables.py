from __future__ import annotations

from decimal import Decimal

from elt_env.defs.warehouse_tables import markdown_table, mart_metadata, mart_queries, raw_schemas
from elt_env.report.warehouse import Answer


def test_a_preview_is_a_table_of_the_first_ten_rows() -> None:
    shown = markdown_table(("a", "b"), [(each, None) for each in range(20)]).value
    assert shown.splitlines()[:3] == ["| a | b |", "| --- | --- |", "| 0 |  |"]  # type: ignore[union-attr]
    assert len(shown.splitlines()) == 12  # type: ignore[union-attr]


def test_a_cell_breaks_no_table() -> None:
    shown = markdown_table(("a",), [("x|y\nz " + "w" * 100,), (1 / 3,)]).value
    first, second = str(shown).splitlines()[2:]
    assert first.startswith(r"| x\|y z www")
    assert first.endswith("w… |")
    assert second == "| 0.3333 |"


def test_numbers_can_be_plotted_and_what_is_not_known_is_left_out() -> None:
    names = ("dagster/row_count", "median_hours_from_lock", "checks_failed", "latest_changes")
    numbers = Answer(names, ((3, 1.5, Decimal(4), None),))
    found = mart_metadata("m", {"m numbers": numbers, "m preview": Answer(("a",), ((1,),))})
    assert found.pop("preview").value == "| a |\n| --- |\n| 1 |"
    assert found == {"dagster/row_count": 3, "median_hours_from_lock": 1.5, "checks_failed": 4.0}


def test_every_model_is_counted_and_shown() -> None:
    queries = mart_queries("stg_locks")
    assert queries == {
        "stg_locks numbers": 'select count(*) as "dagster/row_count" from marts.stg_locks',
        "stg_locks preview": "from marts.stg_locks order by all limit 10",
    }


def test_tables_are_described_as_dbt_describes_its_sources() -> None:
    column = {"name": "target", "data_type": "varchar", "description": "Whose."}
    source = {"name": "locks", "description": "Locks.", "columns": {"target": column}}
    table = raw_schemas({"sources": {"source.x.locks": source}})["locks"]
    assert table.description == "Locks."
    (found,) = table.columns.columns
    assert (found.name, found.type, found.description) == ("target", "varchar", "Whose.")
