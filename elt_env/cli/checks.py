"""The commands that run checks: `doctor` and `check`."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import click

from elt_env.cli.progress import teller
from elt_env.cli.show import warn_of_clock
from elt_env.cli.targets import open_target
from elt_env.environment import build as building
from elt_env.errors import PolicyError, ProofError, ToolError
from elt_env.lockfile.document import Lock
from elt_env.machine.process import Say
from elt_env.package.target import Target
from elt_env.project.policy import EnvironmentPolicy
from elt_env.project.settings import open_project
from elt_env.proof.acceptance import ways_to_accept
from elt_env.proof.checks.registry import health_checks, image_checks
from elt_env.proof.prove import image_prover, prefix_prover
from elt_env.report.show import show
from elt_env.report.summary import evidence_text
from elt_env.store.evidence import Evidence
from elt_env.tools import Tools


@click.command()
@click.argument("name", metavar="TARGET", required=False)
@click.option("--check", "names", metavar="CHECK", multiple=True, help="Run only this one.")
@click.option("--again", is_flag=True, help="Run the checks again, even those that held.")
def doctor(name: str | None, names: tuple[str, ...], again: bool) -> None:  # noqa: FBT001  # click passes it
    """Run every health check on TARGET.

    Without TARGET, the policy's first one is meant. A table is printed. The policy's own checks are
    among them.

    \b
    Examples:
      elt-env doctor elt@3.11
      elt-env doctor elt@3.11 --check native_libraries --again
    """
    target, tools = open_target(name or open_project().first)
    _require_known(names, health_checks(tools.environment), "doctor --check")
    current = building.require_lock(target, tools.store)
    warn_of_clock(show(target, tools.store), tools.store.now)
    results = prefix_prover(current, tools, teller(), again=again).results(names or None)
    click.echo(evidence_text(results))
    failed = [each for each in results if each.failed]
    if failed:
        place = tools.store.documents.place(failed[0].log.rpartition("/")[0])
        raise ProofError(
            f"{target.name} does not hold: {', '.join(each.check for each in failed)}",
            _remedy(
                f"The logs are in {place}\n     {_mending(target)}",
                failed,
                current,
                tools.environment,
            ),
        )


@click.command()
@click.argument("name", metavar="TARGET")
@click.argument("check_name", metavar="CHECK")
def check(name: str, check_name: str) -> None:
    """Run one CHECK on TARGET, again if it held before.

    What it saw is printed. It is one that every environment has, or one of the policy's own:
    [tool.elt-env.environments.NAME.checks.CHECK]. The exit code is 0 if it holds, 8 if it failed,
    9 if it could not run.

    \b
    Examples:
      elt-env check elt@3.11 analytics
      elt-env check elt@3.11 dbt_smoke
      elt-env check elt@3.11 image_runs
    """
    target, tools = open_target(name)
    policy = tools.environment
    _require_known([check_name], [*health_checks(policy), *image_checks(policy)], "check")
    lock = building.require_lock(target, tools.store)
    evidence = _run(check_name, lock, tools, teller())
    click.echo(evidence_text((evidence,)))
    log = f"Its log: {tools.store.documents.place(evidence.log)}"
    if evidence.failed:
        remedy = _remedy(log, [evidence], lock, tools.environment)
        raise ProofError(f"{check_name} failed on {target.name}.", remedy)
    if not evidence.holds:
        raise ToolError(f"{check_name} could not run on {target.name}.", log)


def _mending(target: Target) -> str:
    return f"Where it was changed since it was made: elt-env verify {target.name} --repair"


def _remedy(
    log: str, failed: Sequence[Evidence], lock: Lock, environment: EnvironmentPolicy
) -> str:
    ways = ways_to_accept(failed, environment, lock)
    return "\n     ".join([log, *ways])


def _run(name: str, lock: Lock, tools: Tools, say: Say) -> Evidence:
    on_prefix = name in health_checks(tools.environment)
    prover = prefix_prover if on_prefix else image_prover
    (evidence,) = prover(lock, tools, say, again=True).results([name])
    return evidence


def _require_known(names: Collection[str], known: Collection[str], what: str) -> None:
    unknown = [each for each in names if each not in known]
    if unknown:
        raise PolicyError(
            f"elt-env {what}: there is no check '{unknown[0]}'.",
            f"Choose from: {', '.join(known)}; or write one into the policy: "
            "docs/how-to/prove-with-your-own-project.md",
        )
