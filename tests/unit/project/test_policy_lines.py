"""Where a key of the policy stands in its file."""

from __future__ import annotations

import pytest

from elt_env.project.settings import line_of

_TEXT = """\
[project]
watch = 1

[tool.elt-env]  # ours
cooldown = "3 days"
"watch-interval" = "1 hour"
allow_sdist = [
  "one",
]

[tool.elt-env.environments.elt]
spec = "environments/elt.yml"
checks.hold.run = "true"

[ tool . "elt-env" . environments . my-team ]
pythons = ["3.11"]
"""


@pytest.mark.parametrize(
    ("key", "line"),
    [
        ("cooldown", 5),
        ("watch-interval", 6),
        ("allow-sdist.0", 7),
        ("watch", 4),  # of another table, so it is not written: where it would be
        ("environments.elt.spec", 12),
        ("environments.elt.pythons", 11),
        ("environments.elt.checks.hold.run", 13),
        ("environments.my-team.pythons.0", 16),
        ("environments.other.spec", 4),
    ],
)
def test_a_key_has_its_line_or_that_of_its_table(key: str, line: int) -> None:
    assert line_of(key, _TEXT) == line


def test_without_the_table_there_is_no_line() -> None:
    assert line_of("cooldown", "[tool.other]\ncooldown = 1\n") is None
