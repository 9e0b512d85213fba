"""The policy: every setting of the project as one frozen value.

Reading it from files and variables is `elt_env.tools.settings`' part.
"""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

_DURATION = re.compile(r"(?P<count>\d+) ?(?P<unit>minute|hour|day|week)s?")


def parse_duration(value: object) -> object:
    """Turn `3 days`, `12 hours`, `1 week` or `0` into a timedelta; leave the rest as it is.

    Raises:
        ValueError: a text that is none of these.
    """
    if not isinstance(value, str):
        return value
    text = value.strip()
    if text == "0":
        return timedelta(0)
    found = _DURATION.fullmatch(text)
    if found is None:
        message = "write a number and a unit, as in '3 days', '12 hours' or '0'"
        raise ValueError(message)
    return timedelta(**{found["unit"] + "s": int(found["count"])})


Duration = Annotated[timedelta, BeforeValidator(parse_duration)]
PythonMinor = Annotated[str, Field(pattern=r"^3\.\d+$")]
EnvironmentName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]*$")]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class EnvironmentPolicy(_Frozen):
    """What holds for one environment."""

    spec: str = Field(description="path of the spec, relative to the project")
    pythons: tuple[PythonMinor, ...] = Field(
        min_length=1, description="Python minors to lock for; the first is the default"
    )
    conda: Literal["rattler"] = Field("rattler", description="solves and links the conda half")
    resolver: Literal["uv"] = Field("uv", description="resolves the pip half")
    installer: Literal["uv", "pip"] = Field("uv", description="runs the one pip install command")
    promote: Literal["auto", "manual"] = Field(
        "auto", description="whether a proven lock becomes the release by itself"
    )
    imports_allow: tuple[str, ...] = Field(
        (), description="modules that may fail to import in a healthy environment"
    )


class Policy(_Frozen):
    """The settings of the whole project, `[tool.elt-env]`."""

    home: str = Field(".elt_env", description="directory of the store, relative to the project")
    cooldown: Duration = Field(timedelta(days=3), description="ignore releases younger than this")
    wheels_only: bool = Field(default=True, description="lock wheels only, never an sdist")
    allow_sdist: tuple[str, ...] = Field((), description="distributions that may be an sdist")
    channel_fallback: Literal["host", "none"] = Field(
        "none", description="what replaces a conda channel that cannot be reached"
    )
    channel_alias: str | None = Field(
        None, description="base URL that channel names are relative to, when not the tool's own"
    )
    index: str | None = Field(
        None, description="URL of the package index, when not the one of the pip or uv settings"
    )
    extra_indexes: tuple[str, ...] = Field((), description="URLs of further package indexes")
    busy_limit: Duration = Field(
        timedelta(minutes=30), description="how long to wait for another builder of a prefix"
    )
    tool_limit: Duration = Field(
        timedelta(minutes=30), description="how long one run of a tool may take"
    )
    executor: Literal["in-process", "multiprocess"] = Field(
        "in-process", description="Dagster executor of the jobs"
    )
    environments: dict[EnvironmentName, EnvironmentPolicy] = Field(
        min_length=1, description="the environments by name"
    )
