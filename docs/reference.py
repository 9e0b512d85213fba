"""Writes the pages of docs/reference that are made of the code, or into another directory.

python docs/reference.py [DIRECTORY]
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from dagster import RepositoryDefinition

HERE = Path(__file__).resolve().parent / "reference"
_COMMANDS = """\
# Commands

What `elt-env COMMAND --help` prints. Exit codes: 0 all is well, 2 wrong input, 3 nothing satisfies,
4 network, 5 not what was locked, 6 disk, 7 busy, 8 a check failed, 9 a tool, 10 a time limit."""
_DAGSTER = """\
# Assets, jobs, sensors, schedules

As they are for the environment `elt`; every other one has the same under its own name, with `_` for
`-`."""
_PARTITION = """\
Each job that works on one Python takes it as its partition, those for all environments a target:

```sh
dg launch -m elt_env.definitions --job elt_build --partition 3.11
dg launch -m elt_env.definitions --job rollback --partition elt@3.11
dagster job execute -m elt_env.definitions -j elt_build --tags '{"dagster/partition": "3.11"}'
```"""
_WIDTH = 96
_ENVIRONMENT = "elt"


def commands_page() -> str:
    """Return the page about every command of `elt-env`, as its `--help` has it."""
    from elt_env.cli import COMMANDS, main

    parts = [_COMMANDS]
    for name in sorted(COMMANDS):
        command = main.get_command(click.Context(main), name)
        if command is None:
            raise KeyError(name)
        parts += _help(name, command)
        if isinstance(command, click.Group):
            for each in sorted(command.commands):
                parts += _help(f"{name} {each}", command.commands[each])
    return "\n\n".join(parts) + "\n"


def _help(name: str, command: click.Command) -> tuple[str, str]:
    """Return the heading of a command, and what its `--help` prints."""
    context = click.Context(
        command, info_name=f"elt-env {name}", terminal_width=_WIDTH, max_content_width=_WIDTH
    )
    return f"## `elt-env {name}`", f"```text\n{command.get_help(context)}\n```"


def dagster_page() -> str:
    """Return the page about what Dagster shows of one environment, and of the whole project."""
    from elt_env.definitions import defs

    repository = defs.get_repository_def()
    parts = [
        _DAGSTER,
        "## Assets",
        _table(("asset", "what it is"), _assets(repository)),
        "## Checks",
        "A blocking check that fails keeps what comes after it from being made.",
        _table(("asset", "check", "blocking", "what holds when it passes"), _checks(repository)),
        "## Jobs",
        _table(("job", "what it does"), _jobs(repository)),
        _PARTITION,
        "## Sensors",
        _table(("sensor", "what it watches"), _sensors(repository)),
        "## Schedules",
        _table(("schedule", "job", "cron, UTC"), _schedules(repository)),
    ]
    return "\n\n".join(parts) + "\n"


def _assets(repository: RepositoryDefinition) -> Iterator[tuple[str, ...]]:
    for key in sorted(repository.asset_graph.get_all_asset_keys()):
        node = repository.asset_graph.get(key)
        if _is_shown(key.path[0]) and node.is_materializable:
            yield f"`{'/'.join(key.path)}`", node.description or ""


def _checks(repository: RepositoryDefinition) -> Iterator[tuple[str, ...]]:
    for key in sorted(repository.asset_graph.asset_check_keys, key=str):
        if key.asset_key.path[0] == _ENVIRONMENT:
            spec = repository.asset_graph.get_check_spec(key)
            blocking = "yes" if spec.blocking else "no"
            name = f"`{'/'.join(key.asset_key.path)}`"
            yield name, f"`{key.name}`", blocking, spec.description or ""


def _jobs(repository: RepositoryDefinition) -> Iterator[tuple[str, ...]]:
    for job in sorted(repository.get_all_jobs(), key=lambda each: each.name):
        if not job.name.startswith("__") and _is_shown(job.name):
            yield f"`{job.name}`", job.description or ""


def _sensors(repository: RepositoryDefinition) -> Iterator[tuple[str, ...]]:
    for sensor in sorted(repository.sensor_defs, key=lambda each: each.name):
        if _is_shown(sensor.name):
            yield f"`{sensor.name}`", sensor.description or ""


def _schedules(repository: RepositoryDefinition) -> Iterator[tuple[str, ...]]:
    for schedule in sorted(repository.schedule_defs, key=lambda each: each.name):
        if _is_shown(schedule.name):
            yield f"`{schedule.name}`", f"`{schedule.job_name}`", f"`{schedule.cron_schedule}`"


def _is_shown(name: str) -> bool:
    return not name.startswith(("dbt-only", "dbt_only"))


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join(f"| {' | '.join(map(_cell, line))} |" for line in lines)


def _cell(text: str) -> str:
    return " ".join(text.partition("\n\n")[0].split()).replace("|", "\\|")


PAGES = {"commands.md": commands_page, "dagster.md": dagster_page}


if __name__ == "__main__":
    place = Path(sys.argv[1]) if len(sys.argv) > 1 else HERE
    for name, page in PAGES.items():
        (place / name).write_text(page(), encoding="utf-8")
