"""`lock.json`, the manifest: the whole lock, from which the other files derive."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import Any

from pydantic import TypeAdapter, ValidationError

from elt_env.errors import IntegrityError
from elt_env.lockfile.document import SCHEMA, Lock
from elt_env.lockfile.lock_faults import faults
from elt_env.package.canonical import digest_of
from elt_env.runtime.limits import load_json
from elt_env.runtime.texts import first_of

FILE_NAME = "lock.json"

_NAMED = 10
_REMEMBERED = 8  # texts: a run reads the same lock in each of its steps

_adapter: TypeAdapter[Lock] = TypeAdapter(Lock)


def render(lock: Lock) -> str:
    """Return the manifest of `lock`: JSON, its digest first, one line ending at the end.

    The checksum is the digest of all else in it: of what the lock's own digest leaves out, too.
    """
    content = {"digest": lock.digest} | _adapter.dump_python(lock, mode="json")
    content["checksum"] = digest_of(content)
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"


@lru_cache(maxsize=_REMEMBERED)
def parse(text: str, source: str, remedy: str) -> Lock:
    """Return the lock that a manifest holds; the same again for the same text.

    Raises:
        IntegrityError: it is not a manifest of this schema, was changed by hand, or has a field
            that is not what it should be; `source` names it and `remedy` says what to do.
    """
    content = _content(text, source, remedy)
    if content.get("schema") != SCHEMA:
        schema = content.get("schema", "none")
        raise IntegrityError(f"{source} has schema {schema}; this version reads {SCHEMA}.", remedy)
    _check(content, source, remedy)
    try:
        lock = _adapter.validate_python({"layout": 1} | content)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        problem = f"{source} is not a lock manifest: {where}: {first['msg']}."
        raise IntegrityError(problem, remedy) from error
    if lock.digest != content["digest"]:
        problem = f"{source} states the digest {content['digest']}, its content has {lock.digest}."
        raise IntegrityError(problem, remedy)
    wrong = faults(lock)
    if wrong:
        listed = first_of(wrong, _NAMED, "\n  ")
        raise IntegrityError(f"{source} is no lock that this project makes:\n  {listed}", remedy)
    return lock


def _content(text: str, source: str, remedy: str) -> dict[str, Any]:
    try:
        content = load_json(text)
    except ValueError as error:
        raise IntegrityError(f"{source} is not JSON: {error}.", remedy) from error
    if not isinstance(content, dict):
        raise IntegrityError(f"{source} is not a lock manifest: it holds no object.", remedy)
    return content


def _check(content: dict[str, Any], source: str, remedy: str) -> None:
    stated = content.get("checksum")
    rest = {key: value for key, value in content.items() if key != "checksum"}
    try:
        found = digest_of(rest)
    except UnicodeEncodeError:  # half of a surrogate pair, which JSON can write and UTF-8 cannot
        found = None
    if stated is None or stated != found:
        problem = f"{source} was changed by hand: its content is not what its checksum says."
        raise IntegrityError(problem, remedy)
