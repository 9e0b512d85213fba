from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from elt_env.lock.request import LockRequest
from elt_env.spec.environment_yml import parse_spec
from tests.support.locks import MOMENT, TARGET, conda_package, lock_of, pip_package

_SPEC = parse_spec("channels: [forge]\ndependencies: [python]\n", "elt.yml")
_YOUNG = MOMENT - timedelta(days=1)
_LOCK = lock_of(
    conda_package("my_lib", released_at=_YOUNG),
    conda_package("openssl", released_at=MOMENT - timedelta(days=9)),
    conda_package("timeless"),
    pip_package("young", released_at=_YOUNG),
    pip_package("old"),
    pip_package("dateless", released_at=None),
)
_QUESTION = LockRequest(TARGET, _SPEC, MOMENT - timedelta(days=3), previous=_LOCK)


def _kept(question: LockRequest) -> set[str]:
    conda = {each.name for each in question.keep_conda("remote")}
    return (conda | {name for name, _ in question.keep_pip}) - {"python"}


def test_what_is_too_young_by_now_is_not_kept() -> None:
    assert _kept(_QUESTION) == {"openssl", "timeless", "old", "dateless"}
    free = replace(_QUESTION, not_held=("my-lib", "young"))
    assert _kept(free) == {"my_lib", "young", "openssl", "timeless", "old", "dateless"}
    assert _kept(replace(_QUESTION, exclude_newer=None)) == _kept(free)


def test_what_came_at_the_moment_of_the_cut_off_is_not_kept() -> None:
    assert "young" not in _kept(replace(_QUESTION, exclude_newer=_YOUNG))
    assert "young" in _kept(replace(_QUESTION, exclude_newer=_YOUNG + timedelta(milliseconds=1)))


def test_what_may_be_upgraded_is_not_kept() -> None:
    assert _kept(replace(_QUESTION, upgrade=("old", "openssl"))) == {"timeless", "dateless"}
    assert _kept(replace(_QUESTION, upgrade=None)) == set()
    assert _kept(replace(_QUESTION, previous=None)) == set()
    assert _QUESTION.keep_conda("host") == ()
