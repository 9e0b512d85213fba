"""The policy: every setting of the project as one frozen value.

Reading it from files and variables is `elt_env.project.settings`' part.
"""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationInfo,
    field_validator,
)

from elt_env.package.names import REFERENCE
from elt_env.package.platform import PLATFORMS
from elt_env.package.target import ENVIRONMENT, PYTHON
from elt_env.project.durations import Duration
from elt_env.project.own_checks import CheckName, OwnCheck, ambiguities
from elt_env.runtime.credentials import WHERE_CREDENTIALS_BELONG, channel_carries_credentials


def _python_minor(text: str) -> str:
    if re.fullmatch(PYTHON, text) is None:
        raise ValueError(f"'{text}' is not a Python minor, as in '3.11'")
    return text


def _environment_name(text: str) -> str:
    if re.fullmatch(ENVIRONMENT, text) is None:
        raise ValueError(f"'{text}' is not a name: write lower case letters, digits, - and _")
    return text


def _owner(text: str) -> str:
    if re.fullmatch(r"team:[A-Za-z0-9_.-]+|[^@\s]+@[^@\s]+\.[^@\s]+", text) is None:
        raise ValueError(f"'{text}' is no owner: write 'team:data-platform', or a mail address")
    return text


def _package_names(text: str) -> str:
    if re.fullmatch(r"\*|[A-Za-z0-9_][A-Za-z0-9._-]*\*?", text) is None:
        raise ValueError(
            f"'{text}' is no name: write one, or how names begin, as in 'corp-*'; '*' for all"
        )
    return text


def _bare_channel_url(text: str) -> str:
    if text == "nodefaults":
        raise ValueError("'nodefaults' is no channel; none but those that are listed are taken")
    if channel_carries_credentials(text):
        raise ValueError(f"it carries a credential. {WHERE_CREDENTIALS_BELONG}".rstrip("."))
    return text


def _conda_tool(text: str) -> str:
    if re.fullmatch(r"rattler|(?:/(?:[^/]+/)*)?(?:conda|mamba|micromamba)", text) is None:
        raise ValueError(
            f"'{text}' is no conda tool: write rattler, conda, mamba, micromamba, or the absolute "
            "path of one of these programs"
        )
    return text


_ALL = 100  # percent


def _percents(numbers: tuple[int, ...]) -> tuple[int, ...]:
    if numbers and (sorted({*numbers}) != [*numbers] or numbers[0] < 1 or numbers[-1] != _ALL):
        raise ValueError("write percents that rise to 100, as in [1, 10, 100]")
    return numbers


def _platform_name(text: str) -> str:
    if text not in PLATFORMS:
        raise ValueError(f"'{text}' is no platform: write some of {', '.join(PLATFORMS)}")
    return text


def _key_place(text: str) -> str:
    # What is refused may be a key itself, so it is not shown.
    if not (REFERENCE.fullmatch(text) or re.fullmatch(r"(~|\.{1,2})?/.+", text)):
        raise ValueError("write the path of a file, as in './key' or '/run/key', or '${NAME}'")
    return text


def _directory(text: str) -> str:
    if "://" in text:
        raise ValueError("it is a URL; write 'user', 'store', or a directory")
    return text


CacheDirectory = Annotated[str, AfterValidator(_directory)]
ChannelUrl = Annotated[str, AfterValidator(_bare_channel_url)]
CondaName = Annotated[str, AfterValidator(_conda_tool)]
PlatformName = Annotated[str, AfterValidator(_platform_name)]
VirtualPackage = Annotated[str, StringConstraints(pattern=r"^__[a-z0-9_]+$")]
VirtualVersion = Annotated[str, StringConstraints(pattern=r"^([0-9]+(\.[0-9]+)*(=[a-z0-9_]+)?)?$")]
ChannelPriority = Literal["strict", "flexible", "disabled"]
PythonSource = Literal["conda", "venv"]
ResolverName = Literal["uv", "pip", "pip-tools", "poetry"]
EvidenceKey = Annotated[str, AfterValidator(_key_place)]
Owner = Annotated[str, AfterValidator(_owner)]
PackageNames = Annotated[str, AfterValidator(_package_names)]
Percents = Annotated[tuple[int, ...], AfterValidator(_percents)]
PythonMinor = Annotated[str, AfterValidator(_python_minor)]
EnvironmentName = Annotated[str, AfterValidator(_environment_name)]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)


class EnvironmentPolicy(_Frozen):
    """What holds for one environment."""

    spec: str = Field(description="path of the spec, relative to the project")
    merge: tuple[str, ...] = Field(
        (), description="further files whose requirements are merged into the spec"
    )
    pythons: tuple[PythonMinor, ...] = Field(
        min_length=1, description="Python minors to lock for; the first is the default"
    )
    platforms: tuple[PlatformName, ...] = Field(
        (),
        description="platforms to lock for beside that of this machine, as in `linux-aarch64`; "
        "the prefix is built for this machine alone",
    )
    python: PythonSource | None = Field(
        None,
        description="where Python comes from: `conda`, with all that conda can bring; or `venv`, a "
        "virtual environment of an interpreter of this machine, in which pip owns everything; by "
        "default as the project says",
    )
    interpreters: tuple[str, ...] = Field(
        (),
        description='paths of interpreters for `python = "venv"`, taken before those of PATH, '
        "pyenv and uv; the first of the target's minor counts",
    )
    conda: CondaName = Field(
        "rattler",
        description="solves and links the conda half: `rattler`, or the program `conda`, `mamba` "
        "or `micromamba` on PATH or at a path",
    )
    resolver: ResolverName = Field("uv", description="resolves the pip half")
    installer: Literal["uv", "pip"] = Field("uv", description="runs the one pip install command")
    promote: Literal["auto", "manual"] = Field(
        "auto", description="whether a proven lock becomes the release by itself"
    )
    required_checks: tuple[str, ...] | None = Field(
        None, description="the checks that a release needs; by default all blocking that apply"
    )
    accept_not_run: tuple[str, ...] = Field((), description="required checks that may not have run")
    owners: tuple[Owner, ...] = Field((), description="who is asked about its assets")
    imports_allow: tuple[str, ...] = Field(
        (), description="modules that may fail to import in a healthy environment"
    )
    shared_files: Literal["warn", "refuse"] = Field(
        "warn",
        description="what becomes of files that several of pip's distributions bring with "
        "different content",
    )
    image: bool | None = Field(
        None,
        description="whether Dagster makes an image of each lock, which the release then waits "
        "for; by default it does, but of a venv only where `push` is set",
    )
    push: str | None = Field(
        None,
        description="where a new image is pushed to, as `registry.example/team/elt`, by the start "
        "of the lock's digest; the tag of the Python minor moves with the release",
    )
    publish_bundle: bool = Field(
        default=False,
        description="whether a release has a bundle in the store, from which followers build where "
        "no index answers",
    )
    rollout: Percents = Field(
        (),
        description="percent of the machines that follow a release, wave by wave, which may take "
        "it once those before run it well; () is all at once",
    )
    reload_locations: dict[str, tuple[str, ...]] = Field(
        {},
        description="by URL of a Dagster webserver, the code locations that are reloaded when the "
        "release has moved; `${NAME}` in the URL is a variable's value",
    )
    checks: dict[CheckName, OwnCheck] = Field(
        default_factory=dict, description="the team's own checks by name"
    )

    @property
    def has_image(self) -> bool:
        """Whether an image is made of each lock without being asked for."""
        default = self.python != "venv" or self.push is not None
        return default if self.image is None else self.image


class SharedPolicy(_Frozen):
    """What holds for all environments of a project."""

    home: str = Field(
        ".elt_env",
        min_length=1,
        description="the store: a directory, relative to the project, or a bucket, as "
        "`s3://bucket/prefix`, `gs://…` or `az://account/container/prefix`",
    )
    cache_home: CacheDirectory = Field(
        "user",
        min_length=1,
        description="where what can be fetched or made again is kept: `user`, in one place for all "
        "projects of this user; `store`, in the store; or a directory, relative to the project, "
        "which has the prefixes as well where `home` is a bucket",
    )
    bundle_signers: str | None = Field(
        None,
        description="file of those who may sign a bundle; without their signature none is used",
    )
    bundle_key: str | None = Field(
        None,
        description="file of the OpenSSH key that bundles in the store are signed with: a private "
        "one, or a public one whose private half an agent has",
    )
    project_name: str | None = Field(
        None,
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$",
        description="what the store knows the project by, instead of by its place: checkouts of "
        "one project that share a store have one name",
    )
    evidence_key: EvidenceKey | None = Field(
        None,
        description="what evidence is signed with: the path of a file outside of the store, or "
        "`${NAME}` for a variable",
    )
    python: PythonSource = Field("conda", description="that of environments which say nothing")
    cooldown: Duration = Field(timedelta(days=3), description="ignore releases younger than this")
    cooldown_exceptions: tuple[str, ...] = Field(
        (), description="packages, conda's or pip's, that the cool-down does not hold back"
    )
    undated_releases: Literal["hold", "take"] = Field(
        "hold", description="what a cool-down makes of files without an upload time"
    )
    prefer: tuple[str, ...] = Field(
        (), description="packages that are as new as they can be before all others, in this order"
    )
    pre_releases: tuple[str, ...] = Field(
        (), description="distributions of which pre-releases are taken like any other release"
    )
    yanked: Literal["take", "refuse"] = Field(
        "take", description="what becomes of a yanked version that the spec pins exactly (PEP 592)"
    )
    wheels_only: bool = Field(default=True, description="lock wheels only, never an sdist")
    allow_sdist: tuple[str, ...] = Field((), description="distributions that may be an sdist")
    channel_fallback: Literal["host", "none"] = Field(
        "none", description="what replaces a conda channel that cannot be reached"
    )
    channel_alias: ChannelUrl | None = Field(
        None, description="base URL that channel names are relative to, when not the tool's own"
    )
    channels: tuple[ChannelUrl, ...] = Field(
        (),
        description="conda channels of specs that list none; by default those of conda's settings, "
        "else conda-forge",
    )
    channel_priority: ChannelPriority | None = Field(
        None,
        description="whether a package is taken from the first channel that has it (`strict`), "
        "preferably (`flexible`), or from any; by default that of conda's settings, else `strict`",
    )
    wheelhouse: str | None = Field(
        None,
        min_length=1,
        description="directory of wheels, relative to the project, that is asked beside the "
        "indexes, by default `wheelhouse`; `elt-env wheelhouse` puts there what has no wheel "
        "anywhere",
    )
    virtual_packages: dict[PlatformName, dict[VirtualPackage, VirtualVersion]] = Field(
        {},
        description="by platform, the virtual packages of its machines in place of the defaults, "
        'or of those that this machine has, as `__glibc`; `""` takes one away',
    )
    index: str | None = Field(
        None, description="URL of the package index, when not the one of the pip or uv settings"
    )
    extra_indexes: tuple[str, ...] = Field((), description="URLs of further package indexes")
    index_names: dict[str, tuple[PackageNames, ...]] = Field(
        {}, description="by URL of an index, the names or prefixes (`corp-*`) that are its own"
    )
    channel_names: dict[str, tuple[PackageNames, ...]] = Field(
        {}, description="by URL or name of a channel, the names or prefixes that are its own"
    )
    index_policy: Literal["warn", "strict"] = Field(
        "warn",
        description="what becomes of a name that several indexes or channels have, when it is "
        "locked for the first time and `index-names` or `channel-names` do not say whose it is",
    )
    busy_limit: Duration = Field(
        timedelta(minutes=30), description="how long to wait for another builder of a prefix"
    )
    tool_limit: Duration = Field(
        timedelta(minutes=30),
        gt=timedelta(0),
        description="how long one run of a tool may take",
    )
    executor: Literal["in-process", "multiprocess", "celery"] = Field(
        "in-process", description="Dagster executor of the jobs"
    )
    image_base: str = Field(
        "auto",
        min_length=1,
        description="what an image stands on: `debian` (made with mmdebstrap from the host's apt "
        "settings), `host` (the host's own C library and what the environment needs), the path of "
        "an OCI layout or of a root tar, or `registry/repository@sha256:…`; `auto` is `debian` "
        "where mmdebstrap is installed, else `host`",
    )
    image_compression: Literal["zstd", "gzip"] = Field(
        "zstd", description="how the layers of an image are compressed"
    )
    image_path: str = Field(
        "/opt/elt",
        pattern=r"^(/[A-Za-z0-9._-]+)+$",
        max_length=64,
        description="where the environment lives in an image",
    )
    insecure_registries: tuple[str, ...] = Field(
        (), description="image registries spoken to without TLS; those on loopback always may be"
    )
    watch: bool = Field(
        default=True, description="whether sensors and schedules are on from the start"
    )
    watch_interval: Duration = Field(
        timedelta(hours=1),
        ge=timedelta(seconds=0),
        description="how often the index and the channels are asked for news",
    )
    watch_packages: Literal["all", "requested"] = Field(
        "all", description="whose releases are watched: all that is locked, or what the spec names"
    )
    relock_schedule: str | None = Field(
        "0 4 * * 1", description="when everything is upgraded within the rules, as cron in UTC"
    )
    keep_releases: int = Field(
        3, ge=1, description="how many releases of a target keep their prefix and image"
    )
    gc_schedule: str | None = Field(
        "0 5 * * 0", description="when what nobody refers to is removed, as cron in UTC"
    )
    notify_webhook: str | None = Field(
        None, description="URL that outcomes are posted to; `${NAME}` in it is a variable's value"
    )
    notify_on: tuple[Literal["relocked", "failed", "promoted", "blocked"], ...] = Field(
        ("relocked", "failed", "promoted", "blocked"), description="the outcomes that are told"
    )
    notify_slack: str | None = Field(
        None,
        description="channel of Slack for failed runs; its token is in `SLACK_TOKEN`",
    )
    notify_mail: tuple[str, ...] = Field(
        (), description="addresses to which failed runs are mailed"
    )
    mail_server: str | None = Field(
        None,
        description="what sends the mail: `smtps://user:${NAME}@host:465`, or `smtp://…` for "
        "STARTTLS; `${NAME}` is a variable with the password",
    )
    metrics_file: str | None = Field(
        None, description="file that the daemon writes the metrics into every minute"
    )


class Policy(SharedPolicy):
    """The settings of the whole project, `[tool.elt-env]`."""

    warehouse: bool = Field(
        default=True, description="whether the history is loaded into DuckDB and modelled with dbt"
    )
    environments: dict[EnvironmentName, EnvironmentPolicy] = Field(
        min_length=1, description="the environments by name"
    )

    @field_validator("environments")
    @classmethod
    def _tell_apart(
        cls, value: dict[str, EnvironmentPolicy], info: ValidationInfo
    ) -> dict[str, EnvironmentPolicy]:
        """Refuse two names that are one in Dagster and in variables, where `-` is `_`."""
        seen: dict[str, str] = {}
        for name in value:
            other = seen.setdefault(name.replace("-", "_"), name)
            if other != name:
                raise ValueError(f"'{other}' and '{name}' cannot be told apart; rename one")
        doubts = [*ambiguities({name: each.checks for name, each in value.items()})]
        if doubts:
            raise ValueError("; ".join(doubts))
        pushed = [name for name, each in value.items() if each.push and not each.has_image]
        if pushed:
            raise ValueError(f"'{pushed[0]}' has 'push', and image = false")
        default = {"python": info.data.get("python")}
        return {
            name: each if each.python else each.model_copy(update=default)
            for name, each in value.items()
        }


class ComponentPolicy(EnvironmentPolicy, SharedPolicy):
    """What the `defs.yaml` of a component says: of one environment, and of all of its project."""

    name: EnvironmentName | None = Field(
        None, description="name of the environment; by default that of the directory"
    )
