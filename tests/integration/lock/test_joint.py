"""One answer for both halves: found where there is one, the best, and conda's files stay its."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from elt_env.errors import DisagreementError, NoWheelError, PipConflictError
from elt_env.lock.make import Locked
from tests.support.channel import make_conda_package
from tests.support.locking import LONG_AGO, Scene, versions_of
from tests.support.project import at_moment
from tests.support.wheels import core_metadata, make_sdist, make_wheel

_NOW = datetime.now(timezone.utc)


def _release(
    scene: Scene,
    version: str,
    *,
    name: str = "tool",
    uploaded: datetime = LONG_AGO,
    yanked: str | None = None,
    **options: object,
) -> Path:
    wheel = make_wheel(scene.root / "wheels", name, version, **options)  # type: ignore[arg-type]
    scene.index.add(wheel, uploaded=uploaded, yanked=yanked)
    return wheel


def _possible(locked: Locked) -> dict[str, str]:
    return {each.name: each.possible for each in locked.lock.held_back}


def test_the_version_between_two_bounds_is_found(scene: Scene) -> None:
    scene.offer_both("a", "1.0", "2.0", "3.0")
    scene.offer_pip("tool", "1.0", requires=["a!=3.0"])
    scene.offer_pip("tool", "2.0", requires=["a<2"])
    locked = scene.lock(conda=["a>=2"], pip=["tool"])
    assert versions_of(locked) == {"a": "2.0", "tool": "1.0"}
    assert _possible(locked) == {"a": "3.0", "tool": "2.0"}
    assert [each.reason for each in locked.lock.held_back] == [
        "tool 1.0 needs a !=3.0",
        "tool 2.0 needs a <2, which is 2.0",
    ]


def test_one_that_cannot_be_newer_keeps_no_other_old(scene: Scene) -> None:
    scene.offer_both("a", "1.0", "2.0")
    scene.offer_both("b", "1.0", "2.0")
    scene.offer_conda("lib", "1.0", depends=["python", "a >=2", "b"])
    scene.offer_pip("t1", "1.0")
    scene.offer_pip("t1", "2.0", requires=["a<2"])
    scene.offer_pip("t2", "1.0")
    scene.offer_pip("t2", "2.0", requires=["b<2"])
    locked = scene.lock(conda=["lib"], pip=["t2", "t1"])
    assert versions_of(locked) == {"lib": "1.0", "a": "2.0", "b": "1.0", "t1": "1.0", "t2": "2.0"}
    assert _possible(locked) == {"t1": "2.0"}
    assert "t2" not in "".join(line for line in scene.said if line.startswith("WARNING"))


@pytest.mark.parametrize("on_index", ["nothing", "another", "young", "yanked", "sdist"])
def test_what_conda_owns_need_not_be_on_the_index(
    scene: Scene, on_index: str, tmp_path: Path
) -> None:
    scene.offer_conda("six", "1.16")
    if on_index == "sdist":
        scene.index.add(make_sdist(tmp_path, "six", "1.16"))
    elif on_index != "nothing":
        version = "1.17" if on_index == "another" else "1.16"
        young = _NOW if on_index == "young" else LONG_AGO
        yanked = "broken" if on_index == "yanked" else None
        _release(scene, version, name="six", uploaded=young, yanked=yanked)
    scene.offer_pip("alpha", "1.0", requires=["six"])
    locked = scene.lock(conda=["six"], pip=["alpha"])
    assert versions_of(locked) == {"six": "1.16", "alpha": "1.0"}
    assert [each.name for each in locked.lock.pip] == ["alpha"]


@pytest.mark.parametrize(("bound", "right"), [("z>=2", "2.0"), ("z", "1.0")])
def test_condas_own_metadata_speak_for_what_it_owns(scene: Scene, bound: str, right: str) -> None:
    # On the index, six wants z<2; conda has loosened that, or tightened it.
    info = "site-packages/six-1.0.dist-info/METADATA"
    metadata = core_metadata("six", "1.0", [bound if right == "2.0" else "z<2"])
    make_conda_package(
        scene.channel.root,
        "six",
        "1.0",
        depends=["python"],
        files={info: metadata},
        noarch="python",
        timestamp=LONG_AGO,
    )
    scene.offer_conda("other", "1.0")
    scene.offer_pip("six", "1.0", requires=["z<2"] if right == "2.0" else [])
    scene.offer_pip("z", "1.0", "2.0")
    locked = scene.lock(conda=["six", "other"], pip=["z"])
    assert versions_of(locked)["z"] == right


def test_a_bound_under_an_extra_binds_conda(scene: Scene) -> None:
    _release(scene, "1.0", name="snow", extras={"pandas": ["pandas<3"]})
    scene.offer_pip("pandas", "2.1", "2.2", "3.0")
    scene.offer_conda("pandas", "2.1", "3.0")
    locked = scene.lock(conda=["pandas"], pip=["snow[pandas]"])
    assert versions_of(locked) == {"pandas": "2.1", "snow": "1.0"}


def test_an_extra_of_what_conda_owns_is_met(scene: Scene) -> None:
    info = "site-packages/dask-1.0.dist-info/METADATA"
    metadata = core_metadata("dask", "1.0", extras={"frame": ["pyarrow<2"]})
    make_conda_package(
        scene.channel.root,
        "dask",
        "1.0",
        depends=["python"],
        files={info: metadata},
        noarch="python",
        timestamp=LONG_AGO,
    )
    scene.offer_conda("other", "1.0")
    scene.offer_pip("pyarrow", "1.0", "2.0")
    scene.offer_pip("tool", "1.0", requires=["dask[frame]"])
    locked = scene.lock(conda=["dask", "other"], pip=["tool"])
    assert versions_of(locked)["pyarrow"] == "1.0"


def test_a_bound_on_a_distribution_is_not_one_on_its_package(scene: Scene) -> None:
    for version in ("4.8.0", "4.9.0"):
        make_conda_package(
            scene.channel.root,
            "opencv",
            version,
            depends=["python"],
            files={
                f"site-packages/{name}-{version}.80.dist-info/METADATA": core_metadata(
                    name.replace("_", "-"), f"{version}.80"
                )
                for name in ("opencv_python", "opencv_headless")
            },
            noarch="python",
            timestamp=LONG_AGO,
        )
    scene.offer_conda("other", "1.0")
    scene.offer_pip("tool", "1.0", requires=["opencv-python<4.9.0.80,>=4.8.0.80"])
    locked = scene.lock(conda=["opencv", "other"], pip=["tool"])
    assert versions_of(locked) == {"opencv": "4.8.0", "other": "1.0", "tool": "1.0"}
    assert locked.lock.distributions["opencv-headless"] == "4.8.0.80"


@pytest.mark.parametrize("asked", ["torch==2.5.1+cpu", "torch", "torch>=2"])
def test_local_versions(scene: Scene, asked: str) -> None:
    scene.offer_conda("lib", "1.0")
    _release(scene, "2.5.1+cpu", name="torch")
    _release(scene, "1.0", name="torch")
    _release(scene, "1.0", name="user", requires=["torch"])
    assert versions_of(scene.lock(conda=["lib"], pip=[asked, "user"]))["torch"] == "2.5.1+cpu"


def test_an_sdist_is_taken_only_where_no_wheel_fits(scene: Scene, tmp_path: Path) -> None:
    scene.offer_conda("lib", "1.0")
    scene.offer_pip("a", "2.0")
    scene.index.add(make_sdist(tmp_path, "a", "1.0"))
    scene.index.add(make_sdist(tmp_path, "b", "1.0"))
    policy = {"allow-sdist": ["a", "b"]}
    locked = scene.lock(conda=["lib"], pip=["a", "b"], policy=policy)
    assert versions_of(locked) == {"lib": "1.0", "a": "2.0", "b": "1.0"}
    older = scene.lock(conda=["lib"], pip=["a<2", "b"], policy=policy)
    assert versions_of(older)["a"] == "1.0"
    with pytest.raises(NoWheelError) as caught:
        scene.lock(conda=["lib"], pip=["a<2"])
    assert 'allow-sdist = ["a"]' in caught.value.remedy


def test_an_sdist_is_taken_where_only_the_resolver_knows_its_index(
    scene: Scene, tmp_path: Path
) -> None:
    scene.offer_conda("lib", "1.0")
    scene.index.add(make_sdist(tmp_path, "a", "1.0"))
    toolbox = scene.toolbox(conda=["lib"], pip=["a"], policy={"allow-sdist": ["a"]})
    assert toolbox.resolver  # which keeps what it was given
    vars(toolbox)["indexes"] = replace(toolbox.indexes, default=None)
    assert versions_of(scene.lock_with(toolbox)) == {"lib": "1.0", "a": "1.0"}


def test_there_is_no_limit_of_rounds(scene: Scene) -> None:
    # Each older tool needs another older library.
    names = [f"lib{number}" for number in range(9)]
    for name in names:
        scene.offer_both(name, "1.0", "2.0")
    scene.offer_conda("all", "1.0", depends=["python", *names])
    for number, name in enumerate(names):
        follower = [f"step{number + 1}"] if number < 8 else []
        scene.offer_pip(f"step{number}", "1.0", requires=[f"{name}<2", *follower])
    locked = scene.lock(conda=["all"], pip=["step0"])
    assert {versions_of(locked)[each] for each in names} == {"1.0"}


def test_upper_bounds_on_python_hold_and_are_told(scene: Scene) -> None:
    scene.offer_conda("lib", "1.0")
    _release(scene, "1.0")
    _release(scene, "2.0", requires_python=">=3.8,<3.11")
    _release(scene, "3.0", requires_python=">=3.8,!=3.11.*")
    locked = scene.lock(conda=["lib"], pip=["tool"])
    assert versions_of(locked)["tool"] == "1.0"
    with pytest.raises(PipConflictError, match=r"2\.0 needs Python >=3\.8,<3\.11") as caught:
        scene.lock(conda=["lib"], pip=["tool==2.0"])
    assert "another Python" in caught.value.remedy


def test_an_upper_bound_on_python_deep_in_the_tree(scene: Scene) -> None:
    scene.offer_conda("lib", "1.0")
    _release(scene, "1.0", name="deep")
    _release(scene, "2.0", name="deep", requires_python="<3.11")
    _release(scene, "1.0", requires=["deep"])
    assert versions_of(scene.lock(conda=["lib"], pip=["tool"]))["deep"] == "1.0"
    _release(scene, "2.0", requires=["deep>=2"])
    assert versions_of(scene.lock(conda=["lib"], pip=["tool"], upgrade=None))["tool"] == "1.0"


def test_a_yanked_version_is_taken_where_it_is_pinned(scene: Scene) -> None:
    scene.offer_conda("lib", "1.0")
    _release(scene, "1.0")
    _release(scene, "2.0", yanked="loses rows")
    assert versions_of(scene.lock(conda=["lib"], pip=["tool"]))["tool"] == "1.0"
    locked = scene.lock(conda=["lib"], pip=["tool==2.0"])
    assert versions_of(locked)["tool"] == "2.0"
    assert "WARNING: tool 2.0 was yanked from its index: loses rows" in scene.told
    with pytest.raises(PipConflictError, match="loses rows"):
        scene.lock(conda=["lib"], pip=["tool==2.0"], policy={"yanked": "refuse"}, upgrade=None)


def test_no_pre_release_is_taken_because_it_is_newer(scene: Scene) -> None:
    scene.offer_pip("a", "1.0", requires=["b<2"])
    scene.offer_pip("b", "1.0")
    scene.offer_pip("b", "2.0", requires=["a>=2"])
    # They want nothing that is in the way of anything, unlike the last final release.
    scene.offer_pip("b", "1.5a1")
    scene.offer_pip("a", "1.1a1")
    scene.offer_pip("b", "3.0a4")
    locked = scene.lock(conda=[], pip=["a", "b"])
    assert versions_of(locked) == {"a": "1.0", "b": "1.0"}
    assert _possible(locked) == {"b": "2.0"}


def test_prereleases_are_taken_of_what_the_policy_lists(scene: Scene) -> None:
    scene.offer_conda("lib", "1.0")
    for name in ("tool", "other"):
        _release(scene, "1.0", name=name)
        _release(scene, "2.0rc1", name=name)
    pip = ["tool", "other"]
    assert versions_of(scene.lock(conda=["lib"], pip=pip))["tool"] == "1.0"
    policy = {"pre-releases": ["Tool"]}
    found = versions_of(scene.lock(conda=["lib"], pip=pip, policy=policy, upgrade=None))
    assert (found["tool"], found["other"]) == ("2.0rc1", "1.0")


def test_what_conda_constrains_binds_what_pip_brings(scene: Scene) -> None:
    make_conda_package(scene.channel.root, "lib", "1.0", constrains=["six <2"], timestamp=LONG_AGO)
    scene.offer_conda("other", "1.0")
    scene.offer_pip("six", "1.0", "2.0")
    scene.offer_pip("tool", "1.0", requires=["six"])
    locked = scene.lock(conda=["lib", "other"], pip=["tool"])
    assert versions_of(locked)["six"] == "1.0"


def test_conda_brings_nothing_that_its_own_half_does_not_need(scene: Scene) -> None:
    scene.offer_conda("six", "1.16")
    scene.offer_conda("lib", "1.0", depends=["python", "six"])
    scene.offer_conda("lib", "2.0")
    scene.offer_pip("alpha", "1.0", requires=["six"])
    # Only the older lib brings conda's six, and the index has none.
    assert versions_of(scene.lock(conda=["lib"], pip=["alpha"]))["lib"] == "1.0"
    scene.offer_pip("six", "1.0")
    found = scene.lock(conda=["lib"], pip=["alpha"], upgrade=None)
    assert versions_of(found) == {"lib": "2.0", "six": "1.0", "alpha": "1.0"}
    assert {each.name for each in found.lock.pip} == {"six", "alpha"}


def test_the_one_that_lags_years_is_not_chosen(scene: Scene) -> None:
    # cloud 2 brings the core that only the aws of long ago does without; cloud 1 is of last year.
    years = [datetime(2020 + each, 1, 1, tzinfo=timezone.utc) for each in range(7)]
    _release(scene, "1.0", name="aws", uploaded=years[1])
    _release(scene, "2.0", name="aws", uploaded=years[6], requires=["core<2"])
    _release(scene, "1.0", name="cloud", uploaded=years[5], requires=["core"])
    _release(scene, "2.0", name="cloud", uploaded=years[6], requires=["core>=2"])
    _release(scene, "1.0", name="core", uploaded=years[1])
    _release(scene, "2.0", name="core", uploaded=years[6])
    scene.offer_conda("lib", "1.0")
    for pip in (["aws", "cloud"], ["cloud", "aws"]):
        found = versions_of(scene.lock(conda=["lib"], pip=pip, upgrade=None))
        assert (found["aws"], found["cloud"]) == ("2.0", "1.0")
    policy = {"prefer": ["cloud"]}
    found = versions_of(
        scene.lock(conda=["lib"], pip=["aws", "cloud"], policy=policy, upgrade=None)
    )
    assert (found["aws"], found["cloud"]) == ("1.0", "2.0")


def test_the_order_and_the_day_make_no_difference_under_the_same_cut_off(scene: Scene) -> None:
    moment = datetime(2026, 1, 10, tzinfo=timezone.utc)
    scene.offer_conda("s", "1.0", "2.0")
    scene.offer_conda("lib", "1.0", depends=["python", "s"])
    wheels = scene.offer_pip("t1", "1.0") + scene.offer_pip("t1", "2.0", requires=["s<2"])
    wheels += scene.offer_pip("t2", "1.0") + scene.offer_pip("t2", "2.0", requires=["s>=2"])
    wheels += scene.offer_pip("t3", "1.0", "2.0", requires=["t1", "t2"])

    def digest(conda: list[str], pip: list[str], days: int) -> str:
        policy = {"cooldown": f"{3 + days} days"}
        toolbox = scene.toolbox(conda=conda, pip=pip, policy=policy)
        later = at_moment(toolbox, moment + timedelta(days=days))
        return scene.lock_with(later, upgrade=None).lock.digest

    # Either t1 or t2 can be 2.0, and both would lag alike.
    first = digest(["lib", "s"], ["t1", "t2", "t3"], 0)
    for each in wheels:
        scene.index.remove(each)
    for each in reversed(wheels):
        scene.index.add(each)
    scene.offer_pip("t2", "3.0", released=moment)
    scene.offer_conda("s", "3.0", released=moment)
    assert digest(["s", "lib"], ["t3", "t2", "t1"], 40) == first
    assert digest(["lib", "s"], ["t2", "t1", "t3"], 400) == first


def test_no_agreement_is_a_smallest_set_in_few_lines(scene: Scene) -> None:
    scene.offer_both("a", "1.0", "2.0")
    scene.offer_conda("unrelated", "1.0")
    scene.offer_pip("tool", "1.0", requires=["deep"])
    scene.offer_pip("deep", "1.0", requires=["a<2"])
    scene.offer_pip("bystander", "1.0", requires=["a"])
    with pytest.raises(DisagreementError) as caught:
        scene.lock(conda=["a>=2", "unrelated"], pip=["tool", "bystander"])
    text = caught.value.problem
    assert "  conda: a >=2\n  pip: tool\n" in text
    assert "deep needs a <2" in text
    assert "bystander" not in text
    assert "unrelated" not in text
    assert "elt-" not in text.replace("elt@3.11", "")
    assert len(str(caught.value).splitlines()) <= 15


def test_a_reason_is_found_under_an_extra_that_another_extra_asks_for(scene: Scene) -> None:
    scene.offer_conda("pd", "2.0", "3.0")
    extras = {"all": ["snow[fast]"], "fast": ["pd<3"]}
    _release(scene, "1.0", name="snow", extras=extras)
    _release(scene, "1.0", requires=["snow[all]"])
    locked = scene.lock(conda=["pd"], pip=["tool"])
    assert versions_of(locked) == {"pd": "2.0", "snow": "1.0", "tool": "1.0"}
    assert [each.reason for each in locked.lock.held_back] == ["snow 1.0 needs pd <3"]


def test_a_reason_is_that_a_build_bars_what_pip_brings(scene: Scene) -> None:
    root = scene.channel.root
    make_conda_package(root, "a", "1.0", timestamp=LONG_AGO)
    make_conda_package(root, "a", "2.0", constrains=["helper <2"], timestamp=LONG_AGO)
    scene.channel.index()
    scene.offer_pip("helper", "1.0")
    scene.offer_pip("helper", "2.0")
    locked = scene.lock(conda=["a"], pip=["helper"], policy={"prefer": ["helper"]})
    assert versions_of(locked) == {"a": "1.0", "helper": "2.0"}
    reasons = [each.reason for each in locked.lock.held_back]
    assert reasons == ["a 2.0 needs helper <2, which is 2.0"]


@pytest.mark.parametrize("bound", ["", "<2"])
def test_a_reason_is_that_nobody_has_what_a_version_needs(scene: Scene, bound: str) -> None:
    if bound:
        scene.offer_pip("part", "2.0")
    _release(scene, "1.0")
    _release(scene, "2.0", requires=[f"part{bound}"])
    locked = scene.lock(pip=["tool"])
    assert versions_of(locked) == {"tool": "1.0"}
    needs = f"part {bound}".strip()
    reasons = [each.reason for each in locked.lock.held_back]
    assert reasons == [f"tool 2.0 needs {needs}, of which no index has a usable version"]
