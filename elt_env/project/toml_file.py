"""Files in TOML that people write."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from elt_env.errors import PolicyError
from elt_env.runtime.limits import require_shallow

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


def parse_toml(text: str, path: Path) -> dict[str, Any]:
    """Return what the text of such a file holds; `path` is for messages.

    Raises:
        PolicyError: it is not TOML, or nested too deeply.
    """
    try:
        content = tomllib.loads(text)
        require_shallow(content)
    except RecursionError:
        raise PolicyError(f"{path} is nested too deeply.", "Correct it there.") from None
    except ValueError as error:
        raise PolicyError(f"{path} is not valid TOML: {error}.", "Correct it there.") from error
    return content
