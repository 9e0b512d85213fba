"""The rows that went through Singer taps and targets, as they were counted on the way."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass

from elt_env.store.evidence import Cell, Table


@dataclass(frozen=True)
class SingerRows:
    """Numbers of rows by stream.

    Attributes:
        extracted: what left the extractors.
        received: what reached the loaders.
        loaded: what was loaded; None where nobody says.
    """

    extracted: Counter[str]
    received: Counter[str]
    loaded: Counter[str] | None

    def faults(self, *, mapped: bool, wanted: int | None) -> list[str]:
        """Return in sentences what got lost, or came from nowhere.

        Args:
            mapped: whether something between extractor and loader may drop rows.
            wanted: how many rows have to arrive.
        """
        found = [] if mapped else _lost(self.extracted, self.received, "extracted", "received")
        if self.loaded is not None:
            total, received = self.loaded.total(), self.received.total()
            named = self.loaded.keys() <= self.received.keys()
            lost = _lost(self.received, self.loaded, "received", "loaded") if named else []
            if lost or total != received:
                found += lost or [f"{received} rows were received and {total} loaded"]
        for number, word in ((self.extracted, "extracted"), (self.loaded, "loaded")):
            if wanted is not None and number is not None and number.total() != wanted:
                found.append(f"{wanted} rows have to arrive, and {number.total()} were {word}")
        return found

    def counts(self) -> dict[str, int]:
        """Return the totals by name."""
        totals = {
            "extracted_rows": self.extracted.total(),
            "received_rows": self.received.total(),
        }
        return totals if self.loaded is None else {**totals, "loaded_rows": self.loaded.total()}

    def table(self) -> Table:
        """Return the numbers, a line a stream."""
        loaded = self.loaded
        streams = sorted({*self.extracted, *self.received, *(loaded or ())})
        rows: list[tuple[Cell, ...]] = [
            (
                stream,
                self.extracted[stream],
                self.received[stream],
                "unknown" if loaded is None else loaded[stream],
            )
            for stream in streams
        ]
        return Table.cut("streams", ("stream", "extracted", "received", "loaded"), tuple(rows))


def parse_report(text: str) -> SingerRows:
    """Return what `count_rows` counted, added up.

    Raises:
        ValueError: the text is none of its reports.
    """
    extracted: Counter[str] = Counter()
    received: Counter[str] = Counter()
    loaded: Counter[str] = Counter()
    for line in text.splitlines():
        try:
            each = json.loads(line)
            (received if each["kind"] == "loader" else extracted).update(each["passed"])
            loaded.update(each["loaded"])
        except (KeyError, TypeError) as error:
            raise ValueError("it has a line that counts nothing") from error
    return SingerRows(extracted, received, loaded or None)


def _lost(before: Counter[str], after: Counter[str], one: str, other: str) -> list[str]:
    return [
        f"{stream}: {number} rows {one}, {after[stream]} {other}"
        for stream, number in sorted(before.items())
        if after[stream] < number
    ]
