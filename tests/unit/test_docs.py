"""The reference of the policy keys says what the code does."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from pathlib import Path
from typing import TypeAlias

import pytest
from pydantic.fields import FieldInfo

from elt_env.model.policy import EnvironmentPolicy, Policy, parse_duration

_TEXT = (Path(__file__).parents[2] / "docs" / "policy.md").read_text(encoding="utf-8")
_ROW = re.compile(r"^\| `(?P<key>[a-z-]+)` \|(?P<default>[^|]*)\| .+ \|$", re.MULTILINE)
_Model: TypeAlias = type[Policy] | type[EnvironmentPolicy]
_TABLES: dict[_Model, str] = {
    Policy: "## `[tool.elt-env]`",
    EnvironmentPolicy: "## `[tool.elt-env.environments.NAME]`",
}


def _rows(model: _Model) -> dict[str, str]:
    section = _TEXT.split(_TABLES[model], 1)[1].split("\n## ", 1)[0]
    return {row["key"]: row["default"].strip() for row in _ROW.finditer(section)}


_KEYS = [(model, name) for model in _TABLES for name in model.model_fields]


@pytest.mark.parametrize("model", _TABLES)
def test_every_key_has_a_row_and_every_row_is_a_key(model: _Model) -> None:
    assert list(_rows(model)) == [name.replace("_", "-") for name in model.model_fields]


@pytest.mark.parametrize(("model", "name"), _KEYS)
def test_a_row_gives_the_default(model: _Model, name: str) -> None:
    field: FieldInfo = model.model_fields[name]
    stated = _rows(model)[name.replace("_", "-")]
    if field.is_required():
        assert stated == ""
    elif field.default is None:
        assert re.match(r"[a-z]", stated)  # in words: where the value then comes from
    else:
        value = json.loads(stated.strip("`"))
        if isinstance(field.default, timedelta):
            value = parse_duration(value)
        assert value == (list(field.default) if isinstance(field.default, tuple) else field.default)
