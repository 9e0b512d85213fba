"""The policy's `home` where it is a URL: a bucket, or a directory that is written as one."""

from __future__ import annotations

import hashlib
import os
import re
from functools import cache
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from elt_env.errors import PolicyError
from elt_env.runtime.masking import hidden

if TYPE_CHECKING:
    from elt_env.store.bucket import BucketDocuments

_BUCKETS = ("s3", "gs", "az")
_WRITE_IT = (
    "Set 'home' in [tool.elt-env], or ELT_ENV_HOME, to a directory of this project alone, or to "
    "s3://bucket/prefix, gs://bucket/prefix, az://account/container/prefix."
)
_LOGINS = ("AWS_", "AZURE_", "GOOGLE_")  # what the variables begin with that a client reads


def bucket_url(home: str) -> str:
    """Return the URL of a store in a bucket, without a slash at its end; "" for a directory.

    Raises:
        PolicyError: it is a URL of neither, or carries a login.
    """
    if "://" not in home:
        return ""
    url = urlsplit(home)
    if url.scheme == "file":
        return ""
    if url.scheme not in _BUCKETS or not url.netloc:
        raise PolicyError(
            f"The store '{hidden(home)}' is a URL, and of no bucket or directory.", _WRITE_IT
        )
    if "@" in url.netloc or url.query or url.fragment:
        raise PolicyError(
            f"The store '{hidden(home)}' has a login or parameters in its URL.",
            "Write a bucket and a prefix alone in 'home', or ELT_ENV_HOME; logins are read from "
            "where its tools have them: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or the role "
            "of the machine.",
        )
    return home.rstrip("/")


def store_name(url: str) -> str:
    """Return the path of a bucket's directory in one for several: readable, and no other's."""
    digest = hashlib.sha256(url.encode()).hexdigest()[:8]
    return f"stores/{re.sub(r'[^A-Za-z0-9.]+', '-', url)[:40]}-{digest}"


def directory_of(home: str) -> str:
    """Return the path of a store in a directory, which may be a URL of a file.

    Raises:
        PolicyError: the URL is one of another machine.
    """
    if "://" not in home:
        return home
    url = urlsplit(home)
    if url.netloc not in ("", "localhost") or not url.path:
        raise PolicyError(f"The store '{hidden(home)}' is on another machine.", _WRITE_IT)
    return unquote(url.path)


def open_bucket_documents(url: str) -> BucketDocuments:
    """Return the documents of a bucket; a process has one client of each.

    Raises:
        PolicyError: what reads buckets is not installed, or it is the URL of no bucket.
    """
    known = {name: text for name, text in os.environ.items() if name.startswith(_LOGINS)}
    return _opened(url, tuple(sorted(known.items())))


@cache
def _opened(url: str, _: tuple[tuple[str, str], ...]) -> BucketDocuments:
    try:
        from elt_env.store.bucket import BucketDocuments
        from elt_env.store.bucket_client import open_bucket
    except ModuleNotFoundError as error:
        raise PolicyError(
            f"The store {url} is in a bucket, and {error.name} is not installed, which reads them.",
            "Install it beside elt-env: pip install 'elt-env[s3]'",
        ) from error
    return BucketDocuments(open_bucket(url), url)
