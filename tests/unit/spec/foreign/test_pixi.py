"""What a workspace of pixi says of platforms, activation and sources."""

from __future__ import annotations

from pathlib import Path

import pytest

from elt_env.spec.faults import FaultsError
from elt_env.spec.file import read_spec

_HEAD = '[workspace]\nchannels = ["conda-forge", {channel = "own", priority = 1}]\n'


def test_tables_of_this_platform_count_the_nearest_first(tmp_path: Path) -> None:
    (tmp_path / "pixi.toml").write_text(
        _HEAD
        + """\
[dependencies]
a = "1.*"
b = "1.*"
[host-dependencies]
h = "1.*"
[target.unix.dependencies]
a = "2.*"
[target.linux.dependencies]
a = "3.*"
c = "1.*"
[target.win.dependencies]
d = "1.*"
[target.linux.pypi-dependencies]
dbt-duckdb = "*"
[activation.env]
FOO = "one"
PATH = "$HOME/bin:$PATH"
[target.linux.activation.env]
FOO = "two"
"""
    )
    spec = read_spec(tmp_path, "pixi.toml")
    assert spec.channels == ("own", "conda-forge")
    asked = {each.name: each.version for each in spec.conda}
    assert asked == {"a": "3.*", "b": "1.*", "c": "1.*", "h": "1.*"}
    assert spec.pip == ("dbt-duckdb",)
    assert spec.variables == (("FOO", "two"),)
    assert [(each.line, each.problem) for each in spec.warnings] == [(19, "'PATH' is left out.")]


def test_a_package_that_pixi_builds_is_refused(tmp_path: Path) -> None:
    (tmp_path / "pixi.toml").write_text(_HEAD + '[dependencies]\nown = {path = "own"}\n')
    with pytest.raises(FaultsError, match=r"pixi.toml, line 4: 'own' is built from its source"):
        read_spec(tmp_path, "pixi.toml")
