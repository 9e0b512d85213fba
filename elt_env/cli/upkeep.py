"""The commands that keep the store small and whole: `gc` and `verify`."""

from __future__ import annotations

import click

from elt_env.cli.progress import teller
from elt_env.cli.targets import open_target
from elt_env.errors import PolicyError
from elt_env.project.durations import parse_duration
from elt_env.project.settings import open_project
from elt_env.release.collect import collect
from elt_env.release.repair import mend
from elt_env.release.verify import locks_of, require_whole, verify
from elt_env.store.collected import collected_text
from elt_env.tools import open_tools


@click.command()
@click.option("--dry-run", is_flag=True, help="Only say what would be removed.")
@click.option(
    "--unused-for", default="1 day", show_default=True, help="Leave what was used since then."
)
def gc(dry_run: bool, unused_for: str) -> None:  # noqa: FBT001  # click passes it
    """Remove prefixes, images and layers that nothing refers to.

    What a release or a current lock refers to stays.

    The last releases of each target stay, as many as the policy's keep-releases, and so does what
    a process runs from. Locks, evidence and the history stay, so that all can be built again.

    \b
    Examples:
      elt-env gc --dry-run
      elt-env gc --unused-for "2 weeks"
    """
    project = open_project()
    tools = open_tools(project, project.first)
    try:
        grace = parse_duration(unused_for)
    except ValueError as error:
        raise PolicyError(f"--unused-for '{unused_for}': {error}.", "As in: 1 day") from error
    found = collect(tools.project, tools.store, teller(), grace=grace, dry_run=dry_run)
    click.echo(collected_text(found, dry_run=dry_run))


@click.command("verify")
@click.argument("name", metavar="TARGET")
@click.option("--repair", "mends", is_flag=True, help="Make again what is damaged.")
def verify_target(name: str, mends: bool) -> None:  # noqa: FBT001  # click passes it
    """Compare every file of TARGET with what was recorded.

    Read are its locks, prefixes, images and entry points. The release is looked at, and the current
    lock where it is another. What is damaged can be made again from the lock, and what still works
    goes on working meanwhile.

    \b
    Examples:
      elt-env verify elt@3.11
      elt-env verify elt@3.11 --repair
    """
    target, tools = open_target(name)
    say = teller()
    if mends:
        for each in mend(target, tools, say):
            click.echo(each)
    for lock in locks_of(target, tools.store):
        if not mends:
            require_whole(lock, verify(lock, tools.store, say))
        click.echo(f"{target.name} {lock.digest} is as it was made")
