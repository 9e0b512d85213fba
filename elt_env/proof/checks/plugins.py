"""The plugins of a Meltano project, installed as they are locked; locked where they are not."""

from __future__ import annotations

import importlib.metadata
import json
import logging
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from elt_env.environment.locked_files import PipFiles
from elt_env.environment.meltano_file import MeltanoPlugin, read_meltano
from elt_env.environment.plugins import MeltanoProject
from elt_env.errors import EltEnvError
from elt_env.lock.plugin_lock import (
    Asked,
    LockedPlugin,
    PluginLock,
    carried_not,
    packages_of,
    plugin_changes,
)
from elt_env.lock.plugin_locks import (
    plugin_lock_before,
    read_plugin_lock,
    restore_plugin_lock,
    write_plugin_lock,
)
from elt_env.lockfile.document import Lock, Package
from elt_env.machine.process import Say
from elt_env.package.names import normalize
from elt_env.pip import Resolver
from elt_env.pip.port import Resolved, ResolveRequest
from elt_env.proof.checks.check_tools import CheckTools
from elt_env.runtime.files import sha256_of, write_atomically, writing
from elt_env.store.locks import Store

PINS = "plugins.lock"
"""The directory of a project's copy with what each of its plugins is installed from."""

SMOKE = "meltano_smoke"
"""The check whose project all smoke checks share that run Meltano."""


def provide_locked(
    project: MeltanoProject, check: str, tools: CheckTools, lock: Lock, say: Say
) -> None:
    """Make the plugins' environments ready, each with what is locked for it.

    What is not locked yet, or was locked for another `pip_url`, is installed as its project says,
    and then locked: all that is there, with the hashes of the index.

    Raises: as `MeltanoProject.provide_plugins`.
    """
    cache = tools.project.local_home / "cache" / "meltano"
    if pin_plugins(project.path, check, tools, lock):
        project.provide_plugins(cache, say)
        return
    asked = _asked(project.path)
    before = plugin_lock_before(tools.store.documents, lock.target, check)
    replace(project, after=before.digest if before else "").provide_plugins(cache, say)
    try:
        made = _lock_installed(project.system, asked, tools.resolver, lock, say)
    except EltEnvError as error:
        say(f"the plugins of {check} cannot be locked: {error.problem}", logging.WARNING)
        return
    documents, target = tools.store.documents, lock.target
    kept = read_plugin_lock(documents, target, check)
    if kept is None or kept.digest != made.digest or not _is_for(kept, asked, lock):
        write_plugin_lock(documents, target, check, made)
        for line in plugin_changes(plugin_lock_before(documents, target, check), made):
            say(f"{check}: {line}")


def put_back(check: str, store: Store, lock: Lock) -> tuple[str, ...]:
    """Let a check's plugins be locked as before; return what was locked anew, a line each.

    Where nothing else was locked before, the lock stays as it is.
    """
    documents, target = store.documents, lock.target
    before = plugin_lock_before(documents, target, check)
    made = read_plugin_lock(documents, target, check)
    changes = plugin_changes(before, made) if made else ()
    if changes:
        restore_plugin_lock(documents, target, check)
    return changes


def pin_plugins(project: Path, check: str, tools: CheckTools, lock: Lock) -> bool:
    """Let the copy of a project install what is locked; return whether there is such a lock."""
    kept = read_plugin_lock(tools.store.documents, lock.target, check)
    if kept is None or not _is_for(kept, _asked(project), lock):
        return False
    locked = {(each.kind, each.name): each for each in kept.plugins}
    wheels = _carried(kept, tools.files, lock)
    for wheel in wheels.values():
        _copy(wheel, project / PINS / "wheels" / wheel.name)
    files, place = read_meltano(project), f"${{MELTANO_PROJECT_ROOT}}/{PINS}"
    wanted: dict[MeltanoPlugin, dict[str, str]] = {}
    for plugin in files.plugins:
        mine = locked.get((plugin.kind, plugin.name))
        if mine is not None and (wheels or not mine.pins_itself):
            packages = [_as_carried(each, wheels) for each in mine.packages]
            mine = replace(mine, packages=tuple(packages))
            write_atomically(project / PINS / mine.file_name, mine.requirements)
            offline = f'--no-index --find-links "{place}/wheels" ' if wheels else ""
            wanted[plugin] = {"pip_url": offline + pinned_url(mine, place)}
    files.with_keys(wanted)
    return True


def _carried(kept: PluginLock, files: PipFiles, lock: Lock) -> dict[str, Path]:
    """Return a wheel of each package, by its sha256, where a bundle brought all of them; else {}.

    Then no index is asked, since there may be none.
    """
    found = {}
    for each in packages_of([kept]):
        wheel = files.downloads.find(each.archive_name, each.sha256)
        if wheel and wheel.suffix != ".whl":
            wheel = files.direct_wheels.built_of(each, f"python{lock.target.python}")
        if wheel is None:
            return {}
        found[each.sha256] = wheel
    return {} if carried_not(kept) else found


def _as_carried(package: Package, wheels: Mapping[str, Path]) -> Package:
    """Return a package with the hash of its wheel, which may be built of what is locked."""
    wheel = wheels.get(package.sha256)
    return replace(package, sha256=sha256_of(wheel)) if wheel else package


def _copy(source: Path, path: Path) -> None:
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, path)


def pinned_url(plugin: LockedPlugin, directory: str) -> str:
    """Return the `pip_url` that installs what is locked, from a file in this directory."""
    hashes = "--require-hashes " if plugin.is_hashed else ""
    return f'{hashes}--no-deps --requirement "{directory}/{plugin.file_name}"'


def _is_for(kept: PluginLock, asked: Asked, lock: Lock) -> bool:
    return kept.answers(asked, lock.target.python, lock.target.platform)


def _asked(project: Path) -> dict[tuple[str, str], str]:
    plugins = read_meltano(project).plugins
    return {(each.kind, each.name): each.pip_url for each in plugins if each.pip_url}


def _lock_installed(
    system: Path, asked: Asked, resolver: Resolver, lock: Lock, say: Say
) -> PluginLock:
    request = ResolveRequest(requirements=(), python=lock.python.version, wheels_only=False)
    plugins = []
    for (kind, name), url in sorted(asked.items()):
        found = list(_installed(system / kind / name / "venv"))
        direct = tuple(sorted(line for _, line in found if line))
        resolved = tuple(each for each, line in found if not line)
        packages = resolver.files(resolved, request, say)
        plugins.append(LockedPlugin(kind, name, url, packages, direct))
    return PluginLock(lock.target.python, lock.target.platform, tuple(plugins))


def _installed(environment: Path) -> Iterator[tuple[Resolved, str]]:
    """Yield what is installed in a virtual environment; with the requirement of what has a URL.

    https://packaging.python.org/en/latest/specifications/direct-url/
    """
    places = [str(each) for each in environment.glob("lib/python*/site-packages")]
    found = {normalize(each.name): each for each in importlib.metadata.distributions(path=places)}
    for name, each in sorted(found.items()):
        text = each.read_text("direct_url.json")
        origin = json.loads(text) if text else {}
        commit = (origin.get("vcs_info") or {}).get("commit_id")
        url = origin.get("url", "")
        source = f"git+{url}@{commit}" if commit else url
        there = Resolved(name, each.version, index="", requested=False, required_by=())
        yield there, f"{name} @ {source}" if url else ""
