"""What a person reads about readiness."""

from __future__ import annotations

from datetime import date

from elt_env.watch.readiness import Blocker, Look, judge
from elt_env.watch.readiness_render import COLUMNS, next_step, rows, to_markdown, to_text
from tests.support.locks import MOMENT

TODAY = date(2026, 11, 21)
CHAIN = ("dagster-dbt 0.29.27", "dbt-core 1.11.16", "mashumaro <3.15")
KNOWN = [
    judge(None, "elt", "3.11", Look("proven"), MOMENT),
    judge(None, "elt", "3.13", Look("proven"), MOMENT),
    judge(
        None,
        "elt",
        "3.14",
        Look("installed", (Blocker("import failure", CHAIN, "dbt does not import\nmore"),)),
        MOMENT,
    ),
    judge(None, "elt", "3.15", Look(doubt="the index does not answer\nat all"), MOMENT),
]


def test_a_row_for_each_python() -> None:
    assert COLUMNS == ("python", "verdict", "reached", "blocked by", "since", "end of life")
    assert rows(KNOWN, TODAY) == [
        ("3.11", "ready", "proven", "", "2026-05-04", "2027-10, in sight"),
        ("3.13", "ready", "proven", "", "2026-05-04", "2029-10"),
        (
            "3.14",
            "not ready",
            "installed",
            "import failure: dagster-dbt 0.29.27 → dbt-core 1.11.16 → mashumaro <3.15",
            "2026-05-04",
            "2030-10",
        ),
        (
            *("3.15", "unknown", "nothing", "incomplete look: the index does not answer"),
            *("2026-05-04", "2031-10"),
        ),
    ]


def test_the_text_of_it() -> None:
    assert to_text(KNOWN[1:], ("3.11",), TODAY).splitlines() == [
        "Python 3.13 (not in the policy): ready since 2026-05-04, proven",
        "  end of life: 2029-10",
        "Python 3.14 (not in the policy): not ready since 2026-05-04, installed",
        "  end of life: 2030-10",
        "  import failure: dagster-dbt 0.29.27 → dbt-core 1.11.16 → mashumaro <3.15",
        "    dbt does not import",
        "    more",
        "Python 3.15 (not in the policy): unknown since 2026-05-04, not even locked",
        "  end of life: 2031-10",
        "  the last look was incomplete: the index does not answer",
    ]


def test_the_markdown_of_it_warns_of_an_end_in_sight() -> None:
    first, _, third, fourth = to_markdown(KNOWN, ("3.11",), TODAY).split("\n\n")
    assert first.splitlines() == [
        "**Python 3.11** (in the policy): **ready** since 2026-05-04",
        "- end of life: 2027-10, in sight",
    ]
    assert third.splitlines() == [
        "**Python 3.14** (not in the policy): **not ready** since 2026-05-04",
        "- import failure: `dagster-dbt 0.29.27 → dbt-core 1.11.16 → mashumaro <3.15`",
        "  - dbt does not import",
    ]
    assert "- the last look was incomplete: the index does not answer" in fourth


def test_what_to_do_next() -> None:
    assert next_step(KNOWN, ("3.12",), TODAY) == (
        'Ready: Python 3.11, 3.13. To have it, write pythons = ["3.12", "3.11", "3.13"] in '
        "[tool.elt-env.environments.elt], and run: elt-env build elt@3.13"
    )
    assert next_step(KNOWN, ("3.11", "3.13"), TODAY).splitlines() == [
        "Nothing to add: no other Python than 3.11, 3.13 is known to be ready.",
        "Plan to take Python 3.11 out of pythons: its end of life is 2027-10, in sight.",
    ]
