"""Reads the policy: `[tool.elt-env]` in pyproject.toml and components, overridden by ELT_ENV_*."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
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

from elt_env.errors import PolicyError, SpecError
from elt_env.project.components import Component, merged, read_components
from elt_env.project.own_checks import KINDS, PLACES
from elt_env.project.policy import EnvironmentPolicy, Policy
from elt_env.project.policy_lines import line_of
from elt_env.project.store_owner import StoreOwner
from elt_env.project.toml_file import parse_toml
from elt_env.project.unlisted import read_unlisted, record_place, remembers
from elt_env.runtime.input_files import cause, read_text
from elt_env.runtime.limits import MOST_FAULTS
from elt_env.spec.document import Spec
from elt_env.spec.file import read_spec
from elt_env.store.documents import Documents
from elt_env.store.local import LocalDocuments

_SEE = "See the table of policy keys in docs/policy.md."
_PREFIX = "ELT_ENV_"
_PROJECT = "ELT_ENV_PROJECT"
_FILE = "pyproject.toml"
# A colon ends an entry of PATH; the others end a text in the modules and scripts that conda writes
# the path of a prefix into.
_DIGITS = 12  # of a lock's digest, in the name of its prefix
_LONGEST_PREFIX = 255  # bytes, for which conda-build leaves room in every package
_UNUSABLE = re.compile(r"[:\\'\"\x00-\x1f\x7f]")
_NAMES = {":": "a colon", "\\": "a backslash", "'": "a quote", '"': "a quote"}
_RECORDED = ("spec", "pythons")


@dataclass(frozen=True)
class Project:
    """A directory whose pyproject.toml carries a policy, or whose components do.

    Attributes:
        root: absolute path of that directory, with no links in it.
        home: absolute path of the store.
        unlisted: environments that the policy does not list, but that the store remembers.
        components: the files of environments that are components of a `dg` project.
    """

    root: Path
    policy: Policy
    unlisted: Mapping[str, EnvironmentPolicy] = field(default_factory=dict)
    components: tuple[Component, ...] = ()

    @property
    def local_home(self) -> Path:
        """The store's directory: absolute, `~` expanded, relative to the project, without links.

        Prefixes and launchers name their place, so it has one name, whichever way leads to it.

        Raises:
            PolicyError: it is a URL, it lies in the home directory of a user who is not there, it
                is no directory, or its path has a length or characters with which no environment
                works.
        """
        if "://" in self.policy.home:
            raise PolicyError(
                f"The store '{self.policy.home}' is a URL, and a store is a directory.",
                "Set 'home' in [tool.elt-env], or ELT_ENV_HOME, to a directory of this project "
                "alone.",
            )
        try:
            place = Path(os.path.realpath(self.root / Path(self.policy.home).expanduser()))
        except RuntimeError as error:
            raise PolicyError(
                f"The store '{self.policy.home}' is in the home directory of an unknown user.",
                "Correct 'home' in [tool.elt-env], or ELT_ENV_HOME.",
            ) from error
        bad = _UNUSABLE.search(str(place))
        if bad:
            raise PolicyError(
                f"The store {str(place)!r} has {_NAMES.get(bad[0], 'a control character')} in its "
                "path, with which no environment works: it is part of PATH and of programs.",
                "Set 'home' in [tool.elt-env], or ELT_ENV_HOME, to a path without it, of this "
                "project alone.",
            )
        self._require_room(place)
        return place

    def _require_room(self, place: Path) -> None:
        """Return when prefixes can be in a store, by its path and by what is there."""
        longest = max(map(len, self.environments), default=0)
        length = len(os.fsencode(place)) + len("/prefixes/@3.10-") + longest + _DIGITS
        if length > _LONGEST_PREFIX:
            raise PolicyError(
                f"The path of the store is too long: a prefix in it would have {length} bytes, and "
                f"conda's packages can be installed below a path of {_LONGEST_PREFIX}: {place}",
                "Set 'home' in [tool.elt-env], or ELT_ENV_HOME, to a shorter path.",
            )
        if os.path.lexists(place) and not place.is_dir():
            raise PolicyError(
                f"The store {place} is no directory.",
                "Set 'home' in [tool.elt-env], or ELT_ENV_HOME, to a directory of this project "
                "alone; it is made when it is not there.",
            )

    @property
    def documents(self) -> Documents:
        """The documents of the store.

        Raises:
            PolicyError: as `local_home`.
        """
        return LocalDocuments(self.local_home)

    @property
    def store_owner(self) -> StoreOwner:
        """Whose the store is, in this project's eyes.

        Raises:
            PolicyError: as `local_home`.
        """
        home = self.local_home
        return StoreOwner(self.documents, home, self.root, self.policy.project_name)

    @property
    def environments(self) -> dict[str, EnvironmentPolicy]:
        """Every environment by name, those of the policy first; a name of the policy is its own."""
        own = self.policy.environments
        return {**own, **{name: each for name, each in self.unlisted.items() if name not in own}}

    @property
    def first(self) -> str:
        """The name of the first environment.

        Raises:
            PolicyError: there is none.
        """
        if not self.environments:
            raise PolicyError(
                f"There is no environment in {self.root}.",
                "Build one from a file: elt-env build environment.yml",
            )
        return next(iter(self.environments))

    def target_name(self, name: str) -> str:
        """Return the target that an environment alone stands for; any other text as it is."""
        environment = self.environments.get(name)
        return f"{name}@{environment.pythons[0]}" if environment else name

    def including(self, name: str, policy: EnvironmentPolicy) -> Project:
        """Return the same project with one more environment that its policy does not list."""
        return replace(self, unlisted={**self.unlisted, name: policy})

    def environment(self, name: str) -> EnvironmentPolicy:
        """Return the policy of one environment.

        Raises:
            PolicyError: there is no environment of that name.
        """
        found = self.environments.get(name)
        if found is None:
            known = ", ".join(sorted(self.environments))
            raise PolicyError(
                f"There is no environment '{name}'.",
                f"Use one of: {known}; or add [tool.elt-env.environments.{name}]; or build one "
                "from a file: elt-env build FILE",
            )
        return found

    def _place_of(self, environment: str) -> str:
        """Return where the keys of an environment stand."""
        files = (str(each.path) for each in self.components if each.name == environment)
        return next(files, f"[tool.elt-env.environments.{environment}]")

    def spec(self, environment: str) -> Spec:
        """Return the spec of one environment, which admits every Python the policy lists.

        Raises:
            SpecError: the file is missing or cannot be used.
            PolicyError: there is no environment of that name.
        """
        policy = self.environment(environment)
        remedy = "Create it; where it has moved to: elt-env build FILE"
        if environment in self.policy.environments:
            remedy = f"Create it, or correct 'spec' in {self._place_of(environment)}."
        spec = read_spec(self.root, policy.spec, remedy)
        try:
            spec.require_python(policy.pythons)
        except SpecError as error:
            if environment in self.policy.environments:
                raise
            again = f"Lock it for the Python that it asks for: elt-env build {policy.spec}"
            raise SpecError(error.problem, again) from error
        return spec


def open_project(start: Path | None = None, *, with_policy: bool = True) -> Project:
    """Return the project that `start` (default: ELT_ENV_PROJECT, else here) lies in.

    A directory whose store remembers environments that were built from files is one as well. Where
    nobody wrote a policy, its defaults hold, and channel-fallback is `host`: whoever just tries a
    file needs no channel, and is told what replaces it.

    Args:
        start: where to look for a pyproject.toml, and in what is above.
        with_policy: whether there must be one; else `start` itself becomes a project.

    Raises:
        PolicyError: no pyproject.toml with a policy here or above, a key that cannot be used, or
            the store is another project's.
    """
    here = Path(os.path.realpath(start or Path(os.environ.get(_PROJECT, "."))))
    for root in (here, *here.parents):
        table, components = _read_table(root / _FILE), read_components(root)
        if table is not None or components:
            policy = _read_policy(root, merged(table or {}, components), components)
            return _with_store(Project(root, policy, components=components))
    project = Project(here, _implied_policy(here))
    if with_policy and not remembers(project.documents):
        raise PolicyError(
            f"No pyproject.toml with a [tool.elt-env] table in {here} or above.",
            "Change into the project's directory, or set ELT_ENV_PROJECT to it; or build an "
            "environment from a file, without a policy: elt-env build environment.yml",
        )
    return _with_store(project)


def _with_store(project: Project) -> Project:
    """Return a project with what its store remembers, if that is its own."""
    project.store_owner.require()
    return replace(project, unlisted=read_unlisted(project.documents))


def _implied_policy(root: Path) -> Policy:
    # The model wants one environment at least, as everybody who writes a policy has.
    some = {"spec": "environment.yml", "pythons": ["3.11"]}
    table = {"channel_fallback": "host", "environments": {"some": some}}
    return _read_policy(root, table).model_copy(update={"environments": {}})


def _read_table(path: Path) -> dict[str, Any] | None:
    """Return the policy's table with field names for keys, or None when the file has none."""
    try:
        text = read_text(path)
    except (FileNotFoundError, NotADirectoryError, PermissionError, UnicodeDecodeError):
        return None
    except OSError as error:
        raise PolicyError(
            f"{path} cannot be read: {cause(error)}.",
            "Put the project's file there, or change into another directory.",
        ) from error
    if "elt-env" not in text:
        return None
    tools = parse_toml(text, path).get("tool")
    table = tools.get("elt-env") if isinstance(tools, dict) else None
    if table is None:
        return None
    if not isinstance(table, dict):
        raise PolicyError(f"{path}: 'elt-env' in [tool] is not a table.", _SEE)
    fields: dict[str, Any] = _fields(table)
    environments = fields.get("environments")
    if isinstance(environments, dict):
        named = {name: _environment_fields(each) for name, each in environments.items()}
        fields["environments"] = named
    return fields


def _environment_fields(table: Any) -> Any:  # noqa: ANN401  # as for _fields
    fields = _fields(table)
    if isinstance(fields, dict) and isinstance(fields.get("checks"), dict):
        checks = fields["checks"].items()
        return {**fields, "checks": {name: _fields(each) for name, each in checks}}
    return fields


def _fields(table: Any) -> Any:  # noqa: ANN401  # whatever TOML can hold; pydantic judges it
    if not isinstance(table, dict):
        return table
    return {key.replace("-", "_"): value for key, value in table.items()}


def policy_sources(project: Project, environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return where each key of the policy that somebody set comes from: a file or a variable.

    Keys of environments have the form `environments.NAME.KEY`; all have `_` for `-`.

    Raises:
        PolicyError: the file cannot be read any more.
    """
    path = project.root / _FILE
    table = dict(_read_table(path) or {})
    environments = table.pop("environments", {})
    sources = dict.fromkeys(table, str(path))
    for name in project.unlisted:
        record = record_place(project.documents, name)
        sources |= dict.fromkeys((f"environments.{name}.{key}" for key in _RECORDED), record)
    if not project.policy.environments:
        sources["channel_fallback"] = f"no policy in {project.root}"
    for name, each in environments.items():
        sources |= dict.fromkeys((f"environments.{name}.{key}" for key in each), str(path))
    for component in project.components:
        keys = (f"environments.{component.name}.{key}" for key in component.own)
        sources |= dict.fromkeys((*component.shared, *keys), str(component.path))
    names = {each.replace("-", "_").lower(): each for each in project.environments}
    for variable in os.environ if environ is None else environ:
        key = variable.upper().removeprefix(_PREFIX).lower()
        if not variable.upper().startswith(_PREFIX) or not (environ or os.environ)[variable]:
            continue
        first, *rest = key.split("__")
        if first == "environments" and len(rest) > 1:
            key = f"environments.{names.get(rest[0], rest[0])}.{rest[1]}"
        sources[key] = variable
    return sources


def _read_policy(root: Path, table: dict[str, Any], components: Sequence[Component] = ()) -> Policy:
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
        policy: Policy = Settings()
    except ValidationError as error:
        faults = [*_faults(error), *_missing_places(root, table.get("environments"))]
        raise _policy_error(root, components, faults) from error
    except SettingsError as error:
        cause = str(error).partition(" from source")[0]
        raise PolicyError(
            f"A variable {_PREFIX}* cannot be read: {cause}.",
            f'Write a list as JSON, as in {_PREFIX}ALLOW_SDIST=\'["a", "b"]\'. {_SEE}',
        ) from error
    missing = [*_missing_places(root, policy.model_dump()["environments"])]
    if missing:
        raise _policy_error(root, components, missing)
    return policy


def _refuse_unknown_variables() -> None:
    known = {_PROJECT, *(f"{_PREFIX}{field}".upper() for field in Policy.model_fields)}
    for name in os.environ:
        key = name.upper()
        if key.startswith(_PREFIX) and key.split("__")[0] not in known:
            raise PolicyError(f"The variable {name} stands for no key of the policy.", _SEE)


def _policy_error(
    root: Path, components: Sequence[Component], faults: Sequence[str]
) -> PolicyError:
    path = root / _FILE
    files = ", ".join(dict.fromkeys(str(each.path) for each in components)) or str(path)
    lines = [_line(each, path) for each in faults[:MOST_FAULTS]]
    if len(faults) == 1:
        where = f"(in {files}{f', {lines[0]},' if lines[0] else ''} or {_PREFIX}*)"
        return PolicyError(f"[tool.elt-env] {faults[0]} {where}.", _SEE)
    where = f"(in {files} or {_PREFIX}*)"
    numbered = zip(faults, lines, strict=False)
    listed = "\n".join(f"  {each}{f' ({line})' if line else ''}" for each, line in numbered)
    listed += "\n  ... and more" if len(faults) > MOST_FAULTS else ""
    return PolicyError(f"[tool.elt-env] has {len(faults)} faults {where}:\n{listed}", _SEE)


def _line(fault: str, path: Path) -> str:
    """Return where the key that a fault begins with is written, as in `line 3`, or ""."""
    try:
        number = line_of(fault.partition(": ")[0], read_text(path))
    except (OSError, UnicodeDecodeError):
        return ""
    return f"line {number}" if number else ""


def _faults(error: ValidationError) -> list[str]:
    # An unknown key is often the misspelt one that is missing as well.
    ordered = sorted(error.errors(), key=lambda each: each["type"] != "extra_forbidden")
    return list(dict.fromkeys(f"{_key(each)}: {_message(each)}" for each in ordered))


def _missing_places(root: Path, environments: object) -> Iterator[str]:
    """Yield a fault for each directory that an own check reads and that is not there."""
    for environment, table in environments.items() if isinstance(environments, dict) else ():
        checks = table.get("checks") if isinstance(table, dict) else None
        for name, check in checks.items() if isinstance(checks, dict) else ():
            for key in PLACES if isinstance(check, dict) else ():
                place = check.get(key)
                if isinstance(place, str) and place and not own_place(root, place).is_dir():
                    where = f"environments.{environment}.checks.{name}.{key}"
                    yield f"{where}: there is no directory {own_place(root, place)}"


def own_place(root: Path, place: str) -> Path:
    """Return the directory that a check's key names: relative to the project's root, `~` known."""
    try:
        return Path(os.path.normpath(root / Path(place).expanduser()))
    except RuntimeError:  # the home of a user who is not there
        return root / place


def _key(details: ErrorDetails) -> str:
    parts = [str(part) for part in details["loc"] if part != "[key]"]
    names = [1] if parts[:1] == ["environments"] else []
    if parts[2:3] == ["checks"]:
        names.append(3)
        # Within a check, pydantic names the kind that it took it for.
        parts[4:] = parts[5:] if parts[4:5] and parts[4] in KINDS else parts[4:]
        if details["type"].startswith("union_tag"):
            parts.append("kind")
    return ".".join(
        part if place in names else part.replace("_", "-") for place, part in enumerate(parts)
    )


def _message(details: ErrorDetails) -> str:
    kinds = ", ".join(f"'{each}'" for each in KINDS)
    if details["type"] == "extra_forbidden":
        return "there is no such key"
    if details["type"] == "missing":
        return "it is missing"
    if details["type"] == "union_tag_not_found":
        return f"it is missing; write one of {kinds}"
    if details["type"] == "union_tag_invalid":
        return f"there is no kind '{details['ctx']['tag']}'; write one of {kinds}"
    if details["type"] in ("dict_type", "model_type", "model_attributes_type"):
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
