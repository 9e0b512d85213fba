"""The policy with the variables that override its keys."""

from __future__ import annotations

from typing import Any

from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
)

from elt_env.errors import PolicyError
from elt_env.project.policy import Policy


def with_variables(prefix: str, table: dict[str, Any]) -> Policy:
    """Return the policy of a table, in which variables win whose names begin with `prefix`.

    Raises:
        PolicyError: a variable is no JSON where its key wants a list or a table.
        pydantic.ValidationError: a key cannot be used.
    """

    class Settings(BaseSettings, Policy):
        model_config = SettingsConfigDict(
            env_prefix=prefix,
            env_nested_delimiter="__",
            env_ignore_empty=True,
            extra="forbid",
            frozen=True,
        )

        @classmethod
        def settings_customise_sources(
            cls,
            settings_cls: type[BaseSettings],
            init_settings: PydanticBaseSettingsSource,
            env_settings: PydanticBaseSettingsSource,
            dotenv_settings: PydanticBaseSettingsSource,
            file_secret_settings: PydanticBaseSettingsSource,
        ) -> tuple[PydanticBaseSettingsSource, ...]:
            """Let variables win over the file, and read nothing else."""
            del init_settings, env_settings, dotenv_settings, file_secret_settings
            names = table.get("environments")
            return _Variables(settings_cls, names), InitSettingsSource(settings_cls, table)

    try:
        return Settings()
    except SettingsError as error:
        cause = str(error).partition(" from source")[0]
        raise PolicyError(
            f"A variable {prefix}* cannot be read: {cause}.",
            f'Write a list as JSON, as in {prefix}ALLOW_SDIST=\'["a", "b"]\'. '
            "See the table of policy keys in docs/policy.md.",
        ) from error


class _Variables(EnvSettingsSource):
    """ELT_ENV_* variables, in which a hyphen of an environment's name is an underscore."""

    def __init__(self, settings_cls: type[BaseSettings], names: object) -> None:
        super().__init__(settings_cls)
        known = names if isinstance(names, dict) else {}
        self._names = {str(name).replace("-", "_"): str(name) for name in known}

    def __call__(self) -> dict[str, Any]:
        """Return the values by field, environments by their names in the file."""
        values = super().__call__()
        environments = values.get("environments")
        if isinstance(environments, dict):
            values["environments"] = {
                self._names.get(name, name): each for name, each in environments.items()
            }
        return values
