"""The spec: what a person asked for, read from a plain conda `environment.yml`."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeVar
from urllib.parse import urlsplit

import yaml
from packaging.requirements import InvalidRequirement, Requirement

from elt_env.errors import SpecError
from elt_env.model.canonical import digest_of
from elt_env.model.conda_spec import CondaSpec, admits_minor, parse_conda_spec
from elt_env.model.credentials import (
    WHERE_CREDENTIALS_BELONG,
    channel_carries_credentials,
    channel_host,
    requirement_carries_credentials,
    without_credentials,
)
from elt_env.model.names import normalize

_KEYS = ("name", "channels", "dependencies")
_EXAMPLE = "Write it as conda does: name, channels, dependencies, and a 'pip:' list inside."
_Item = TypeVar("_Item")


@dataclass(frozen=True)
class Spec:
    """What a person asked for.

    Attributes:
        source: where it was read, for messages.
        channels: conda channels, the first has priority.
        python: the version bound on Python that the spec carries, or "".
        conda: conda requirements without Python, sorted.
        pip: requirements for pip (PEP 508), normalized and sorted.
        variables: environment variables and their values, sorted by name.
    """

    source: str
    channels: tuple[str, ...]
    python: str
    conda: tuple[CondaSpec, ...]
    pip: tuple[str, ...]
    variables: tuple[tuple[str, str], ...] = ()

    @property
    def digest(self) -> str:
        """The digest of what is asked for; the order of requirements does not enter."""
        content: dict[str, object] = {
            "channels": list(self.channels),
            "python": self.python,
            "conda": [str(spec) for spec in self.conda],
            "pip": list(self.pip),
        }
        if self.variables:
            content["variables"] = [list(each) for each in self.variables]
        return digest_of(content)

    def require_python(self, minors: Iterable[str]) -> None:
        """Return when the spec's bound on Python admits all `minors`.

        Raises:
            SpecError: a minor is outside the bound.
        """
        outside = [minor for minor in minors if not admits_minor(self.python, minor)]
        if outside:
            raise SpecError(
                f"{self.source}: 'python {self.python}' excludes Python {', '.join(outside)}, "
                "which the policy lists.",
                "Widen the bound, or take the version out of 'pythons' in [tool.elt-env].",
            )


def parse_spec(text: str, source: str) -> Spec:
    """Return the spec that the YAML `text` holds; `source` names it in messages.

    Raises:
        SpecError: not YAML, an unknown key, an invalid requirement, or a package asked for twice.
    """
    document = _document(text, source)
    channels = _channels(document.get("channels"), source)
    plain, pip_lines = _dependencies(document.get("dependencies"), source)
    _refuse_credentials_in(plain, source)
    conda = _parse_each(plain, parse_conda_spec, "conda requirement", source)
    pip = _parse_each(pip_lines, _requirement, "pip requirement", source)
    _refuse_duplicates(conda, pip, source)
    return Spec(
        source=source,
        channels=channels,
        python=_python_bound(conda, source),
        conda=tuple(sorted(spec for spec in conda if spec.name != "python")),
        pip=tuple(sorted(str(requirement) for requirement in pip)),
    )


def _python_bound(conda: list[CondaSpec], source: str) -> str:
    python = next((spec for spec in conda if spec.name == "python"), None)
    if python is None:
        raise SpecError(f"{source}: 'python' is not among the dependencies.", "Add '- python'.")
    if python.build or python.channel:
        raise SpecError(
            f"{source}: '{python}' asks for a build or a channel of Python.",
            "Write '- python', with a version bound at most: the policy lists the Pythons.",
        )
    return python.version


def _document(text: str, source: str) -> dict[str, object]:
    try:
        document = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError) as error:  # ValueError: 2024-13-45 is read as a date
        where = getattr(error, "problem_mark", None)
        line = f", line {where.line + 1}" if where else ""
        what = getattr(error, "problem", None) or str(error).split("\n", maxsplit=1)[0]
        raise SpecError(f"{source}{line}: not valid YAML: {what}.", _EXAMPLE) from error
    if not isinstance(document, dict):
        raise SpecError(f"{source}: a mapping is expected at the top.", _EXAMPLE)
    unknown = [str(key) for key in document if key not in _KEYS]
    if unknown:
        raise SpecError(
            f"{source}: unknown key '{unknown[0]}'.",
            f"Remove it; a spec has the keys {', '.join(_KEYS)}.",
        )
    return document


def _channels(value: object, source: str) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise SpecError(f"{source}: 'channels' is not a list of names or URLs.", _EXAMPLE)
    channels = tuple(item for item in value if item != "nodefaults")
    if not channels:
        raise SpecError(f"{source}: no channel is listed.", "Add one, as in: - conda-forge")
    for channel in channels:
        _refuse_credentials(channel, source)
    return channels


def _refuse_credentials(channel: str, source: str) -> None:
    if channel_carries_credentials(channel):
        host = channel_host(channel)
        raise SpecError(
            f"{source}: the channel{f' at {host}' if host else ''} carries a credential.",
            WHERE_CREDENTIALS_BELONG,
        )
    try:
        urlsplit(channel)
    except ValueError as error:
        raise SpecError(
            f"{source}: the channel '{without_credentials(channel)}' is not a URL: {error}.",
            "Write a name, a https:// URL or a file:// URL.",
        ) from error


def _refuse_credentials_in(requirements: Iterable[str], source: str) -> None:
    for text in requirements:
        if requirement_carries_credentials(text):
            shown = without_credentials(text) if "://" in text else text.rpartition("::")[2]
            raise SpecError(
                f"{source}: the channel of '{shown}' carries a credential.",
                WHERE_CREDENTIALS_BELONG,
            )


def _dependencies(value: object, source: str) -> tuple[list[str], list[str]]:
    if not isinstance(value, list):
        raise SpecError(f"{source}: 'dependencies' is not a list.", _EXAMPLE)
    plain: list[str] = []
    pip: list[str] = []
    for item in value:
        if isinstance(item, str):
            plain.append(item)
        elif isinstance(item, dict) and list(item) == ["pip"] and _is_texts(item["pip"]):
            pip.extend(item["pip"])
        else:
            raise SpecError(
                f"{source}: '{without_credentials(str(item))}' is neither a requirement nor a "
                "pip list.",
                _EXAMPLE,
            )
    return plain, pip


def _is_texts(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def _parse_each(
    texts: list[str], parse: Callable[[str], _Item], what: str, source: str
) -> list[_Item]:
    items = []
    for text in texts:
        try:
            items.append(parse(text))
        except ValueError as error:
            shown = without_credentials(text)
            raise SpecError(
                f"{source}: '{shown}' is not a valid {what}: {error}.", f"Correct it in {source}."
            ) from error
    return items


def _requirement(text: str) -> Requirement:
    if text.startswith("-"):
        message = "options and files have no place in a spec, list the packages"
        raise ValueError(message)
    try:
        requirement = Requirement(text)
    except InvalidRequirement as error:
        raise ValueError(str(error).split("\n", maxsplit=1)[0].rstrip(".")) from error
    if requirement.url:
        message = "a package is locked from an index, not from a URL"
        raise ValueError(message)
    requirement.name = normalize(requirement.name)
    return requirement


def _refuse_duplicates(conda: list[CondaSpec], pip: list[Requirement], source: str) -> None:
    seen: dict[str, str] = {}
    named = [(spec.name, "conda") for spec in conda] + [(each.name, "pip") for each in pip]
    for name, side in named:
        other = seen.setdefault(normalize(name), side)
        if other != side:
            raise SpecError(
                f"{source}: '{name}' is asked for from both conda and pip.",
                "Keep it on one side: conda for compiled libraries, pip for the ELT tools.",
            )
    for listed in (conda, pip):
        names = [normalize(each.name) for each in listed]
        twice = [name for name in names if names.count(name) > 1]
        if twice:
            raise SpecError(
                f"{source}: '{twice[0]}' is listed twice.", "Join the two into one requirement."
            )
