"""Sends a blob to a registry in chunks, and goes on where a broken connection left it.

"Pushing a blob in chunks", OCI Distribution Specification 1.1.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import time
from collections.abc import Iterator
from typing import IO
from urllib.parse import quote

import httpx

from elt_env.errors import IntegrityError
from elt_env.image.oci.effort import Effort
from elt_env.image.oci.layout import Layout
from elt_env.image.oci.registry_client import Answer, RegistryClient
from elt_env.image.oci.registry_errors import PassingError
from elt_env.image.spec import Descriptor
from elt_env.machine.process import Say
from elt_env.package.canonical import short
from elt_env.runtime.input_files import open_file

CHUNK = 16 << 20
"""Bytes that one request carries, unless the registry wants more of them."""

_PIECE = 1 << 18
_CHUNK_KEPT = 60.0  # seconds until a registry has answered to a chunk
_COMMIT = 300.0  # and to the last one: some copy the blob in their storage before
_EVERY = 1.0  # seconds between two lines of progress
_RANGE = re.compile(r"(?:bytes=)?0-(?P<last>[0-9]+)")
_BINARY = {"Content-Type": "application/octet-stream"}
_NO_CHUNKS = (
    httpx.codes.BAD_REQUEST,
    httpx.codes.METHOD_NOT_ALLOWED,
    httpx.codes.REQUEST_ENTITY_TOO_LARGE,
)


def has_blob(client: RegistryClient, digest: str) -> bool:
    """Return whether the repository has a blob.

    Raises:
        RegistryError, TimeLimitError: as the client says.
    """
    answer = client.request("HEAD", f"blobs/{digest}")
    # A redirect leads to the blob in the registry's storage.
    if answer.status == httpx.codes.OK or httpx.codes.is_redirect(answer.status):
        return True
    if answer.status == httpx.codes.NOT_FOUND:
        return False
    raise client.refusal(answer)


def send_blob(
    client: RegistryClient, layout: Layout, blob: Descriptor, say: Say, *, chunk: int = CHUNK
) -> bool:
    """Have a blob of the layout in the repository; return False when it was there already.

    It is compared with its digest while it is read, before its last byte is sent.

    Raises:
        IntegrityError: the blob is gone or damaged; the registry does not keep it.
        RegistryError: the registry refuses it, or cannot be reached for good.
        TimeLimitError: it takes too long.
    """
    if has_blob(client, blob.digest):
        return False
    with _opened(client, layout, blob) as source:
        upload = _Upload(client, source, say, chunk)
        failures = 0
        while not upload.complete:
            before = upload.furthest
            try:
                if failures:
                    upload.take_up()
                if not upload.complete:
                    upload.proceed()
                failures = 0
            except PassingError as trouble:
                failures = 1 if upload.furthest > before else failures + 1
                client.effort.pause(failures, trouble)
    return True


class _Source:
    """A blob of a layout that is hashed while it is read, as far as it was not before."""

    def __init__(self, blob: Descriptor, file: IO[bytes], effort: Effort) -> None:
        self.blob = blob
        self._file = file
        self._effort = effort
        self._hash = hashlib.sha256()
        self._hashed = 0

    def pieces(self, start: int, end: int) -> Iterator[bytes]:
        """Yield the bytes from `start` up to `end`.

        Raises:
            IntegrityError: before the last of them, the blob is not what its digest says.
            TimeLimitError, InterruptedError: it is time to end.
        """
        while start < end:
            self._effort.left()
            self._file.seek(start)
            data = self._file.read(min(_PIECE, end - start))
            if not data:
                raise _damaged(self.blob, "it became shorter")
            start += len(data)
            self._verify(data, start)
            yield data

    def _verify(self, data: bytes, end: int) -> None:
        if end <= self._hashed:
            return
        self._hash.update(data[self._hashed - end :])
        self._hashed = end
        found = "sha256:" + self._hash.hexdigest()
        if end == self.blob.size and found != self.blob.digest:
            raise _damaged(self.blob, f"its content is {found}")


@contextlib.contextmanager
def _opened(client: RegistryClient, layout: Layout, blob: Descriptor) -> Iterator[_Source]:
    path = layout.blob_path(blob.digest)
    try:
        file = open_file(path)
    except OSError as error:
        raise _damaged(blob, f"it cannot be read: {error.strerror}") from error
    with file:
        size = os.fstat(file.fileno()).st_size
        if size != blob.size:
            raise _damaged(blob, f"it has {size} bytes instead of {blob.size}")
        yield _Source(blob, file, client.effort)


def _damaged(blob: Descriptor, how: str) -> IntegrityError:
    return IntegrityError(
        f"The blob {blob.digest} of the image is damaged: {how}. Nothing was tagged.",
        "Pack the image again, which makes it anew: elt-env image TARGET",
    )


class _Upload:
    """A blob on its way.

    Attributes:
        furthest: bytes that the registry has had at most.
        complete: whether it is there.
    """

    def __init__(self, client: RegistryClient, source: _Source, say: Say, chunk: int) -> None:
        self._client = client
        self._source = source
        self._size = source.blob.size
        self._say = say
        self._told = 0.0
        self._chunk = chunk
        self._location: httpx.URL | None = None
        self._offset = 0
        self.furthest = 0
        self.complete = False

    def proceed(self) -> None:
        """Send the next chunk, or the last one together with the digest.

        Raises:
            PassingError: take it up again and proceed.
            RegistryError, InputError: the registry refuses the blob.
        """
        location = self._location or self._begin()
        self._tell()
        if self._size - self._offset > self._chunk:
            self._send_chunk(location)
        else:
            self._send_last(location)
        self.furthest = max(self.furthest, self._offset)
        self._tell()

    def take_up(self) -> None:
        """Ask the registry what it has, and go on from there; begin anew where it has nothing.

        Docker's registry forgets an upload that was cut in the middle of a chunk.
        """
        if self._location is None:
            return
        answer = self._client.once("GET", self._location)
        found = _RANGE.fullmatch(answer.headers.get("Range", ""))
        if answer.status not in (httpx.codes.NO_CONTENT, httpx.codes.ACCEPTED) or found is None:
            self._forget()
            # The answer to the last chunk may be what was lost.
            self.complete = has_blob(self._client, self._source.blob.digest)
            return
        if "Location" in answer.headers:
            self._location = self._client.target(answer.headers, self._location)
        # 0-0 is what Docker's registry says when it has nothing.
        had = int(found["last"]) + 1 if found["last"] != "0" else 0
        if had > self._size:
            self._forget()
            return
        self._offset = had
        self.furthest = max(self.furthest, had)

    def _begin(self) -> httpx.URL:
        """Return where a new upload goes."""
        url = self._client.url("blobs/uploads/")
        answer = self._client.once("POST", url, headers={"Content-Length": "0"})
        if answer.status != httpx.codes.ACCEPTED:
            raise self._client.refusal(answer)
        least = answer.headers.get("OCI-Chunk-Min-Length", "0")
        self._chunk = max(self._chunk, int(least) if least.isdigit() else 0)
        self._offset = 0
        self._location = self._client.target(answer.headers, url)
        return self._location

    def _forget(self) -> None:
        self._location = None
        self._offset = 0

    def _send_chunk(self, location: httpx.URL) -> None:
        end = self._offset + self._chunk
        answer = self._send("PATCH", location, end)
        if answer.status == httpx.codes.ACCEPTED:
            self._location = self._client.target(answer.headers, location)
            self._offset = end
        elif answer.status in _NO_CHUNKS and self._chunk < self._size:
            self._chunk = self._size  # a registry that takes blobs in one piece only
            self._forget()
        else:
            self._judge(answer)

    def _send_last(self, location: httpx.URL) -> None:
        mark = "&" if location.query else "?"
        digest = quote(self._source.blob.digest, safe="")
        answer = self._send("PUT", httpx.URL(f"{location}{mark}digest={digest}"), self._size)
        if answer.status not in (httpx.codes.CREATED, httpx.codes.NO_CONTENT):
            self._judge(answer)
        self._offset = self._size
        self.complete = True

    def _send(self, method: str, url: httpx.URL, end: int) -> Answer:
        start = self._offset
        headers = {**_BINARY, "Content-Length": str(end - start)}
        if start or end < self._size:  # a part of it
            headers["Content-Range"] = f"{start}-{end - 1}"
        return self._client.once(
            *(method, url),
            headers=headers,
            body=lambda: self._source.pieces(start, end),
            silence=_COMMIT if end == self._size else _CHUNK_KEPT,
        )

    def _judge(self, answer: Answer) -> None:
        """Raise for an answer that is not what is hoped for."""
        if answer.status == httpx.codes.REQUESTED_RANGE_NOT_SATISFIABLE:
            raise PassingError("it has another part of the blob than was sent")
        if answer.status == httpx.codes.NOT_FOUND:
            self._forget()
            raise PassingError("it has forgotten the upload")
        if b"DIGEST_INVALID" in answer.body:
            self._forget()
            raise PassingError("the blob did not arrive as it was sent")
        raise self._client.refusal(answer)

    def _tell(self) -> None:
        now = time.monotonic()
        if self.complete or now - self._told >= _EVERY:
            self._told = now
            name = f"{short(self._source.blob.digest)}"
            self._say(f"pushing layer {name}: {_megabytes(self._offset, self._size)}")


def _megabytes(done: int, size: int) -> str:
    """Return how far it is, as in `35 of 120 MB`."""
    unit, name = (1e6, "MB") if size >= 1e6 else (1e3, "kB")  # noqa: PLR2004  # a megabyte
    return f"{done / unit:.0f} of {size / unit:.0f} {name}"
