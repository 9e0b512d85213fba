"""Readiness as tables, Markdown and text."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from elt_env.watch.newer_pythons import end_of_life_text, outlook
from elt_env.watch.readiness import Blocker, Readiness

COLUMNS = ("python", "verdict", "reached", "blocked by", "since", "end of life")

Known = Sequence[Readiness]


def rows(known: Known, today: date) -> list[tuple[str, ...]]:
    """Return the cells of a table, a row for each Python, as COLUMNS names them."""
    return [_row(each, today) for each in known]


def _row(each: Readiness, today: date) -> tuple[str, ...]:
    blockers = "; ".join(map(str, each.blocked_by))
    return (
        each.python,
        each.verdict,
        each.reached or "nothing",
        blockers or (f"incomplete look: {_first(each.doubt)}" if each.doubt else ""),
        f"{each.since:%Y-%m-%d}",
        end_of_life_text(each.python, today),
    )


def _first(text: str) -> str:
    return text.partition("\n")[0]


def to_text(known: Known, listed: Sequence[str], today: date) -> str:
    """Return what is known for a person at a terminal; `listed` are the Pythons of the policy."""
    lines = []
    for each in known:
        place = "" if each.python in listed else " (not in the policy)"
        lines.append(
            f"Python {each.python}{place}: {each.verdict} since {each.since:%Y-%m-%d}, "
            f"{each.reached or 'not even locked'}"
        )
        lines.append(f"  end of life: {end_of_life_text(each.python, today)}")
        lines += [f"  {line}" for blocker in each.blocked_by for line in _blocker_lines(blocker)]
        if each.doubt:
            lines.append(f"  the last look was incomplete: {_first(each.doubt)}")
    return "\n".join(lines)


def _blocker_lines(blocker: Blocker) -> list[str]:
    return [str(blocker), *(f"  {line}" for line in blocker.text.splitlines())]


def to_markdown(known: Known, listed: Sequence[str], today: date) -> str:
    """Return a summary, a paragraph for each Python; `listed` are those of the policy."""
    return "\n\n".join(_paragraph(each, each.python in listed, today) for each in known)


def _paragraph(each: Readiness, listed: bool, today: date) -> str:  # noqa: FBT001  # two sorts
    place = "in the policy" if listed else "not in the policy"
    lines = [f"**Python {each.python}** ({place}): **{each.verdict}** since {each.since:%Y-%m-%d}"]
    for blocker in each.blocked_by:
        lines.append(f"- {blocker.kind}: `{' → '.join(blocker.chain)}`")
        lines += [f"  - {line.strip()}" for line in [_first(blocker.text)]]
    if each.doubt:
        lines.append(f"- the last look was incomplete: {_first(each.doubt)}")
    if outlook(each.python, today) != "maintained":
        lines.append(f"- end of life: {end_of_life_text(each.python, today)}")
    return "\n".join(lines)


def next_step(known: Known, listed: Sequence[str], today: date) -> str:
    """Return what to change in the policy; `listed` are the Pythons it has."""
    steps = [_to_add(known, listed)]
    for python in listed:
        if outlook(python, today) != "maintained":
            end = end_of_life_text(python, today)
            steps.append(f"Plan to take Python {python} out of pythons: its end of life is {end}.")
    return "\n".join(steps)


def _to_add(known: Known, listed: Sequence[str]) -> str:
    ready = [each for each in known if each.verdict == "ready" and each.python not in listed]
    if not ready:
        return f"Nothing to add: no other Python than {', '.join(listed)} is known to be ready."
    newest = ready[-1]
    pythons = ", ".join(f'"{each}"' for each in (*listed, *(each.python for each in ready)))
    return (
        f"Ready: Python {', '.join(each.python for each in ready)}. To have it, write "
        f"pythons = [{pythons}] in [tool.elt-env.environments.{newest.environment}], and run: "
        f"elt-env build {newest.name}"
    )
