"""Steps: the ops that assets are made of, which know nothing of Dagster but what they end with."""

import contextlib
import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar, cast

import dagster as dg
from pydantic import TypeAdapter, ValidationError

from elt_env.defs.names import group_name
from elt_env.defs.resources import Work, work
from elt_env.store.documents import Documents, write_record
from elt_env.store.local import LocalDocuments

_T = TypeVar("_T")


@dataclass(frozen=True)
class _Output(Generic[_T]):
    """What a step has made in a run; runs that go on with one another count as the first."""

    run: str
    value: _T


@dataclass(frozen=True)
class StepOutput(Generic[_T]):
    """The last output of a step for each target; the next run writes over it.

    The digest of a lock is a document of the store, so every machine finds it. All else names files
    of the machine that made it, and is kept there; where it is not found, the step is done again.

    Attributes:
        step: its name.
        kind: of what it makes.
    """

    step: str
    kind: type[_T]

    def keep(self, at: Work, value: _T) -> None:
        """Keep what the step has made in this run.

        Raises:
            StorageError: the store is full or not writable.
        """
        output = _Output(_first_run(at), value)
        write_record(self._documents(at), self._key(at), self._record, output)

    def find(self, at: Work) -> _T | None:
        """Return what the step has made in this run; None where this machine has no such thing."""
        with contextlib.suppress(FileNotFoundError, OSError, ValidationError):
            found = self._record.validate_json(self._documents(at).read(self._key(at)))
            return found.value if found.run == _first_run(at) else None
        return None

    @functools.cached_property
    def _record(self) -> TypeAdapter[_Output[_T]]:
        return TypeAdapter(_Output[self.kind])  # type: ignore[name-defined]  # known when it runs

    def _documents(self, at: Work) -> Documents:
        store = at.tools.store
        return store.documents if self.kind is str else LocalDocuments(store.local_home)

    def _key(self, at: Work) -> str:
        return f"steps/{at.target.name}/{self.step}.json"


def _first_run(at: Work) -> str:
    return at.run.root_run_id or at.run_id


Made = dg.MaterializeResult[None]
"""What the last step of an asset ends with."""

_BEFORE = "before"


@dataclass(frozen=True)
class Step:
    """A step of any environment's asset.

    Attributes:
        name: as its ops are called in an asset.
        of: returns the op for an environment, always the same.
        made: returns what it makes in a run: what it has made there, or it is done again.
    """

    name: str
    of: Callable[[str], dg.OpDefinition]
    made: Callable[[Work], Any]


def step(after: Step | None = None) -> Callable[[Callable[..., Any]], Step]:
    """Return what makes a step of any environment's asset.

    Its parameter gets the Work; that of a step `after` another one gets what that has made, too.
    What returns Made ends its asset. Any worker can run a step: what it needs of those before it is
    found, or made again.

    The steps of an environment are in one pool, of which dagster.yaml lets in a run at a time: the
    others are queued where one sees them. What must not be done twice is locked besides.
    """

    def decorated(body: Callable[..., Any]) -> Step:
        kind = inspect.signature(body, eval_str=True).return_annotation
        output = None if kind is Made else StepOutput(body.__name__, kind)

        def done(at: Work) -> Any:  # noqa: ANN401  # any step's
            made = body(at, after.made(at)) if after else body(at)
            if output:
                output.keep(at, made)
            return made

        def found(at: Work) -> Any:  # noqa: ANN401  # any step's
            known = output.find(at) if output else None
            if known is not None:
                return known
            at.say(f"{body.__name__} was done elsewhere, and is done here again")
            return done(at)

        @functools.cache
        def of(environment: str) -> dg.OpDefinition:
            @dg.op(
                name=f"{group_name(environment)}__{body.__name__}",
                description=inspect.getdoc(body),
                ins={_BEFORE: dg.In(dg.Nothing)},
                out=dg.Out(dg.Nothing) if output else None,
                required_resource_keys={"project"},
                pool=group_name(environment),
            )
            def compute(context: dg.OpExecutionContext) -> Any:  # noqa: ANN401  # any step's
                with work(context, context.resources.project, environment) as at:
                    made = done(at)
                    return None if output else made

            return compute

        return Step(body.__name__, of, found)

    return decorated


def chain(environment: str, given: Any, *steps: Step) -> Made:  # noqa: ANN401  # what steps return
    """Return what an environment's steps end with, one after the other."""
    for each in steps:
        given = each.of(environment).alias(each.name)(given)
    return cast("Made", given)
