"""Small worlds that once were locked wrongly, by what is hard about them."""

from __future__ import annotations

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


_WORLDS = {
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
    "what is needed is nowhere": _world(
        Spec((), ("tool",)), {}, {"tool": (Release("1.0", ("nowhere",)),)}
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
