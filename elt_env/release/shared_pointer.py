"""The pointer to a target's release in a store that several machines share.

It is a document, `releases/.current/elt@3.11.json`, with all that the release says, and moves by
compare-and-swap from one number to the next: of two machines that move it at once, one is told that
it came too late. The record of a release is written after that, and by the next mover where the
one before died in between; so no release that was the current one is lost.
"""

from __future__ import annotations

from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor

from elt_env.errors import BusyError, IntegrityError
from elt_env.release.record import Release
from elt_env.release.record_file import checked, record_key, record_names_of, with_checksum
from elt_env.store.documents import Documents, record_names

_FOLDER = "releases/.current"
_AT_ONCE = 32  # requests
_FAULTS = (OSError, ValueError, KeyError, TypeError, AttributeError)


class SharedPointer:
    """The pointers of all targets; targets go by their names."""

    def __init__(self, documents: Documents) -> None:
        self._documents = documents

    def targets(self) -> tuple[str, ...]:
        """Return the names of the targets that have a release."""
        return record_names(self._documents, _FOLDER)

    def place(self, name: str) -> str:
        """Return where a target's pointer lies."""
        return self._documents.place(_key(name))

    def release(self, name: str) -> Release | None:
        """Return the target's release; None before the first.

        Raises:
            IntegrityError: it cannot be read, was changed by hand, or is gone.
        """
        seen = self._seen(name)
        if seen is not None:
            return self._parsed(name, seen)
        if record_names_of(self._documents, name):
            raise self._lost(name, "is gone")
        return None

    def news(self, name: str, tag: str) -> tuple[Release, str] | None:
        """Return the target's release and its tag, by one request; None where that is still `tag`.

        Raises:
            FileNotFoundError: nothing is released.
            IntegrityError: it cannot be read, or was changed by hand.
        """
        try:
            found = self._documents.read_new(_key(name), tag)
        except FileNotFoundError:
            raise
        except OSError as error:
            raise self._lost(name, "cannot be read") from error
        return (self._parsed(name, found.content), found.tag) if found else None

    def history(self, name: str, only: Collection[int] | None = None) -> tuple[Release, ...]:
        """Return every release of the target, the oldest first and the current one last.

        Their numbers have no gaps, so that none is missed that a list leaves out. With `only`, no
        others than those of these numbers are read.

        Raises:
            IntegrityError: a record cannot be read.
        """
        current = self.release(name)
        if current is None:
            return ()
        numbers = range(1, current.number + 1)
        wanted = numbers if only is None else [each for each in numbers if each in only]
        before = [each for each in wanted if each != current.number]
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            records = pool.map(lambda each: self._record(name, each), before)
            return (*records, *([current] if current.number in wanted else ()))

    def previous(self, name: str) -> Release | None:
        """Return the newest release whose lock is not the current one's; None without.

        Raises:
            IntegrityError: a record cannot be read.
        """
        current = self.release(name)
        numbers = range(current.number - 1, 0, -1) if current else ()
        records = (self._record(name, each) for each in numbers)
        return next((each for each in records if current and each.digest != current.digest), None)

    def _record(self, name: str, number: int) -> Release:
        key = record_key(name, number)
        try:
            return checked(self._documents.read(key))
        except _FAULTS as error:
            raise IntegrityError(
                f"The record {self._documents.place(key)} of a release is gone or was changed.",
                "Restore it from a backup, or from an earlier version of the bucket.",
            ) from error

    def move(self, release: Release) -> None:
        """Let the pointer lead to the release that comes after the one it leads to.

        Raises:
            BusyError: another machine moved it meanwhile.
            IntegrityError: it cannot be read.
        """
        seen = self._seen(release.target)
        before = self._parsed(release.target, seen) if seen is not None else None
        if before is not None:
            self.keep(before)
        at = before.number if before else 0
        new = with_checksum(release)
        if at != release.number - 1 or not self._documents.swap(_key(release.target), seen, new):
            raise BusyError(
                f"The release of {release.target} was moved from elsewhere at the same time.",
                f"See what it is now: elt-env history {release.target}; then run the same command.",
            )
        self.keep(release)

    def adopt(self, release: Release) -> None:
        """Lead the pointer to a release that was copied here with all before it."""
        content = with_checksum(release)
        if self._seen(release.target) != content:
            self._documents.write(_key(release.target), content)

    def keep(self, release: Release) -> None:
        """Write the record of what is, or was, the current release, if it is not there."""
        key, content = record_key(release.target, release.number), with_checksum(release)
        self._documents.swap(key, None, content)

    def restore(self, name: str) -> bool:
        """Lead a pointer that is gone or damaged to the newest record; return whether it was.

        Raises:
            IntegrityError: that record cannot be read.
        """
        try:
            self.release(name)
        except IntegrityError:
            newest = max(record_names_of(self._documents, name), default=0)
            if not newest:
                raise
            self._documents.write(_key(name), self._documents.read(record_key(name, newest)))
            self.release(name)
            return True
        return False

    def _seen(self, name: str) -> bytes | None:
        try:
            return self._documents.read(_key(name))
        except FileNotFoundError:
            return None
        except OSError as error:
            raise self._lost(name, "cannot be read") from error

    def _parsed(self, name: str, content: bytes) -> Release:
        try:
            release = checked(content)
        except _FAULTS as error:
            raise self._lost(name, "was changed by hand") from error
        if release.target != name:
            raise self._lost(name, f"is one of {release.target}")
        return release

    def _lost(self, name: str, what: str) -> IntegrityError:
        return IntegrityError(
            f"{self.place(name)}, which says what is released of {name}, {what}.",
            f"Lead it to the newest release: elt-env verify {name} --repair",
        )


def _key(name: str) -> str:
    return f"{_FOLDER}/{name}.json"
