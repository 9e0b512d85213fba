"""Files in TOML that people write."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from elt_env.errors import PolicyError
from elt_env.runtime.limits import load_toml


@lru_cache(maxsize=4)  # a project's file is read for several things, and again in each step
def parse_toml(text: str, path: Path) -> Mapping[str, Any]:
    """Return what the text of such a file holds, to be read alone; `path` is for messages.

    Raises:
        PolicyError: it is not TOML, or nested too deeply.
    """
    try:
        return load_toml(text)
    except ValueError as error:
        raise PolicyError(f"{path} is not valid TOML: {error}.", "Correct it there.") from error
