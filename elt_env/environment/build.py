"""Build: a prefix from a lock, conda first, then one pip command, verified and sealed."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from elt_env.environment.activation_record import keep_activation, link_scripts
from elt_env.environment.bytecode_cache import BytecodeCache
from elt_env.environment.conda_meta import close_to_conda
from elt_env.environment.damage import Damage
from elt_env.environment.earlier_prefix import link_earlier
from elt_env.environment.file_list import compare, keep_list, kept_list, list_path
from elt_env.environment.pip_step import PIP_LOG, install_pip, logged
from elt_env.environment.prefix import Prefix, Stage
from elt_env.environment.prefix_bytecode import compile_prefix
from elt_env.environment.prefix_content import (
    listed,
    require_conda_untouched,
    require_installed_is_locked,
    unfit,
)
from elt_env.environment.prefix_tools import PrefixTools
from elt_env.environment.recorded_files import settle_files
from elt_env.environment.sealed_note import note_sealed
from elt_env.errors import IntegrityError, ToolError
from elt_env.lockfile.document import Lock
from elt_env.machine.process import Say
from elt_env.package.platform import this_platform
from elt_env.package.target import Target
from elt_env.runtime.file_hashes import FileHashes, HashOf
from elt_env.runtime.files import sha256_of, write_atomically
from elt_env.store.locks import Store, no_lock

_EXTERNALLY_MANAGED = """[externally-managed]
Error=This environment ({target}) holds what its lock says and nothing else.
 To change it, edit the spec and run: elt-env build {target}
"""


@dataclass(frozen=True)
class BuildResult:
    """A prefix of a lock.

    Attributes:
        path: its directory.
        steps: what was done to it now; empty when it was there already.
    """

    path: Path
    steps: tuple[str, ...]


def require_lock(target: Target, store: Store) -> Lock:
    """Return the target's current lock.

    Raises:
        InputError: there is none yet.
        IntegrityError: it was changed by hand.
    """
    lock = store.current_lock(target)
    if lock is None:
        raise no_lock(target)
    return lock


def require_prefix(lock: Lock, store: Store, use: str) -> Prefix:
    """Return the lock's prefix, which is sealed; `use` is what it is wanted for, as in `pack`.

    Raises:
        ToolError: it is not built.
    """
    prefix = Prefix(store.prefix_path(lock), lock)
    prefix.mark_used()
    if not prefix.ready:
        state = f"was built at {prefix.made_for}" if prefix.made_for else "is not built"
        if prefix.base_fault:
            state = f"does not hold any more: {prefix.base_fault}"
        raise ToolError(
            f"The prefix {prefix.path} {state}, so there is nothing to {use}.",
            f"Build it: elt-env build {lock.target.name}",
        )
    return prefix


def changed_since_sealed(prefix: Prefix) -> tuple[Damage, ...]:
    """Return what of a prefix is not what it was when it was sealed, as far as a quick look tells.

    See `compare` of the file list for what that sees; bytecode is left aside, and so are
    directories that a tool has made and left empty.
    """
    sealed = kept_list(prefix.path)
    if sealed is None:
        return (Damage("prefix", list_path(prefix.path).name, "is gone"),)
    found = compare(prefix.path, sealed, quickly=True)
    return tuple(
        each
        for each in found
        if each.is_fault and not (each.fault == "was added" and each.path.endswith("/"))
    )


def require_as_sealed(prefix: Prefix) -> None:
    """Return when nothing has changed since a prefix was sealed; see `changed_since_sealed`.

    Raises:
        IntegrityError: files were changed, lost or added since; the first are named.
    """
    faults = [str(each) for each in changed_since_sealed(prefix)]
    if faults:
        name = prefix.lock.target.name
        raise IntegrityError(
            f"The prefix {prefix.path} of {name} is not what it was when it was built and sealed:"
            f"\n  {listed(faults)}",
            f"Mend it: elt-env verify {name} --repair",
        )


def ensure_prefix(lock: Lock, tools: PrefixTools, say: Say) -> BuildResult:
    """Return the lock's prefix, sealed: it was there, or it is built from the lock alone.

    Raises: as `advance`.
    """
    return advance(lock, Stage.READY, tools, say)


def advance(
    lock: Lock, goal: Stage, tools: PrefixTools, say: Say, *, anew: bool = False
) -> BuildResult:
    """Bring the lock's prefix to at least the stage `goal`, whatever state it was left in.

    A complete stage is built upon, whoever reached it; what was interrupted is wiped first. Where
    another prefix of the lock, or one of the same conda packages, was sealed before, it is made of
    that one, unless `anew`.

    Raises:
        IntegrityError: the lock is of another platform, an archive has another hash, or the
            result is not what the lock says.
        ProofError: what is locked does not fit together.
        NetworkError, StorageError, BusyError: the next call takes it up again.
    """
    _require_platform(lock)
    prefix = Prefix(tools.store.prefix_path(lock), lock)
    prefix.mark_used()
    if prefix.stage >= goal:
        say(f"prefix: {prefix.path} is there ({prefix.stage.name.lower()}), nothing to do")
        return BuildResult(prefix.path, ())
    with prefix.sole_builder(tools.project.policy.busy_limit.total_seconds(), say):
        reached = prefix.stage
        if reached is Stage.ABSENT:
            if prefix.path.exists():
                say(f"prefix: {_why_again(prefix)}, building it again")
            prefix.wipe()
            done = () if anew else link_earlier(prefix, tools, say)
            if done:
                return BuildResult(prefix.path, done)
        due = [stage for stage in _STEPS if reached < stage <= goal]
        for stage in due:
            with prefix.reaching(stage):
                _STEPS[stage](prefix, tools, say)
    return BuildResult(prefix.path, tuple(_STEPS[stage].__name__.lstrip("_") for stage in due))


def _why_again(prefix: Prefix) -> str:
    if prefix.made_for:
        return f"{prefix.path} was moved or copied from {prefix.made_for}"
    return (
        f"{prefix.path}: {prefix.base_fault}"
        if prefix.base_fault
        else (f"{prefix.path} was left unfinished")
    )


def _require_platform(lock: Lock) -> None:
    here = this_platform()
    if lock.target.platform != here:
        raise IntegrityError(
            f"The lock {lock.digest} is for {lock.target.platform}; this machine is {here}.",
            f"On a machine of that platform: elt-env build {lock.target.short}",
        )


def _create_prefix(prefix: Prefix, tools: PrefixTools, say: Say) -> None:
    say(f"prefix: {prefix.path}")
    if tools.project.caches.why:
        say(f"cache: {tools.project.caches.why}; that of the store is used")
    asked = tuple(each.name for each in prefix.lock.conda if each.requested)
    packages = tuple(map(tools.host_channel.found_here, prefix.lock.conda))
    packages = packages or (prefix.lock.python,)
    tools.linker(prefix.lock).link(packages, prefix.path, asked, say)
    for each in link_scripts(prefix):
        say(
            f"conda: {each} is not run: no script of a package is, to build a prefix",
            logging.WARNING,
        )


def _pip_install_once(prefix: Prefix, tools: PrefixTools, say: Say) -> None:
    lock = prefix.lock
    with logged(tools.store.log_path(lock.digest, PIP_LOG), say) as told:
        if lock.pip:
            install_pip(prefix, lock.pip, tools, told)
        else:
            told("pip: the lock has no pip packages")


def _seal_prefix(prefix: Prefix, tools: PrefixTools, say: Say) -> None:
    hash_of = FileHashes().sha256_of
    complete(prefix, tools, say, hash_of)
    say("bytecode: compiling the modules, so that no tool does")
    cache = BytecodeCache(tools.project.caches, hash_of)
    limit = tools.project.policy.tool_limit.total_seconds()
    groups = compile_prefix(prefix, cache, limit, say)
    keep_list(prefix.path, hash_of)
    note_sealed(prefix, groups, tools)
    say(f"prefix: {prefix.path} is sealed")


def complete(prefix: Prefix, tools: PrefixTools, say: Say, hash_of: HashOf = sha256_of) -> None:
    """Verify a prefix in which everything is installed, and put everything in its place.

    It then holds what the lock says, each file as the lock alone decides it, and is closed to pip
    (PEP 668) and to conda (CEP 22).
    Only bytecode is missing.

    Raises:
        IntegrityError: it is not what the lock says.
        ProofError: what is locked does not fit together.
        NetworkError, StorageError: a file cannot be had or written.
    """
    keep_activation(prefix, say)
    say("verify: the installed set, conda's files, and what the packages need of each other")
    require_installed_is_locked(prefix)
    require_conda_untouched(prefix, hash_of)
    faults = tools.installer.inconsistencies(prefix.path, say)
    if faults:
        raise unfit(prefix, faults)
    settle_files(prefix, tools, say, hash_of)
    target = prefix.lock.target.name
    write_atomically(
        prefix.library / "EXTERNALLY-MANAGED", _EXTERNALLY_MANAGED.format(target=target)
    )
    if prefix.lock.interpreter is None:
        close_to_conda(prefix)


_STEPS: dict[Stage, Callable[[Prefix, PrefixTools, Say], None]] = {
    Stage.LINKED: _create_prefix,
    Stage.INSTALLED: _pip_install_once,
    Stage.READY: _seal_prefix,
}
