"""Small worlds that once were locked wrongly, by what is hard about them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.locked_worlds import check_world
from tests.support.worlds import Build, Policy, Release, Spec, World

_PYTHON = ("python >=3.8",)


def _world(
    spec: Spec,
    conda: dict[str, tuple[Build, ...]],
    index: dict[str, tuple[Release, ...]],
    policy: Policy | None = None,
) -> World:
    return World(0, ("3.11.5",), conda, index, spec, policy or Policy())


def _carrying(name: str, *versions: str) -> tuple[Build, ...]:
    return tuple(Build(each, depends=_PYTHON, carries={name: each}) for each in versions)


def _under(*pythons: str, world: World) -> World:
    return replace(world, pythons=pythons)


_WORLDS = {
    "a local version is for other Pythons, and what it is a version of lacks something": _world(
        Spec((), ("tool[x]",)),
        {},
        {
            "tool": (
                Release("1.0", extras={"x": ()}),
                Release("2.0+cpu", requires_python="<3.11.5"),
                Release("2.0", extras={"x": ("lost==3.0",)}),
            )
        },
    ),
    "what an sdist needs is what all that there is of it needs": _world(
        Spec((), ("tool",)),
        {},
        {
            "lib": (Release("1.0", ("lost",)),),
            "tool": (Release("3.0", ("lib>=1.0",), files="sdist"),),
        },
        Policy(allow_sdist=("tool",)),
    ),
    "a requirement counts under one of the Pythons, the one that a remedy leads to": _under(
        "3.11.5",
        "3.11.4",
        world=_world(
            Spec(("core 2.0",), ("tool<2.0; python_full_version < '3.11.5'",)),
            {"core": (Build("3.0", depends=("python <3.11.5",), carries={"core": "3.0"}),)},
            {"tool": (Release("3.0"),)},
        ),
    ),
    "a bound is on a package that stands for what pip brings while the spec asks for it": _world(
        Spec(("a", "pkg"), ("tool",)),
        {
            "a": (Build("1.0", depends=(*_PYTHON, "b"), carries={"a": "1.0"}),),
            "b": (Build("2.0", depends=_PYTHON, constrains=("pkg 2.0",), carries={"b": "2.0"}),),
            "pkg": (Build("2.0", depends=_PYTHON, carries={"dist": "2.0"}),),
        },
        {"dist": (Release("0.9"),), "tool": (Release("1.0", ("dist<1",)),)},
    ),
    "what conda would rather have constrains what pip brings": _world(
        Spec(("a",), ("tool",)),
        {
            "a": (Build("1.0", depends=("lib",)),),
            "lib": (Build("1.0"), Build("2.0", constrains=("tool 1.0",))),
        },
        {"tool": (Release("1.0"), Release("2.0"))},
    ),
    "an sdist is allowed of what conda brings": _world(
        Spec(("a",), ("tool",)),
        {"a": _carrying("a", "1.0")},
        {"tool": (Release("1.0", ("a",)),), "a": (Release("2.0", files="sdist"),)},
        Policy(allow_sdist=("a",)),
    ),
    "an sdist is a local version of what is a wheel": _world(
        Spec(("a",), ("tool",)),
        {"a": _carrying("a", "2.0", "3.0")},
        {"tool": (Release("2.0", ("a!=3.0",)), Release("2.0+cpu", files="sdist"))},
        Policy(allow_sdist=("tool",)),
    ),
    "a local version is for a Python that what it is a version of is not for": _world(
        Spec((), ("tool",)),
        {},
        {
            "tool": (
                Release("1.0"),
                Release("2.0+cpu"),
                Release("2.0", requires_python="<3.11.5"),
                Release("3.0+cpu", requires_python="<3.11.5"),
            )
        },
    ),
    "an sdist is pinned that was yanked": _world(
        Spec((), ("tool==1.0",)),
        {},
        {"tool": (Release("1.0", files="sdist", yanked=True), Release("2.0"))},
        Policy(allow_sdist=("tool",)),
    ),
    "several may be sdists, and all must": _world(
        Spec((), ("tool",)),
        {},
        {
            "tool": (Release("1.0", ("p==2.0", "q==2.0", "r==2.0", "s==2.0")),),
            **{
                each: (Release("1.0"), Release("2.0", files="sdist"))
                for each in ("p", "q", "r", "s")
            },
        },
        Policy(allow_sdist=("p", "q", "r", "s")),
    ),
    "only a pre-release fits the rest, and a final release is there": _world(
        Spec((), ("tool",)),
        {},
        {"tool": (Release("1.0", ("nowhere",)), Release("2.0rc1"))},
    ),
    "conda too has a pre-release, and a final release would do": _world(
        Spec(("core",), ("a",)),
        {
            "core": (Build("1.0", depends=("b",)), Build("3.0")),
            "a": _carrying("a", "2.0rc1"),
            "b": (Build("2.0", depends=("a",)),),
        },
        {"a": (Release("1.0", ("nowhere",)), Release("2.0rc1"), Release("2.0", ("neither",)))},
    ),
    "there are pre-releases only, and the newest does not fit": _world(
        Spec((), ("tool",)), {}, {"tool": (Release("2.0a1"), Release("2.0b2", ("nowhere",)))}
    ),
    "a constraint is on what conda could bring": _world(
        Spec(("lib",), ("tool",), ("tool<2",)),
        {"lib": (Build("1.0"), Build("2.0", depends=("tool",))), "tool": _carrying("tool", "3.0")},
        {"tool": (Release("1.0"),)},
    ),
    "the index's release of what conda has is for other Pythons": _world(
        Spec(("a",), ("tool",)),
        {
            "a": (
                Build("2.0", depends=("b 2.0", *_PYTHON), carries={"a": "2.0"}),
                Build("2.0.1", depends=_PYTHON, carries={"a": "2.0.1"}),
            ),
            "b": _carrying("b", "2.0"),
        },
        {
            "b": (Release("2.0", requires_python=">=3.8,!=3.11.*"), Release("2.0.1")),
            "tool": (
                Release("1.0", ("a==2.0.*", "b==2.0")),
                Release("2.0", requires_python="<3.11"),
            ),
        },
    ),
    "what conda brings is as old as its build": _world(
        Spec(("lib",), ("tool",)),
        {
            "lib": (Build("1.0", age=50), Build("2.0", depends=("tool ==1.0",), age=40)),
            "tool": tuple(
                replace(each, age=age)
                for each, age in zip(_carrying("tool", "1.0", "2.0"), (1000, 10), strict=True)
            ),
        },
        {"tool": (Release("2.0", age=10),)},
    ),
    "each half of a conflict has a Python of its own": replace(
        _world(
            Spec(("a", "b")),
            {
                "a": (Build("1.0", depends=("python <3.11.5",)),),
                "b": (Build("1.0", depends=("python >=3.11.5",)),),
            },
            {},
        ),
        pythons=("3.11.5", "3.11.4"),
    ),
    "a bound leaves versions that conda has and the index has not": _world(
        Spec(("a",), ("tool",)),
        {"a": _carrying("a", "1.0", "3.0")},
        {
            "a": (Release("2.0"), Release("3.0")),
            "tool": (Release("1.0", ("a~=3.0",)), Release("2.0", ("a==2.0.*",))),
        },
    ),
    "a constraint of the spec is no bound of what needs it": _world(
        Spec(("a", "b"), (), ("b<=1.0",)),
        {
            "a": (
                Build("3.0", depends=("b", *_PYTHON), carries={"a": "3.0"}, requires={"a": ("b",)}),
            ),
            "b": _carrying("b", "1.0", "2.0"),
        },
        {},
    ),
    "an extra leads to another one that needs what is nowhere": _world(
        Spec((), ("tool[x]",)),
        {},
        {"tool": (Release("3.0", extras={"x": ("tool[y]",), "y": ("nowhere<=1.0",)}),)},
    ),
    "conda has a version of what is refused that this machine cannot have": _world(
        Spec(("pkg",)),
        {
            "a": (
                Build("1.0", depends=_PYTHON, carries={"a": "1.0"}),
                Build(
                    "3.0",
                    depends=("pkg", "lib", "python >=3.11,<3.12"),
                    carries={"a": "3.0"},
                    channel=1,
                    native=True,
                ),
            ),
            "pkg": (
                Build(
                    "0.9",
                    depends=("core", "__cuda", *_PYTHON),
                    carries={"dist": "0.9"},
                    requires={"dist": ("core==2.0.*",)},
                ),
                Build(
                    "1.10",
                    depends=("a <2.0", *_PYTHON),
                    carries={"dist": "1.10"},
                    requires={"dist": ("a>=3.0", "a==3.0")},
                ),
            ),
        },
        {"dist": (Release("2.0", ("x1",)), Release("2.0.1", ("core!=1.0.post1",)))},
    ),
    "conda refuses two, of which one carries what cannot be either": _world(
        Spec(("pkg", "core")),
        {
            "pkg": (
                Build(
                    "2.0", depends=_PYTHON, carries={"dist": "2.0"}, requires={"dist": ("tool<3",)}
                ),
            ),
            "core": (Build("3.0", depends=_PYTHON, constrains=("pkg !=2.0.*",)),),
        },
        {"tool": (Release("3.0"),)},
    ),
    "what is needed is nowhere": _world(
        Spec((), ("tool",)), {}, {"tool": (Release("1.0", ("nowhere",)),)}
    ),
    "the index has only pre-releases of what conda has otherwise": _world(
        Spec(("duo",), ("duo-extra",)),
        {
            "duo": (
                Build("1.0", depends=_PYTHON, carries={"duo-core": "1.0", "duo-extra": "1.0"}),
                Build("3.0", depends=_PYTHON, carries={"duo-core": "3.0"}),
            ),
        },
        {"duo-extra": (Release("2.0b2"),)},
    ),
    "neither half has anything but pre-releases": _world(
        Spec(("duo",), ("duo-extra",)),
        {
            "duo": (
                Build("1.0", depends=_PYTHON, carries={"duo-core": "1.0", "duo-extra": "1.0a1"}),
                Build("3.0", depends=_PYTHON, carries={"duo-core": "3.0"}),
            ),
        },
        {"duo-extra": (Release("2.0b2"),)},
    ),
    "what the policy names is nowhere": _world(
        Spec((), ("tool",)),
        {},
        {"tool": (Release("1.0"),)},
        Policy(allow_sdist=("nowhere", "neither")),
    ),
}


@pytest.mark.parametrize("name", _WORLDS)
def test_small_worlds(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tool_caches: Path
) -> None:
    del tool_caches
    assert not check_world(_WORLDS[name], tmp_path, monkeypatch)
