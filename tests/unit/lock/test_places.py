from __future__ import annotations

from dataclasses import replace

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from elt_env.lock.places import bare, changed_places, declared_places
from elt_env.lockfile.document import Lock
from elt_env.project.policy import EnvironmentPolicy, Policy
from elt_env.spec.document import Spec
from elt_env.spec.environment_yml import parse_spec
from tests.support.locks import conda_package, lock_of, pip_package, python_package

_INDEX = "https://index.example.invalid/simple"
_EXTRA = "https://extra.example.invalid/simple"
_BASE = {"channel_fallback": "host", "index": _INDEX}


def _spec(*conda: str, channels: tuple[str, ...] = ("forge",), pip: tuple[str, ...] = ()) -> Spec:
    dependencies = ["python", *(conda or ("six",)), {"pip": ["click", *pip]}]
    document = {"channels": list(channels), "dependencies": dependencies}
    return parse_spec(yaml.safe_dump(document), "elt.yml")


def _policy(**changes: object) -> Policy:
    elt = EnvironmentPolicy(spec="elt.yml", pythons=("3.11",))
    return Policy.model_validate({"environments": {"elt": elt}, **_BASE, **changes})


def _lock(spec: Spec | None = None, policy: Policy | None = None) -> Lock:
    made_of = spec or _spec()
    click = replace(pip_package("click", "8.0"), index=_INDEX)
    lock = lock_of(python_package(), conda_package("six"), click, spec=made_of)
    return replace(lock, places=declared_places(made_of, policy or _policy()))


@pytest.mark.parametrize(
    ("spec", "policy", "reason"),
    [
        (_spec(channels=("forge", "x")), {}, "the spec's channels changed"),
        (_spec(channels=()), {}, "the spec's channels changed"),
        (_spec("company::six"), {}, "conda: six is to come from company"),
        (_spec("company/noarch::six"), {}, "conda: six is to come from company/noarch"),
        (_spec("six[channel=company]"), {}, "conda: six is to come from company"),
        (_spec(), {"channel_alias": "https://a.invalid"}, "the channel alias changed"),
        (_spec(), {"channel_priority": "flexible"}, "the channel priority changed"),
        (_spec(), {"index": _EXTRA}, "the package index changed"),
        (_spec(), {"index": None}, "the package index changed"),
        (_spec(), {"extra_indexes": [_EXTRA]}, "the extra package indexes changed"),
        (_spec(pip=(f"--extra-index-url {_EXTRA}",)), {}, "the extra package indexes changed"),
        (_spec(pip=("--find-links https://h.invalid/x",)), {}, "the places of --find-links"),
    ],
)
def test_a_change_of_places_is_named(spec: Spec, policy: dict[str, object], reason: str) -> None:
    found = changed_places(_lock(), spec, _policy(**policy))
    assert len(found) == 1
    assert reason in found[0]
    now = _lock(spec, _policy(**policy))
    assert changed_places(replace(now, packages=()), spec, _policy(**policy)) == ()


@pytest.mark.parametrize(
    ("spec", "policy"),
    [
        (_spec("six>=1", "lib"), {}),
        (_spec(channels=("forge/",)), {}),
        (_spec(channels=("forge", "nodefaults")), {}),
        (_spec(), {"channels": ["other"]}),
        (_spec(), {"index": f"https://me:secret@{_INDEX[8:]}/"}),
        (_spec(), {"cooldown": "1 week", "tool_limit": "1 hour"}),
    ],
)
def test_what_names_the_same_places_changes_nothing(spec: Spec, policy: dict[str, object]) -> None:
    assert changed_places(_lock(), spec, _policy(**policy)) == ()


def test_the_channels_of_the_policy_are_those_of_a_spec_that_lists_none() -> None:
    spec, policy = _spec(channels=()), _policy(channels=["forge"])
    assert changed_places(_lock(spec, policy), spec, policy) == ()
    assert changed_places(_lock(), spec, policy) == ()
    assert changed_places(_lock(spec, policy), spec, _policy(channels=["x"])) == (
        "the spec's channels changed",
    )


def test_a_lock_of_another_time_is_compared_as_far_as_it_goes() -> None:
    old = replace(_lock(), places=None)
    assert changed_places(old, _spec(), _policy(channel_priority="flexible")) == ()
    assert changed_places(old, _spec(channels=("x",)), _policy()) == (
        "the spec's channels changed",
    )
    (reason,) = changed_places(old, _spec(), _policy(index=_EXTRA))
    assert reason == f"pip: click is locked from {_INDEX}, which is no longer an index"
    assert changed_places(old, _spec(), _policy(index=None)) == ()
    assert changed_places(old, _spec(), _policy(index=_EXTRA, extra_indexes=[_INDEX])) == ()


def test_a_lock_of_the_host_channel_is_for_policies_that_allow_one() -> None:
    host = replace(_lock(), channel_source="host")
    assert changed_places(host, _spec(), _policy()) == ()
    (reason,) = changed_places(host, _spec(), _policy(channel_fallback="none"))
    assert "host channel" in reason


@given(
    st.sampled_from(["https", "http", "file"]),
    st.sampled_from(["", "me@", "me:pass%40word@"]),
    st.from_regex(r"[A-Za-z]{1,8}(:[0-9]{2,4})?", fullmatch=True),
    st.from_regex(r"(/[a-z0-9.]{1,5}){0,3}/{0,2}", fullmatch=True),
)
def test_a_url_is_compared_without_what_says_nothing_of_the_place(
    scheme: str, login: str, host: str, path: str
) -> None:
    same = bare(f"{scheme}://{login}{host}{path}")
    assert same == bare(f"{scheme}://{host.upper()}{path}?token=x") == bare(same)
    assert "@" not in same
    assert not same.endswith("/")
