"""The checks that modules import."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from weakref import WeakKeyDictionary

from elt_env.environment.modules import (
    ImportResult,
    import_all,
    modules_by_distribution,
    submodules,
)
from elt_env.environment.prefix import Distribution, Prefix
from elt_env.lockfile.document import Lock, owned_distributions
from elt_env.machine.process import Say
from elt_env.proof.checks.check_tools import CheckTools
from elt_env.proof.checks.finding import Finding, first
from elt_env.proof.import_faults import (
    NOTHING,
    Excuse,
    ImportFault,
    Surroundings,
    excuse,
    hint,
    is_in,
)
from elt_env.proof.optional_modules import OwnImports
from elt_env.runtime.texts import first_of
from elt_env.spec.extras import needed_always, needed_by_extras
from elt_env.store.evidence import Status, Table

_NAMED = 3
_ALLOWED = Excuse("allowed to fail")
_ENOUGH = 150.0  # seconds after which no submodule of what was asked for is begun
# What the tools load only when they talk to BigQuery, which no run on DuckDB does.
_UNTOUCHED = {
    "dbt-bigquery": (
        "dbt.adapters.bigquery",
        "dbt.adapters.bigquery.connections",
        "dbt.adapters.bigquery.impl",
        "dbt.adapters.bigquery.python_submissions",
        "dbt.include.bigquery",
    ),
    "google-cloud-bigquery": ("google.cloud.bigquery", "google.cloud.bigquery.dbapi"),
    "google-cloud-bigquery-storage": ("google.cloud.bigquery_storage",),
    "google-cloud-dataproc": ("google.cloud.dataproc_v1",),
    "google-cloud-storage": ("google.cloud.storage",),
}

# What `imports` has seen of these, for `extra_imports` of the same run.
_imported: WeakKeyDictionary[Prefix, dict[str, ImportResult]] = WeakKeyDictionary()


def imports(prefix: Prefix, tools: CheckTools, say: Say) -> Finding:
    """The top-level modules of every distribution import, and all of those that were asked for.

    But for those of the allow-list, and those that want what an extra brings that nobody asked for,
    or what nothing that is installed requires, as the stubs of a service that is not used: that is
    a warning. Where nothing imports of a distribution that was asked for, for want of what nothing
    requires, it fails all the same.
    """
    limit = tools.project.policy.tool_limit.total_seconds()
    distributions = {each.name: each for each in prefix.distributions()}
    owners = modules_by_distribution(prefix)
    tops = {module: name for name, modules in owners.items() for module in modules}
    judge = _Judge(
        prefix, owners, tools.project.environment(prefix.lock.target.environment).imports_allow
    )
    below = {
        module: name
        for name in _asked_for(prefix.lock)
        if name in distributions
        for module in submodules(distributions[name].files)
        if module not in tops
    }
    extra = _untouched(prefix.lock)
    asked = set(_asked_for(prefix.lock))

    def is_fault(each: ImportResult) -> bool:
        if each.module in tops:
            owner = tops[each.module]
            return owner in asked or judge.excuse(each, owner, below=False) is None
        return judge.excuse(each, below.get(each.module, ""), below=True) is None

    found = import_all(
        tops,
        prefix,
        limit,
        say,
        below=below.keys() | extra.keys(),
        enough=min(_ENOUGH, limit / 2),
        is_fault=is_fault,
    )
    _imported[prefix] = {each.module: each for each in found if each.module in extra}
    results = [each for each in found if each.module in tops]
    more = [each for each in found if each.module in below]
    broken = {each.module for each in results if each.fault}
    tried = [each for each in below if not any(is_in(each, top) for top in broken)]
    excused = judge.excuses(results, tops) | judge.excuses(more, below, below=True)
    left = len(tried) - len(more)
    note = f"; {left} submodules were not tried, since {_ENOUGH:.0f} s were over" if left else ""
    return _judge([*results, *more], tops | below, prefix, excused, note)


def extra_imports(prefix: Prefix, tools: CheckTools, say: Say) -> Finding:
    """What a run on DuckDB does not touch imports too: BigQuery's adapter and client."""
    owner_of = _untouched(prefix.lock)
    if not owner_of:
        return Finding("passed", "nothing of BigQuery is in the lock")
    known = {name: each for name, each in _imported.get(prefix, {}).items() if not each.fault}
    rest = owner_of.keys() - known.keys()
    limit = tools.project.policy.tool_limit.total_seconds()
    results = [*known.values(), *(import_all(rest, prefix, limit, say) if rest else ())]
    return _judge(sorted(results, key=lambda each: each.module), owner_of, prefix, {})


def _untouched(lock: Lock) -> dict[str, str]:
    return {
        module: name
        for name, modules in _UNTOUCHED.items()
        if name in lock.distributions
        for module in modules
    }


def _asked_for(lock: Lock) -> list[str]:
    """Return the distributions that a person asked for, by name or as the conda package with it."""
    asked = [each for each in lock.packages if each.requested]
    names = [each.name for each in asked if each.manager == "pip"]
    return sorted({*names, *owned_distributions(tuple(e for e in asked if e.manager == "conda"))})


@dataclass(frozen=True)
class _Judge:
    """Knows of what is installed which failed imports are no fault.

    Attributes:
        owners: the top-level modules of each distribution.
        allowed: modules that may fail.
    """

    prefix: Prefix
    owners: Mapping[str, Sequence[str]]
    allowed: tuple[str, ...]

    @cached_property
    def _brought(self) -> set[str]:
        return {module for modules in self.owners.values() for module in modules}

    @cached_property
    def _distributions(self) -> dict[str, Distribution]:
        return {each.name: each for each in self.prefix.distributions()}

    @cached_property
    def _requires(self) -> dict[str, list[str]]:
        return {name: each.installed.requires or [] for name, each in self._distributions.items()}

    def excuses(
        self, results: Sequence[ImportResult], owner_of: Mapping[str, str], *, below: bool = False
    ) -> dict[str, Excuse]:
        """Return the modules that may fail, each with why."""
        failed = {each.module for each in results if each.fault}
        tried = {
            each.module: self.excuse(each, owner_of[each.module], failed, below=below)
            for each in results
            if each.fault
        }
        found = {module: why for module, why in tried.items() if why}
        asked = _asked_for(self.prefix.lock)
        for name, modules in {} if below else self.owners.items():
            if modules and found.keys() >= {*modules}:  # nothing of it imports
                lacks = {
                    each: found[each]
                    for each in modules
                    if found[each] != _ALLOWED and (name in asked or NOTHING in found[each].reason)
                }
                found |= {each: replace(why, is_lack=True) for each, why in lacks.items()}
                if name in asked and all(NOTHING in found[each].reason for each in modules):
                    found = {each: why for each, why in found.items() if each not in modules}
        return found

    def excuse(
        self, result: ImportResult, owner: str, failed: Collection[str] = (), *, below: bool
    ) -> Excuse | None:
        """Return why a module of a distribution may fail, as others did; None where it may not."""
        requires = self._requires.get(owner, [])
        locked = set(self.prefix.lock.distributions)
        extras = needed_by_extras(requires)
        around = Surroundings(
            own=self.owners.get(owner, ()),
            brought=self._brought,
            extras=extras - locked,
            required=needed_always(requires, self.prefix.lock.python.version),
        )
        fault = ImportFault(
            result.module,
            result.fault or "",
            result.missing,
            below,
            result.hidden,
            result.apart,
            result.before,
        )
        found = self._allowed(result.module) or excuse(fault, around)
        own = self._distributions.get(owner)
        if found or not below or own is None:
            return found
        return _excuse_by(OwnImports(own.files, self.prefix.site_packages), fault, failed, owner)

    def _allowed(self, module: str) -> Excuse | None:
        return _ALLOWED if any(is_in(module, each) for each in self.allowed) else None


def _excuse_by(
    imports: OwnImports, fault: ImportFault, failed: Collection[str], owner: str
) -> Excuse | None:
    """Return why a module may fail by what the others of its distribution do with it."""
    if fault.before:
        found = Excuse(f"wants {fault.before} to be imported before it")
        return found if imports.comes_after(fault.module, fault.before) else None
    wants = fault.missing or ("a library of the machine" if fault.wants_of_machine else "")
    if wants and imports.is_optional(fault.module, failed):
        return Excuse(f"wants {wants}, which {owner} does without here", wants)
    return None


def _judge(
    results: list[ImportResult],
    owner_of: Mapping[str, str],
    prefix: Prefix,
    excused: Mapping[str, Excuse],
    note: str = "",
) -> Finding:
    """Return `failed` when something did not import that is not excused, by module."""
    faults = [each for each in results if each.fault]
    bad = [each for each in faults if each.module not in excused]
    # As they are installed, which is not as they are locked when that is the fault.
    versions = {each.name: each.version for each in prefix.distributions()} if bad else {}
    rows = tuple((each.module, owner_of[each.module], each.fault or "") for each in bad)
    lines = [
        f"{each.module} of {owner_of[each.module]} "
        f"{versions.get(owner_of[each.module], '')}: {each.fault}{hint(each.fault or '')}"
        for each in bad
    ]
    log = "\n".join(
        f"{each.seconds:8.3f} s  {each.module}  {each.fault or 'ok'}"
        + (f"; it {excused[each.module].reason}" if each.module in excused else "")
        for each in results
    )
    if lines:
        table = Table.cut("modules", ("module", "distribution", "fault"), rows)
        return Finding("failed", first(lines), log, table=table)
    named = {each.module: excused[each.module] for each in faults}
    notes = "".join(f"; {each}" for each in (*_lacks(named), *_left_out(named)))
    wants = any(each.wants or each.is_lack for each in named.values())
    status: Status = "warned" if wants else "passed"
    return Finding(status, f"{len(results) - len(faults)} modules import{notes}{note}", log)


def _lacks(excused: Mapping[str, Excuse]) -> Iterator[str]:
    """Yield what a person may act on; of many modules with one reason the first is named."""
    of_reason: dict[str, list[str]] = {}
    for module, why in excused.items():
        if why.is_lack or why == _ALLOWED:
            of_reason.setdefault(why.reason, []).append(module)
    for reason, named in of_reason.items():
        if len(named) > _NAMED:
            yield f"{named[0]} {reason}; so it is with {len(named) - 1} more"
        else:
            yield from (f"{each} {reason}" for each in named)


def _left_out(excused: Mapping[str, Excuse]) -> Iterator[str]:
    """Yield in a few words what is missing that few people miss; each module is in the log."""
    others = [each for each in excused.values() if not each.is_lack and each != _ALLOWED]
    wanted = sorted({each.wants for each in others if each.wants})
    number = sum(bool(each.wants) for each in others)
    if wanted:
        names = first_of(wanted, _NAMED)
        does = "does" if number == 1 else "do"
        yield f"{number} {does} not, for want of what nothing locked requires: {names}"
    if len(others) > number:
        rest = len(others) - number
        are = "is" if rest == 1 else "are"
        yield f"{rest} {are} for other platforms, programs, libraries or hidden"
