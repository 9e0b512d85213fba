"""`pixi.toml`, and `[tool.pixi]` of a pyproject.toml, as a spec.

https://pixi.sh/latest/reference/pixi_manifest/
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from elt_env.spec.foreign.bounds import named
from elt_env.spec.foreign.conda_table import channels_of, conda_line
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

    Args:
        file: where it stands.
        place: the keys of its table, none for a pixi.toml.
    """
    table = file.table(*place) if place else file.content
    head = file.part(table, "workspace") or file.part(table, "project")
    file.skip(("feature", "environments"), table)
    file.skip(("pypi-options",), table, OWN_INDEX)
    file.skip(_RULES, head, _RULE)
    targets = file.part(table, "target")
    tables = [table, *(file.part(targets, each) for each in _TARGETS)]
    conda = {k: v for kind in _CONDA for each in tables for k, v in file.part(each, kind).items()}
    pip = {k: v for each in tables for k, v in file.part(each, "pypi-dependencies").items()}
    activation = [file.part(each, "activation") for each in tables]
    for each in activation:
        file.skip(("scripts",), each, _SCRIPTS)
    return Asked(
        name=str(head.get("name") or file.text("project", "name")),
        channels=channels_of(head.get("channels")),
        conda=tuple(_conda(file, conda)),
        pip=(*file.texts("project", "dependencies"), *named(file, pip)),
        variables=dict(_variables(file, activation)),
    )


def _conda(file: TomlFile, table: Mapping[str, Any]) -> Iterator[Listed]:
    for name, each in table.items():
        if isinstance(each, (bool, list)):
            file.wrong_bound(name)
        elif isinstance(each, dict) and {"path", "git", "url"} & {*each}:
            problem = f"'{name}' is built from its source by pixi, which nothing does here."
            file.wrong(name, problem, "Put its package into a channel, or leave it out.")
        else:
            yield conda_line(name, each), file.key_line(name)


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
