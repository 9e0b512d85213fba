"""What a lock that cannot be made says: a smallest set of requirements, why, and what helps."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

from elt_env.errors import UnsatisfiableError
from elt_env.machine.indexes import Indexes
from tests.support.channel import Channel, make_conda_package
from tests.support.locking import LONG_AGO, Scene
from tests.support.wheels import make_sdist, make_wheel

_NOW = datetime.now(timezone.utc)
_COOL = {"cooldown": "3 days"}
_SPEC = "environments/elt.yml"


def _conda(scene: Scene, name: str, version: str, *depends: str, build: str = "0") -> None:
    place = scene.channel.root
    make_conda_package(
        place, name, version, build=build, depends=["python", *depends], timestamp=LONG_AGO
    )


def _pip(
    scene: Scene,
    name: str,
    version: str,
    *requires: str,
    uploaded: datetime = LONG_AGO,
    yanked: str | None = None,
    **options: Any,
) -> Path:
    wheel = make_wheel(scene.root / "wheels", name, version, requires=requires, **options)
    scene.index.add(wheel, uploaded=uploaded, yanked=yanked)
    return wheel


def _explained(
    scene: Scene,
    conda: list[str] | None = None,
    pip: list[str] | None = None,
    policy: Mapping[str, Any] | None = None,
) -> tuple[list[str], str]:
    scene.channel.index()
    with pytest.raises(UnsatisfiableError) as caught:
        scene.lock(conda=conda or ["python"], pip=pip or [], policy=policy)
    lines = str(caught.value).splitlines()
    assert len(lines) <= 15
    assert not [each for each in lines if "elt-conda" in each or "--" in each]
    return [each.strip() for each in caught.value.problem.splitlines()[1:]], caught.value.remedy


def test_a_conflict_of_conda_alone(scene: Scene) -> None:
    _conda(scene, "a", "1.0")
    _conda(scene, "a", "2.0")
    _conda(scene, "b", "1.0", "a <2")
    _conda(scene, "bystander", "1.0")
    lines, remedy = _explained(scene, ["bystander", "a>=2", "b"])
    assert lines == ["conda: a >=2", "conda: b", "because", "conda's b 1.0 needs a <2"]
    assert remedy == f"Loosen 'conda: a >=2' or leave out 'conda: b' in {_SPEC}."
    assert "conda: Cannot solve the request" in scene.told


def test_several_lines_on_one_package_are_shown_as_they_stand(scene: Scene) -> None:
    _conda(scene, "a", "1.0")
    _conda(scene, "a", "2.0")
    _conda(scene, "b", "1.0", "a <2")
    lines, remedy = _explained(scene, ["a>=1.5", "b", "a <3"])
    assert lines[:2] == ["conda: a>=1.5 and a <3", "conda: b"]
    assert remedy == f"Loosen 'conda: a>=1.5 and a <3' or leave out 'conda: b' in {_SPEC}."


def test_the_remedy_is_enough_where_several_things_cannot_hold_together(scene: Scene) -> None:
    for name, needy in (("a", "x"), ("b", "y"), ("c", "z")):
        scene.offer_both(name, "1.0", "2.0")
        _pip(scene, needy, "1.0", f"{name}<2")
    conda, pip = ["a>=2", "b>=2", "c>=2"], ["x", "y", "z"]
    lines, remedy = _explained(scene, conda, pip)
    assert lines[:2] == ["conda: a >=2", "pip: x"]
    assert remedy == f"Loosen 'conda: a >=2' and 'conda: b >=2' and 'conda: c >=2' in {_SPEC}."
    assert scene.lock(conda=["a", "b", "c"], pip=pip)


def test_what_the_index_lacks_is_told_also_where_only_the_resolver_knows_the_index(
    scene: Scene,
) -> None:
    _pip(scene, "tool", "1.0")
    scene.index.add(make_sdist(scene.root / "sdists", "tool", "2.0"), uploaded=LONG_AGO)
    scene.channel.index()
    toolbox = scene.toolbox(conda=["python"], pip=["tool>=2"])
    told = []
    for indexes in (toolbox.indexes, Indexes()):
        vars(toolbox)["indexes"] = indexes
        with pytest.raises(UnsatisfiableError) as caught:
            scene.lock_with(toolbox)
        told.append(str(caught.value))
    assert told[0] == told[1]
    assert 'allow-sdist = ["tool"]' in told[0]


def test_a_long_conflict_stays_short(scene: Scene) -> None:
    for number in range(9):
        _conda(scene, "a", f"{number}.0")
        _conda(scene, "b", f"{number}.0", f"a {number}.*")
        _conda(scene, "c", f"{number}.0", f"a {number + 1}.*")
    lines, remedy = _explained(scene, ["b", "c >=8"])
    assert lines[:4] == ["conda: c >=8", "because", "conda's c 8.0 needs a 9.*", lines[3]]
    assert lines[-1] == "no channel has a 9.*: there is 8.0, 7.0, 6.0, …"
    assert remedy == f"Loosen 'conda: c >=8' in {_SPEC}."


def test_names_that_no_channel_has(scene: Scene) -> None:
    _conda(scene, "pandas", "1.0")
    lines, remedy = _explained(scene, ["pandsa", "zzz-nowhere"])
    assert lines[:2] == ["conda: pandsa", "conda: zzz-nowhere"]
    assert lines[3:] == [
        "no channel has a package 'pandsa'",
        "no channel has a package 'zzz-nowhere'",
    ]
    assert remedy.startswith("Did you mean pandas? Correct the name 'zzz-nowhere'")


def test_a_virtual_package(scene: Scene) -> None:
    _conda(scene, "torch", "1.0", "__cuda >=99")
    _conda(scene, "lightning", "1.0", "torch")
    lines, remedy = _explained(scene, ["lightning"])
    assert lines[2] == "conda's lightning 1.0 needs torch"
    assert lines[3].startswith("torch 1.0 needs __cuda >=99, and this machine has ")
    assert remedy.startswith("Ask for a build of torch that does without")


def test_another_channel_that_has_it(scene: Scene) -> None:
    other = Channel(scene.root / "other")
    make_conda_package(other.root, "fresh", "2.0", timestamp=LONG_AGO)
    (other.root / "linux-64").mkdir()
    other.index()
    _conda(scene, "fresh", "1.0")
    _conda(scene, "user", "1.0", "fresh >=2")
    _, remedy = _explained(scene, ["user", f"{other.url}::only"])
    assert remedy.startswith("Correct the name 'only'")
    make_conda_package(other.root, "only", "2.0", timestamp=LONG_AGO)
    other.index()
    lines, remedy = _explained(scene, ["user", f"{other.url}::only"])
    assert lines[-1].startswith(f"fresh 2.0 is on {other.url}; a channel that goes before it")
    assert remedy.startswith(f"Ask for {other.url}::fresh, or set channel-priority")
    assert scene.lock(conda=["user", f"{other.url}::only", f"{other.url}::fresh"])


_Kind = tuple[Callable[[Scene], object], dict[str, Any], list[str], str]

_KINDS: dict[str, _Kind] = {
    "conda: no such version": (
        lambda scene: _conda(scene, "a", "1.0"),
        {"conda": ["a>=3"]},
        ["conda: a >=3", "because", "no channel has a >=3: there is 1.0"],
        f"Loosen 'conda: a >=3' in {_SPEC}.",
    ),
    "conda: no such build": (
        lambda scene: _conda(scene, "a", "1.0", build="py_0"),
        {"conda": ["a=1.0=cuda*"]},
        [
            "conda: a ==1.0 cuda*",
            "because",
            "the channels have a ==1.0 in the builds 1.0 py_0 only",
        ],
        f"Loosen 'conda: a ==1.0 cuda*' in {_SPEC}.",
    ),
    "conda: too young": (
        lambda scene: scene.offer_conda("a", "1.0", released=_NOW),
        {"conda": ["a"], "policy": _COOL},
        ["conda: a", "because", "a 1.0 is too young for the cool-down; eligible on "],
        ", or list a in cooldown-exceptions in [tool.elt-env].",
    ),
    "conda: other Pythons": (
        lambda scene: make_conda_package(
            scene.channel.root, "a", "1.0", depends=["python >=3.8,<3.10.0a0"]
        ),
        {"conda": ["a"]},
        ["conda: a", "because", "a 1.0 needs python >=3.8,<3.10.0a0"],
        "Use Python 3.8 or 3.9.",
    ),
    "conda: no such Python": (
        lambda _: None,
        {"conda": ["python=3.11.99"]},
        ["the channels have 3.12.1, 3.11.5"],
        f"Ask for one that is there in {_SPEC}, or add the channel that has it.",
    ),
    "pip: a name that is almost one": (
        lambda scene: scene.offer_pip("requests", "1.0"),
        {"pip": ["reqeusts"]},
        ["pip: reqeusts", "because", "no index has a package 'reqeusts'"],
        "Did you mean requests?",
    ),
    "pip: a requirement that no index has": (
        lambda scene: scene.offer_pip("a", "1.0", requires=["nowhere"]),
        {"pip": ["a"]},
        ["pip: a", "because", "a needs nowhere", "no index has a package 'nowhere'"],
        "Add the index that has it to extra-indexes in [tool.elt-env].",
    ),
    "pip: no such version": (
        lambda scene: scene.offer_pip("a", "1.0"),
        {"pip": ["a>=2"]},
        ["pip: a>=2", "because", "no index has a>=2: there is 1.0"],
        f"Loosen 'pip: a>=2' in {_SPEC}.",
    ),
    "pip: an sdist deep in the tree": (
        lambda scene: (
            scene.offer_pip("b", "1.0", requires=["a"]),
            scene.index.add(make_sdist(scene.root, "a", "1.0")),  # type: ignore[func-returns-value]
        ),
        {"pip": ["b"]},
        ["pip: b", "because", "b needs a", "a 1.0 has no wheel for linux-64 and CPython 3.11"],
        (
            'Set allow-sdist = ["a"] in [tool.elt-env], or build its wheel once: '
            "elt-env wheelhouse elt@3.11."
        ),
    ),
    "pip: another platform": (
        lambda scene: (
            _pip(scene, "a", "1.0", tag="cp311-cp311-win_amd64"),
            scene.offer_pip("b", "1.0", requires=["a"]),
        ),
        {"pip": ["b"]},
        ["pip: b", "because", "b needs a", "a 1.0 has no wheel for linux-64 and CPython 3.11"],
        "Use a platform or a Python that it has a wheel for.",
    ),
    "pip: yanked deep in the tree": (
        lambda scene: (
            _pip(scene, "a", "1.0", yanked="bad"),
            scene.offer_pip("b", "1.0", requires=["a"]),
        ),
        {"pip": ["b"]},
        ["pip: b", "because", "b needs a", "a 1.0 was yanked: bad"],
        "Pin this one in the pip section: a==1.0.",
    ),
    "pip: a pin that the policy refuses": (
        lambda scene: (_pip(scene, "a", "1.0", yanked="bad"), scene.offer_pip("a", "0.9")),
        {"pip": ["a==1.0"], "policy": {"yanked": "refuse"}},
        ["pip: a==1.0", "because", "a 1.0 was yanked: bad"],
        f"in [tool.elt-env] and pin it. Or loosen 'pip: a==1.0' in {_SPEC}.",
    ),
    "pip: for newer Pythons": (
        lambda scene: (
            _pip(scene, "a", "1.0", requires_python=">=3.13"),
            scene.offer_pip("b", "1.0", requires=["a"]),
        ),
        {"pip": ["b"]},
        ["pip: b", "because", "b needs a", "a 1.0 needs Python >=3.13"],
        "Use another Python, one that is >=3.13.",
    ),
    "pip: for older Pythons": (
        lambda scene: (
            _pip(scene, "a", "1.0", requires_python="<3.11"),
            scene.offer_pip("b", "1.0", requires=["a"]),
        ),
        {"pip": ["b"]},
        ["pip: b", "because", "a 1.0 needs python <3.11"],
        "Use another Python, one that is <3.11.",
    ),
    "pip: too young deep in the tree": (
        lambda scene: (
            _pip(scene, "a", "2.0", uploaded=_NOW),
            scene.offer_pip("a", "1.0"),
            scene.offer_pip("b", "1.0", requires=["a>=2"]),
        ),
        {"pip": ["b"], "policy": _COOL},
        ["pip: b", "because", "b needs a >=2", "a 2.0 is 0 hours old; eligible on "],
        ", or list a in cooldown-exceptions in [tool.elt-env].",
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", _KINDS)
def test_kinds_of_conflicts(scene: Scene, kind: str) -> None:
    prepare, asked, lines, remedy = _KINDS[kind]
    prepare(scene)
    found, helps = _explained(scene, **asked)
    assert [each[: len(line)] for each, line in zip(found, lines, strict=True)] == lines
    assert helps.endswith(remedy)


def test_remedies_work_when_followed(scene: Scene, tmp_path: Path) -> None:
    scene.index.add(make_sdist(tmp_path, "source", "1.0"))
    _pip(scene, "withdrawn", "1.0", yanked="bad")
    _pip(scene, "young", "1.0", uploaded=_NOW)
    scene.offer_pip("tool", "1.0", requires=["source", "withdrawn", "young"])
    policy: dict[str, Any] = {**_COOL, "allow-sdist": [], "cooldown-exceptions": []}
    pip = ["tool"]
    remedies = []
    for _ in range(3):
        _, remedy = _explained(scene, pip=pip, policy=policy)
        remedies.append(remedy)
        if "allow-sdist" in remedy:
            policy["allow-sdist"] = ["source"]
        elif "cooldown-exceptions" in remedy:
            policy["cooldown-exceptions"] = ["young"]
        else:
            pip.append(remedy.removesuffix(".").rpartition(" ")[2])
    assert len(set(remedies)) == 3
    assert scene.lock(conda=["python"], pip=pip, policy=policy)


def test_what_a_package_pins_may_not_be_taken_when_it_was_yanked(scene: Scene) -> None:
    _pip(scene, "tool", "2.0", "helper==1.0")
    _pip(scene, "helper", "1.0", yanked="broken")
    _pip(scene, "helper", "2.0")
    lines, remedy = _explained(scene, pip=["tool"])
    assert lines == [
        "pip: tool",
        "because",
        "tool needs helper ==1.0",
        "helper 1.0 was yanked: broken",
    ]
    assert remedy.startswith("Pin this one in the pip section: helper==1.0.")
    scene.lock(pip=["tool", "helper==1.0"])


def test_what_conda_owns_is_not_missed_on_the_index(scene: Scene) -> None:
    scene.offer_conda("a", "1.0")
    scene.offer_conda("a", "2.0", released=_NOW)
    _pip(scene, "tool", "1.0", "a>=2")
    lines, remedy = _explained(scene, conda=["a"], pip=["tool"], policy=_COOL)
    assert "tool needs a >=2" in lines
    assert any(each.startswith("a 2.0 is too young for the cool-down") for each in lines)
    assert "index" not in remedy
    assert "list a in cooldown-exceptions" in remedy
    scene.lock(conda=["a"], pip=["tool"], policy={**_COOL, "cooldown-exceptions": ["a"]})


def test_a_python_that_is_not_suited_is_named_once(scene: Scene) -> None:
    _pip(scene, "tool", "2.0", requires_python=">=3.8,<3.11")
    lines, _ = _explained(scene, pip=["tool"])
    assert lines == ["pip: tool", "because", "tool 2.0 needs Python >=3.8,<3.11"]


def test_a_pre_release_that_the_spec_lets_in_is_no_reason(scene: Scene) -> None:
    scene.offer_conda("a", "1.0")
    _pip(scene, "tool", "1.0")
    _pip(scene, "tool", "2.0rc1", "a>=2")
    lines, remedy = _explained(scene, conda=["a"], pip=["tool>=2.0rc1"])
    reasons = ["tool >=2.0rc1 needs a >=2", "conda has a 1.0 only"]
    assert lines == ["pip: tool>=2.0rc1", "because", *reasons]
    assert "pre-release" not in remedy
