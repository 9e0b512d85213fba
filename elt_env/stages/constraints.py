"""The spec's constraints on what conda owns: they bind conda's answer, and ask for nothing."""

from __future__ import annotations

from packaging.requirements import Requirement

from elt_env.errors import CondaUnsatisfiableError, DisagreementError
from elt_env.model.conda_spec import from_pep440
from elt_env.model.lock import Bound
from elt_env.model.markers import applies
from elt_env.stages.question import Question
from elt_env.stages.solve import CondaAnswer, solve_with
from elt_env.tools.process import Say
from elt_env.tools.toolbox import Toolbox

_ROUNDS = 6


def within_constraints(
    question: Question, answer: CondaAnswer, toolbox: Toolbox, say: Say
) -> CondaAnswer:
    """Return conda's answer when no distribution in it is outside a constraint, else another.

    Raises:
        DisagreementError: conda has no answer within the constraints.
    """
    for _ in range(_ROUNDS):
        bounds = _broken(question, answer)
        if not bounds:
            return answer
        for each in bounds:
            say(f"constraints: conda's {each.name} {each.refused} is outside; asking for {each}")
        try:
            answer = solve_with(question, answer.source, (*answer.bounds, *bounds), toolbox, say)
        except CondaUnsatisfiableError as error:
            raise _no_answer(bounds, error.problem) from error
    raise _no_answer(bounds, f"{_ROUNDS} rounds did not bring one.")


def _broken(question: Question, answer: CondaAnswer) -> tuple[Bound, ...]:
    """Return the bounds that constraints put on packages whose distributions are outside them."""
    found = []
    for line in question.spec.constraints:
        wanted = Requirement(line)
        version = answer.owned.get(wanted.name)
        if (
            version is not None
            and applies(wanted, answer.python)
            and not wanted.specifier.contains(version, prereleases=True)
        ):
            owner = answer.owner(wanted.name)
            why = (f"the spec's constraint {line}",)
            found.append(Bound(owner.name, from_pep440(wanted.specifier), version, why))
    return tuple(found)


def _no_answer(bounds: tuple[Bound, ...], cause: str) -> DisagreementError:
    asked = ", ".join(why for each in bounds for why in each.required_by)
    return DisagreementError(
        f"conda has no answer within {asked}: {cause}",
        "Loosen the constraint, or what the spec asks of conda.",
    )
