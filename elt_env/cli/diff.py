"""`elt-env diff`: what changed between two locks, and why."""

from __future__ import annotations

import json

import click

from elt_env.cli.progress import teller
from elt_env.lock.diff_render import to_markdown, to_text
from elt_env.lock.diff_report import to_json
from elt_env.lock.explain_diff import explain, read_report, with_startup
from elt_env.lock.plugin_lock import plugin_changes
from elt_env.lock.plugin_locks import plugin_lock_before, plugin_locks
from elt_env.lockfile.document import Lock
from elt_env.package.target import Target
from elt_env.project.settings import open_project
from elt_env.report.show import find_lock, previous_lock
from elt_env.store.locks import Store
from elt_env.tools import open_tools


@click.command()
@click.argument("old")
@click.argument("new", required=False)
@click.option("--json", "form", flag_value="json", help="Print a stable JSON object.")
@click.option("--markdown", "form", flag_value="markdown", help="Print Markdown.")
def diff(old: str, new: str | None, form: str | None) -> None:
    """Print what changed from lock OLD to lock NEW, and why.

    Each is a target, the start of a digest, or a directory with a lock.json. With one target
    alone, its lock before is compared with its current one. What was found out when NEW took the
    place of OLD is told again; else the package index is asked about what differs. With one
    target alone, what changed in the locks of Meltano's plugins is printed too.

    \b
    Examples:
      elt-env diff elt@3.11
      elt-env diff elt@3.11 elt@3.12
      elt-env diff elt@3.11 --markdown
    """
    project = open_project()
    tools = open_tools(project, project.first)
    before, after = _locks(project.target_name(old), new and project.target_name(new), tools.store)
    kept = read_report(tools.store, before.digest if before else None, after.digest)
    report = kept if kept and not kept.notes else explain(before, after, tools, teller())
    report = with_startup(report, before, after, tools.store)
    plugins = _plugins(after.target, tools.store) if new is None else {}
    if form == "json":
        click.echo(json.dumps(to_json(report) | {"plugins": plugins}, indent=2))
        return
    click.echo(to_markdown(report) if form == "markdown" else to_text(report))
    head, line = ("\n**Plugins of {}**\n", "- `{}`") if form else ("\nplugins of {}:", "  {}")
    for check, changes in plugins.items():
        click.echo(head.format(check))
        click.echo("\n".join(line.format(each) for each in changes))


def _plugins(target: Target, store: Store) -> dict[str, list[str]]:
    """Return what changed in the locks of the target's plugins, which lie beside its own."""
    documents = store.documents
    found = {
        check: list(plugin_changes(plugin_lock_before(documents, target, check), lock))
        for check, lock in plugin_locks(documents, target).items()
    }
    return {check: changes for check, changes in found.items() if changes}


def _locks(old: str, new: str | None, store: Store) -> tuple[Lock | None, Lock]:
    """Return the locks that a person means; of one alone, it and the one that it replaced."""
    first = find_lock(old, store)
    if new is None:
        return previous_lock(first.target, store), first
    return first, find_lock(new, store)
