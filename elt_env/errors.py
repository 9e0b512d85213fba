"""Every failure a person can meet, as one hierarchy.

An error carries the problem (what happened, to which object, why) and the remedy
(the next thing to type or change). The class carries the process exit code and whether
trying the same thing again can help; Dagster and the command line read both.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal


class EltEnvError(Exception):
    """A failure with a cause that was understood.

    Attributes:
        problem: what happened, to which object, and why; one or more lines.
        remedy: what to do next.
    """

    exit_code: ClassVar[int] = 1
    retryable: ClassVar[bool] = False

    def __init__(self, problem: str, remedy: str) -> None:
        super().__init__(problem, remedy)
        self.problem = problem.rstrip()
        self.remedy = remedy.rstrip()

    @property
    def headline(self) -> str:
        """The first line of the problem."""
        return self.problem.partition("\n")[0]

    def __str__(self) -> str:
        return f"{self.problem}\n  -> {self.remedy}"


class InputError(EltEnvError):
    """Something a person wrote cannot be used as it stands."""

    exit_code = 2


class SpecError(InputError):
    """The spec file is missing, malformed, or contradicts itself or the policy."""


class PolicyError(InputError):
    """A policy key or a command line value is unknown or has no usable value."""


@dataclass(frozen=True)
class Fact:
    """Something that needs something, as part of an explanation.

    Attributes:
        needy: who needs it, for a person, as in `conda's pandas 2.0`.
        name: the name of who needs it.
        need: the name of what is needed.
        bound: within which bound, as its owner writes it; "" for any version.
        owner: the half that `needy` is of, or the spec.
        verb: what stands between the two.
        which: the versions of `name` that need it (PEP 440), "" for all that take part.
    """

    needy: str
    name: str
    need: str
    bound: str
    owner: Literal["conda", "pip", "spec"]
    verb: str = "needs"
    which: str = ""

    def __str__(self) -> str:
        return f"{self.needy} {self.verb} {self.need} {self.bound}".rstrip()


class UnsatisfiableError(EltEnvError):
    """No set of packages satisfies what was asked for.

    Attributes:
        facts: who needs what, as far as it explains that; empty where nobody knows.
        explanation: all that the tool said, however long.
        sdist_only: normalized names of the distributions that are there as sdists, and of which no
            wheel would do.
    """

    exit_code = 3

    def __init__(self, problem: str, remedy: str, facts: tuple[Fact, ...] = ()) -> None:
        super().__init__(problem, remedy)
        self.facts = facts
        self.explanation = self.problem
        self.sdist_only: tuple[str, ...] = ()


class PlatformsError(EltEnvError):
    """A target has a lock, and none for some other platforms that the policy lists."""

    exit_code = 3


class CondaUnsatisfiableError(UnsatisfiableError):
    """The conda solver found no solution."""


class PipConflictError(UnsatisfiableError):
    """The pip resolver found no solution."""


class PackageNotFoundError(UnsatisfiableError):
    """No index or channel has a package of that name."""


class NoWheelError(UnsatisfiableError):
    """A package is there, but only as an sdist or only for other platforms."""


class DisagreementError(UnsatisfiableError):
    """Conda and pip each have solutions, but none in common."""


class NetworkError(EltEnvError):
    """A channel or an index could not be reached, or answered with nonsense."""

    exit_code = 4
    retryable = True


class ChannelUnreachableError(NetworkError):
    """The conda channel did not answer, or not with repodata."""


class IndexUnreachableError(NetworkError):
    """The package index did not answer, or not with a package list."""


class NoReleaseError(IndexUnreachableError):
    """The package index answers with nothing that may be taken of a distribution.

    Attributes:
        name: the distribution's normalized name.
        explanation: all that the tool said, however long.
    """

    def __init__(self, name: str, problem: str, remedy: str, explanation: str = "") -> None:
        super().__init__(problem, remedy)
        self.name = name
        self.explanation = explanation


class CertificateError(NetworkError):
    """A server's certificate does not prove who it is."""

    retryable = False


class ProxyError(NetworkError):
    """A proxy does not let a request through."""

    retryable = False


class RegistryError(NetworkError):
    """An image registry did not answer, refused, or answered with nonsense."""


class IntegrityError(EltEnvError):
    """Bytes are not what the lock says they are."""

    exit_code = 5


class SourceError(IntegrityError):
    """A package would come from another index or channel than was recorded, or decided."""


class StorageError(EltEnvError):
    """The store cannot be written: permissions, or no space left."""

    exit_code = 6


class StoreUnreachableError(StorageError):
    """The bucket of the store did not answer, or not in time."""

    retryable = True


class BusyError(EltEnvError):
    """Another process holds what this one needs, longer than the time limit."""

    exit_code = 7
    retryable = True


class ProofError(EltEnvError):
    """A check showed that the environment does not work."""

    exit_code = 8


class ToolError(EltEnvError):
    """A tool is missing, or failed in a way that has no better name."""

    exit_code = 9


class TimeLimitError(ToolError):
    """A tool ran longer than its time limit and was ended."""

    exit_code = 10
    retryable = True
