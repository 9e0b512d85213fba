"""A code location that needs nothing but Dagster, which the Dagster of a prefix loads with `-f`."""

from dagster import (
    Definitions,
    ScheduleDefinition,
    asset,
    define_asset_job,
    multiprocess_executor,
)


@asset
def numbers() -> list[int]:
    """A few numbers, which go on through the I/O manager."""
    return [1, 2, 3]


@asset
def total(numbers: list[int]) -> int:
    """Their sum."""
    return sum(numbers)


# A process of its own costs seconds; `numbers` is read from where another run left it.
several = define_asset_job("several", selection="total", executor_def=multiprocess_executor)

defs = Definitions(
    assets=[numbers, total],
    jobs=[several],
    schedules=[ScheduleDefinition(name="every_minute", job=several, cron_schedule="* * * * *")],
)
