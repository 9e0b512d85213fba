"""What the host channel cannot stand in for; all of it is said in one message."""

from __future__ import annotations

from collections.abc import Iterable

from packaging.requirements import InvalidRequirement, Requirement

from elt_env.errors import ChannelUnreachableError, IndexUnreachableError
from elt_env.model.names import normalize
from elt_env.model.spec import Spec
from elt_env.tools.toolbox import Toolbox

_MOST = 8


def require_wheels(spec: Spec, toolbox: Toolbox) -> None:
    """Return when wheels may stand in for all that the spec asks of conda.

    Raises:
        ChannelUnreachableError: it asks for what is no distribution, or for what it asks of pip as
            well: that is something else in conda, or both of them could not be asked for.
    """
    on_both = sorted(_names_of_pip(spec) & {normalize(each.name) for each in spec.conda})
    if on_both or not all(_is_distribution(each.name) for each in spec.conda):
        raise no_stand_in(spec, toolbox, on_both=on_both)


def no_stand_in(
    spec: Spec, toolbox: Toolbox, *, on_both: Iterable[str] = (), cause: str = ""
) -> ChannelUnreachableError:
    """Return the error that names all that only the spec's channels have.

    Args:
        spec: what is asked for.
        toolbox: of its environment.
        on_both: names that are asked of pip as well.
        cause: what is said where no name is known to be in the way.
    """
    kinds = (
        ("no index has a distribution of that name: ", _absent(spec, toolbox)),
        ("asked of pip too, so that conda's is something else: ", list(on_both)),
    )
    lines = [what + _shown(names) for what, names in kinds if names] or [cause]
    return ChannelUnreachableError(
        f"The host channel cannot stand in for the channels of {spec.source}; it is made of "
        f"wheels: {'; '.join(lines)}",
        "Make the conda channel reachable, or drop these packages, where what is left works "
        "without them.",
    )


def _names_of_pip(spec: Spec) -> set[str]:
    asked = {normalize(Requirement(each).name) for each in spec.pip}
    return asked | {normalize(each.name) for each in spec.directs}


def _is_distribution(name: str) -> bool:
    try:
        return bool(Requirement(name))
    except InvalidRequirement:
        return False


def _absent(spec: Spec, toolbox: Toolbox) -> list[str]:
    """Return the names of conda's half that no index has; what one does not answer is left out."""
    absent = {each.name for each in spec.conda}
    known = {normalize(each): each for each in absent if _is_distribution(each)}
    if not toolbox.indexes.all:
        absent -= {*known.values()}
    for index in toolbox.indexes.all:
        try:
            looked = toolbox.package_index.look(dict.fromkeys(known, index.url))
        except IndexUnreachableError:
            return sorted(absent - {*known.values()})
        absent -= {known[each] for each in looked.pages}
    return sorted(absent)


def _shown(names: list[str]) -> str:
    more = f" and {len(names) - _MOST} more" if len(names) > _MOST else ""
    return ", ".join(names[:_MOST]) + more
