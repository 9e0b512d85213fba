"""A bucket's client, and what its failures mean."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from datetime import timedelta
from html import unescape

from obstore.exceptions import (
    AlreadyExistsError,
    BaseError,
    InvalidPathError,
    NotModifiedError,
    NotSupportedError,
    PermissionDeniedError,
    PreconditionError,
    UnauthenticatedError,
)
from obstore.store import ObjectStore, from_url

from elt_env.errors import PolicyError, StorageError, StoreUnreachableError
from elt_env.runtime.masking import hidden, remember

# A bucket that is away for a minute holds a run up, and does not end it.
_PATIENCE = timedelta(seconds=90)
_MOST_RETRIES = 10_000  # it is the time that counts: while nobody listens, 30 take 9 seconds
_LIMIT, _CONNECT_LIMIT = "20s", "5s"  # of one request

_SECRETS = (
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AZURE_STORAGE_ACCOUNT_KEY",
    "AZURE_STORAGE_CLIENT_SECRET",
    "AZURE_STORAGE_KEY",
    "AZURE_STORAGE_SAS_KEY",
    "AZURE_STORAGE_SAS_TOKEN",
    "AZURE_STORAGE_TOKEN",
    "GOOGLE_SERVICE_ACCOUNT_KEY",
)
_LOGIN = (
    "Give it a login that may read, write and list there, as its tools have it: AWS_ACCESS_KEY_ID "
    "and AWS_SECRET_ACCESS_KEY, GOOGLE_APPLICATION_CREDENTIALS, AZURE_STORAGE_ACCOUNT_NAME and "
    "AZURE_STORAGE_ACCOUNT_KEY, or the role of the machine."
)
_CLOCK = (
    "Set the clock of this machine, and run the same command again: S3 refuses who is more than 15 "
    "minutes off. Nothing was changed."
)
_LATER = (
    "Run the same command again when it answers; where it never did, correct 'home', or "
    "AWS_ENDPOINT_URL and AWS_REGION."
)
_MAKE = "Make it, or correct 'home' in [tool.elt-env], or ELT_ENV_HOME."
_STATUS = re.compile(r"status code: (\d{3})")
_NO_BUCKET = re.compile(r"NoSuchBucket|ContainerNotFound|bucket does not exist")
_REFUSED = re.compile(r'message: "([^"]+)"')  # of the operating system
_RETRIES = re.compile(r" in [\d.]+\w+, after \d+ retries,.*?retry_timeout: \w+")
_TOLD = re.compile(r"<Code>([^<]+)</Code>\s*<Message>([^<]+)</Message>")


def open_bucket(url: str, patience: timedelta = _PATIENCE) -> ObjectStore:
    """Return the client of a bucket; nothing is asked of it yet.

    Logins come from the variables that obstore reads, or from the role of the machine.

    Args:
        url: as in `s3://bucket/prefix`, `gs://bucket/prefix` or `az://account/container/prefix`.
        patience: for how long a request is tried again while the bucket is away.

    Raises:
        PolicyError: it is the URL of no bucket.
    """
    remember(*(os.environ[each] for each in _SECRETS if os.environ.get(each)))
    try:
        return from_url(
            url,
            client_options={
                "allow_http": True,  # where the endpoint of the user says so
                "timeout": _LIMIT,
                "connect_timeout": _CONNECT_LIMIT,
                "user_agent": "elt-env",
            },
            retry_config={
                "max_retries": _MOST_RETRIES,
                "retry_timeout": patience,
                "backoff": {
                    "init_backoff": timedelta(seconds=0.1),
                    "max_backoff": timedelta(seconds=5),
                    "base": 2,
                },
            },
        )
    except (BaseError, ValueError) as error:
        raise PolicyError(
            f"'{hidden(url)}' cannot be a store: {_said(str(error))}",
            "Write it as in s3://bucket/prefix, gs://bucket/prefix or az://account/container/prefix.",
        ) from error


@contextlib.contextmanager
def bucket_errors(place: str, *, writing: bool = False) -> Iterator[None]:
    """Turn the failures of obstore in the block into those of this project.

    Conditions that do not hold, and objects that are not there, are the caller's to understand;
    what is written without a condition is missing its bucket then.

    Raises:
        StorageError: the bucket refuses, or is none.
        StoreUnreachableError: it does not answer.
    """
    try:
        yield
    except (AlreadyExistsError, NotModifiedError, PreconditionError):
        raise
    except FileNotFoundError as error:
        if writing or _NO_BUCKET.search(str(error)):
            raise _failure(place, error) from error
        raise
    except BaseError as error:
        raise _failure(place, error) from error


def _failure(place: str, error: Exception) -> StorageError:
    text = str(error)
    status = _STATUS.search(text)
    kinds = (PermissionDeniedError, UnauthenticatedError)
    if isinstance(error, kinds) or (status and status[1] in ("401", "403")):
        remedy = _CLOCK if "RequestTimeTooSkewed" in text else _LOGIN
        return StorageError(f"The store refuses {place}: {_said(text)}.", remedy)
    if _NO_BUCKET.search(text) or isinstance(error, FileNotFoundError):
        return StorageError(f"There is no bucket for {place}: {_said(text)}.", _MAKE)
    if isinstance(error, (InvalidPathError, NotSupportedError)):
        return StorageError(f"{place} cannot be used: {_said(text)}.", _MAKE)
    return StoreUnreachableError(f"{place} does not answer: {_said(text)}.", _LATER)


def _said(text: str) -> str:
    """Return what a failure says in one line: the server's own words where there are some."""
    told, refused = _TOLD.search(text), _REFUSED.search(text)
    if told:
        return hidden(unescape(f"{told[1]}, {told[2]}")).rstrip(".")
    line = " ".join(text.partition("\n\nDebug source")[0].split()).rstrip(".")
    return hidden(_RETRIES.sub("", line) + (f": {refused[1]}" if refused else ""))
