from __future__ import annotations

import pytest

from elt_env.defs.run_tags import UPGRADE, asked_upgrade


@pytest.mark.parametrize(
    ("tags", "names"),
    [
        ({}, ()),
        ({"other": "everything"}, ()),
        ({UPGRADE: ""}, ()),
        ({UPGRADE: " , "}, ()),
        ({UPGRADE: "everything"}, None),
        ({UPGRADE: "dagster"}, ("dagster",)),
        ({UPGRADE: " dagster, dbt-core ,"}, ("dagster", "dbt-core")),
    ],
)
def test_a_tag_names_what_may_be_upgraded(
    tags: dict[str, str], names: tuple[str, ...] | None
) -> None:
    assert asked_upgrade(tags) == names
