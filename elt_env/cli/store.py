"""The commands about the store itself: `store copy`."""

from __future__ import annotations

import os
from pathlib import Path

import click

from elt_env.cli.progress import teller
from elt_env.project.store_url import bucket_url, directory_of, open_bucket_documents
from elt_env.release.copy_store import copy_store
from elt_env.store.locks import Store

_LIMIT = 60.0  # seconds, for whoever moves a release


@click.group()
def store() -> None:
    """Copy a store, from a directory to a bucket or back.

    \b
    Examples:
      elt-env store copy .elt_env s3://bucket/prefix
    """


@store.command()
@click.argument("source", metavar="FROM")
@click.argument("target", metavar="TO")
def copy(source: str, target: str) -> None:
    """Copy the store FROM to the empty place TO.

    Each is a directory or a bucket. Locks, evidence, releases and their history are copied and read
    back; prefixes, images and caches are made again where they are needed. A copy that was
    interrupted, or is out of date, goes on where it was.

    \b
    Examples:
      elt-env store copy .elt_env s3://bucket/prefix
      elt-env store copy s3://bucket/prefix /srv/elt
    """
    said = teller()
    copied = copy_store(_opened(source), _opened(target), said, limit=_LIMIT)
    click.echo(f"{copied.written} documents copied, {copied.there} were there")


def _opened(place: str) -> Store:
    url = bucket_url(place)
    if url:
        # What belongs to one machine is not copied.
        return Store(Path(os.devnull), documents=open_bucket_documents(url))
    return Store(Path(os.path.realpath(Path(directory_of(place)).expanduser())))
