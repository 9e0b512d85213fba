"""Reads the policy: `[tool.elt-env]` in pyproject.toml, overridden by ELT_ENV_* variables."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    PyprojectTomlConfigSettingsSource,
    SettingsConfigDict,
    SettingsError,
)

from elt_env.errors import PolicyError, SpecError
from elt_env.model.policy import EnvironmentPolicy, Policy
from elt_env.model.spec import Spec, parse_spec

_SEE = "See the table of policy keys in docs/policy.md."


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
        """The store's directory: absolute, `~` expanded, relative to the project."""
        return (self.root / Path(self.policy.home).expanduser()).absolute()

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
        path = self.root / policy.spec
        try:
            text = path.read_text(encoding="utf-8")
        except FileNotFoundError as error:
            raise SpecError(
                f"The spec {policy.spec} does not exist in {self.root}.",
                f"Create it, or correct 'spec' in [tool.elt-env.environments.{environment}].",
            ) from error
        except (OSError, UnicodeDecodeError) as error:
            raise SpecError(
                f"The spec {policy.spec} cannot be read: {error}.",
                "Make it a readable UTF-8 text file.",
            ) from error
        spec = parse_spec(text, policy.spec)
        spec.require_python(policy.pythons)
        return spec


def open_project(start: Path | None = None) -> Project:
    """Return the project that `start` (default: ELT_ENV_PROJECT, else here) lies in.

    Raises:
        PolicyError: no pyproject.toml with a policy here or above, or a key that cannot be used.
    """
    here = (start or Path(os.environ.get("ELT_ENV_PROJECT", "."))).absolute()
    root = next((each for each in (here, *here.parents) if _has_policy(each)), None)
    if root is None:
        raise PolicyError(
            f"No pyproject.toml with a [tool.elt-env] table in {here} or above.",
            "Change into the project's directory, or set ELT_ENV_PROJECT to it.",
        )
    return Project(root, _read_policy(root))


def _has_policy(directory: Path) -> bool:
    try:
        return "[tool.elt-env" in (directory / "pyproject.toml").read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return False


def _read_policy(root: Path) -> Policy:
    class Settings(BaseSettings, Policy):
        model_config = SettingsConfigDict(
            env_prefix="ELT_ENV_",
            env_nested_delimiter="__",
            pyproject_toml_table_header=("tool", "elt-env"),
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
            del init_settings, dotenv_settings, file_secret_settings
            return env_settings, _TableSource(settings_cls, root / "pyproject.toml")

    try:
        return Settings()
    except ValidationError as error:
        raise _policy_error(root, error) from error
    except (SettingsError, ValueError) as error:
        problem = f"The policy in {root / 'pyproject.toml'} cannot be read: {error}."
        raise PolicyError(problem, _SEE) from error


def _policy_error(root: Path, error: ValidationError) -> PolicyError:
    first = error.errors()[0]
    key = ".".join(str(part).replace("_", "-") for part in first["loc"])
    message = first["msg"].removeprefix("Value error, ")
    if first["type"] == "extra_forbidden":
        message = "there is no such key"
    problem = f"[tool.elt-env] {key}: {message} (in {root / 'pyproject.toml'} or ELT_ENV_*)."
    return PolicyError(problem, _SEE)


class _TableSource(PyprojectTomlConfigSettingsSource):
    """The policy table with its `kebab-case` keys as field names; environments keep theirs."""

    def __init__(self, settings_cls: type[BaseSettings], file: Path) -> None:
        super().__init__(settings_cls, file)
        table = _fields(self.toml_data)
        environments = table.get("environments")
        if isinstance(environments, dict):
            table["environments"] = {
                name: _fields(each) if isinstance(each, dict) else each
                for name, each in environments.items()
            }
        self.toml_data = table
        self.init_kwargs = table


def _fields(table: dict[str, Any]) -> dict[str, Any]:
    return {key.replace("-", "_"): value for key, value in table.items()}
