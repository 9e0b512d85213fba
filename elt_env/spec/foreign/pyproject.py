"""`pyproject.toml` as a spec: PEP 621, PEP 735, and the tables of uv, Poetry and conda-lock."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from typing import Any

from packaging.dependency_groups import DependencyGroupResolver
from packaging.errors import ExceptionGroup
from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import InvalidSpecifier, SpecifierSet

from elt_env.errors import SpecError
from elt_env.package.names import normalize
from elt_env.spec.conda_join import both_versions
from elt_env.spec.faults import Fault, WrittenError
from elt_env.spec.foreign.bounds import (
    local_path,
    named,
    place_of,
    poetry_bound,
    poetry_python,
)
from elt_env.spec.foreign.conda_table import channels_of, conda_line
from elt_env.spec.foreign.told import OWN_INDEX, Asked, Listed, TomlFile

_POETRY = ("tool", "poetry")
_GROUPS = (
    "Only what every user of the project needs is locked. For a group write an environment.yml "
    "whose pip list has '-r pyproject.toml' and '--group pyproject.toml:NAME'."
)
_UV_INDEXES = ("index", "index-url", "extra-index-url", "find-links", "no-index")
# What of uv's settings changes which versions are chosen, and has no line in a spec.
_UV_RULES = (
    "override-dependencies",
    "exclude-dependencies",
    "dependency-metadata",
    "prerelease",
    "resolution",
    "exclude-newer",
    "no-binary",
    "no-binary-package",
    "no-build",
    "no-build-package",
    "environments",
    "conflicts",
)
_UV_RULE = "uv alone keeps it; the policy in [tool.elt-env] has pre-releases, cool-down and more."
_SETUPTOOLS = ("tool", "setuptools", "dynamic")
_HATCH = ("tool", "hatch", "metadata", "hooks", "requirements_txt")
_PDM_ROOT = "file:///${PROJECT_ROOT}"
_MEMBER = (
    "No lock can name what is in a directory. Start from uv's lock, without it: elt-env adopt "
    "uv.lock --as NAME@3.11; or write an environment.yml whose pip list has '-r "
    "MEMBER/pyproject.toml' for each member."
)
_MERELY_NAMED = "Poetry takes only what [project] dependencies names; name it there."


def asked_of(file: TomlFile) -> Asked:
    """Return what a project asks for.

    Raises:
        SpecError: it asks for nothing.
    """
    _skip_groups(file)
    file.skip(("source",), file.table(*_POETRY), OWN_INDEX)
    file.skip(_UV_INDEXES, file.table("tool", "uv"), OWN_INDEX)
    file.skip(_UV_RULES, file.table("tool", "uv"), _UV_RULE)
    conda, more = _conda_lock(file)
    pip = (*_dependencies(file), *more)
    if not pip and "dependencies" in _texts(file.at("project", "dynamic")):
        raise SpecError(
            f"{file.source} does not tell what it asks for: its 'dependencies' are dynamic, and "
            "known when it is built.",
            "Write them into [project] dependencies (PEP 621), or name a requirements file that "
            "has them, as in: elt-env build requirements.txt",
        )
    if not pip and not conda and not isinstance(file.at("project", "dependencies"), list):
        raise SpecError(
            f"{file.source} asks for nothing: it has no list [project] dependencies.",
            'Write them there (PEP 621), as in: dependencies = ["dbt-duckdb"]',
        )
    return Asked(
        name=file.text("project", "name") or file.text(*_POETRY, "name"),
        channels=channels_of(file.at("tool", "conda-lock", "channels")),
        conda=(*pythons(file), *conda),
        pip=pip,
        bounds=file.texts("tool", "uv", "constraint-dependencies"),
    )


def _skip_groups(file: TomlFile) -> None:
    file.skip(("optional-dependencies",), file.table("project"), _GROUPS)
    file.skip(("dependency-groups",), file.content, _GROUPS)
    file.skip(("group", "extras", "dev-dependencies"), file.table(*_POETRY), _GROUPS)
    for tool in ("uv", "pdm"):
        file.skip(("dev-dependencies",), file.table("tool", tool), _GROUPS)


def groups_left_out(text: str, source: str) -> tuple[Fault, ...]:
    """Return what tells of the extras and groups of a pyproject.toml.

    Raises:
        FaultsError: it is not TOML.
    """
    file = TomlFile(text, source)
    _skip_groups(file)
    return file.left_out


def project_requirements(text: str, source: str) -> tuple[tuple[Listed, ...], tuple[Fault, ...]]:
    """Return what the project in a pyproject.toml asks pip for, and what is left out.

    Raises:
        FaultsError: it is not TOML, or asks for what is no requirement.
    """
    file = TomlFile(text, source)
    found = _dependencies(file)
    file.refuse_faults()
    return found, file.left_out


def included_requirements(text: str, source: str) -> tuple[tuple[Listed, ...], tuple[Fault, ...]]:
    """Return the same of a pyproject.toml that another file names.

    Raises:
        FaultsError: as `project_requirements`.
        WrittenError: it does not tell what it asks for.
    """
    file = TomlFile(text, source)
    found = project_requirements(text, source)
    is_list = isinstance(file.at("project", "dependencies"), list)
    if not found[0] and not is_list and not file.at(*_POETRY):
        raise WrittenError(
            f"{source} has no list [project] dependencies",
            "Write them there (PEP 621), or name a group: --group pyproject.toml:NAME",
        )
    return found


def python_bound(text: str, source: str) -> str:
    """Return what a pyproject.toml asks of Python, as conda writes it, or "".

    Raises:
        FaultsError: it is not TOML, or its bound is none.
    """
    file = TomlFile(text, source)
    found = [each.removeprefix("python").strip() for each, _ in pythons(file)]
    file.refuse_faults()
    return functools.reduce(both_versions, found)


def group_requirements(text: str, source: str, group: str) -> tuple[Listed, ...]:
    """Return what a group in a pyproject.toml asks for, or an extra.

    Raises:
        FaultsError: it is not TOML, or a requirement of Poetry's is wrong.
        WrittenError: there is no such group, or it is wrong.
    """
    file = TomlFile(text, source)
    groups = _groups(file)
    if normalize(group) in map(normalize, groups):
        return listed_group(file, group)
    poetry = {normalize(name): each for name, each in file.table(*_POETRY, "group").items()}
    if legacy := file.table(*_POETRY, "dev-dependencies"):
        poetry.setdefault("dev", {"dependencies": legacy})
    if normalize(group) not in poetry:
        known = ", ".join(sorted({*groups, *poetry})) or "none"
        raise WrittenError(
            f"{source} has no group '{group}'", f"It has: {known}. Name one of them."
        )
    table = file.part(poetry[normalize(group)], "dependencies")
    found = tuple(named(file, table, poetry_bound))
    file.refuse_faults()
    return found


def listed_group(file: TomlFile, group: str) -> tuple[Listed, ...]:
    """Return what a group of PEP 735 or an extra asks for, each requirement with its line.

    Raises:
        WrittenError: it is wrong.
    """
    groups = _groups(file)
    written = {_written(each): each for listed in groups.values() for each in _texts(listed)}
    asked = _resolved(groups, group, file.source)
    return tuple((each, file.line_of(written.get(each, each))) for each in asked)


def _groups(file: TomlFile) -> dict[str, Any]:
    """Return extras, groups of PEP 735, and those that uv and PDM had before it, as groups."""
    own = normalize(file.text("project", "name"))
    extras = file.table("project", "optional-dependencies")
    groups = {name: _without_own(listed, own) for name, listed in extras.items()}
    pdm = file.at("tool", "pdm", "dev-dependencies")
    groups |= pdm if isinstance(pdm, dict) else {}
    groups |= file.table("dependency-groups")
    uv = _texts(file.at("tool", "uv", "dev-dependencies"))
    if uv:
        dev = groups.get("dev")
        groups["dev"] = [*(dev if isinstance(dev, list) else []), *uv]
    return groups


def _without_own(listed: object, own: str) -> list[object]:
    """Return the items of an extra, with the extras that `own[extra]` names as groups."""
    found: list[object] = []
    for text in _texts(listed):
        try:
            asked = Requirement(text)
        except InvalidRequirement:  # said where the group is resolved
            asked = None
        if asked is not None and own and normalize(asked.name) == own:
            found += [{"include-group": each} for each in sorted(asked.extras)]
        else:
            found.append(text)
    return found


def _resolved(groups: Mapping[str, Any], group: str, source: str) -> tuple[str, ...]:
    """Return the requirements of a group with those of the groups that it includes (PEP 735)."""
    try:
        return tuple(map(str, DependencyGroupResolver(groups).resolve(group)))
    except ExceptionGroup as error:
        problem = "; ".join(str(each) for each in error.exceptions)
        raise WrittenError(
            f"the group '{group}' of {source} cannot be used: {problem}", "Correct it there."
        ) from error


def _texts(listed: object) -> list[str]:
    return [each for each in listed if isinstance(each, str)] if isinstance(listed, list) else []


def _written(text: str) -> str:
    try:
        return str(Requirement(text))
    except InvalidRequirement:  # said where the group is resolved
        return text


def _dependencies(file: TomlFile) -> tuple[Listed, ...]:
    """Return what pip is asked for: the list of PEP 621, else the table of Poetry.

    Where there are both, Poetry's table only tells where a package of the list is taken from.
    """
    table = {k: v for k, v in file.table(*_POETRY, "dependencies").items() if k != "python"}
    listed = file.texts("project", "dependencies")
    if not listed:
        group = file.table(*_POETRY, "group", "main", "dependencies")
        return (*named(file, {**table, **group}, poetry_bound), *_dynamic(file))
    names = {_name(text) for text, _ in listed}
    file.skip([each for each in table if normalize(each) not in names], table, _MERELY_NAMED)
    sources = {**table, **file.table("tool", "uv", "sources")}
    places = {normalize(name): told for name, told in map(_one_place, sources.items()) if told}
    return tuple(each for listed_one in listed for each in _placed(file, *listed_one, places))


def _dynamic(file: TomlFile) -> Iterator[Listed]:
    """Yield what includes the files that a build backend reads the dependencies from.

    https://setuptools.pypa.io/en/latest/userguide/pyproject_config.html#dynamic-metadata
    """
    if "dependencies" not in _texts(file.at("project", "dynamic")):
        return
    written = (file.at(*_SETUPTOOLS, "dependencies", "file"), file.at(*_HATCH, "files"))
    for each in written:
        for name in [each] if isinstance(each, str) else _texts(each):
            yield f"-r {name}", file.line_of(name)


def _name(text: str) -> str:
    try:
        return normalize(Requirement(text).name)
    except InvalidRequirement:  # said where the requirement is read
        return ""


def _one_place(source: tuple[str, object]) -> tuple[str, dict[str, Any]]:
    """Return the table of a package, where one place is told for every platform."""
    name, told = source
    table = told[0] if isinstance(told, list) and len(told) == 1 else told
    return name, table if isinstance(table, dict) else {}


def _placed(
    file: TomlFile, text: str, line: int, places: Mapping[str, dict[str, Any]]
) -> Iterator[Listed]:
    """Yield a requirement with the place that its package is taken from."""
    try:
        asked = Requirement(text)
    except InvalidRequirement:  # said where the requirement is read
        yield text, line
        return
    table = places.get(normalize(asked.name), {})
    if asked.url and asked.url.startswith(_PDM_ROOT):
        table = {"path": f".{asked.url.removeprefix(_PDM_ROOT)}"}
    place, path = place_of(table), "" if asked.marker else local_path(table)
    if table.get("workspace"):
        file.wrong(asked.name, f"'{asked.name}' is a member of this workspace.", _MEMBER)
    elif path:
        yield from file.project_at(path, line, asked.name, sorted(asked.extras))
    elif place:
        extras = f"[{','.join(sorted(asked.extras))}]" if asked.extras else ""
        marker = f" ; {asked.marker}" if asked.marker else ""
        yield f"{asked.name}{extras}{place}{marker}", line
    else:
        yield text, line


def pythons(file: TomlFile) -> Iterator[Listed]:
    """Yield what is asked of Python, by PEP 621 and by Poetry."""
    project = file.at("project", "requires-python")
    poetry = file.at(*_POETRY, "dependencies", "python")
    if project is not None or poetry is None:
        yield from file.python(project, _bound)
    if poetry is not None:
        yield from file.python(poetry, poetry_python)


def _bound(text: str) -> str:
    """Return a bound that PEP 440 knows.

    Raises:
        WrittenError: it knows none such.
    """
    try:
        SpecifierSet(text)
    except InvalidSpecifier as error:
        raise WrittenError(
            f"requires-python '{text}' is no version bound (PEP 440)",
            'Correct it, as in: requires-python = ">=3.10"',
        ) from error
    return text


def _conda_lock(file: TomlFile) -> tuple[tuple[Listed, ...], tuple[Listed, ...]]:
    """Return what conda-lock's table asks conda and pip for.

    https://conda.github.io/conda-lock/src_pyproject/
    """
    table = file.table("tool", "conda-lock", "dependencies")
    from_pip = {
        name: {**each, "version": each.get("version") or "*"}
        for name, each in table.items()
        if isinstance(each, dict) and (each.get("source") == "pypi" or each.get("url"))
    }
    conda = tuple(
        (conda_line(file, name, each), file.key_line(name))
        for name, each in table.items()
        if name not in from_pip
    )
    return conda, tuple(named(file, from_pip, poetry_bound))
