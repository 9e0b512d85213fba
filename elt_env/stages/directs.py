"""The wheels of what the spec names by URL, made before anything is resolved."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from packaging.requirements import Requirement

from elt_env.errors import SpecError
from elt_env.model.direct import DirectRequirement, is_url
from elt_env.model.lock import Lock, Package
from elt_env.model.markers import applies
from elt_env.model.names import normalize
from elt_env.model.policy import Policy
from elt_env.model.spec import Spec
from elt_env.stages.question import Question
from elt_env.tools.cancelling import ended_by
from elt_env.tools.indexes import find_indexes
from elt_env.tools.pip.direct_wheels import DirectWheel
from elt_env.tools.pip.port import Resolved
from elt_env.tools.process import Say
from elt_env.tools.toolbox import Toolbox

_AT_ONCE = 8  # downloads; more look-ups of names at once stall


def require_usable(spec: Spec, toolbox: Toolbox, say: Say) -> None:
    """Return when what the spec says of pip can be honoured under the policy; notes are said.

    Raises:
        SpecError: it cannot, or the URL of an index names a variable that is not set.
        PolicyError: a setting is not a URL.
    """
    options = spec.pip_options
    indexes = find_indexes(toolbox.policy, options=options, root=toolbox.project.root)
    for note in indexes.notes:
        say(f"WARNING: {note}")
    if ":all:" in options.no_binary:
        raise SpecError(
            f"{spec.source}: '--no-binary :all:' wants everything built from source.",
            "Name the packages that need it, as in '--no-binary NAME'.",
        )
    _require_allowed(spec, toolbox.policy)
    if options.prefer_binary and not toolbox.policy.wheels_only:
        raise SpecError(
            f"{spec.source}: '--prefer-binary' is not known to uv.",
            "Take it out; wheels-only = true in [tool.elt-env] takes wheels alone.",
        )


def _require_allowed(spec: Spec, policy: Policy) -> None:
    """Return when the policy lets everything be built that the spec wants built."""
    built = [
        *((each.name, each.origin) for each in spec.directs if not each.is_wheel),
        *((name, f"--no-binary {name}") for name in spec.pip_options.no_binary),
    ]
    allowed = {normalize(each) for each in policy.allow_sdist}
    missing = dict(each for each in built if each[0] not in allowed)
    if policy.wheels_only and missing:
        names = sorted({*policy.allow_sdist, *missing})
        raise SpecError(
            f"{spec.source}: {', '.join(missing.values())} would be built from source, and the "
            "policy wants wheels only.",
            f"Add to [tool.elt-env] in pyproject.toml: allow-sdist = {json.dumps(names)}",
        )


def prepare(question: Question, toolbox: Toolbox, say: Say) -> Question:
    """Return a question with the wheels of what its spec names by URL, made where there is none.

    Raises:
        SpecError, PolicyError: as `require_usable`.
        EltEnvError: as `DirectWheels.get`.
    """
    require_usable(question.spec, toolbox, say)
    python = question.target.python
    newest = newest_for_builds(question.exclude_newer, toolbox)
    directs = tuple(
        toolbox.direct_wheels.get(_absolute(each, toolbox), python, newest, say)
        for each in question.spec.directs
        if applies(Requirement(each.named), f"{python}.0")
    )
    return replace(question, directs=directs)


def newest_for_builds(exclude_newer: datetime | None, toolbox: Toolbox) -> datetime | None:
    """Return the moment after which no build requirement may be released, None for any.

    Where the policy takes files without an upload time, a builder could take none of them.
    """
    return exclude_newer if toolbox.policy.undated_releases == "hold" else None


def locked_files(
    packages: Iterable[Package], lock: Lock, toolbox: Toolbox, say: Say
) -> dict[str, Path]:
    """Return by their sha256 the files of packages of a lock, fetched where they are not kept.

    Raises: as `Downloads.fetch` and `DirectWheels.get_locked`.
    """
    given_up = threading.Event()

    def fetch(package: Package) -> Path:
        with ended_by(given_up):
            if package.manager == "pip" and package.index is None:
                return locked_file(package, lock, toolbox, say)
            return toolbox.downloads.fetch(package.url, package.sha256, say)

    wanted = {each.sha256: each for each in packages}
    pool = ThreadPoolExecutor(_AT_ONCE)
    try:
        return dict(zip(wanted, pool.map(fetch, wanted.values()), strict=True))
    finally:
        given_up.set()
        # Who interrupts does not wait for a server that is slow to answer.
        pool.shutdown(wait=False, cancel_futures=True)


def locked_file(package: Package, lock: Lock, toolbox: Toolbox, say: Say) -> Path:
    """Return the file of a package of a lock that no index has.

    Raises: as `DirectWheels.get_locked`.
    """
    return toolbox.direct_wheels.get_locked(
        package,
        lock.target.python,
        toolbox.indexes.locked_to(lock.indexes),
        say,
        exclude_newer=newest_for_builds(lock.exclude_newer, toolbox),
    )


def _absolute(direct: DirectRequirement, toolbox: Toolbox) -> DirectRequirement:
    if is_url(direct.url):
        return direct
    return replace(direct, url=(toolbox.project.root / direct.url).as_uri())


def locked_directs(
    wheels: tuple[DirectWheel, ...], resolved: tuple[Resolved, ...]
) -> tuple[Package, ...]:
    """Return the locked packages of those of an answer that are direct."""
    by_name = {each.direct.name: each for each in wheels}
    return tuple(
        by_name[each.name].package(requested=each.requested, required_by=each.required_by)
        for each in resolved
        if each.name in by_name
    )
