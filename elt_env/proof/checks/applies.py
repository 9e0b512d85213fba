"""Choose the checks that say anything about a lock."""

from __future__ import annotations

from elt_env.lockfile.document import Lock
from elt_env.proof.checks import smoke_dagster, smoke_dbt, smoke_meltano

_NEEDS = {
    "meltano_smoke": smoke_meltano.NEEDS,
    "dbt_smoke": smoke_dbt.NEEDS,
    "dagster_smoke": smoke_dagster.NEEDS,
}


def lacking(name: str, lock: Lock) -> tuple[str, ...]:
    """Return the distributions that a check works with and the lock does not hold.

    Where there are any, the check does not apply to the lock: it could only ever say `not_run`.
    """
    needs = _NEEDS.get(name)
    wanted = needs.distributions if needs else ()
    return tuple(each for each in wanted if each not in lock.distributions)
