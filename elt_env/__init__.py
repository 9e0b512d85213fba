"""One `environment.yml` becomes a locked, installed and proven ELT environment."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from elt_env.defs.component import EnvironmentComponent
    from elt_env.release.tool import released_tool

__all__ = ["EnvironmentComponent", "released_tool"]


def __getattr__(name: str) -> Any:  # noqa: ANN401  # PEP 562
    """Load a name when somebody asks for it: `elt-env` does without Dagster."""
    if name == "EnvironmentComponent":
        from elt_env.defs.component import EnvironmentComponent

        return EnvironmentComponent
    if name == "released_tool":
        from elt_env.release.tool import released_tool

        return released_tool
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
