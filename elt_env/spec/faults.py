"""Faults of the files that a person wrote: each with its place and with what to write instead."""

from __future__ import annotations

from dataclasses import dataclass

from elt_env.errors import SpecError
from elt_env.runtime.credentials import without_credentials
from elt_env.runtime.limits import MOST_BOUNDS, MOST_DEPTH, MOST_FAULTS, MOST_TOLD, MOST_WIDTH


@dataclass(frozen=True, order=True)
class Fault:
    """One thing that is wrong in a file.

    Attributes:
        source: the file, as messages name it.
        line: its line, counted from 1; 0 when the file as a whole is meant.
        problem: what is wrong, one sentence.
        remedy: what to write or to do instead.
    """

    source: str
    line: int
    problem: str
    remedy: str

    def __post_init__(self) -> None:
        """Leave out the middle of a sentence that quotes too much."""
        object.__setattr__(self, "problem", shortened(self.problem))
        object.__setattr__(self, "remedy", shortened(self.remedy))

    @property
    def place(self) -> str:
        """The file and the line, as in `environment.yml, line 7`."""
        return f"{self.source}, line {self.line}" if self.line else self.source

    def __str__(self) -> str:
        return f"{self.place}: {self.problem}\n  -> {self.remedy}"


class WrittenError(ValueError):
    """A text is not what it should be; whoever knows its place makes a fault of it.

    Attributes:
        problem: what is wrong, a sentence without its full stop.
        remedy: what to write or to do instead.
    """

    def __init__(self, problem: str, remedy: str) -> None:
        super().__init__(problem)
        self.problem = problem
        self.remedy = remedy

    def at(self, source: str, line: int) -> Fault:
        """Return the fault at a place."""
        return Fault(source, line, f"{self.problem}.", self.remedy)


class FaultsError(SpecError):
    """A file has faults; all of them are said at once.

    Attributes:
        faults: what is wrong, in the order of the lines.
    """

    def __init__(self, faults: tuple[Fault, ...], source: str) -> None:
        self.faults = faults
        if len(faults) == 1:
            super().__init__(f"{faults[0].place}: {faults[0].problem}", faults[0].remedy)
            return
        more = "\n... and more" if len(faults) > MOST_FAULTS else ""
        super().__init__(
            "\n".join(map(str, faults[:MOST_FAULTS])) + more,
            f"Correct these {min(len(faults), MOST_FAULTS)} faults; what is left is told by: "
            f"elt-env lint {source}",
        )


def shortened(sentence: str) -> str:
    """Return a sentence, without its middle where it is longer than a person reads."""
    if len(sentence) <= MOST_TOLD:
        return sentence
    return f"{sentence[: MOST_TOLD // 3]} [...] {sentence[-MOST_TOLD // 3 :]}"


def refuse_many(bounds: int, name: str) -> None:
    """Return when a package has no more bounds than one may have.

    Raises:
        WrittenError: it has more.
    """
    if bounds > MOST_BOUNDS:
        raise WrittenError(
            f"{name} has more than {MOST_BOUNDS} bounds, all lines together",
            "Write the versions that you want, as in 'NAME>=1.2,<2'.",
        )


def refuse_excess(text: str) -> None:
    """Return when a requirement is no longer, and has no more parentheses, than one may.

    Raises:
        WrittenError: it is, or has.
    """
    if text.count("(") > MOST_DEPTH:
        raise WrittenError(
            f"a requirement has more than {MOST_DEPTH} parentheses",
            "Write it without most of them.",
        )
    if len(text) > MOST_WIDTH:
        start = without_credentials(text[:40])
        raise WrittenError(
            f"'{start} ...' has {len(text)} characters, more than any requirement needs",
            "Write one requirement a line.",
        )
