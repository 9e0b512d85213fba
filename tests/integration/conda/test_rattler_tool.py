"""rattler solves from a local channel, and says what is wrong with the question."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from elt_env.conda import Solver
from elt_env.errors import (
    CondaUnsatisfiableError,
    PackageNotFoundError,
)
from elt_env.machine.process import clean_environment
from elt_env.spec.conda_spec import CondaSpec, parse_conda_spec
from tests.support.channel import Channel, ChannelServer
from tests.support.conda_packages import make_conda_distribution, make_conda_package
from tests.support.solving import OLD, PLATFORM, YOUNG, request, versions

_LIMIT = 120.0
_CUT = datetime(2026, 1, 1, tzinfo=timezone.utc)


def test_what_a_solution_tells(packages: Channel, server: ChannelServer, conda: Solver) -> None:
    app, lib, dateutil, python = conda.solve(
        request(server.url, "python=3.11", "app", "pydateutil")
    )
    assert (app.requested, lib.requested, python.requested) == (True, False, True)
    assert (app.version, lib.version, python.version) == ("1.0", "2.0", "3.11.5")
    assert app.url == f"{server.url}/noarch/app-1.0-0.conda"
    assert python.url == f"{server.url}/{PLATFORM}/python-3.11.5-0.conda"
    assert app.size == (packages.root / "noarch" / app.file_name).stat().st_size
    assert (app.released_at, lib.released_at) == (OLD, YOUNG)
    assert app.conda is not None
    assert app.conda.depends == ("python", "lib")
    assert dateutil.conda is not None
    assert dateutil.conda.distributions == (("python-dateutil", "2.9"),)


def test_a_directory_and_a_server_give_the_same(
    packages: Channel, server: ChannelServer, conda: Solver
) -> None:
    local, remote = (
        conda.solve(request(url, "python=3.11", "app")) for url in (packages.url, server.url)
    )
    assert [replace(each, url="") for each in local] == [replace(each, url="") for each in remote]


def test_constraints_bind_only_what_is_there(packages: Channel, conda: Solver) -> None:
    constraints = (CondaSpec("lib", "<2"), CondaSpec("pydateutil", "<1"))
    found = conda.solve(request(packages.url, "python=3.11", "app", constraints=constraints))
    assert versions(found) == {"app": "1.0", "lib": "1.0", "python": "3.11.5"}


def test_what_is_to_be_kept_stays_where_nothing_forbids_it(
    packages: Channel, conda: Solver
) -> None:
    old = conda.solve(
        request(packages.url, "python=3.11", "app", constraints=(CondaSpec("lib", "<2"),))
    )
    kept = conda.solve(request(packages.url, "python=3.11", "app", keep=old))
    assert versions(kept)["lib"] == "1.0"
    moved = conda.solve(request(packages.url, "python=3.11", "app", "lib>=2", keep=old))
    assert versions(moved)["lib"] == "2.0"


@pytest.mark.parametrize(
    "cut",
    [
        _CUT,
        # Five hours ahead of UTC: as UTC it would be after the young release.
        (YOUNG - timedelta(hours=1)).astimezone(timezone(timedelta(hours=5))),
    ],
)
def test_a_package_too_young_is_not_chosen(
    packages: Channel, server: ChannelServer, conda: Solver, cut: datetime
) -> None:
    make_conda_distribution(packages.root, "undated", "1.0")
    packages.index()
    found = conda.solve(request(server.url, "python=3.11", "app", "undated", exclude_newer=cut))
    assert versions(found)["lib"] == "1.0"
    assert versions(found)["undated"] == "1.0"


@pytest.mark.parametrize("not_held", [(), ("app",)])
def test_what_came_at_the_moment_of_the_cut_off_is_too_young(
    packages: Channel, conda: Solver, not_held: tuple[str, ...]
) -> None:
    for cut, version in ((YOUNG, "1.0"), (YOUNG + timedelta(milliseconds=1), "2.0")):
        asked = request(packages.url, "app", exclude_newer=cut, not_held=not_held)
        assert versions(conda.solve(asked))["lib"] == version


def test_all_that_fits_is_too_young(packages: Channel, conda: Solver) -> None:
    with pytest.raises(CondaUnsatisfiableError, match="lib >=2") as caught:
        conda.solve(request(packages.url, "python=3.11", "lib>=2", exclude_newer=_CUT))
    assert "cooldown" in caught.value.remedy


def test_a_channel_indexed_anew_is_read_anew(packages: Channel, conda: Solver) -> None:
    conda.solve(request(packages.url, "lib"))
    make_conda_distribution(packages.root, "lib", "3.0")
    packages.index()
    assert versions(conda.solve(request(packages.url, "lib")))["lib"] == "3.0"


def test_no_solution(packages: Channel, conda: Solver) -> None:
    make_conda_distribution(packages.root, "old", "1.0", depends=["python", "lib <2"])
    packages.index()
    with pytest.raises(CondaUnsatisfiableError, match=r"python =3\.11, lib >=2, old") as caught:
        conda.solve(request(packages.url, "python=3.11", "lib>=2", "old"))
    assert "lib <2" in caught.value.problem
    assert "Loosen" in caught.value.remedy
    assert caught.value.exit_code == 3


def test_no_version_of_it(packages: Channel, conda: Solver) -> None:
    with pytest.raises(CondaUnsatisfiableError, match="No candidates were found for lib >=7"):
        conda.solve(request(packages.url, "python=3.11", "lib>=7"))


def test_a_package_that_is_not_there(packages: Channel, conda: Solver) -> None:
    with pytest.raises(PackageNotFoundError, match=rf"'nope' on .*{packages.url}") as caught:
        conda.solve(request(packages.url, "python=3.11", "nope"))
    assert "Correct the name" in caught.value.remedy


def test_matches(packages: Channel, conda: Solver) -> None:
    lib, _ = conda.solve(request(packages.url, "python=3.11", "lib=1"))
    for text, expected in {"lib": True, "lib>=1,<2": True, "lib=2": False, "app": False}.items():
        assert conda.matches(parse_conda_spec(text), lib) is expected


# py-rattler can crash the interpreter when it exits, after all work is done; see `rattler_loop`.
_SOLVE = """
    import sys
    from pathlib import Path
    from elt_env.spec.conda_spec import CondaSpec
    from elt_env.conda import SolveRequest
    from elt_env.conda.rattler_tool import Rattler

    conda = Rattler(Path(sys.argv[2]), None, 60.0)
    request = SolveRequest((sys.argv[1],), (CondaSpec("app"),), "linux-64")
    print(len(conda.solve(request)))
"""


def test_an_interpreter_that_solved_ends_well(packages: Channel, tmp_path: Path) -> None:
    def solve(number: int) -> tuple[int, str]:
        done = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(_SOLVE), packages.url, tmp_path / f"{number}"],
            env=clean_environment(extra={"PYTHONPATH": ":".join(filter(None, sys.path))}),
            check=False,
            capture_output=True,
            text=True,
            timeout=_LIMIT,
        )
        return done.returncode, done.stdout

    with ThreadPoolExecutor(2) as pool:
        assert set(pool.map(solve, range(20))) == {(0, "3\n")}


# Of each, the builds: `name version`, and what it needs. Packages need each other.
_ENDLESS = {
    "a 1": ("b ==2", "c >1"),
    "a 2": ("c >1",),
    "a 3": ("b <3", "c ==2"),
    "b 1": ("a *", "c >1"),
    "b 2": ("a ==2", "c *"),
    "c 1": (),
    "c 2": ("a ==3", "b >1"),
    "c 3": ("a ==1",),
}
_SHORT = {"a 1": ("b",), "b 1": ("a", "c >=2"), "c 1": ()}


def _channel_of(root: Path, builds: dict[str, tuple[str, ...]]) -> Channel:
    channel = Channel(root)
    for each, depends in builds.items():
        make_conda_package(root, *each.split(), depends=depends, timestamp=OLD)
    channel.index()
    return channel


@pytest.mark.slow
def test_packages_that_need_each_other_and_cannot_be_had_are_told_in_bounded_memory(
    tmp_path: Path, conda: Solver
) -> None:
    channel = _channel_of(tmp_path, _ENDLESS)
    with pytest.raises(CondaUnsatisfiableError) as caught:
        conda.solve(request(channel.url, "a"))
    assert "packages need each other in ways that the solver cannot explain" in caught.value.problem


def test_what_is_wrong_with_packages_that_need_each_other_is_explained(
    tmp_path: Path, conda: Solver
) -> None:
    channel = _channel_of(tmp_path, _SHORT)
    with pytest.raises(CondaUnsatisfiableError, match="c >=2, for which no candidates were found"):
        conda.solve(request(channel.url, "a"))
    with pytest.raises(PackageNotFoundError, match="'zzz'"):
        conda.solve(request(channel.url, "a", "zzz"))


def test_packages_that_need_each_other_can_be_had(tmp_path: Path, conda: Solver) -> None:
    channel = _channel_of(tmp_path, {**_SHORT, "c 2": ("b",)})
    found = conda.solve(request(channel.url, f"{channel.url}::a", "c >1"))
    assert found == conda.solve(request(channel.url, "a", "c >1"))
    assert versions(found) == {"a": "1", "b": "1", "c": "2"}


def test_what_one_channel_alone_cannot_have_is_explained(tmp_path: Path, conda: Solver) -> None:
    first = _channel_of(tmp_path / "first", {"a 2": ("b",), "b 1": ("a", "a <2")})
    other = _channel_of(tmp_path / "other", {"a 1": ("b",)})
    asked = replace(request(first.url, f"{first.url}::a"), channels=(first.url, other.url))
    with pytest.raises(CondaUnsatisfiableError, match="a 2"):
        conda.solve(asked)
    loose = replace(request(first.url, f"{other.url}::a"), channels=(first.url, other.url))
    assert versions(conda.solve(loose)) == {"a": "1", "b": "1"}
