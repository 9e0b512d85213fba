"""`elt-env plugins`: what is locked for the plugins of Meltano projects."""

from __future__ import annotations

from pathlib import Path

import click

from elt_env.cli.targets import open_target
from elt_env.errors import ToolError
from elt_env.lock.plugin_lock import PluginLock, plugin_changes
from elt_env.lock.plugin_locks import plugin_lock_before, plugin_locks
from elt_env.package.canonical import short
from elt_env.proof.checks.plugins import pinned_url
from elt_env.runtime.files import write_atomically


@click.command()
@click.argument("name", metavar="TARGET")
@click.argument("check_name", metavar="CHECK", required=False)
@click.option(
    "--write",
    "directory",
    type=click.Path(file_okay=False, path_type=Path),
    help="Write a requirements file for each plugin of CHECK into this directory.",
)
def plugins(name: str, check_name: str | None, directory: Path | None) -> None:
    """Print what is locked for the plugins of Meltano projects.

    These are the projects that the checks of TARGET run. What changed last is printed too. Each
    check that runs a Meltano project locks its plugins the first time, beside the lock of the
    environment, and installs just that from then on; `elt-env relock` lets it lock them anew. With
    --write, `meltano install` in the released environment installs the same: write the printed
    pip_url into meltano.yml.

    \b
    Examples:
      elt-env plugins elt@3.11
      elt-env plugins elt@3.11 ingest --write ../ingest/requirements
    """
    target, tools = open_target(name)
    documents = tools.store.documents
    kept = plugin_locks(documents, target)
    if not kept or (check_name or next(iter(kept))) not in kept:
        raise ToolError(
            f"No plugins of {check_name or target.name} are locked.",
            f"Run the check that does: elt-env check {target.name} {check_name or 'meltano_smoke'}",
        )
    if directory and not check_name:
        raise click.UsageError("--write needs a CHECK.")
    for check, lock in kept.items():
        if check_name in {None, check}:
            _print(check, lock, plugin_lock_before(documents, target, check))
    if directory and check_name:
        _write(kept[check_name], directory)


def _print(check: str, lock: PluginLock, before: PluginLock | None) -> None:
    click.echo(f"{check} {short(lock.digest)}")
    for plugin in lock.plugins:
        click.echo(f"  {plugin.kind} {plugin.name}")
        for each in plugin.packages:
            click.echo(f"    {each.name} {each.version}")
        for line in plugin.direct:
            click.echo(f"    {line}")
    changes = plugin_changes(before, lock)
    if changes:
        click.echo("  changed since the lock before:")
        click.echo("\n".join(f"    {each}" for each in changes))


def _write(lock: PluginLock, directory: Path) -> None:
    for each in lock.plugins:
        write_atomically(directory / each.file_name, each.requirements)
        click.echo(f"{each.name}:\n  pip_url: >-\n    {pinned_url(each, str(directory.resolve()))}")
