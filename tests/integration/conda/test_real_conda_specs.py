"""Conda's own reading of requirements beside this one, on the same packages."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import pytest
from rattler import MatchSpec, PackageRecord
from rattler.package.build_string import BuildString

from elt_env.spec.conda_spec import parse_conda_spec
from elt_env.spec.faults import WrittenError
from tests.support.real_conda import installed_conda

pytestmark = [pytest.mark.slow, pytest.mark.registry]

_VERSIONS = (
    *("0.9", "1", "1.0", "1.0.1", "1.1", "1.2", "1.2.0", "1.2.3", "1.2.10", "1.3", "1.10"),
    *("1.10.1", "2", "2.0", "2.0.1", "2.0a0", "2.0rc1", "2.1", "3.3", "1.1.1w", "1.1.1x"),
    *("1.0.post1", "1!1.0", "1!1.0.1", "1!2.1", "1.2_3", "10", "12.0"),
)
_PUBLISHED = list(itertools.product(_VERSIONS, ("0", "py_0", "x_0")))
_SHAPES = (
    *(
        "pkg {}",
        "pkg{}",
        "pkg {} py_0",
        "pkg{}=py_0",
        "pkg {} py*",
        "pkg{}=*",
        "Pkg{}[build='*_0']",
    ),
    *("pkg[version='{}']", "pkg[version='{}',build=py_0]", "pkg {}  # why"),
)
_ASK = """
import json, sys
from conda.models.match_spec import MatchSpec
texts, published = json.load(open(sys.argv[1]))
found = {}
for text in texts:
    try:
        spec = MatchSpec(text)
        found[text] = [
            place
            for place, (version, build) in enumerate(published)
            if spec.match(dict(name="pkg", version=version, build=build, build_number=0))
        ]
    except Exception:
        found[text] = None
print("\\n" + json.dumps(found))
"""


def _bounds() -> list[str]:
    operators = ("", "=", "==", "!=", ">=", "<=", ">", "<", "~=")
    versions = ("1", "1.2", "1.2.0", "1.10", "2.0", "1!1.0", "1.1.1w", "2.0rc1", "1.0.post1")
    single = map("".join, itertools.product(operators, versions, ("", ".*")))
    both = itertools.product(
        (">=1", "=1.2", "1.2", "!=1.2.*", "1.*"), ("<2", "<2.0a0", "!=1.10", "=1.2", "1.2.*")
    )
    either = itertools.product(("1.2", "=1.2", ">=2", "1.2.*"), ("<1", "=2", ">=1,<1.2", "1!1.0"))
    return [*single, *map(",".join, both), *map("|".join, either), "*"]


def test_conda_accepts_what_is_accepted_here_and_nothing_else(tmp_path: Path) -> None:
    texts = [shape.format(bound) for shape in _SHAPES for bound in _bounds()]
    path = tmp_path / "texts.json"
    path.write_text(json.dumps([texts, _PUBLISHED]), encoding="utf-8")
    said = installed_conda(tmp_path / "home").python_code(_ASK, path)
    by_conda = json.loads(said.splitlines()[-1])
    records = [
        PackageRecord("pkg", version, BuildString(build), 0, "noarch")
        for version, build in _PUBLISHED
    ]
    refused, others = 0, []
    for text in texts:
        try:
            spec = MatchSpec(str(parse_conda_spec(text)), strict=True)
        except WrittenError:
            refused += 1
            continue
        if by_conda[text] != [place for place, each in enumerate(records) if spec.matches(each)]:
            others.append(text)
    assert others == []
    # Two signs that are read one way here and another there, and a name with a sign stuck to it.
    assert refused < len(texts) / 5
