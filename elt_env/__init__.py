"""One `environment.yml` becomes a locked, installed and proven ELT environment."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from elt_env.defs.component import EnvironmentComponent

__all__ = ["EnvironmentComponent"]


def __getattr__(name: str) -> Any:  # noqa: ANN401  # PEP 562
    """Load what needs Dagster when somebody asks for it: `elt-env` does without."""
    if name == "EnvironmentComponent":
        from elt_env.defs.component import EnvironmentComponent

        return EnvironmentComponent
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
