"""Writes what the code locations of a Dagster project define to stdout, a JSON list a line.

It is started in the project's directory, with a module's name as `-m NAME`, a file as `-f FILE`, or
with nothing where the project itself says what to load. Each line is a type and a name, as in
`["job", "nightly"]`. What it uses is what `dagster definitions validate` uses; another Dagster may
not have it, and then it ends with another exit code than 0.
"""

import contextlib
import json
import os
import sys
from collections.abc import Iterator
from typing import Any


def main() -> None:
    """List everything that loads."""
    # The project may print through the descriptor itself; keep one of our own for the answers.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    with contextlib.redirect_stdout(sys.stderr):
        found = list(_definitions(sys.argv[1:]))
    for each in found:
        answers.write(json.dumps(each) + "\n")
    answers.flush()
    os._exit(0)


def _definitions(options: "list[str]") -> "Iterator[list[str]]":
    from dagster import DagsterInstance, __version__
    from dagster._cli.workspace import cli_target

    cli: Any = cli_target
    keys = {"-m": "module_name", "-f": "python_file"}
    given = {keys[name]: (value,) for name, value in zip(options[::2], options[1::2])}  # noqa: B905
    with (
        DagsterInstance.get() as instance,
        cli.get_workspace_from_cli_opts(
            instance=instance,
            version=__version__,
            workspace_opts=cli.WorkspaceOpts(**given),
            allow_in_process=True,
            log_level="error",
        ) as workspace,
    ):
        for entry in workspace.get_code_location_entries().values():
            for repository in entry.code_location.get_repositories().values():
                yield from _of_repository(repository)


def _of_repository(repository: Any) -> "Iterator[list[str]]":  # noqa: ANN401  # of any version
    graph = repository.asset_graph
    for key in graph.get_all_asset_keys():
        yield ["asset", key.to_user_string()]
    for key in graph.asset_check_keys:
        yield ["asset check", f"{key.name} of {key.asset_key.to_user_string()}"]
    for job in repository.get_all_jobs():
        if not job.name.startswith("__"):
            yield ["job", job.name]
    for schedule in repository.get_schedules():
        yield ["schedule", schedule.name]
    for sensor in repository.get_sensors():
        yield ["sensor", sensor.name]


if __name__ == "__main__":
    main()
