from __future__ import annotations

from typing import get_args

import pytest

from elt_env.model.evidence import Evidence, Status
from tests.support.locks import MOMENT


@pytest.mark.parametrize("status", get_args(Status))
def test_only_what_ran_and_did_not_fail_holds(status: Status) -> None:
    evidence = Evidence("pip_check", status, MOMENT, 0.1, "")
    assert evidence.holds == (status in ("passed", "warned"))
