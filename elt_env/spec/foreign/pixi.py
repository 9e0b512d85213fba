"""`pixi.toml`, and `[tool.pixi]` of a pyproject.toml, as a spec.

https://pixi.sh/latest/reference/pixi_manifest/
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from elt_env.spec.faults import WrittenError
from elt_env.spec.foreign.bounds import named
from elt_env.spec.foreign.conda_table import channels_of, conda_line
from elt_env.spec.foreign.pyproject import listed_group, pythons
from elt_env.spec.foreign.told import OWN_INDEX, Asked, Listed, TomlFile

# The later ones come before the earlier ones, and before the tables of all platforms.
_TARGETS = ("unix", "linux", "linux-64")
# pixi installs all three.
_CONDA = ("dependencies", "host-dependencies", "build-dependencies")
_RULES = ("channel-priority", "exclude-newer", "solve-strategy")
_RULE = "pixi alone keeps it; the policy in [tool.elt-env] has cool-down and more."
_SCRIPTS = "Activation scripts of conda packages are run; one of a project is not."


def asked_of(file: TomlFile, *place: str) -> Asked:
    """Return what a workspace asks for in its default environment.

    Where features ask for one package, it is what they all ask for.

    Args:
        file: where it stands.
        place: the keys of its table, none for a pixi.toml.
    """
    table = file.table(*place) if place else file.content
    head = file.part(table, "workspace") or file.part(table, "project")
    file.skip(_RULES, head, _RULE)
    features = _features(file, table)
    groups = tuple(_groups(file, features)) if place else ()
    channels = [each.get("channels") or head.get("channels") for each in features.values()]
    parts = [_tables(file, each) for each in features.values()]
    activation = [file.part(each, "activation") for part in reversed(parts) for each in part]
    for each in activation:
        file.skip(("scripts",), each, _SCRIPTS)
    return Asked(
        name=str(head.get("name") or file.text("project", "name")),
        channels=tuple(dict.fromkeys(name for each in channels for name in channels_of(each))),
        conda=(
            *_python(file, parts, place),
            *(each for part in parts for each in _conda(file, part)),
        ),
        pip=(
            *file.texts("project", "dependencies"),
            *groups,
            *(each for part in parts for each in _pip(file, part)),
        ),
        variables=dict(_variables(file, activation)),
    )


def _features(file: TomlFile, table: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the tables that the default environment is made of, that of all environments last."""
    known, environments = file.part(table, "feature"), file.part(table, "environments")
    told = environments.get("default") or {}
    default = {"features": told} if isinstance(told, list) else told
    default = default if isinstance(default, dict) else {}
    listed = default.get("features") or []
    names = [str(each) for each in listed] if isinstance(listed, list) else []
    file.skip(("feature",) if {*known} - {*names} else (), table)
    file.skip(("environments",) if {*environments} - {"default"} else (), table)
    found = {each: file.part(known, each) for each in names}
    # An environment may have tables of its own; a name without a letter is no feature's.
    found |= {"": default, "default": {} if default.get("no-default-feature") else table}
    for each in found.values():
        file.skip(("pypi-options",), each, OWN_INDEX)
    return found


def _groups(file: TomlFile, features: Iterable[str]) -> Iterator[Listed]:
    """Yield what the extras and groups of a project ask for that are features by their name."""
    named_so = {
        *file.table("dependency-groups"),
        *file.table("project", "optional-dependencies"),
    }
    for each in features:
        try:
            yield from listed_group(file, each) if each in named_so else ()
        except WrittenError as error:
            file.wrong(each, f"{error.problem}.", error.remedy)


def _tables(file: TomlFile, feature: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the tables of a feature that count on this platform, the nearest last."""
    targets = file.part(feature, "target")
    return [feature, *(file.part(targets, each) for each in _TARGETS)]


def _pip(file: TomlFile, tables: Iterable[Mapping[str, Any]]) -> Iterator[Listed]:
    asked = {k: v for each in tables for k, v in file.part(each, "pypi-dependencies").items()}
    for name, each in asked.items():
        if isinstance(each, dict):
            file.skip_of(name, {"index"} & {*each}, each, OWN_INDEX)
    return named(file, asked)


def _python(
    file: TomlFile, parts: Iterable[Iterable[Mapping[str, Any]]], place: tuple[str, ...]
) -> Iterator[Listed]:
    """Yield what a project asks of Python, where no table of conda packages does."""
    tables = [file.part(each, kind) for part in parts for each in part for kind in _CONDA]
    if place and not any("python" in each for each in tables):
        yield from pythons(file)


def _conda(file: TomlFile, tables: Iterable[Mapping[str, Any]]) -> Iterator[Listed]:
    asked = {k: v for kind in _CONDA for each in tables for k, v in file.part(each, kind).items()}
    for name, each in asked.items():
        if isinstance(each, (bool, list)):
            file.wrong_bound(name)
        elif isinstance(each, dict) and {"path", "git", "url"} & {*each}:
            problem = f"'{name}' is built from its source by pixi, which nothing does here."
            file.wrong(name, problem, "Put its package into a channel, or leave it out.")
        else:
            yield conda_line(file, name, each), file.key_line(name)


def _variables(
    file: TomlFile, activation: Iterable[Mapping[str, Any]]
) -> Iterator[tuple[str, Listed]]:
    """Yield the variables of activation that are what they are written as."""
    for each in activation:
        for name, value in file.part(each, "env").items():
            if "$" in str(value):
                file.skip((name,), each["env"], "A variable of a spec is no expression of a shell.")
            else:
                yield name, (str(value), file.key_line(name))
