"""Channels, their order and priority mean for a solve what they mean for conda's own solver."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import pytest

from elt_env.conda import Solver, SolveRequest
from elt_env.conda.channels import ChannelNames, channel_of
from elt_env.conda.rattler_tool import Rattler
from elt_env.errors import UnsatisfiableError
from elt_env.project.policy import ChannelPriority
from elt_env.spec.conda_spec import parse_conda_spec
from tests.support.channel import Channel
from tests.support.conda_packages import make_conda_package
from tests.support.real_conda import installed_conda
from tests.support.solving import PLATFORM

# Solves everything that is asked for in one process, as `conda create --dry-run` does it.
_SOLVE = """
import json, os, sys
from conda.base.context import reset_context
from conda.core.solve import Solver
from conda.exceptions import CondaError
from conda.models.match_spec import MatchSpec
found = []
root, asked = json.load(open(sys.argv[1]))
os.environ["CONDARC"] = sys.argv[1] + ".yml"
settings = {
    "channel_alias": root,
    "custom_multichannels": {"both": ["two", "three"]},
    "quiet": True,
    "repodata_fns": ["repodata.json"],
}
for channels, specs, priority in asked:
    with open(os.environ["CONDARC"], "w") as file:
        json.dump(settings | {"channel_priority": priority}, file)
    reset_context()
    wanted = [MatchSpec(each) for each in specs]
    solver = Solver("/no/such/prefix", channels, ("linux-64", "noarch"), wanted)
    try:
        records = solver.solve_final_state()
        found.append(sorted([each.name, each.version, each.channel.base_url] for each in records))
    except CondaError:
        found.append(None)
print(json.dumps(found))
"""
_CONTENT = {
    "one": [("a", "1", []), ("b", "1", ["a"]), ("c", "1", ["a >=2"])],
    "two": [("a", "2", []), ("b", "2", ["a"]), ("d", "1", ["a <3"])],
    "three": [("a", "3", []), ("c", "2", []), ("d", "2", ["a <2"]), ("e", "1", ["b", "c"])],
}
_CHANNELS = [["one", "two", "three"], ["three", "two", "one"], ["both", "one"]]
_SPECS = [["a"], ["c"], ["d"], ["two::a"], ["both::a"], ["one::a", "b"], ["both::d"]]
_SPECS += [["two::b", "a >=3"]]
_PRIORITIES: list[ChannelPriority] = ["strict", "flexible", "disabled"]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with three channels."""
    root = tmp_path_factory.mktemp("channels")
    for channel, packages in _CONTENT.items():
        for name, version, depends in packages:
            make_conda_package(root / channel, name, version, depends=depends)
        (root / channel / PLATFORM).mkdir()
        Channel(root / channel).index()
    return root


def _ours(
    conda: Solver, channels: list[str], specs: list[str], priority: ChannelPriority
) -> list[list[str]] | None:
    wanted = tuple(parse_conda_spec(each) for each in specs)
    named = [each.channel for each in wanted if each.channel]
    urls = conda.channel_urls([*channels, *named])
    try:
        found = conda.solve(SolveRequest(urls, wanted, PLATFORM, priority=priority))
    except UnsatisfiableError:
        return None
    return [[each.name, each.version, channel_of(each.url)] for each in found]


@pytest.mark.slow
def test_both_solvers_choose_the_same(
    root: Path, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """But what conda refuses with strict priority: another channel that a requirement names."""
    conda = installed_conda(tmp_path_factory.mktemp("conda"))
    asked = list(itertools.product(_CHANNELS, _SPECS, _PRIORITIES))
    (tmp_path / "asked.json").write_text(json.dumps([root.as_uri(), asked]))
    answers = json.loads(conda.python_code(_SOLVE, tmp_path / "asked.json").splitlines()[-1])
    names = ChannelNames(root.as_uri(), multi={"both": ("two", "three")})
    ours = Rattler(tmp_path / "cache", names, 60.0)
    for each, answer in zip(asked, answers, strict=True):
        found = _ours(ours, *each)
        _, specs, priority = each
        if answer is None and priority == "strict" and "::" in specs[0]:
            continue
        assert found == answer, each
