"""Files in TOML that people write."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from elt_env.errors import PolicyError
from elt_env.runtime.limits import load_toml


def parse_toml(text: str, path: Path) -> dict[str, Any]:
    """Return what the text of such a file holds; `path` is for messages.

    Raises:
        PolicyError: it is not TOML, or nested too deeply.
    """
    try:
        return load_toml(text)
    except ValueError as error:
        raise PolicyError(f"{path} is not valid TOML: {error}.", "Correct it there.") from error
