"""A name that another index or channel has begun to have, or the right one has stopped to have."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from elt_env.errors import IndexUnreachableError, SourceError
from elt_env.lock.candidate import find_candidate
from elt_env.lock.diff_render import to_markdown, to_text
from elt_env.lock.make import Locked, lock
from elt_env.lock.origins import Order, SourceChange, explained, is_at, pinned_to
from elt_env.lock.places import bare
from elt_env.package.platform import this_platform
from elt_env.package.target import Target
from elt_env.tools import Tools
from elt_env.watch.trial import examine_python
from tests.support.conda_packages import make_conda_package
from tests.support.index_server import IndexServer
from tests.support.locking import LONG_AGO, PYTHON, Scene, target_of
from tests.support.loopback import running
from tests.support.sample import silent
from tests.support.wheels import make_wheel


class Company:
    """A project whose extra index has `corp_lib` 1.0, while the public index has 99.0."""

    def __init__(self, scene: Scene, private: IndexServer) -> None:
        self.scene = scene
        self.private = private
        self.wheel = make_wheel(scene.root / "private", "corp_lib", "1.0")
        private.add(self.wheel, uploaded=LONG_AGO)
        scene.offer_pip("corp_lib", "99.0")
        scene.offer_pip("other", "1.0")

    def toolbox(self, pythons: tuple[str, ...] = (PYTHON,), **policy: Any) -> Tools:
        own = {key.replace("_", "-"): value for key, value in policy.items()}
        places = {"extra-indexes": [self.private.url]}
        pip = ["corp_lib", "other"]
        return self.scene.toolbox(pip=pip, policy=places | own, pythons=pythons)

    def lock(self, accepted: tuple[str, ...] = (), **policy: Any) -> Locked:
        toolbox = self.toolbox(**policy)
        self.scene.said.clear()
        return lock(
            *(target_of(toolbox), toolbox, self.scene.said),
            upgrade=None,
            accepted=accepted,
        )


@pytest.fixture
def company(scene: Scene) -> Iterator[Company]:
    with running(IndexServer()) as private:
        yield Company(scene, private)


def version(locked: Locked) -> str:
    return locked.lock.package("pip", "corp-lib").version


def test_an_index_that_has_lost_a_name_stops_the_lock(company: Company) -> None:
    assert version(company.lock()) == "1.0"
    company.private.remove(company.wheel)
    with pytest.raises(SourceError) as raised:
        company.lock()
    assert raised.value.exit_code == 5
    for part in ("corp-lib 99.0", company.private.url, company.scene.index.url):
        assert part in raised.value.problem
    assert "elt-env relock elt@3.11 --accept-index corp-lib" in raised.value.remedy
    current = company.toolbox().store.current_lock(target_of(company.toolbox()))
    assert current is not None
    assert current.package("pip", "corp-lib").version == "1.0"


def test_it_is_taken_by_a_persons_word_and_shown(company: Company) -> None:
    company.lock()
    company.private.remove(company.wheel)
    moved = company.lock(accepted=("Corp_Lib",))
    assert version(moved) == "99.0"
    assert moved.report is not None
    line = f"corp-lib: {company.private.url} → {company.scene.index.url}"
    assert line in to_text(moved.report)
    assert "1 from another index or channel" in to_text(moved.report)
    assert "corp\\_lib" in to_markdown(moved.report) or "corp-lib" in to_markdown(moved.report)
    assert version(company.lock()) == "99.0"


def test_a_policy_says_whose_a_name_is(company: Company) -> None:
    pattern = "Corp_*"
    at_home = {company.private.url: [pattern]}
    public = {company.scene.index.url: [pattern]}
    assert version(company.lock(index_names=at_home)) == "1.0"
    with pytest.raises(SourceError, match="belongs to"):
        company.lock(index_names=public)
    company.private.remove(company.wheel)
    with pytest.raises(SourceError, match="belongs to"):
        company.lock(index_names=at_home, accepted=("corp-lib",))
    assert version(company.lock(index_names=public)) == "99.0"


def test_what_a_person_changed_meanwhile_does_not_explain_it(company: Company) -> None:
    """Another place that came to the policy has nothing to do with it."""
    company.lock()
    company.private.remove(company.wheel)
    with running(IndexServer()) as third, pytest.raises(SourceError, match="corp-lib"):
        company.lock(extra_indexes=[company.private.url, third.url])
    removed = company.lock(extra_indexes=[])
    assert version(removed) == "99.0"
    assert "WARNING: from" in company.scene.told


def test_sensors_and_other_pythons_stop_too(company: Company) -> None:
    company.lock()
    company.private.remove(company.wheel)
    toolbox = company.toolbox()
    with pytest.raises(SourceError):
        find_candidate(target_of(toolbox), toolbox, silent, upgrade=None)
    both = company.toolbox(pythons=("3.11", "3.12"))
    other = Target("elt", "3.12", this_platform())
    with pytest.raises(SourceError, match=company.private.url):
        lock(other, both, silent)
    look = examine_python("elt", "3.13", both, silent)
    assert look.verdict != "ready"


@pytest.mark.parametrize("fault", ["500", "refuse-auth", "html-nonsense"])
def test_an_index_that_fails_is_not_one_that_has_nothing(company: Company, fault: Any) -> None:
    company.private.fault = fault
    with pytest.raises(IndexUnreachableError):
        company.lock()
    assert company.toolbox().store.current_lock(target_of(company.toolbox())) is None


def test_a_name_on_several_indexes_is_said_or_refused(company: Company) -> None:
    with pytest.raises(SourceError, match="several indexes") as raised:
        company.lock(index_policy="strict")
    assert f"corp-lib is on {company.private.url}, {company.scene.index.url}" in str(raised.value)
    assert "index-names" in raised.value.remedy
    found = company.lock()
    assert any("corp-lib is on" in each for each in found.lock.notes)
    assert "WARNING: corp-lib is on" in company.scene.told
    assert "other is on" not in company.scene.told
    company.lock()
    assert "corp-lib is on" not in company.scene.told  # it is recorded now
    told = company.lock(index_policy="strict", index_names={company.private.url: ["corp-*"]})
    assert version(told) == "1.0"


def test_a_channel_that_has_lost_a_name_stops_the_lock(scene: Scene, tmp_path: Path) -> None:
    other = scene.channel.linked_copy(tmp_path / "public")
    archive = make_conda_package(scene.channel.root, "corp", "1.0", timestamp=LONG_AGO)
    scene.channel.index()
    make_conda_package(other.root, "corp", "99.0", timestamp=LONG_AGO)
    other.index()

    def relock(accepted: tuple[str, ...] = ()) -> Locked:
        toolbox = scene.toolbox(conda=["corp"])
        project = toolbox.project.root / "environment.yml"
        spec = next(iter([*toolbox.project.root.rglob("*.yml")]), project)
        text = spec.read_text()
        line = next(each for each in text.splitlines() if scene.channel.url in each)
        spec.write_text(text.replace(line, line + "\n" + line.replace("/channel", "/public")))
        return lock(target_of(toolbox), toolbox, silent, upgrade=None, accepted=accepted)

    before = relock()
    assert before.lock.package("conda", "corp").version == "1.0"
    archive.unlink()
    scene.channel.index()
    with pytest.raises(SourceError, match=r"corp 99\.0 was found on") as raised:
        relock()
    assert scene.channel.url in raised.value.problem
    assert relock(accepted=("corp",)).lock.package("conda", "corp").version == "99.0"


def test_a_name_on_several_channels_is_said_or_refused(scene: Scene, tmp_path: Path) -> None:
    other = scene.channel.linked_copy(tmp_path / "public")
    for channel in (scene.channel, other):
        make_conda_package(channel.root, "corp", "1.0", timestamp=LONG_AGO)
        channel.index()
    make_conda_package(other.root, "alone", "1.0", timestamp=LONG_AGO)
    other.index()

    def locked(**policy: Any) -> Locked:
        own = {key.replace("_", "-"): value for key, value in policy.items()}
        toolbox = scene.toolbox(conda=["corp", "alone"], policy=own)
        spec = toolbox.project.root / toolbox.environment.spec
        line = f"- {scene.channel.url}\n"
        spec.write_text(spec.read_text().replace(line, f"{line}- {other.url}\n"))
        scene.said.clear()
        return lock(target_of(toolbox), toolbox, scene.said, upgrade=None)

    with pytest.raises(SourceError, match="several indexes or channels") as raised:
        locked(index_policy="strict")
    assert f"are on {scene.channel.url}, {other.url}" in raised.value.problem
    assert "corp, " in raised.value.problem
    assert "alone" not in raised.value.problem
    assert "channel-names" in raised.value.remedy
    mine = {scene.channel.url: ["*"], other.url: ["alone"]}
    with pytest.raises(SourceError, match="alone belongs to"):
        locked(index_policy="strict", channel_names={scene.channel.url: ["*"]})
    assert locked(index_policy="strict", channel_names=mine).lock.notes == ()
    (scene.root / "project").rename(scene.root / "before")
    found = locked()
    assert any("corp, " in each and "are on" in each for each in found.lock.notes)
    assert sum(each.startswith("WARNING: corp, ") for each in scene.said) == 1
    locked()
    assert "are on" not in scene.told  # it is recorded now


# The rule alone

_URLS = ["https://a.example/x", "https://b.example/x", "https://c.example/x"]
_ORDERS = st.lists(st.sampled_from(_URLS), unique=True, min_size=1, max_size=3).map(
    lambda urls: Order(tuple(urls))
)
_CHANGES = st.tuples(st.sampled_from(_URLS), st.sampled_from(_URLS)).filter(lambda p: p[0] != p[1])


@given(_CHANGES, _ORDERS)
def test_where_nothing_was_changed_nothing_is_explained(
    ends: tuple[str, str], order: Order
) -> None:
    change = SourceChange("a", "pip", *ends)
    if set(ends) <= set(order.named):
        assert not explained(change, order, order)
        assert explained(change, order, replace(order, rule="another"))


@given(_CHANGES, _ORDERS, _ORDERS)
def test_a_change_is_explained_by_what_a_person_moved(
    ends: tuple[str, str], before: Order, now: Order
) -> None:
    old, new = ends
    rank = {url: place for place, url in enumerate(now.named)}
    then = {url: place for place, url in enumerate(before.named)}
    if old in then and new in rank:
        expected = old not in rank or new not in then
        expected = expected or (then[old] < then[new]) != (rank[old] < rank[new])
        assert explained(SourceChange("a", "pip", old, new), before, now) is expected


def test_pins_compare_names_as_their_half_does() -> None:
    pins = {"https://user@x.example/simple/": ["Corp_Lib", "team-*"]}
    bare_url = bare("https://x.example/simple")
    assert pinned_to("corp-lib", "pip", pins) == (bare_url,)
    assert pinned_to("team.tool", "pip", pins) == (bare_url,)
    assert pinned_to("teamtool", "pip", pins) == ()
    assert pinned_to("corp-lib", "conda", pins) == ()
    assert is_at("https://h.example/company", "company")
    assert not is_at("https://h.example/other/company2", "company")
