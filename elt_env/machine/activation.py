"""The variables that activate a prefix, written so that they hold wherever the prefix lies."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

_LINK_SCRIPT = re.compile(r"bin/\..+-(?:pre|post)-(?:un)?link\.sh")


def is_link_script(path: str) -> bool:
    """Tell whether a path in a package is that of a script that conda runs when it links it.

    https://docs.conda.io/projects/conda-build/en/stable/resources/link-scripts.html
    """
    return _LINK_SCRIPT.fullmatch(path) is not None


@dataclass(frozen=True)
class Activation:
    """What is set for whatever is run from a prefix.

    Attributes:
        variables: by name the parts of a value between which the prefix stands: of `<prefix>/share`
            they are "" and "/share", and a value without the prefix is one part.
        directories: paths below the prefix whose programs are found after those of its `bin`.
        omitted: what activation would do besides, and is not done, a line each.
    """

    variables: tuple[tuple[str, tuple[str, ...]], ...] = ()
    directories: tuple[str, ...] = ()
    omitted: tuple[str, ...] = ()

    def values(self, prefix: str) -> dict[str, str]:
        """Return the variables where the prefix lies at that path."""
        return {name: prefix.join(parts) for name, parts in self.variables}

    def path(self, prefix: str) -> tuple[str, ...]:
        """Return the directories that come first on PATH where the prefix lies there."""
        return (f"{prefix}/bin", *(f"{prefix}/{each}" for each in self.directories))

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return {
            "variables": {name: list(parts) for name, parts in self.variables},
            "directories": list(self.directories),
            "omitted": list(self.omitted),
        }


def parse_activation(content: Any) -> Activation:  # noqa: ANN401  # whatever JSON holds
    """Return what `to_json` made; ValueError for anything else."""
    try:
        return Activation(
            tuple((name, tuple(parts)) for name, parts in content["variables"].items()),
            tuple(content["directories"]),
            tuple(content["omitted"]),
        )
    except (TypeError, KeyError, AttributeError) as error:
        raise ValueError("it is no record of an activation") from error
