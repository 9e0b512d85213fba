"""The check that the entry points of the installed distributions load and answer."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from importlib.metadata import Distribution, EntryPoint
from pathlib import Path

from elt_env.environment.modules import import_all, modules_by_distribution
from elt_env.environment.prefix import Prefix
from elt_env.errors import TimeLimitError, ToolError
from elt_env.lockfile.document import owned_distributions
from elt_env.machine.environment_variables import prefix_environment
from elt_env.machine.process import Say, end_of, run
from elt_env.machine.scratch import scratch_directory
from elt_env.project.policy import Policy
from elt_env.proof.checks.check_tools import CheckTools
from elt_env.proof.checks.finding import Finding, judge

_GROUP = "console_scripts"
_SCRIPTS = (_GROUP, "gui_scripts")
_MISSING = re.compile(r"^ModuleNotFoundError: No module named '(?P<name>[^']+)'")
_ANSWERS = ("--help", "--version")  # dbt asks the index for its newest version in the latter
_PATIENCE = 60.0  # seconds for one script to answer
_AT_ONCE = 2


@dataclass(frozen=True)
class _Offered:
    """An entry point and the distribution that has it."""

    distribution: str
    point: EntryPoint

    @property
    def reference(self) -> str:
        """The object it names, as in `dbt.cli.main:cli`."""
        attribute = f":{self.point.attr}" if self.point.attr else ""
        return self.point.module + attribute


def console_scripts(prefix: Prefix, tools: CheckTools, say: Say) -> Finding:
    """Every entry point of every distribution loads, and the requested tools' scripts answer.

    These answer `--help` or `--version`, in a directory of their own, within a minute; each other
    console script has its program in bin/. Passed by are entry points that name an extra, and
    those that want something that no package of the lock brings: pip_check says that every
    package has what it requires, so that is optional.
    """
    offered = list(_offered(prefix))
    asked = _requested(prefix)
    scripts = [each for each in offered if each.point.group == _GROUP]
    names = sorted({each.point.name for each in scripts if each.distribution in asked})
    gone = [
        f"{each.point.name} of {each.distribution} is not in bin/"
        for each in scripts
        if not (prefix.path / "bin" / each.point.name).is_file()
    ]
    silent = [each for each in _ask(names, prefix) if each]
    for line in (*gone, *silent):
        say(f"console_scripts: {line}")
    rest = [
        each
        for each in offered
        if not (each.point.extras or (each.point.group == _GROUP and each.point.name in names))
    ]
    faults, optional, log = _load(rest, prefix, tools.project.policy, say)
    left = f"; optional and not there: {', '.join(optional)}" if optional else ""
    passed = f"{len(names)} scripts answer, {len(rest) - len(optional)} entry points load{left}"
    return judge([*gone, *silent, *faults], passed, log=log)


def _load(
    offered: list[_Offered], prefix: Prefix, policy: Policy, say: Say
) -> tuple[list[str], list[str], str]:
    """Return what is wrong with the entry points, which are optional, and all that was seen."""
    by_reference = {each.reference: each for each in offered}
    limit = policy.tool_limit.total_seconds()
    results = import_all(by_reference, prefix, limit, say)
    found = modules_by_distribution(prefix).values()
    brought = {module.partition(".")[0] for modules in found for module in modules}
    faults, optional = [], []
    for each in results:
        one = by_reference[each.module]
        if each.fault and _is_optional(one, each.fault, brought):
            optional.append(f"{one.point.name} of {one.distribution}")
        elif each.fault:
            faults.append(f"{one.point.name} ({one.reference}) of {one.distribution}: {each.fault}")
    log = "\n".join(
        f"{each.seconds:8.3f} s  {each.module}  {each.fault or 'ok'}" for each in results
    )
    return faults, optional, log


def _is_optional(one: _Offered, fault: str, brought: Collection[str]) -> bool:
    missing = _MISSING.search(fault)
    if missing is None:
        # A plugin's name may appear only once what it plugs into was imported.
        return one.point.group not in _SCRIPTS and fault.startswith("AttributeError")
    name = missing["name"]
    own = one.point.module == name or one.point.module.startswith(f"{name}.")
    return not own and name.partition(".")[0] not in brought


def _offered(prefix: Prefix) -> Iterator[_Offered]:
    for each in prefix.distributions():
        for point in Distribution.at(each.info).entry_points:
            yield _Offered(each.name, point)


def _requested(prefix: Prefix) -> set[str]:
    conda = tuple(each for each in prefix.lock.conda if each.requested)
    return {*owned_distributions(conda), *(p.name for p in prefix.lock.pip if p.requested)}


def _ask(names: list[str], prefix: Prefix) -> list[str | None]:
    """Return for each script what is wrong with its answer; None where all is well."""
    with (
        scratch_directory("scripts") as place,
        ThreadPoolExecutor(_AT_ONCE) as pool,
    ):
        return list(pool.map(partial(_silence, prefix=prefix, place=place), names))


def _silence(name: str, prefix: Prefix, place: Path) -> str | None:
    home = place / name
    home.mkdir()
    env = prefix_environment(prefix.path, extra={"HOME": str(home)})
    problem = ""
    for option in _ANSWERS:
        command = [str(prefix.path / "bin" / name), option]
        try:
            done = run(command, limit=_PATIENCE, env=env, cwd=home)
        except TimeLimitError:
            return f"{name} {option} did not answer within {_PATIENCE:g} s"
        except ToolError as error:
            return f"{name} {option}: {error.problem}"
        if done.returncode == 0:
            return None
        said = end_of((done.stderr.strip() or done.stdout.strip()), 1)
        problem = f"{name} {option} ended with exit code {done.returncode}: {said}"
    return problem.replace(f"{place}{os.sep}", "")
