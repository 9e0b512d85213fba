"""Sends blobs to a registry, each in one request, and fetches them from there.

"Pushing blobs" and "Pulling blobs", OCI Distribution Specification 1.1; RFC 9110, 14 for parts.
"""

from __future__ import annotations

import hashlib
import os
import re
import time
from collections.abc import Iterator
from typing import IO
from urllib.parse import quote

import httpx

from elt_env.errors import IntegrityError
from elt_env.image.oci.layout import BlobWriter, Layout
from elt_env.image.oci.registry_client import Answer, RegistryClient
from elt_env.image.oci.registry_errors import PassingError
from elt_env.image.spec import Descriptor
from elt_env.machine.process import Say
from elt_env.package.canonical import short
from elt_env.runtime.input_files import open_file

_PIECE = 1 << 18
_COMMIT = 300.0  # seconds until a registry has answered: some copy the blob in their storage before
_EVERY = 1.0  # seconds between two lines of progress
_RANGE = re.compile(r"bytes (?P<first>[0-9]+)-.*")


def send_blob(client: RegistryClient, layout: Layout, say: Say, blob: Descriptor) -> bool:
    """Have a blob of the layout in the repository; return False when it was there already.

    It is compared with its digest while it is read, before its last byte is sent.

    Raises:
        IntegrityError: the blob is gone or damaged; the registry does not keep it.
        RegistryError: the registry refuses it, or cannot be reached for good.
        TimeLimitError: it takes too long.
    """
    return client.effort.persistently(
        lambda: not _has(client, blob) and _send(client, layout, blob, say)
    )


def _has(client: RegistryClient, blob: Descriptor) -> bool:
    answer = client.once("HEAD", client.url(f"blobs/{blob.digest}"))
    # A redirect leads to the blob in the registry's storage.
    if answer.status == httpx.codes.OK or httpx.codes.is_redirect(answer.status):
        return True
    if answer.status == httpx.codes.NOT_FOUND:
        return False
    raise client.refusal(answer)


def _send(client: RegistryClient, layout: Layout, blob: Descriptor, say: Say) -> bool:
    """Send a blob: one POST, and one PUT ("POST then PUT")."""
    with _opened(layout, blob) as file:
        url = client.url("blobs/uploads/")
        begun = client.once("POST", url, headers={"Content-Length": "0"})
        if begun.status != httpx.codes.ACCEPTED:
            raise client.refusal(begun)
        place = client.target(begun.headers, url)
        mark = "&" if place.query else "?"
        answer = client.once(
            *("PUT", httpx.URL(f"{place}{mark}digest={quote(blob.digest, safe='')}")),
            headers={"Content-Type": "application/octet-stream", "Content-Length": str(blob.size)},
            body=lambda: _pieces(client, blob, file, say),
            silence=_COMMIT,
        )
    if answer.status in (httpx.codes.CREATED, httpx.codes.NO_CONTENT):
        return True
    if answer.status == httpx.codes.NOT_FOUND or b"DIGEST_INVALID" in answer.body:
        raise PassingError("it has forgotten the upload, or the blob did not arrive as it was sent")
    raise client.refusal(answer)


def _opened(layout: Layout, blob: Descriptor) -> IO[bytes]:
    try:
        file = open_file(layout.blob_path(blob.digest))
    except OSError as error:
        raise _damaged(blob, f"it cannot be read: {error.strerror}") from error
    size = os.fstat(file.fileno()).st_size
    if size != blob.size:
        file.close()
        raise _damaged(blob, f"it has {size} bytes instead of {blob.size}")
    return file


def _pieces(client: RegistryClient, blob: Descriptor, file: IO[bytes], say: Say) -> Iterator[bytes]:
    """Yield the bytes of a blob from its start, and raise IntegrityError instead of the last."""
    file.seek(0)
    hashed, done, told = hashlib.sha256(), 0, time.monotonic()
    while done < blob.size:
        client.effort.left()
        data = file.read(min(_PIECE, blob.size - done))
        if not data:
            raise _damaged(blob, "it became shorter")
        done += len(data)
        hashed.update(data)
        if done == blob.size and (found := f"sha256:{hashed.hexdigest()}") != blob.digest:
            raise _damaged(blob, f"its content is {found}")
        if done == blob.size or time.monotonic() - told >= _EVERY:
            told = time.monotonic()
            say(f"pushing layer {short(blob.digest)}: {_megabytes(done, blob.size)}")
        yield data


def _damaged(blob: Descriptor, how: str) -> IntegrityError:
    return IntegrityError(
        f"The blob {blob.digest} of the image is damaged: {how}. Nothing was tagged.",
        "Pack the image again, which makes it anew: elt-env image TARGET",
    )


def _megabytes(done: int, size: int) -> str:
    """Return how far it is, as in `35 of 120 MB`."""
    unit, name = (1e6, "MB") if size >= 1e6 else (1e3, "kB")  # noqa: PLR2004  # a megabyte
    return f"{done / unit:.0f} of {size / unit:.0f} {name}"


def fetch_blob(client: RegistryClient, layout: Layout, say: Say, blob: Descriptor) -> bool:
    """Have a blob of the repository in the layout; return False when it was there already.

    It goes on where a broken connection left it.

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
