"""The wheels of what the spec names by URL, made before anything is resolved."""

from __future__ import annotations

import json
import logging
from dataclasses import replace

from packaging.requirements import Requirement

from elt_env.environment.locked_files import PipFiles, newest_for_builds
from elt_env.errors import SpecError
from elt_env.lock.request import LockRequest
from elt_env.lockfile.document import Package
from elt_env.machine.indexes import find_indexes
from elt_env.machine.process import Say
from elt_env.package.names import normalize
from elt_env.pip.direct_wheels import DirectWheel
from elt_env.pip.port import Resolved
from elt_env.project.project import Project
from elt_env.spec.direct import DirectRequirement, is_url
from elt_env.spec.document import Spec
from elt_env.spec.markers import applies


def require_usable(spec: Spec, project: Project, say: Say) -> None:
    """Return when what the spec says of pip can be honoured under the policy; notes are said.

    Raises:
        SpecError: it cannot, or the URL of an index names a variable that is not set.
        PolicyError: a setting is not a URL.
    """
    options = spec.pip_options
    indexes = find_indexes(project.policy, options=options, root=project.root)
    for note in indexes.notes:
        say(note, logging.WARNING)
    if ":all:" in options.no_binary:
        raise SpecError(
            f"{spec.source}: '--no-binary :all:' wants everything built from source.",
            "Name the packages that need it, as in '--no-binary NAME'.",
        )
    _require_allowed(spec, project)
    if options.prefer_binary and not project.policy.wheels_only:
        raise SpecError(
            f"{spec.source}: '--prefer-binary' is not known to uv.",
            "Take it out; wheels-only = true in [tool.elt-env] takes wheels alone.",
        )


def _require_allowed(spec: Spec, project: Project) -> None:
    """Return when the policy lets everything be built that the spec wants built."""
    built = [
        *((each.name, each.origin) for each in spec.directs if not each.is_wheel),
        *((name, f"--no-binary {name}") for name in spec.pip_options.no_binary),
    ]
    policy = project.policy
    allowed = {normalize(each) for each in policy.allow_sdist}
    missing = dict(each for each in built if each[0] not in allowed)
    if policy.wheels_only and missing:
        names = sorted({*policy.allow_sdist, *missing})
        raise SpecError(
            f"{spec.source}: {', '.join(missing.values())} would be built from source, and the "
            "policy wants wheels only.",
            f"Add to {project.table}: allow-sdist = {json.dumps(names)}",
        )


def prepare(question: LockRequest, project: Project, files: PipFiles, say: Say) -> LockRequest:
    """Return a question with the wheels of what its spec names by URL, made where there is none.

    Raises:
        SpecError, PolicyError: as `require_usable`.
        EltEnvError: as `DirectWheels.get`.
    """
    require_usable(question.spec, project, say)
    python = question.target.python
    newest = newest_for_builds(question.exclude_newer, project.policy)
    directs = tuple(
        files.direct_wheels.get(_absolute(each, project), python, newest, say)
        for each in question.spec.directs
        if applies(Requirement(each.named), f"{python}.0")
    )
    return replace(question, directs=directs)


def _absolute(direct: DirectRequirement, project: Project) -> DirectRequirement:
    if is_url(direct.url):
        return direct
    return replace(direct, url=(project.root / direct.url).as_uri())


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
