"""`metrics`: numbers for Prometheus."""

from __future__ import annotations

import signal
from pathlib import Path

import click

from elt_env.cli.progress import tell
from elt_env.errors import InputError
from elt_env.project.project import Project
from elt_env.project.settings import open_project
from elt_env.report.metrics import metrics_text, registry_of, write_metrics
from elt_env.runtime.input_files import cause


@click.command()
@click.option("-o", "--output", metavar="FILE", help="Write them there, all at once.")
@click.option("--serve", metavar="HOST:PORT", help="Answer Prometheus over HTTP.")
def metrics(output: str | None, serve: str | None) -> None:
    """Print numbers about all targets, for Prometheus.

    They are of releases, the age of locks, packages that are held back, failed checks, and machines
    that follow. With -o they are for the textfile collector of the node exporter.

    \b
    Examples:
      elt-env metrics
      elt-env metrics -o /var/lib/node_exporter/elt-env.prom
      elt-env metrics --serve 127.0.0.1:9464
    """
    project = open_project()
    if output and serve:
        raise click.UsageError("Give one of '-o FILE' and '--serve HOST:PORT'.")
    if serve:
        _serve(project, serve)
    elif output:
        write_metrics(project, Path(output))
    else:
        click.echo(metrics_text(project), nl=False)


def _serve(project: Project, place: str) -> None:
    """Answer until it is told to end."""
    from prometheus_client import start_http_server

    host, _, port = place.rpartition(":")
    if not host or not port.isdigit():
        raise InputError(f"'{place}' is no host and port.", "Write it as in 127.0.0.1:9464")
    try:
        server, thread = start_http_server(int(port), host.strip("[]"), registry_of(project))
    except (OSError, OverflowError) as error:
        why = cause(error) if isinstance(error, OSError) else str(error)
        raise InputError(f"Nobody can listen at {place}: {why}.", "Name another port.") from error
    tell(f"metrics: http://{host}:{server.server_port}/metrics")
    try:
        signal.pause()
    except KeyboardInterrupt:
        server.shutdown()
        thread.join()
        tell("metrics: ended, as told")
