"""Several specs as one that asks for all of it, as conda-lock takes several files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from elt_env.spec.conda_join import join_specs
from elt_env.spec.conda_spec import CondaSpec
from elt_env.spec.direct import DirectRequirement
from elt_env.spec.document import Spec
from elt_env.spec.faults import Fault, FaultsError, WrittenError
from elt_env.spec.pip_lines import joined
from elt_env.spec.pip_options import PipOptions

_REMEDY = "Make the two files meet."


def merge(one: Spec, other: Spec) -> Spec:
    """Return the spec that asks for what both ask for; the name and the order are the first's.

    Raises:
        FaultsError: the two contradict each other; all that does is said at once.
    """
    merging = _Merging(one, other)
    spec = merging.spec()
    if merging.faults:
        raise FaultsError(tuple(merging.faults), other.source)
    return spec


class _Merging:
    """Two specs, and all in which they contradict each other."""

    def __init__(self, one: Spec, other: Spec) -> None:
        self._one, self._other = one, other
        self.faults: list[Fault] = []

    def spec(self) -> Spec:
        one, other = self._one, self._other
        python = self._joined(one.python_spec, other.python_spec)
        return replace(
            one,
            channels=_union(one.channels, other.channels),
            python=python.version,
            python_build=None if python == CondaSpec("python", python.version) else python,
            conda=tuple(sorted(self._conda())),
            pip=self._pip(),
            variables=self._variables(),
            constraints=joined(map(Requirement, (*one.constraints, *other.constraints))),
            directs=tuple(sorted(self._directs())),
            pip_options=self._options(),
            files=tuple(sorted({*one.files, *other.files, other.source})),
            warnings=(*one.warnings, *other.warnings),
        )

    def _wrong(self, problem: str) -> None:
        text = f"{problem} in {self._one.source} and here."
        self.faults.append(Fault(self._other.source, 0, text, _REMEDY))

    def _joined(self, one: CondaSpec, other: CondaSpec) -> CondaSpec:
        try:
            # What it was written as is of no account for Python, whose lines nobody reads.
            return replace(join_specs(one, other), lines=(*one.lines, *other.lines))
        except WrittenError as error:
            self._wrong(f"'{one.name}' is asked for, and {error.problem},")
            return one

    def _conda(self) -> Iterator[CondaSpec]:
        found = {each.name: each for each in self._one.conda}
        for each in self._other.conda:
            before = found.get(each.name)
            found[each.name] = self._joined(before, each) if before else each
        yield from found.values()

    def _pip(self) -> tuple[str, ...]:
        found = joined(map(Requirement, (*self._one.pip, *self._other.pip)))
        for each in map(Requirement, found):
            if SpecifierSet(str(each.specifier), prereleases=True).is_unsatisfiable():
                self._wrong(f"no version of {each.name} satisfies '{each.specifier}', asked for")
        return found

    def _variables(self) -> tuple[tuple[str, str], ...]:
        found = dict(self._one.variables)
        for name, value in self._other.variables:
            if found.setdefault(name, value) != value:
                self._wrong(f"the variable {name} has another value")
        return tuple(sorted(found.items()))

    def _directs(self) -> Iterator[DirectRequirement]:
        found = {(each.name, each.marker): each for each in self._one.directs}
        for each in self._other.directs:
            if found.setdefault((each.name, each.marker), each) != each:
                self._wrong(f"{each.name} is named with another URL")
        yield from found.values()

    def _options(self) -> PipOptions:
        one, other = self._one.pip_options, self._other.pip_options
        if one.index_url and other.index_url and one.index_url != other.index_url:
            self._wrong("the main package index is another one")
        hashes = {name: {*each} for name, each in one.hashes}
        for name, each in other.hashes:
            hashes.setdefault(name, set()).update(each)
        return PipOptions(
            index_url=one.index_url or other.index_url,
            extra_index_urls=_union(one.extra_index_urls, other.extra_index_urls),
            find_links=_union(one.find_links, other.find_links),
            no_index=one.no_index or other.no_index,
            pre=one.pre or other.pre,
            prefer_binary=one.prefer_binary or other.prefer_binary,
            only_binary=tuple(sorted({*one.only_binary, *other.only_binary})),
            no_binary=tuple(sorted({*one.no_binary, *other.no_binary})),
            hashes=tuple(sorted((name, tuple(sorted(each))) for name, each in hashes.items())),
        )


def _union(one: Iterable[str], other: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*one, *other)))
