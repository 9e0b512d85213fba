"""Files fetched by URL and sha256, kept by their sha256."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

import httpx

from elt_env.errors import IndexUnreachableError, IntegrityError, TimeLimitError
from elt_env.index.http_client import (
    BUSY,
    REFUSED,
    is_page,
    open_client,
    patiently,
    refused,
    retry_after,
)
from elt_env.index.http_errors import TryAgainError
from elt_env.machine.indexes import Indexes
from elt_env.machine.logins import Logins
from elt_env.machine.process import Say, unheard
from elt_env.runtime.cancelling import go_on
from elt_env.runtime.files import sha256_of, writing
from elt_env.store.kept_files import KeptFiles

_LIMIT = 1800.0
_ATTEMPTS = 3
# As pip asks: the bytes of the file itself are hashed, whatever a server may do to them.
_AS_IT_IS = {"Accept-Encoding": "identity"}


class Downloads:
    """A directory of downloaded files, `<sha256>/<file name>`.

    Args:
        root: the directory; made when needed.
        indexes: whose credentials go to their own origins, beside those of netrc and so on.
        limit: seconds that one download may take.
        own: the directory of files that no URL brings again; by default the same.

    Attributes:
        kept: what is looked through before anything is downloaded.
        own: the files that no URL brings again.
    """

    def __init__(
        self, root: Path, indexes: Indexes, limit: float = _LIMIT, own: Path | None = None
    ) -> None:
        self.kept = KeptFiles(root)
        self.own = KeptFiles(own or root)
        self._indexes = indexes
        self._limit = limit
        self._connecting = threading.Lock()
        self._client: httpx.Client | None = None
        self._users = 0

    @contextlib.contextmanager
    def connected(self) -> Iterator[None]:
        """Keep the connections of what is downloaded until the block ends.

        For many small files, to look up their server and to connect takes longest.
        """
        with self._connecting:
            self._users += 1
        try:
            yield
        finally:
            with self._connecting:
                self._users -= 1
                if self._client and not self._users:
                    self._client.close()
                    self._client = None

    def _connection(self) -> contextlib.AbstractContextManager[httpx.Client]:
        with self._connecting:
            if not self._users:
                return open_client(Logins(self._indexes))
            self._client = self._client or open_client(Logins(self._indexes))
            return contextlib.nullcontext(self._client)

    def fetch(self, url: str, sha256: str, say: Say = unheard) -> Path:
        """Return the local file with that sha256, downloaded from `url` when it is not there.

        A server that asks for it is asked again later, of which `say` hears.

        Raises:
            IntegrityError: the bytes behind the URL have another sha256.
            IndexUnreachableError: they cannot be had.
            TimeLimitError: they did not come in time.
            StorageError: they cannot be kept.
        """
        name = _name_in(url)
        kept = self.kept.find(name, sha256)
        if kept is not None:
            return kept
        with self.kept.adding(name, sha256) as part:
            self._copy(url, part, say)
            found = sha256_of(part)
            if found != sha256:
                raise IntegrityError(
                    f"Hash mismatch of {name}: sha256 {sha256} is expected, "
                    f"the index serves {found}.",
                    "If the index is trusted, make a new lock: elt-env relock",
                )
        return self.kept.root / sha256 / name

    def keep(self, file: Path) -> Path:
        """Return where a file is kept from now on, by its sha256; it is moved there.

        Raises:
            StorageError: it cannot be kept.
        """
        path = self.own.root / sha256_of(file) / file.name
        with writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            shutil.move(file, path)
        return path

    def find(self, name: str, sha256: str) -> Path | None:
        """Return the file of that name and sha256 where it is kept, whole; else None."""
        return self.own.find(name, sha256) or self.kept.find(name, sha256)

    def fetch_new(self, url: str) -> Path:
        """Return the local file with what is behind `url` now, whatever its sha256.

        Raises: as `fetch`.
        """
        with (
            writing(self.kept.root),
            tempfile.TemporaryDirectory(dir=self._made_root(), prefix=".new-") as place,
        ):
            part = Path(place) / _name_in(url)
            self._copy(url, part)
            return self.keep(part)

    def _made_root(self) -> Path:
        self.kept.root.mkdir(parents=True, exist_ok=True)
        return self.kept.root

    def _copy(self, url: str, part: Path, say: Say = unheard) -> None:
        address = urlsplit(url)
        if address.scheme == "file":
            try:
                shutil.copyfile(unquote(address.path), part)
            except FileNotFoundError as error:
                raise _unreachable(url, "there is no such file") from error
            return
        patiently(
            lambda: self._get(url, part),
            logins=Logins(self._indexes),
            tries=_ATTEMPTS,
            limit=self._limit,
            say=say,
        )

    def _get(self, url: str, part: Path) -> None:
        try:
            self._stream(url, part)
        except httpx.HTTPStatusError as error:
            stopped = refused(error, url)
            if stopped:
                raise stopped from error
            status = error.response.status_code
            found = _unreachable(url, f"HTTP status {status}")
            if status in BUSY:
                raise TryAgainError(found, url, retry_after(error.response.headers)) from error
            if status >= httpx.codes.INTERNAL_SERVER_ERROR:
                raise TryAgainError(found) from error
            raise (_refused(url, status) if status in REFUSED else found) from error
        except httpx.HTTPError as error:
            cause = str(error) or type(error).__name__
            stopped = refused(error, url)
            raise stopped or TryAgainError(_unreachable(url, cause)) from error

    def _stream(self, url: str, part: Path) -> None:
        end = time.monotonic() + self._limit
        with (
            self._connection() as client,
            client.stream("GET", url, headers=_AS_IT_IS) as answer,
            part.open("wb") as file,
        ):
            answer.raise_for_status()
            if is_page(answer):
                raise _page_instead(url)
            for chunk in answer.iter_raw():
                go_on()
                file.write(chunk)
                if time.monotonic() > end:
                    raise TimeLimitError(
                        f"The download of {_shown(url)} took longer than {self._limit:.0f} s.",
                        "Run it again, or raise tool-limit in [tool.elt-env].",
                    )


def _page_instead(url: str) -> IndexUnreachableError:
    return IndexUnreachableError(
        f"{_shown(url)} answers with a web page in place of the file.",
        "Does a proxy want you to sign in? Open the URL in a browser, and check the proxy.",
    )


def _refused(url: str, status: int) -> IndexUnreachableError:
    return IndexUnreachableError(
        f"{_shown(url)} wants other credentials (HTTP status {status}).",
        "Put a valid user name and password into the index URL of your pip or uv settings, or "
        "into ~/.netrc.",
    )


def _name_in(url: str) -> str:
    return unquote(urlsplit(url).path.rsplit("/", maxsplit=1)[-1])


def _unreachable(url: str, cause: str) -> IndexUnreachableError:
    return IndexUnreachableError(
        f"{_shown(url)} cannot be downloaded: {cause}.",
        "Check the network and the index, then run the same command again.",
    )


def _shown(url: str) -> str:
    """Return a URL without what may be secret in it: login and query."""
    address = urlsplit(url)
    host = address.netloc.rpartition("@")[2]
    return address._replace(netloc=host, query="", fragment="").geturl()
