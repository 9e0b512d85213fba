"""`follow`: a machine that runs what is released elsewhere."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import get_args

import click

from elt_env.cli.lock import TARGET
from elt_env.cli.progress import tell, teller
from elt_env.errors import EltEnvError, PolicyError
from elt_env.follow.as_image import AsImage
from elt_env.follow.as_prefix import AsPrefix
from elt_env.follow.follow import follow as follow_release
from elt_env.follow.form import Check, Form
from elt_env.follow.machine import open_machine
from elt_env.follow.reports import machine_id
from elt_env.image.oci.engines import NAMES
from elt_env.project.durations import parse_duration
from elt_env.runtime.masking import hidden

_JITTER = 0.2  # of the interval, either way: machines that were started together ask apart


@click.command()
@TARGET
@click.option("--from", "place", metavar="URL", required=True, help="The store: bucket, directory.")
@click.option(
    "--check",
    type=click.Choice(get_args(Check)),
    default="quick",
    show_default=True,
    help="What is proven here first.",
)
@click.option("--image", is_flag=True, help="Pull the image, instead of making the prefix.")
@click.option(
    "--load", "engine", type=click.Choice(NAMES), help="Let this engine have the image as well."
)
@click.option("--machine", metavar="NAME", default="", help="Report by it, not the system's id.")
@click.option("--no-report", is_flag=True, help="Do not tell the store how it went.")
@click.option("--watch", is_flag=True, help="Go on until it is told to end.")
@click.option("--interval", default="1 minute", show_default=True, help="How often, with --watch.")
def follow(  # noqa: PLR0913  # as many as it has options
    name: str,
    place: str,
    check: Check,
    machine: str,
    interval: str,
    *,
    image: bool,
    engine: str | None,
    no_report: bool,
    watch: bool,
) -> None:
    """Run on this machine what is released of TARGET elsewhere.

    The prefix is made from the lock, proven, and then the entry points move to it in one rename.
    What ran before goes on, and is removed when nothing runs in it. An empty directory is enough,
    and a login that may read the bucket; how it went is reported where the login may write.
    With --image, a name in an OCI layout moves to the image; those from before stay until
    'elt-env gc'.

    \b
    Examples:
      elt-env follow elt@3.11 --from s3://bucket/prefix
      elt-env follow elt@3.11 --from s3://bucket/prefix --watch --interval "5 minutes"
      elt-env follow elt@3.11 --from s3://bucket/prefix --image --load podman
    """
    seconds = _seconds(interval)
    form: Form = AsImage(check, engine or "") if image or engine else AsPrefix(check)
    follower = open_machine(name, place, machine_id(machine), reports=not no_report)

    def once() -> None:
        now = follow_release(follower, teller(), form)
        if now.moved or not watch:
            click.echo(f"{follower.target.name} {now.position.digest} {form.place(follower)}")

    if watch:
        _go_on(once, seconds)
    else:
        once()


def _go_on(once: Callable[[], None], seconds: float) -> None:
    """Do something again and again, whatever comes of it, until SIGTERM or Ctrl-C."""
    try:
        while True:
            try:
                once()
            except EltEnvError as error:
                tell(hidden(f"elt-env: {error}"))
            time.sleep(seconds * random.uniform(1 - _JITTER, 1 + _JITTER))  # noqa: S311  # no secret
    except KeyboardInterrupt:
        tell("follow: ended, as told; what was begun is taken up by the next run")


def _seconds(interval: str) -> float:
    try:
        return parse_duration(interval).total_seconds()
    except ValueError as error:
        raise PolicyError(f"--interval '{interval}': {error}.", "As in: 1 minute") from error
