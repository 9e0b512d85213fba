"""Turn failures of a package index into messages."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from elt_env.errors import IndexUnreachableError
from elt_env.runtime.texts import first_of

_NAMED = 3
_REMEDY = "Check the network and the index, then run it again."


def unreadable(name: str, index: str, cause: str) -> IndexUnreachableError:
    """Return the error for an index that gives no usable answer about a project."""
    return IndexUnreachableError(
        f"The package index {index} cannot be asked about '{name}': {cause}.", _REMEDY
    )


def nonsense(name: str, index: str, cause: str) -> IndexUnreachableError:
    """Return the error for an answer that is not the page of the project."""
    return IndexUnreachableError(
        f"The package index {index} does not answer with the page of '{name}': {cause}.",
        "Look at that page in a browser; check the index URL and the proxy in between.",
    )


def refused(name: str, index: str, status: str) -> IndexUnreachableError:
    """Return the error for an index that does not accept this user."""
    return IndexUnreachableError(
        f"The package index {index} wants other credentials for '{name}' ({status}).",
        "Put a valid user name and password into the index URL of your pip or uv settings, or "
        "into ~/.netrc.",
    )


def too_slow(missing: Mapping[str, str]) -> IndexUnreachableError:
    """Return the error for indexes that left projects unanswered; `missing` as what was asked."""
    where = ", ".join(sorted(set(missing.values())))
    return IndexUnreachableError(
        f"The package index {where} does not answer in time about {_some(missing)}.",
        _REMEDY,
    )


def refuse_empty(asked: Mapping[str, str], gone: Iterable[str]) -> None:
    """Return when no index claims to have nothing of several projects it is known to have had.

    Raises:
        IndexUnreachableError: one does; a wrong address answers like that, and so does a proxy.
    """
    for index, count in Counter(asked.values()).items():
        lost = [name for name in sorted(gone) if asked[name] == index]
        if len(lost) == count > 1:
            raise IndexUnreachableError(
                f"The package index {index} answers 'not found' for all it was asked about: "
                f"{_some(lost)}.",
                "Check the index URL of the lock, of your pip or uv settings, and the proxy in "
                "between.",
            )


def _some(names: Iterable[str]) -> str:
    """Return a few names, and how many more there are."""
    return first_of([f"'{each}'" for each in sorted(names)], _NAMED)
