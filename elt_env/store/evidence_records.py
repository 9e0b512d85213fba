"""The records of checks in a store: one file a check, below the digest of the lock it is about.

Each carries a digest over all that it says, which includes the lock, the seal of the prefix or the
image's digest, and the content of its log. So what was edited, damaged or copied from elsewhere is
seen, by whoever reads it. With a key, a record is signed as well (HMAC-SHA-256, RFC 2104): then
nobody without the key can write one that holds.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import json
import re
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

from pydantic import TypeAdapter, ValidationError

from elt_env.errors import IntegrityError, PolicyError
from elt_env.package.canonical import digest_of, short
from elt_env.runtime.limits import MOST_BYTES, load_json
from elt_env.store.documents import Documents, record_names
from elt_env.store.evidence import Evidence

Key = Callable[[], bytes | None]
"""Returns the key that records are signed with, or None for no signature; may raise PolicyError."""

_AT_ONCE = 16  # requests
_DIGEST, _SIGNATURE = "digest", "signature"
_PURPOSE = b"elt-env evidence "  # so that a signature is good for nothing else
_evidence: TypeAdapter[Evidence] = TypeAdapter(Evidence)


class EvidenceRecords:
    """The records of one store.

    Attributes:
        documents: the store, with the logs that the records name.
        key: what they are signed with.
    """

    def __init__(self, documents: Documents, key: Key) -> None:
        self.documents = documents
        self.key = key

    def write(self, lock: str, evidence: Evidence) -> None:
        """Keep the newest result of a check on the lock with that digest.

        The log that the result names lies in the store already; that of the one before is removed.

        Raises:
            StorageError: the store is full or not writable.
            PolicyError: the key cannot be read.
        """
        key = f"{_folder(lock)}/{evidence.check}.json"
        before = self._log_of(key, lock, evidence.check)
        content = _evidence.dump_python(evidence, mode="json", exclude={"doubt"})
        content |= {"lock": lock, "log_digest": self._log_digest(evidence.log)}
        content[_DIGEST] = digest_of(content)
        secret = self.key()
        if secret is not None:
            content[_SIGNATURE] = _signature(content[_DIGEST], secret)
        self.documents.write(key, json.dumps(content, indent=1, ensure_ascii=False) + "\n")
        if before and before != evidence.log:
            self.documents.delete(before)

    def read(self, lock: str) -> tuple[Evidence, ...]:
        """Return the newest result of every check on the lock with that digest, sorted by check.

        A record that is not as it was written says nothing: its status is `not_run`, and `doubt`
        says why.

        Raises:
            IntegrityError: a record cannot be read at all.
        """
        checks = record_names(self.documents, _folder(lock))
        if self.documents.directory is not None or not checks:
            return tuple(self._read(each, lock) for each in checks)
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            return tuple(pool.map(lambda each: self._read(each, lock), checks))

    def _read(self, check: str, lock: str) -> Evidence:
        key = f"{_folder(lock)}/{check}.json"
        place = self.documents.place(key)
        try:
            text, content, doubt = None, {}, "is new"
            # A record takes its log with it: what is in doubt may have been replaced meanwhile.
            while doubt and text != (found := self.documents.read(key, MOST_BYTES)):
                text, content = found, load_json(found)
                doubt = self._doubt(content, check, lock)
            evidence = _evidence.validate_python(content)
        except (OSError, ValueError, TypeError, ValidationError) as error:
            raise IntegrityError(
                f"The evidence {place} cannot be read.", "Remove that file and run the check again."
            ) from error
        if not doubt:
            return evidence
        doubt = f"its record {place} {doubt}"
        return replace(
            evidence, check=check, status="not_run", detail=doubt, table=None, doubt=doubt
        )

    def _doubt(self, content: Mapping[str, Any], check: str, lock: str) -> str:
        """Return why a record does not count, as what comes after its name; "" when it does."""
        stated = content.get(_DIGEST)
        if stated is None:
            return "was written by an earlier version, without a digest"
        said = {name: value for name, value in content.items() if name not in (_DIGEST, _SIGNATURE)}
        if stated != digest_of(said):
            return "was changed after it was written"
        if (said["lock"], said["check"]) != (lock, check):
            return f"is one of {said['check']} on the lock {said['lock']}, and was copied there"
        if said["log_digest"] != self._log_digest(said["log"]):
            log = self.documents.place(said["log"])
            return f"does not go with its log {log}, which was changed or is gone"
        return self._doubt_of_signature(content)

    def _doubt_of_signature(self, content: Mapping[str, Any]) -> str:
        try:
            key = self.key()
        except PolicyError as error:
            return f"cannot be checked: {error.problem}"
        if key is None:
            return ""
        if _SIGNATURE not in content:
            return "is not signed, and the policy has an evidence-key"
        if not hmac.compare_digest(str(content[_SIGNATURE]), _signature(content[_DIGEST], key)):
            return "is not signed with the evidence-key of the policy"
        return ""

    def _log_digest(self, log: str) -> str | None:
        """Return the digest of a log; None where there is none."""
        if not log:
            return None
        try:
            return f"sha256:{hashlib.sha256(self.documents.read(log)).hexdigest()}"
        except OSError:
            return None

    def _log_of(self, key: str, lock: str, check: str) -> str:
        """Return the log that a record names; "" unless it is one of that check on that lock."""
        own = re.compile(rf"logs/{short(lock)}/{re.escape(check)}-[0-9a-f]{{12}}\.log")
        with contextlib.suppress(OSError, ValueError, TypeError, KeyError):
            log = str(load_json(self.documents.read(key, MOST_BYTES))["log"])
            return log if own.fullmatch(log) else ""
        return ""


def _folder(lock: str) -> str:
    return f"evidence/{lock.removeprefix('sha256:')}"


def _signature(digest: str, key: bytes) -> str:
    return "hmac-sha256:" + hmac.new(key, _PURPOSE + digest.encode(), "sha256").hexdigest()
