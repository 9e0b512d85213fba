"""`bundle` and `unbundle`: a lock and all that is installed from it, in one file."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from elt_env.bundle.pack import pack_bundle
from elt_env.bundle.published import publish_bundle
from elt_env.bundle.unpack import unpack_bundle
from elt_env.cli.export import require_new
from elt_env.cli.lock import TARGET
from elt_env.cli.progress import tell, teller
from elt_env.cli.targets import open_target
from elt_env.environment.build import require_lock
from elt_env.machine.shells import own_command
from elt_env.project.settings import open_project
from elt_env.report.summary import next_lines
from elt_env.runtime.files import sha256_of
from elt_env.tools import open_tools


@click.command()
@TARGET
@click.option("-o", "--output", metavar="FILE", help="Where to write it.")
@click.option("--sign", "key", metavar="KEY", help="Sign it with a key of OpenSSH: FILE.sig.")
@click.option("--to-store", is_flag=True, help="Put it into the store, for followers.")
def bundle(name: str, output: str | None, key: str | None, *, to_store: bool) -> None:
    """Write TARGET's lock and its archives into one file.

    A machine without a network builds TARGET from it. It holds the lock, the spec and every
    archive, whose hash is compared with the lock's; the same lock makes the same file. Its sha256
    is printed as sha256sum prints it.

    \b
    Examples:
      elt-env bundle elt@3.11 -o elt.tar
      elt-env bundle elt@3.11 -o elt.tar --sign ~/.ssh/id_ed25519
      elt-env bundle elt@3.11 --to-store
    """
    target, tools = open_target(name)
    signer = Path(key) if key else None
    if to_store and not output:
        click.echo(publish_bundle(require_lock(target, tools.store), tools, teller(), signer))
        return
    if not output or to_store:
        raise click.UsageError("Give '-o FILE' or '--to-store'.")
    path, say = Path(output), teller()
    require_new(path)
    listing = pack_bundle(target, tools, path, say, key=signer)
    say(f"bundle: {len(listing.entries)} files, {path.stat().st_size >> 20} MiB")
    click.echo(f"{sha256_of(path)}  {output}")
    tell("\n" + next_lines([(f"elt-env unbundle {path.name}", "there, in a project's directory")]))


@click.command()
@click.argument("file", metavar="FILE")
@click.option("--signers", metavar="FILE", help="Refuse it unless one of these signed it.")
def unbundle(file: str, signers: str | None) -> None:
    """Put the bundle FILE into this project.

    No network is needed. All of it is checked first. Its lock becomes the current one of its
    target, and its archives lie where a build looks for them; the release stays what it is. The
    spec is written where there is none; where the lock does not satisfy the one that is there,
    nothing is done.

    \b
    Examples:
      elt-env unbundle elt.tar
      elt-env unbundle elt.tar --signers allowed_signers
    """
    project, say = open_project(with_policy=False), teller()
    lock = unpack_bundle(
        Path(file), project, open_tools, say, signers=Path(signers) if signers else None
    )
    target, command = lock.target.name, own_command(sys.argv[0])
    click.echo(f"{target} {lock.digest}")
    tell(
        "\n" + next_lines([(f"{command} build {target}", "install, prove and release it, offline")])
    )
