"""The reference of the policy keys says what the code does."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from pathlib import Path
from typing import TypeAlias

import pytest
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from elt_env.project.durations import parse_duration
from elt_env.project.own_checks import KINDS
from elt_env.project.policy import EnvironmentPolicy, Policy

_TEXT = (Path(__file__).parents[2] / "docs" / "policy.md").read_text(encoding="utf-8")
_ROW = re.compile(r"^\| `(?P<key>[a-z-]+)` \|(?P<default>[^|]*)\| .+ \|$", re.MULTILINE)
_Model: TypeAlias = type[BaseModel]
_TABLES: dict[_Model, str] = {
    Policy: "## `[tool.elt-env]`",
    EnvironmentPolicy: "## `[tool.elt-env.environments.NAME]`",
    **{model: f'### `kind = "{kind}"`' for kind, model in KINDS.items()},
}
_OF_ALL = "## `[tool.elt-env.environments.NAME.checks.CHECK]`"  # before what one kind alone has


def _rows(model: _Model) -> dict[str, str]:
    heads = [_OF_ALL, _TABLES[model]] if model in KINDS.values() else [_TABLES[model]]
    sections = [
        re.split(r"\n###? ", _TEXT.split(f"{head}\n", 1)[1], maxsplit=1)[0] for head in heads
    ]
    rows = [row for each in sections for row in _ROW.finditer(each)]
    return {row["key"]: row["default"].strip() for row in rows}


_KEYS = [(model, name) for model in _TABLES for name in model.model_fields]


@pytest.mark.parametrize("model", _TABLES)
def test_every_key_has_a_row_and_every_row_is_a_key(model: _Model) -> None:
    assert sorted(_rows(model)) == sorted(name.replace("_", "-") for name in model.model_fields)


@pytest.mark.parametrize(("model", "name"), _KEYS)
def test_a_row_gives_the_default(model: _Model, name: str) -> None:
    field: FieldInfo = model.model_fields[name]
    stated = _rows(model)[name.replace("_", "-")]
    if field.is_required():
        assert stated == ""
    elif field.default is None:
        assert re.match(r"[a-z]", stated)  # in words: where the value then comes from
    else:
        default = field.get_default(call_default_factory=True, validated_data={})
        value = json.loads(stated.strip("`"))
        if isinstance(default, timedelta):
            value = parse_duration(value)
        assert value == (list(default) if isinstance(default, tuple) else default)
