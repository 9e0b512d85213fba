"""Read dbt's results of the nodes that it ran: run_results.json."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass

from elt_env.store.evidence import Table

_GOOD = ("success", "pass", "no-op")


@dataclass(frozen=True)
class NodeResult:
    """The result of one node.

    Attributes:
        node: its unique id, as in `model.elt_locks.stg_locks`.
        status: dbt's word, as in `success`, `pass`, `fail`, `error`, `skipped`, `warn`.
        seconds: how long it took.
        message: dbt's own words, or "".
        compiled: the SQL that was run, or "".
    """

    node: str
    status: str
    seconds: float
    message: str = ""
    compiled: str = ""

    @property
    def kind(self) -> str:
        """What it is, as in `model`, `test`, `unit_test`."""
        return self.node.partition(".")[0]

    @property
    def own_name(self) -> str:
        """Its name in its project, as in `not_null_stg_locks_target`."""
        return self.node.partition(".")[2].partition(".")[2]

    @property
    def name(self) -> str:
        """Kind and name, as in `test not_null_stg_locks_target`."""
        return f"{self.kind} {self.own_name}"

    @property
    def is_good(self) -> bool:
        """Whether it did what it should."""
        return self.status in _GOOD

    @property
    def is_fault(self) -> bool:
        """Whether it is to blame; what was skipped is not, and a warning is none."""
        return self.status not in (*_GOOD, "skipped", "warn")


def parse(text: str) -> tuple[NodeResult, ...]:
    """Return the results that a run_results.json holds, in its order.

    The format: https://docs.getdbt.com/reference/artifacts/run-results-json

    Raises:
        ValueError: the text is not of that format.
    """
    try:
        return tuple(
            NodeResult(
                node=each["unique_id"],
                status=each["status"],
                seconds=float(each["execution_time"]),
                message=str(each["message"] or "").strip(),
                compiled=str(each.get("compiled_code") or ""),
            )
            for each in json.loads(text)["results"]
        )
    except (KeyError, TypeError) as error:
        raise ValueError("there are no results of nodes in it") from error


def to_table(results: tuple[NodeResult, ...]) -> Table:
    """Return the results as a table, what is to blame first, then what is not good."""
    ordered = sorted(results, key=lambda each: (not each.is_fault, each.is_good))
    rows = tuple(
        (each.status, _line(each.message), each.own_name, each.kind, round(each.seconds, 3))
        for each in ordered
    )
    # Names are long: what comes after them may be out of sight.
    return Table.cut("node_results", ("status", "message", "node", "type", "seconds"), rows)


def to_markdown(results: tuple[NodeResult, ...]) -> str:
    """Return the results as a Markdown table, what is to blame first."""
    lines = ["| node | status | seconds | message |", "| --- | --- | --- | --- |"]
    for each in sorted(results, key=lambda each: not each.is_fault):
        message = _line(each.message).replace("|", "\\|")
        lines.append(f"| {each.name} | {each.status} | {each.seconds:.2f} | {message} |")
    return "\n".join(lines)


def _line(message: str) -> str:
    return " ".join(message.split())


def count(results: tuple[NodeResult, ...]) -> str:
    """Return the results in numbers, as in `12 success, 68 pass`."""
    found = Counter(each.status for each in results)
    return ", ".join(f"{number} {status}" for status, number in sorted(found.items()))
