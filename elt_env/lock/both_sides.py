"""Refuse requirements that a spec states for both conda and pip."""

from __future__ import annotations

from packaging.requirements import Requirement

from elt_env.errors import SpecError
from elt_env.lock.solve import CondaAnswer
from elt_env.package.names import normalize
from elt_env.spec.document import Spec
from elt_env.spec.markers import applies


def refuse_both_sides(spec: Spec, answer: CondaAnswer) -> None:
    """Return when nothing that the spec asks of pip is what it asks of conda under the same name.

    A conda package may be something else than the distribution of its name: graphviz is the
    program for conda and the binding for pip.

    Raises:
        SpecError: conda's package of that name owns that distribution.
    """
    asked = {normalize(each.name) for each in spec.conda}
    required = [each for each in map(Requirement, spec.pip) if applies(each, answer.python)]
    wanted = [*(normalize(each.name) for each in required), *(each.name for each in spec.directs)]
    for name in wanted:
        if name not in asked or name not in answer.owned:
            continue
        owner = answer.owner(name)
        if normalize(owner.name) == name:
            remedy = "Keep it on one side: conda for compiled libraries, pip for the ELT tools."
            if answer.source == "host":
                remedy = (
                    f"{remedy} Where conda's is another thing of that name, only its channel has "
                    "it; here the host channel made it of the wheel."
                )
            raise SpecError(
                f"{spec.source}: '{name}' is asked for from both conda and pip, and conda's "
                f"{owner.name} {owner.version} is that distribution.",
                remedy,
            )
