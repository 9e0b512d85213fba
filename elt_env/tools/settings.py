"""Reads the policy: `[tool.elt-env]` in pyproject.toml, overridden by ELT_ENV_* variables."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
)

from elt_env.errors import PolicyError
from elt_env.model.policy import EnvironmentPolicy, Policy
from elt_env.model.spec import Spec
from elt_env.tools.spec_file import read_spec

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

_SEE = "See the table of policy keys in docs/policy.md."
_PREFIX = "ELT_ENV_"
_PROJECT = "ELT_ENV_PROJECT"
_FILE = "pyproject.toml"


@dataclass(frozen=True)
class Project:
    """A directory whose pyproject.toml carries a policy.

    Attributes:
        root: absolute path of that directory.
        home: absolute path of the store.
    """

    root: Path
    policy: Policy

    @property
    def home(self) -> Path:
        """The store's directory: absolute, `~` expanded, relative to the project.

        Raises:
            PolicyError: it lies in the home directory of a user who is not there.
        """
        try:
            return (self.root / Path(self.policy.home).expanduser()).absolute()
        except RuntimeError as error:
            raise PolicyError(
                f"The store '{self.policy.home}' is in the home directory of an unknown user.",
                "Correct 'home' in [tool.elt-env], or ELT_ENV_HOME.",
            ) from error

    def environment(self, name: str) -> EnvironmentPolicy:
        """Return the policy of one environment.

        Raises:
            PolicyError: there is no environment of that name.
        """
        found = self.policy.environments.get(name)
        if found is None:
            known = ", ".join(sorted(self.policy.environments))
            raise PolicyError(
                f"There is no environment '{name}'.",
                f"Use one of: {known}; or add [tool.elt-env.environments.{name}].",
            )
        return found

    def spec(self, environment: str) -> Spec:
        """Return the spec of one environment, which admits every Python the policy lists.

        Raises:
            SpecError: the file is missing or cannot be used.
            PolicyError: there is no environment of that name.
        """
        policy = self.environment(environment)
        remedy = f"Create it, or correct 'spec' in [tool.elt-env.environments.{environment}]."
        spec = read_spec(self.root, policy.spec, remedy)
        spec.require_python(policy.pythons)
        return spec


def open_project(start: Path | None = None) -> Project:
    """Return the project that `start` (default: ELT_ENV_PROJECT, else here) lies in.

    Raises:
        PolicyError: no pyproject.toml with a policy here or above, or a key that cannot be used.
    """
    here = (start or Path(os.environ.get(_PROJECT, "."))).absolute()
    for root in (here, *here.parents):
        table = _read_table(root / _FILE)
        if table is not None:
            return Project(root, _read_policy(root, table))
    raise PolicyError(
        f"No pyproject.toml with a [tool.elt-env] table in {here} or above.",
        "Change into the project's directory, or set ELT_ENV_PROJECT to it.",
    )


def _read_table(path: Path) -> dict[str, Any] | None:
    """Return the policy's table with field names for keys, or None when the file has none."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return None
    if "elt-env" not in text:
        return None
    try:
        tools = tomllib.loads(text).get("tool")
    except tomllib.TOMLDecodeError as error:
        raise PolicyError(f"{path} is not valid TOML: {error}.", "Correct it there.") from error
    table = tools.get("elt-env") if isinstance(tools, dict) else None
    if table is None:
        return None
    if not isinstance(table, dict):
        raise PolicyError(f"{path}: 'elt-env' in [tool] is not a table.", _SEE)
    fields: dict[str, Any] = _fields(table)
    environments = fields.get("environments")
    if isinstance(environments, dict):
        named = {name: _fields(each) for name, each in environments.items()}
        fields["environments"] = named
    return fields


def _fields(table: Any) -> Any:  # noqa: ANN401  # whatever TOML can hold; pydantic judges it
    if not isinstance(table, dict):
        return table
    return {key.replace("-", "_"): value for key, value in table.items()}


def _read_policy(root: Path, table: dict[str, Any]) -> Policy:
    class Settings(BaseSettings, Policy):
        model_config = SettingsConfigDict(
            env_prefix=_PREFIX,
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

    _refuse_unknown_variables()
    try:
        return Settings()
    except ValidationError as error:
        raise _policy_error(root, error) from error
    except SettingsError as error:
        cause = str(error).partition(" from source")[0]
        raise PolicyError(
            f"A variable {_PREFIX}* cannot be read: {cause}.",
            f'Write a list as JSON, as in {_PREFIX}ALLOW_SDIST=\'["a", "b"]\'. {_SEE}',
        ) from error


def _refuse_unknown_variables() -> None:
    known = {_PROJECT, *(f"{_PREFIX}{field}".upper() for field in Policy.model_fields)}
    for name in os.environ:
        key = name.upper()
        if key.startswith(_PREFIX) and key.split("__")[0] not in known:
            raise PolicyError(f"The variable {name} stands for no key of the policy.", _SEE)


def _policy_error(root: Path, error: ValidationError) -> PolicyError:
    # An unknown key is often the misspelt one that is missing as well.
    first = min(error.errors(), key=lambda each: each["type"] != "extra_forbidden")
    problem = f"[tool.elt-env] {_key(first)}: {_message(first)} (in {root / _FILE} or {_PREFIX}*)."
    return PolicyError(problem, _SEE)


def _key(details: ErrorDetails) -> str:
    parts = [str(part) for part in details["loc"] if part != "[key]"]
    names = [1] if parts[:1] == ["environments"] else []
    return ".".join(
        part if place in names else part.replace("_", "-") for place, part in enumerate(parts)
    )


def _message(details: ErrorDetails) -> str:
    if details["type"] == "extra_forbidden":
        return "there is no such key"
    if details["type"] == "missing":
        return "it is missing"
    if details["type"] in ("dict_type", "model_type"):
        return "it is not a table"
    return details["msg"].removeprefix("Value error, ")


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
