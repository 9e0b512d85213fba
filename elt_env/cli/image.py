"""The commands about images: `image`, `push` and `run-image`."""

from __future__ import annotations

import sys

import click

from elt_env.cli.progress import teller
from elt_env.cli.targets import open_target
from elt_env.environment.build import require_lock
from elt_env.errors import ProofError
from elt_env.image.oci import engines
from elt_env.image.oci.layout import Layout
from elt_env.image.push import push_image
from elt_env.image.record import ImageRecord
from elt_env.image.run import run_image
from elt_env.machine.shells import own_command
from elt_env.pipeline import Pipeline
from elt_env.report.summary import evidence_text

_TARGET = click.argument("name", metavar="TARGET")


@click.command()
@_TARGET
@click.option("--refresh-base", is_flag=True, help="Make the base anew, with its newest packages.")
@click.option("--again", is_flag=True, help="Run the checks again, even those that held.")
@click.option(
    "--load", "engine", type=click.Choice(engines.NAMES), help="Load it into this engine as well."
)
def image(name: str, refresh_base: bool, again: bool, engine: str | None) -> None:  # noqa: FBT001  # click passes them
    """Pack TARGET's environment into an OCI image, and prove it.

    The projects are in it too. No daemon is needed. What did not change since the last image is
    used again.

    \b
    Examples:
      elt-env image elt@3.11
      elt-env image elt@3.11 --load podman
    """
    target, tools = open_target(name)
    lock, say = require_lock(target, tools.store), teller()
    pipeline = Pipeline(target=target, tools=tools, say=say)
    packed, results = pipeline.pack(lock, refresh_base=refresh_base, again=again)
    click.echo(f"{target.name} {packed.image.digest}\noci:{packed.path}:{packed.image.name}")
    click.echo(layers_text(packed.image))
    click.echo(evidence_text(results))
    failed = [each for each in results if each.failed]
    if failed:
        names = ", ".join(each.check for each in failed)
        raise ProofError(
            f"The image of {target.name} is packed, but does not hold: {names}",
            f"The log: {tools.store.documents.place(failed[0].log)}",
        )
    if engine:
        layout, manifest = Layout(packed.path), packed.image.manifest
        loaded = engines.Engine(engine).load(layout, manifest, packed.image.name, say)
        note = "" if loaded.kept else f", which is not its own: {engine} made another manifest"
        click.echo(f"{engine} has {loaded.name} {loaded.digest}{note}")
    click.echo(f"Next: {own_command(sys.argv[0])} push {target.name} REGISTRY/REPOSITORY")


@click.command()
@_TARGET
@click.argument("reference", metavar="[REFERENCE]", required=False)
def push(name: str, reference: str | None) -> None:
    """Push TARGET's image to a registry.

    By default to the policy's. Credentials are those of docker and podman. What the registry has is
    not sent again. Without a tag in REFERENCE, the tags are the Python minor and the start of the
    lock's digest.

    \b
    Examples:
      elt-env push elt@3.11 registry.example/team/elt
      elt-env push elt@3.11 127.0.0.1:5000/elt:latest
    """
    target, tools = open_target(name)
    pushed = push_image(target, tools.project, tools.store, reference, teller())
    for each in pushed.references:
        click.echo(f"{each} {pushed.what.digest}")


@click.command("run-image", context_settings={"allow_interspersed_args": False})
@_TARGET
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
@click.option("--bind", "binds", metavar="HOST:INSIDE", multiple=True, help="Show a path inside.")
@click.option("--env", "variables", metavar="NAME[=VALUE]", multiple=True, help="Set a variable.")
@click.option("--offline", is_flag=True, help="Without the network.")
def run_in_image(
    name: str,
    command: tuple[str, ...],
    binds: tuple[str, ...],
    variables: tuple[str, ...],
    offline: bool,  # noqa: FBT001  # click passes it
) -> None:
    """Run COMMAND in the image of TARGET.

    It runs apart from this machine, as the image's unprivileged user.

    \b
    Examples:
      elt-env run-image elt@3.11 -- dbt --version
      elt-env run-image --bind .:/shared --env TOKEN elt@3.11 -- dbt build --project-dir /shared
    """
    target, tools = open_target(name)
    typed = command[1:] if command[:1] == ("--",) else command
    lock = require_lock(target, tools.store)
    sys.exit(
        run_image(
            lock,
            typed,
            tools.store,
            teller(),
            binds=binds,
            variables=variables,
            offline=offline,
        )
    )


def layers_text(packed: ImageRecord) -> str:
    """Return the layers as a table, a line each."""
    lines = [
        f"  {each.blob.size / 1e6:8.1f} MB  "
        f"{'reused' if each.blob.digest in packed.reused else 'new':<6}  {each.holds}"
        for each in packed.layers
    ]
    total = f"  {packed.size / 1e6:8.1f} MB  in {len(packed.layers)} layers, on {packed.base}"
    return "\n".join([*lines, total])
