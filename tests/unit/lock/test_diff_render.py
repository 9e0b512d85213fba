from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from hypothesis import given

from elt_env.lock.diff_render import body, headline, to_markdown, to_text
from elt_env.lock.diff_report import DiffReport, ExplainedChange, Waiting, explained, with_yanks
from elt_env.lockfile.changes import compare
from elt_env.lockfile.document import Lock
from tests.support.locks import (
    MOMENT,
    conda_package,
    lock_of,
    locks,
    pip_package,
    python_package,
)

_DAY = timedelta(days=1)
_NAMES = tuple(f"package-number-{number}" for number in range(20))
_NEWS = "https://project.example.invalid/news"


def _report(old: Lock | None, new: Lock, *, explain: bool = False) -> DiffReport:
    changes = tuple(explained(each, new.locked_at) for each in compare(old, new))
    if explain:
        changes = tuple(map(_explained, changes))
    return DiffReport(
        new.target.name, old.digest if old else None, new.digest, new.locked_at, changes
    )


def _explained(each: ExplainedChange) -> ExplainedChange:
    """Add what an index would tell about the packages of the example."""
    if each.name == "duckdb":
        return replace(with_yanks(each, "loses rows | see `#1`", None), skipped=("1.5.7", "1.6.0"))
    if each.name == "pandas":
        skipped = tuple(f"2.{minor}.0" for minor in range(9))
        return replace(with_yanks(each, None, ""), skipped=skipped, changelog=_NEWS)
    return each


def _example() -> DiffReport:
    old = lock_of(
        python_package("3.11.7"),
        conda_package("openssl", "3.1", build="h1"),
        pip_package("dagster", "1.13.27", requested=True, size=1_000_000),
        pip_package("duckdb", "2.0.0", size=9_000_000),
        pip_package("gone", "0.1", required_by=("dagster",)),
        pip_package("numpy", "2.0"),
        pip_package("pandas", "2.3.3"),
    )
    new = lock_of(
        python_package("3.11.8"),
        conda_package("openssl", "3.1", build="h2", sha256="1" * 64),
        pip_package(
            "dagster",
            "1.13.28",
            requested=True,
            required_by=("dagster-webserver",),
            size=1_012_345,
            released_at=MOMENT - 4 * _DAY,
        ),
        pip_package("duckdb", "1.5.6", size=5_900_000, required_by=("dbt-duckdb",)),
        pip_package("fresh", "7", released_at=MOMENT - _DAY / 2, required_by=_NAMES),
        conda_package("numpy", "2.0"),
        pip_package("pandas", "3.0.0", released_at=None),
    )
    report = _report(old, new, explain=True)
    waiting = Waiting("meltano", "pip", "4.4.1", "4.5.0", MOMENT - _DAY, MOMENT + 2 * _DAY)
    return replace(report, held_back=(waiting,), notes=("The channel did not answer: 500_000",))


_TEXT = """\
elt@3.11: 1 added, 1 removed, 3 upgraded, 1 downgraded, 1 rebuilt, 1 moved; 2 major; \
1 yanked; -3.1 MB
! duckdb 2.0.0 → 1.5.6                 DOWNGRADED MAJOR, pip, transitive, 365 days old, -3.1 MB
    was yanked: loses rows | see `#1`
    needed by dbt-duckdb
    skipped 1.5.7, 1.6.0
^ pandas 2.3.3 → 3.0.0                 YANKED MAJOR, pip, transitive, age unknown
    yanked: no reason is given
    skipped 9 releases, 2.0.0 to 2.8.0
    changelog https://project.example.invalid/news
^ dagster 1.13.27 → 1.13.28            patch, pip, direct, 4 days old, +12.3 kB
    needed by dagster-webserver
^ python 3.11.7 → 3.11.8               patch, conda, direct, age unknown
+ fresh 7                              added, pip, transitive, less than a day old
    needed by package-number-0, package-number-1, package-number-2, package-number-3 and 16 more
- gone 0.1                             removed, pip, transitive
    needed by dagster
> numpy 2.0 from pip → 2.0 from conda  moved, conda, transitive, age unknown
~ openssl 3.1 h1 → h2                  rebuilt, conda, transitive, age unknown
held back by the cool-down:
    meltano 4.4.1 → 4.5.0 (pip), out since 2026-05-03, eligible from 2026-05-06 03:02 UTC
The channel did not answer: 500_000"""

_MARKDOWN = r"""
**elt@3.11**: 1 added, 1 removed, 3 upgraded, 1 downgraded, 1 rebuilt, 1 moved; 2 major; 1 yanked; -3.1 MB

| change | package | old | new | level | released | why | skipped | size | changelog |
| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |
| **DOWNGRADED** | duckdb | 2.0.0 **YANKED**: loses rows \| see \`\#1\` | 1.5.6 | **MAJOR** | 2025-05-04, 365 days old | needed by dbt-duckdb | 1.5.7, 1.6.0 | -3.1 MB |  |
| upgraded | pandas | 2.3.3 | 3.0.0 **YANKED**: no reason is given | **MAJOR** | unknown |  | 9 releases, 2.0.0 to 2.8.0 |  | [open](<https://project.example.invalid/news>) |
| upgraded | **dagster** | 1.13.27 | 1.13.28 | patch | 2026-04-30, 4 days old | asked for; needed by dagster-webserver |  | +12.3 kB |  |
| upgraded | **python** | 3.11.7 | 3.11.8 | patch | unknown | asked for |  |  |  |
| added | fresh |  | 7 |  | 2026-05-03, less than a day old | needed by package-number-0, package-number-1 and 18 more |  |  |  |
| removed | gone | 0.1 |  |  |  | needed by dagster |  |  |  |
| moved | numpy | 2.0 from pip | 2.0 from conda |  | unknown |  |  |  |  |
| rebuilt | openssl | 3.1 h1 | 3.1 h2 |  | unknown |  |  |  |  |

Held back by the cool-down:

- meltano 4.4.1 → 4.5.0 (pip), out since 2026-05-03, eligible from 2026-05-06 03:02 UTC

*The channel did not answer: 500\_000*""".lstrip()  # noqa: E501  # a table's row is a line


def test_the_text_of_a_report() -> None:
    assert to_text(_example()) == _TEXT


def test_the_markdown_of_a_report() -> None:
    assert to_markdown(_example()) == _MARKDOWN


def test_nothing_new_is_said_in_words() -> None:
    same = _report(lock_of(pip_package()), lock_of(pip_package()))
    assert to_text(same) == "elt@3.11: no changes"
    assert to_markdown(same) == "**elt@3.11**: no changes"


def test_a_first_lock_shows_what_was_asked_for() -> None:
    first = _report(
        None,
        lock_of(
            pip_package("dagster", "1.13.28", requested=True, size=2_000_000),
            pip_package("click", size=100_000),
        ),
    )
    assert headline(first) == (
        "first lock: 3 packages: 1 from conda, 2 from pip; 2 asked for, 2.1 MB"
    )
    assert body(first) == [
        "  + dagster 1.13.28",
        "  + python 3.11.7",
        "all of them, and who needs them: elt-env show elt@3.11 --packages",
    ]
    assert to_markdown(first).splitlines()[2:] == [
        "| asked for | version | from | released |",
        "| --- | --- | --- | --- |",
        "| dagster | 1.13.28 | pip | 2025-05-04, 365 days old |",
        "| python | 3.11.7 | conda | unknown |",
        "",
        "All of them: `elt-env show elt@3.11 --packages`",
    ]


@given(locks(), locks())
def test_every_change_has_a_line_in_a_terminal_and_a_row_in_a_table(old: Lock, new: Lock) -> None:
    report = _report(old, new)
    lines = [each for each in body(report) if not each.startswith(" ")]
    assert len(lines) == len(report.changes)
    rows = [each for each in to_markdown(report).splitlines() if each.startswith("|")]
    assert len(rows) == (len(lines) + 2 if lines else 0)
    assert {row.replace("\\|", "").count("|") for row in rows} <= {11}
    for line, change in zip(lines, report.changes, strict=True):
        assert f" {change.name} " in line
