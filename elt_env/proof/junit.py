"""Read pytest's results of the tests that it ran: JUnit XML."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from xml.etree import ElementTree as ET

from elt_env.store.evidence import Table

_OUTCOMES = {"failure": "failed", "error": "error", "skipped": "skipped"}


@dataclass(frozen=True)
class TestResult:
    """The result of one test.

    Attributes:
        name: module or class, and function, as in `tests.test_marts::test_keys`.
        outcome: `passed`, `failed`, `error` or `skipped`.
        seconds: how long it took.
        message: why it did not pass, in a line, or "".
        text: all that was said about that.
    """

    __test__ = False  # pytest takes what begins so for tests

    name: str
    outcome: str
    seconds: float
    message: str = ""
    text: str = ""

    @property
    def is_fault(self) -> bool:
        """Whether it did not do what it should; what was skipped is no fault."""
        return self.outcome in ("failed", "error")


def parse(text: str) -> tuple[TestResult, ...]:
    """Return the results that a report of pytest's holds, in its order.

    The format: https://docs.pytest.org/en/stable/how-to/output.html#creating-junitxml-format-files

    Raises:
        ValueError: the text is not of that format.
    """
    if "<!DOCTYPE" in text[:1000] or "<!ENTITY" in text:
        raise ValueError("pytest writes no document type")
    try:
        root = ET.fromstring(text)  # noqa: S314  # no entities: see above
    except ET.ParseError as error:
        raise ValueError(f"it is no XML: {error}") from error
    return tuple(_result(each) for each in root.iter("testcase"))


def _result(case: ET.Element) -> TestResult:
    name = "::".join(filter(None, (case.get("classname"), case.get("name"))))
    seconds = float(case.get("time") or 0)
    # A test that failed and whose teardown failed too has both.
    for child in case:
        if child.tag in _OUTCOMES:
            message = " ".join((child.get("message") or "").split())
            return TestResult(name, _OUTCOMES[child.tag], seconds, message, child.text or "")
    return TestResult(name, "passed", seconds)


def to_table(results: tuple[TestResult, ...]) -> Table:
    """Return the results as a table, what is to blame first, then what was skipped."""
    ordered = sorted(results, key=lambda each: (not each.is_fault, each.outcome == "passed"))
    rows = tuple((each.outcome, each.message, each.name, each.seconds) for each in ordered)
    return Table.cut("test_results", ("outcome", "message", "test", "seconds"), rows)


def count(results: tuple[TestResult, ...]) -> str:
    """Return the results in numbers, as in `12 passed, 1 skipped`."""
    found = Counter(each.outcome for each in results)
    return ", ".join(f"{number} {outcome}" for outcome, number in sorted(found.items()))
