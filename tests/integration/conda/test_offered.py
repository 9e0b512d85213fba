"""What the channels offer is what the solver can take of them, and first what it takes first."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from elt_env.conda import SolveRequest
from elt_env.conda.channels import ChannelNames
from elt_env.conda.rattler_tool import Rattler
from elt_env.errors import UnsatisfiableError
from elt_env.lockfile.document import Package
from elt_env.project.policy import ChannelPriority
from elt_env.spec.conda_spec import CondaSpec, parse_conda_spec
from tests.support.channel import Channel
from tests.support.conda_packages import make_conda_package
from tests.support.solving import PLATFORM

_CHANNELS = ("one", "two", "three")
_NAMES = ("a", "b", "c")
_LONG_AGO = datetime(2020, 1, 1, tzinfo=timezone.utc)
_CUT_OFF = datetime(2025, 1, 1, tzinfo=timezone.utc)
_VIRTUAL: tuple[list[str], ...] = ([], [], [], ["__glibc >=2"], ["__glibc >=99"], ["__cuda >=99"])


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three channels with builds of the same packages: of any age, platform and build number."""
    root = tmp_path_factory.mktemp("channels")
    pick = random.Random(7)  # noqa: S311  # no secret
    for channel in _CHANNELS:
        for subdir in ("noarch", PLATFORM):
            (root / channel / subdir).mkdir(parents=True)
        for name in pick.sample(_NAMES, 2):
            for number in range(pick.randint(1, 4)):
                make_conda_package(
                    root / channel,
                    name,
                    pick.choice(["1.0", "2.0", "2.1"]),
                    build=f"{channel}_{number}",
                    build_number=pick.randint(0, 2),
                    subdir=pick.choice(["noarch", PLATFORM]),
                    depends=pick.choice(_VIRTUAL),
                    timestamp=pick.choice([_LONG_AGO, _CUT_OFF]) + timedelta(days=number),
                )
        Channel(root / channel).index()
    return root


@pytest.fixture
def conda(root: Path, tmp_path: Path) -> Rattler:
    """The tool, for which `both` stands for two channels."""
    names = ChannelNames(root.as_uri(), multi={"both": ("three", "two")})
    return Rattler(tmp_path / "cache", names, 60.0)


def _requests(conda: Rattler, priority: ChannelPriority) -> Iterator[SolveRequest]:
    for seed in range(8):
        pick = random.Random(seed)  # noqa: S311  # no secret
        order = pick.sample(_CHANNELS, pick.randint(1, 3))
        asked = tuple(
            parse_conda_spec(pick.choice(["", "", f"{pick.choice(order)}::", "both::"]) + name)
            for name in _NAMES
        )
        named = [each.channel for each in asked if each.channel]
        yield SolveRequest(
            conda.channel_urls([*order, *named]),
            asked,
            PLATFORM,
            exclude_newer=pick.choice([None, _CUT_OFF]),
            not_held=pick.choice([(), ("b",)]),
            priority=priority,
        )


def _solved(conda: Rattler, request: SolveRequest, *specs: CondaSpec) -> Package | None:
    try:
        return conda.solve(replace(request, specs=specs))[0]
    except UnsatisfiableError:
        return None


@pytest.mark.parametrize("priority", ["strict", "flexible", "disabled"])
def test_what_is_offered_is_what_the_solver_can_take(
    root: Path, conda: Rattler, priority: ChannelPriority
) -> None:
    for request in _requests(conda, priority):
        offered = conda.offered(request)
        for spec in request.specs:
            found = [each.url for each in offered.builds(spec.name)]
            first = _solved(conda, request, spec)
            assert found[:1] == ([first.url] if first else []), (request, spec)
            for archive in sorted(root.glob(f"*/*/{spec.name}-*.conda")):
                _, version, build = archive.stem.split("-")
                exact = replace(spec, version=f"=={version}", build=build)
                can = [each.url for each in filter(None, [_solved(conda, request, exact)])]
                alone = offered.asking((exact,))
                assert [each.url for each in alone.builds(spec.name)] == can, (request, exact)
