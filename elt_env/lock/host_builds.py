"""Builds that a spec asks for, where the host channel stands in for the channels that have them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from elt_env.conda import ChannelReader, ChannelRelease
from elt_env.errors import ChannelUnreachableError, NetworkError
from elt_env.runtime.texts import first_of
from elt_env.spec.conda_spec import CondaSpec
from elt_env.spec.document import Spec

if TYPE_CHECKING:
    from elt_env.conda.host_channel import HostChannel

_SHOWN = 6


def builds_elsewhere(
    spec: Spec, platform: str, conda: ChannelReader, host_channel: HostChannel, *, cause: str = ""
) -> ChannelUnreachableError | None:
    """Return the error that names the builds that the host channel has not; None when it has all.

    `conda env export` writes the build of each package, which nobody but its channel can have.

    Args:
        spec: what is asked for.
        platform: the conda subdir.
        conda: lists what there is.
        host_channel: where it is looked for.
        cause: what else keeps the host channel from standing in, to be said as well.
    """
    asked = [each for each in (spec.python_spec, *spec.conda) if _is_one_build(each)]
    if not asked:
        return None
    names = tuple(each.name for each in asked)
    try:
        offered = conda.releases((host_channel.url,), names, platform)
    except NetworkError:  # nothing was put into it yet
        offered = {}
    missing = [each for each in asked if not _is_offered(each, offered.get(each.name, ()))]
    if not missing:
        return None
    return ChannelUnreachableError(
        f"{spec.source} asks for builds that exist only on its channels, which do not answer: "
        f"{first_of(missing, _SHOWN)}. The host channel makes packages of its own."
        + (cause and f"\n{cause}"),
        "Make the channels reachable, or ask for versions alone, with: conda env export "
        f"--no-builds; or with: sed -i -E 's/^( *- [^=]+=[^=]+)=[^=]+$/\\1/' {spec.source}",
    )


def _is_one_build(spec: CondaSpec) -> bool:
    exact = spec.build and "*" not in spec.build and not spec.build.startswith("^")
    return bool(exact) or any(key in ("md5", "sha256") for key, _ in spec.fields)


def _is_offered(spec: CondaSpec, releases: Iterable[ChannelRelease]) -> bool:
    return any(each.build == spec.build for each in releases)
