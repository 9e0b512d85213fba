"""The place of a bundle in a project: whether its lock goes with the spec and the policy there."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from elt_env.conda import Solver
from elt_env.environment.prefix_tools import PrefixTools
from elt_env.errors import InputError, PolicyError
from elt_env.lock.satisfaction import unsatisfied
from elt_env.lockfile.document import Lock
from elt_env.machine.process import Say
from elt_env.machine.scratch import scratch_directory
from elt_env.package.platform import this_platform
from elt_env.package.target import Target
from elt_env.project.policy import EnvironmentPolicy
from elt_env.project.project import Project
from elt_env.runtime.files import write_atomically
from elt_env.runtime.input_files import read_bytes
from elt_env.spec.document import Spec
from elt_env.spec.file import read_spec


@dataclass(frozen=True)
class Place:
    """Where a bundle goes.

    Attributes:
        tools: what its prefix would be built with.
        missing: the files of its spec that are to be written.
        is_unlisted: whether no policy lists its environment.
    """

    tools: PrefixTools
    missing: Mapping[Path, bytes]
    is_unlisted: bool


def find_place(  # noqa: PLR0913, PLR0917  # what is in the bundle, and where it goes
    lock: Lock,
    spec: str,
    files: Mapping[str, bytes],
    project: Project,
    open_tools: Callable[[Project, str], PrefixTools],
    say: Say,
) -> Place:
    """Return where a bundle goes in a project; nothing is written.

    Args:
        lock: the bundle's.
        spec: path of its spec, among `files`.
        files: its spec and what that includes, by path below the project.
        project: where it goes.
        open_tools: returns the tools of an environment of a project.
        say: told where the spec of the project is another file, which will do.

    Raises:
        InputError: it is for another platform, or a build would not keep its lock here, or other
            files are in the place of the spec's.
        PolicyError: the policy does not list it so.
    """
    if lock.target.platform != this_platform():
        raise InputError(
            f"The bundle is for {lock.target.platform}; this machine is {this_platform()}.",
            f"Make one on a machine of this kind: elt-env bundle {lock.target.name} -o FILE",
        )
    name = lock.target.environment
    is_unlisted = name not in project.policy.environments
    mine = project.including(name, _remembered(lock, spec, project))
    environment = mine.environment(name)
    _require_python(lock.target, environment)
    missing = {}
    if not (project.root / environment.spec).exists():
        missing = _missing(lock.target, spec, files, environment, project)
    found = mine.spec(name) if not missing else read_carried(spec, files)
    if missing and environment.python == "venv":
        found = found.for_venv()
    tools = open_tools(mine, name)
    _require_satisfied(lock, found, tools.project, tools.conda)
    if not missing and _differs(project.root, files):
        say(f"bundle: {environment.spec} is another file than in the bundle; the lock satisfies it")
    return Place(tools, missing, is_unlisted)


def _remembered(lock: Lock, spec: str, project: Project) -> EnvironmentPolicy:
    """Return what is remembered of the environment, where no policy lists it."""
    target = lock.target
    before = project.unlisted.get(target.environment)
    pythons = dict.fromkeys((*(before.pythons if before else ()), target.python))
    there = before is not None and (project.root / before.spec).exists()
    return EnvironmentPolicy(
        spec=before.spec if before and there else spec,
        pythons=tuple(pythons),
        python="venv" if lock.interpreter else "conda",
    )


def _require_python(target: Target, environment: EnvironmentPolicy) -> None:
    if target.python not in environment.pythons:
        raise PolicyError(
            f"Python {target.python} is not listed for '{target.environment}', which has "
            f"{', '.join(environment.pythons)}.",
            f"Add it to pythons in [tool.elt-env.environments.{target.environment}].",
        )


def _missing(
    target: Target,
    spec: str,
    files: Mapping[str, bytes],
    environment: EnvironmentPolicy,
    project: Project,
) -> dict[Path, bytes]:
    """Return the files of the spec that are not there."""
    if os.path.normpath(environment.spec) != spec:
        raise PolicyError(
            f"The spec of '{target.environment}' is {environment.spec} here, which is not there; "
            f"the bundle has it as {spec}.",
            f"Correct 'spec' in [tool.elt-env.environments.{target.environment}], or put the spec "
            "there.",
        )
    others = [below for below, content in files.items() if _is_other(project.root / below, content)]
    if others:
        raise InputError(
            f"{', '.join(others)} in {project.root} differs from the file in the bundle, whose "
            f"spec {spec} includes it.",
            "Move it away, and unpack the bundle again.",
        )
    paths = {project.root / below: content for below, content in files.items()}
    return {path: content for path, content in paths.items() if not path.exists()}


def _is_other(path: Path, content: bytes) -> bool:
    return path.exists() and read_bytes(path) != content


def _differs(root: Path, files: Mapping[str, bytes]) -> bool:
    return any(not (root / each).exists() or _is_other(root / each, files[each]) for each in files)


def read_carried(spec: str, files: Mapping[str, bytes]) -> Spec:
    """Return the spec that a bundle carries.

    Raises:
        SpecError: it cannot be used.
    """
    with scratch_directory("bundle") as place:
        for below, content in files.items():
            write_atomically(place / below, content)
        return read_spec(place, spec)


def _require_satisfied(lock: Lock, spec: Spec, project: Project, conda: Solver) -> None:
    reasons = unsatisfied(lock, spec, project.policy, conda.matches)
    if reasons:
        raise InputError(
            f"The lock in the bundle does not satisfy {spec.source} and the policy of "
            f"{project.root}, and to make a new one takes a network:\n  " + "\n  ".join(reasons),
            "Use the spec and the policy that the bundle was made with; or, where it was made: "
            f"take these, then elt-env lock {lock.target.name}, and bundle it again.",
        )
