"""Reads the policy: `[tool.elt-env]` in pyproject.toml and components, overridden by ELT_ENV_*."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from elt_env.errors import PolicyError
from elt_env.project.components import Component, merged, read_components
from elt_env.project.own_checks import KINDS, PLACES
from elt_env.project.policy import Policy
from elt_env.project.project import Project
from elt_env.project.toml_file import parse_toml
from elt_env.project.unlisted import read_unlisted, record_place, remembers
from elt_env.runtime.input_files import cause, read_text
from elt_env.runtime.limits import MOST_FAULTS

_SEE = "See the table of policy keys in docs/policy.md."
_PREFIX = "ELT_ENV_"
_PROJECT = "ELT_ENV_PROJECT"
_FILE = "pyproject.toml"
_RECORDED = ("spec", "pythons")
_TABLE = "tool.elt-env"
_HEADER = re.compile(r"\s*\[(?P<name>[^\[\]]+)\]\s*(#|$)")
_KEY = re.compile(r"(?P<name>[\w\s.\"'-]+?)\s*=")


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
    _refuse_unknown_variables()
    try:
        policy = _validated(table)
    except ValidationError as error:
        faults = [*_faults(error), *_missing_places(root, table.get("environments"))]
        raise _policy_error(root, components, faults) from error
    missing = [*_missing_places(root, policy.model_dump()["environments"])]
    if missing:
        raise _policy_error(root, components, missing)
    return policy


def _validated(table: dict[str, Any]) -> Policy:
    set_ones = (name.upper() for name, value in os.environ.items() if value)
    if any(each.startswith(_PREFIX) and each != _PROJECT for each in set_ones):
        from elt_env.project.variables import with_variables  # slow to load

        return with_variables(_PREFIX, table)
    return Policy.model_validate(table)


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


def line_of(key: str, text: str) -> int | None:
    """Return the line in which a key is written, or else that of the table it would be in.

    Args:
        key: below `[tool.elt-env]`, as in `environments.elt.pythons`.
        text: the content of a pyproject.toml.

    Returns:
        The first line is 1; None where even the table is not there.
    """
    wanted = _plain(f"{_TABLE}.{key}")
    table, found, length = "", None, 0
    for number, line in enumerate(text.splitlines(), 1):
        header, named = _HEADER.match(line), _KEY.match(line)
        if header:
            table = name = _plain(header["name"])
        elif named:
            name = f"{table}.{_plain(named['name'])}"
        else:
            continue
        is_around = f"{wanted}.".startswith(f"{name}.") and name.startswith(_TABLE)
        if is_around and len(name) > length:
            found, length = number, len(name)
    return found


def _plain(name: str) -> str:
    """Return a dotted key without quotes and blanks; the policy takes `_` for `-`."""
    return re.sub(r"[\s\"']", "", name).replace("_", "-")
