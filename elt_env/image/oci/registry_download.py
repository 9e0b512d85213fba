"""Fetches a blob from a registry, and goes on where a broken connection left it.

"Pulling blobs", OCI Distribution Specification 1.1; RFC 9110, 14 for the parts.
"""

from __future__ import annotations

import re

import httpx

from elt_env.errors import IntegrityError
from elt_env.image.oci.layout import BlobWriter, Layout
from elt_env.image.oci.registry_client import Answer, RegistryClient
from elt_env.image.oci.registry_errors import PassingError
from elt_env.image.spec import Descriptor
from elt_env.machine.process import Say
from elt_env.package.canonical import short

_RANGE = re.compile(r"bytes (?P<first>[0-9]+)-.*")


def fetch_blob(client: RegistryClient, layout: Layout, blob: Descriptor, say: Say) -> bool:
    """Have a blob of the repository in the layout; return False when it was there already.

    Raises:
        IntegrityError: the registry has other bytes under this digest; they are not kept.
        RegistryError: the registry does not give it, or cannot be reached for good.
        TimeLimitError: it takes too long.
        StorageError: it cannot be kept.
    """
    if layout.intact(blob):
        return False
    say(f"pulling layer {short(blob.digest)}: {blob.size / 1e6:.1f} MB")
    with layout.new_blob() as writer:
        failures = 0
        while writer.size < blob.size:
            before = writer.size
            try:
                _receive(client, blob, writer)
            except PassingError as trouble:
                failures = 1 if writer.size > before else failures + 1
                client.effort.pause(failures, trouble)
        if (writer.size, writer.digest) != (blob.size, blob.digest):
            raise _other_bytes(client, blob, writer)
    return True


def _receive(client: RegistryClient, blob: Descriptor, writer: BlobWriter) -> None:
    """Write what is missing, as far as it comes."""
    start = writer.size
    headers = {"Range": f"bytes={start}-"} if start else {}
    url = client.url(f"blobs/{blob.digest}")
    with client.open("GET", url, headers=headers) as response:
        if response.status_code not in (httpx.codes.OK, httpx.codes.PARTIAL_CONTENT):
            raise client.refusal(Answer(response.status_code, response.headers, response.read()))
        surplus = start - _first(response)
        if surplus < 0:
            raise PassingError("it sent another part of the blob than was asked for")
        for data in response.iter_raw():
            client.effort.left()
            writer.write(data[surplus:])
            surplus = max(0, surplus - len(data))
            if writer.size > blob.size:
                raise _other_bytes(client, blob, writer)
    if writer.size < blob.size:
        raise PassingError("it ended the blob early")


def _first(response: httpx.Response) -> int:
    """Return the place of the first byte of an answer: a server may ignore Range."""
    found = _RANGE.fullmatch(response.headers.get("Content-Range", ""))
    is_part = response.status_code == httpx.codes.PARTIAL_CONTENT
    return int(found["first"]) if is_part and found else 0


def _other_bytes(client: RegistryClient, blob: Descriptor, writer: BlobWriter) -> IntegrityError:
    return IntegrityError(
        f"{client.repository} has other bytes under {blob.digest}: {writer.digest}.",
        "Do not use this image; have it pushed again from where it was made.",
    )
