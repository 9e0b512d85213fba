"""`rollout`: a release that goes out in waves."""

from __future__ import annotations

import click

from elt_env.cli.lock import TARGET
from elt_env.cli.progress import teller
from elt_env.cli.targets import open_target
from elt_env.errors import ProofError
from elt_env.follow.reports import forget
from elt_env.follow.rollout import advance, progress
from elt_env.pipeline import Pipeline
from elt_env.release.store import ReleaseStore


@click.command()
@TARGET
@click.option("--dry-run", is_flag=True, help="Only say how far it is.")
@click.option("--forget", "gone", metavar="ID", help="Count that machine no more.")
def rollout(name: str, gone: str | None, *, dry_run: bool) -> None:
    """Let more machines take the release of TARGET, or go back.

    The next wave of the policy's rollout opens when nine of ten machines of those before report
    that they run it. Where one of them reports that it does not hold, the release before becomes
    the release again (exit code 8). Else nothing is done, so it can be run at any time.

    \b
    Examples:
      elt-env rollout elt@3.11
      elt-env rollout elt@3.11 --dry-run
    """
    target, tools = open_target(name)
    if gone:
        forget(target.name, gone, tools.store.documents)
    if dry_run:
        click.echo(progress(target.name, tools.store).text)
        return
    before = ReleaseStore(tools.store).current(target.name)
    pipeline = Pipeline(target=target, tools=tools, say=teller())
    now = advance(pipeline, "elt-env rollout")
    click.echo(now.text)
    if before and now.release and now.release.number != before.number:
        raise ProofError(
            f"Release {before.number} of {target.name} does not hold on every machine: "
            f"{now.release.trigger}",
            f"Release {now.release.number} is that before it. See what failed there, and release "
            f"what is mended: elt-env build {target.name}",
        )
