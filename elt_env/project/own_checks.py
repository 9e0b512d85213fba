"""A team's own checks: what `[tool.elt-env.environments.NAME.checks.CHECK]` says of each."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from elt_env.package.names import VARIABLE
from elt_env.project.durations import Duration

IN_IMAGE = "_in_image"
"""What the name of a check ends with that runs in the image what another runs in the prefix."""

BUILT_IN_CHECKS = (
    *("pip_check", "mixed_managers", "conda_scripts", "isolation", "native_libraries"),
    *("binary_abi", "extra_imports", "console_scripts", "imports", "reproducible"),
    *("solver_differences", "startup_code", "meltano_smoke", "dbt_smoke", "dagster_smoke"),
    *("image_format", "image_content", "image_runs"),
)
"""The names of this package's own checks, which no other check may have."""

PLACES = ("project", "profiles", "state")
"""The keys that name directories; where a kind has them."""

_JOBS = ("build", "relock", "health", "promote", "rollback")
_NAME = re.compile(r"[a-z][a-z0-9_]*")


def _check_name(text: str) -> str:
    if _NAME.fullmatch(text) is None:
        raise ValueError(
            f"'{text}' is no name for a check: write lower case letters, digits and _, "
            "a letter first"
        )
    if text in BUILT_IN_CHECKS:
        raise ValueError(f"'{text}' is a check that every environment has; take another name")
    if text in _JOBS:
        raise ValueError(f"'{text}' would be the name of a job that there is; take another name")
    return text


def _variable(text: str) -> str:
    if VARIABLE.fullmatch(text) is None:
        raise ValueError(f"'{text}' is not the name of a variable; the value is not written here")
    return text


def _words(text: str) -> str:
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise ValueError(f"'{text}' is not written as for a shell: {error}") from error
    if not words:
        raise ValueError("it is empty")
    return text


def _inside(text: str) -> str:
    if text.startswith("/") or ".." in text.split("/"):
        raise ValueError("it leads out of the project; name a directory in it")
    return text


CheckName = Annotated[str, AfterValidator(_check_name)]
Words = Annotated[str, AfterValidator(_words)]
"""Words as a shell splits them; nothing is expanded."""
Variable = Annotated[str, AfterValidator(_variable)]
Place = Annotated[str, Field(min_length=1)]
Inside = Annotated[str, Field(min_length=1), AfterValidator(_inside)]
"""A path that does not lead out of where it begins."""


class _OwnCheck(BaseModel):
    """What checks of all kinds have.

    Each key is one of the policy, written with `-` for `_`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    exclude: tuple[str, ...] = Field(
        (), description="what of the project is not copied: names or paths in it, with `*` and `?`"
    )
    environment: tuple[Variable, ...] = Field(
        (), description="names of variables that are handed on; their values are masked everywhere"
    )
    limit: Duration = Field(
        timedelta(minutes=30), gt=timedelta(0), description="how long it may take"
    )
    blocking: bool = Field(
        default=True, description="whether nothing is released while it does not hold"
    )
    in_image: bool = Field(default=False, description="whether it runs in the image as well")

    directory: Inside | None = Field(
        None,
        description="directory in `project` in which the tool is started, where the project reads "
        "what lies beside it; by default `project` itself",
    )

    @model_validator(mode="after")
    def _of_a_project(self) -> _OwnCheck:
        if self.directory and not getattr(self, "project", None):
            raise ValueError("'directory' lies in 'project', which is not named")
        return self

    @property
    def words(self) -> tuple[str, ...]:
        """What `run` says, word by word; empty without it."""
        return tuple(shlex.split(getattr(self, "run", None) or ""))

    @property
    def places(self) -> dict[str, str]:
        """The directories it reads, by the key that names each, as they are written."""
        found = {key: getattr(self, key, None) for key in PLACES}
        return {key: each for key, each in found.items() if each is not None}


class DbtCheck(_OwnCheck):
    """A dbt project is run, and every node has to do what it should."""

    kind: Literal["dbt"]
    project: Place = Field(description="directory of the project, relative to the policy's")
    run: Words = Field("build", description="what comes after `dbt`")
    profiles: Place | None = Field(
        None, description="directory of the `profiles.yml`; by default the project's own"
    )
    target: str | None = Field(
        None, min_length=1, description="the profile's target; by default the profile's own"
    )
    state: Place | None = Field(
        None, description="directory of the artifacts that `state:` in `run` compares with"
    )


class MeltanoCheck(_OwnCheck):
    """A Meltano project is run, and every row that is extracted has to be loaded."""

    kind: Literal["meltano"]
    project: Place = Field(description="directory of the project, relative to the policy's")
    run: Words | None = Field(
        None,
        description="what comes after `meltano`; by default `run` with every job of the project",
    )
    meltano_environment: str | None = Field(
        None, min_length=1, description="Meltano's environment; by default the project's own"
    )
    rows: int | None = Field(
        None, ge=0, description="how many rows have to arrive; by default what was extracted"
    )
    loaded: tuple[str, ...] = Field(
        (),
        description="files below the project that the loader writes, with `*`: their rows are "
        "counted; by default what the loader itself says",
    )


class DagsterCheck(_OwnCheck):
    """The definitions of a Dagster project load and are valid."""

    kind: Literal["dagster"]
    project: Place = Field(description="directory of the project, relative to the policy's")
    run: Words = Field("definitions validate", description="what comes after `dagster`")
    module: str | None = Field(
        None,
        min_length=1,
        description="module of the definitions; by default what the project's `pyproject.toml` or "
        "`workspace.yaml` says",
    )
    file: str | None = Field(None, min_length=1, description="file of the definitions, instead")

    @model_validator(mode="after")
    def _one_of_two(self) -> DagsterCheck:
        if self.module and self.file:
            raise ValueError("'module' and 'file' both say where the definitions are; keep one")
        return self


class PytestCheck(_OwnCheck):
    """The tests of a project pass; the environment has to have pytest."""

    kind: Literal["pytest"]
    project: Place = Field(description="directory of the project, relative to the policy's")
    run: Words = Field("-q", description="what comes after `pytest`")


class CommandCheck(_OwnCheck):
    """A command ends with exit code 0."""

    kind: Literal["command"]
    run: Words = Field(
        description="the command: a program of the environment, a file of the project as "
        "`./check.sh`, or `sh -c '…'`"
    )
    project: Place | None = Field(
        None, description="directory that it runs in a copy of; by default an empty one"
    )


OwnCheck = Annotated[
    DbtCheck | MeltanoCheck | DagsterCheck | PytestCheck | CommandCheck, Field(discriminator="kind")
]

KINDS: dict[str, type[_OwnCheck]] = {
    "dbt": DbtCheck,
    "meltano": MeltanoCheck,
    "dagster": DagsterCheck,
    "pytest": PytestCheck,
    "command": CommandCheck,
}
"""The classes by the word that `kind` has."""


def ambiguities(checks: Mapping[str, Mapping[str, OwnCheck]]) -> Iterator[str]:
    """Yield in a sentence each name that would stand for two things, a check or a job.

    Args:
        checks: each environment's own checks.
    """
    for own in checks.values():
        for name in own:
            if name.endswith(IN_IMAGE) and name.removesuffix(IN_IMAGE) in own:
                other = name.removesuffix(IN_IMAGE)
                yield f"'{name}' is what the check '{other}' is called in the image; rename one"
    jobs: dict[str, str] = {}
    for environment, own in checks.items():
        group = environment.replace("-", "_")
        for job in (*_JOBS, *BUILT_IN_CHECKS, *own):
            other = jobs.setdefault(f"{group}_{job}", environment)
            if other != environment:
                yield f"'{other}' and '{environment}' would both have a job '{group}_{job}'"
