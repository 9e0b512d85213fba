"""The checks that modules import."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Iterator, Mapping, Sequence

from elt_env.model.evidence import Status
from elt_env.model.extras import missing_distribution, missing_package, needed_by_extras
from elt_env.stages.checks.finding import Finding, first
from elt_env.tools.modules import Imported, import_all, modules_by_distribution
from elt_env.tools.prefix import Prefix
from elt_env.tools.process import Say
from elt_env.tools.toolbox import Toolbox

_NAMED = 3
_NOTHING = "which nothing here requires"
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


def imports(prefix: Prefix, toolbox: Toolbox, say: Say) -> Finding:
    """The top-level modules of every installed distribution import.

    But for those of the allow-list, and those that want what an extra brings that nobody asked for,
    or what nothing that is installed requires, as the stubs of a service that is not used. A
    distribution that was asked for and of which nothing imports fails all the same.
    """
    owners = modules_by_distribution(prefix)
    owner_of = {module: name for name, modules in owners.items() for module in modules}
    results = import_all(owner_of, prefix, toolbox.policy.tool_limit.total_seconds(), say)
    excused = _undeclared(results, owners, prefix)
    excused |= _of_extras(results, owner_of, prefix)
    excused |= {
        each.module: "allowed to fail"
        for each in results
        if _is_allowed(each.module, toolbox.environment.imports_allow)
    }
    return _judge(results, owner_of, prefix, excused)


def extra_imports(prefix: Prefix, toolbox: Toolbox, say: Say) -> Finding:
    """What a run on DuckDB does not touch imports too: BigQuery's adapter and client."""
    installed = prefix.lock.distributions
    owner_of = {
        module: name
        for name, modules in _UNTOUCHED.items()
        if name in installed
        for module in modules
    }
    if not owner_of:
        return Finding("passed", "nothing of BigQuery is in the lock")
    results = import_all(owner_of, prefix, toolbox.policy.tool_limit.total_seconds(), say)
    return _judge(results, owner_of, prefix, {})


def _of_extras(
    results: list[Imported], owner_of: Mapping[str, str], prefix: Prefix
) -> dict[str, str]:
    """Return the modules that did not import for want of what an extra brings, each with why."""
    faults = {each.module: each.fault for each in results if each.fault}
    requires = {
        each.name: needed_by_extras(importlib.metadata.Distribution.at(each.info).requires or ())
        for each in (prefix.distributions() if faults else ())
        if each.name in {owner_of[module] for module in faults}
    }
    locked = prefix.lock.distributions
    missing = {
        module: missing_distribution(
            fault, requires.get(owner_of[module], frozenset()) - set(locked)
        )
        for module, fault in faults.items()
    }
    return {module: f"wants {name}, of an extra" for module, name in missing.items() if name}


def _undeclared(
    results: list[Imported], owners: Mapping[str, Sequence[str]], prefix: Prefix
) -> dict[str, str]:
    """Return the modules that did not import for want of what nothing installed brings or requires.

    What is required is installed, or pip_check says so.
    """
    faults = {each.module: each.fault for each in results if each.fault}
    brought = {module.split(".")[0] for modules in owners.values() for module in modules}
    wanted = {module: missing_package(fault) for module, fault in faults.items()}
    found = {
        module: f"wants {name}, {_NOTHING}"
        for module, name in wanted.items()
        if name is not None and name not in brought
    }
    asked = {each.name for each in prefix.lock.packages if each.requested}
    for name, modules in owners.items():
        if name in asked and all(module in faults for module in modules):
            found = {module: why for module, why in found.items() if module not in modules}
    return found


def _judge(
    results: list[Imported],
    owner_of: Mapping[str, str],
    prefix: Prefix,
    excused: Mapping[str, str],
) -> Finding:
    """Return `failed` when something did not import that is not excused, by module."""
    faults = [each for each in results if each.fault]
    bad = [each for each in faults if each.module not in excused]
    # As they are installed, which is not as they are locked when that is the fault.
    versions = {each.name: each.version for each in prefix.distributions()} if bad else {}
    lines = [
        f"{each.module} of {owner_of[each.module]} "
        f"{versions.get(owner_of[each.module], '')}: {each.fault}"
        for each in bad
    ]
    log = "\n".join(
        f"{each.seconds:8.3f} s  {each.module}  {each.fault or 'ok'}" for each in results
    )
    if lines:
        return Finding("failed", first(lines), log)
    notes = "".join(f"; {each}" for each in _notes([each.module for each in faults], excused))
    status: Status = "warned" if any(_NOTHING in each for each in excused.values()) else "passed"
    return Finding(status, f"{len(results) - len(faults)} modules import{notes}", log)


def _notes(modules: Sequence[str], excused: Mapping[str, str]) -> Iterator[str]:
    """Yield why modules are excused; of many with one reason the first is named."""
    of_reason: dict[str, list[str]] = {}
    for module in modules:
        of_reason.setdefault(excused[module], []).append(module)
    for reason, named in of_reason.items():
        if len(named) > _NAMED:
            yield f"{named[0]} {reason}; so it is with {len(named) - 1} more"
        else:
            yield from (f"{each} {reason}" for each in named)


def _is_allowed(module: str, allowed: tuple[str, ...]) -> bool:
    return any(module == each or module.startswith(each + ".") for each in allowed)
