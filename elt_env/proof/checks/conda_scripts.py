"""The check that an environment does without the scripts that conda runs."""

from __future__ import annotations

from elt_env.environment.activation_record import link_scripts
from elt_env.environment.prefix import Prefix
from elt_env.machine.environment_variables import read_activation
from elt_env.machine.process import Say
from elt_env.proof.checks.check_tools import CheckTools
from elt_env.proof.checks.finding import Finding, judge


def conda_scripts(prefix: Prefix, tools: CheckTools, say: Say) -> Finding:
    """The environment does without the scripts that conda runs when it links and activates.

    What activation sets is set in all that is run from the prefix. A package whose post-link or
    pre-unlink script is not run, and what activation would do besides, are a warning.
    """
    del tools
    if prefix.lock.interpreter is not None:
        return Finding("passed", "does not apply: there is no conda in a venv")
    activation = read_activation(prefix.path)
    notes = [f"{each} of conda's is not run" for each in link_scripts(prefix)]
    notes += activation.omitted
    for each in notes:
        say(f"conda_scripts: {each}")
    names = ", ".join(name for name, _ in activation.variables) or "nothing"
    return judge([], f"activation sets {names}", notes=notes)
