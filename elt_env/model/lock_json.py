"""`lock.json`, the manifest: the whole lock, from which the other files derive."""

from __future__ import annotations

import json

from pydantic import TypeAdapter, ValidationError

from elt_env.errors import IntegrityError
from elt_env.model.lock import SCHEMA, Lock

FILE_NAME = "lock.json"

_adapter: TypeAdapter[Lock] = TypeAdapter(Lock)


def render(lock: Lock) -> str:
    """Return the manifest of `lock`: JSON, its digest first, one line ending at the end."""
    content = {"digest": lock.digest} | _adapter.dump_python(lock, mode="json")
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"


def parse(text: str, source: str, remedy: str) -> Lock:
    """Return the lock that a manifest holds.

    Raises:
        IntegrityError: it is not a manifest of this schema, or its content does not have the
            digest it states; `source` names it and `remedy` says what to do.
    """
    try:
        content = json.loads(text)
        stated = content.pop("digest")
        schema = content["schema"]
    except (ValueError, AttributeError, TypeError, KeyError) as error:
        raise IntegrityError(f"{source} is not a lock manifest: {error!r}.", remedy) from error
    if schema != SCHEMA:
        raise IntegrityError(f"{source} has schema {schema}; this version reads {SCHEMA}.", remedy)
    try:
        lock = _adapter.validate_python(content)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        problem = f"{source} is not a lock manifest: {where}: {first['msg']}."
        raise IntegrityError(problem, remedy) from error
    if lock.digest != stated:
        problem = (
            f"{source} was changed by hand: it states {stated}, its content has {lock.digest}."
        )
        raise IntegrityError(problem, remedy)
    return lock
