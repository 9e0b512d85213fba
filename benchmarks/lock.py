"""The lock of both halves, beside one resolve of the same requirements by each resolver."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from benchmarks.side_by_side import Contender, program
from elt_env.environment.build import require_lock
from elt_env.lock.candidate import find_candidate
from elt_env.lock.joint import common_request
from elt_env.lock.make import lock
from elt_env.lock.request import ask
from elt_env.lock.solve import as_requirement
from elt_env.lockfile import conda_lock
from elt_env.machine.process import unheard
from elt_env.package.target import Target
from elt_env.tools import Tools

FLOOR, UPGRADED, KEPT = "uv pip compile", "lock, all may be upgraded", "lock, unchanged"
_PEERS = {"pip": "pip", "pip-tools": "pip-compile", "poetry": "poetry"}


def contenders(target: Target, tools: Tools) -> tuple[Contender, ...]:
    """Return the floor, which knows nothing of conda, this project's lock, and peers."""
    peers = (
        Contender(f"lock, {name}", _resolve(target, tools, name), needs=(needs,))
        for name, needs in _PEERS.items()
    )
    return (
        Contender(FLOOR, _resolve(target, tools, "uv")),
        Contender(UPGRADED, lambda _: _find(target, tools)),
        Contender(KEPT, lambda _: _keep(target, tools)),
        *peers,
        Contender("conda create --dry-run", _solve(target, tools), needs=("conda",)),
    )


def _resolve(target: Target, tools: Tools, name: str) -> Callable[[Path], int]:
    def work(_place: Path) -> int:
        found, resolver = (
            require_lock(target, tools.store),
            tools.resolver_named(name, tools.indexes),
        )
        question = ask(
            target, tools.project.spec(target.environment), tools.policy, tools.store.now
        )
        conda = map(as_requirement, question.spec.conda)
        request = common_request(question, found.python.version, tools.policy)
        asked, bounds = (*question.pip, *conda), question.spec.constraints
        request = replace(request, requirements=asked, bounds=bounds, fresh=True)
        resolver.resolve(request, unheard)
        return 0

    return work


def _find(target: Target, tools: Tools) -> int:
    find_candidate(target, tools, unheard, upgrade=None)
    return 0


def _keep(target: Target, tools: Tools) -> int:
    lock(target, tools, unheard)
    return 0


def _solve(target: Target, tools: Tools) -> Callable[[Path], int]:
    def work(place: Path) -> int:
        found = require_lock(target, tools.store)
        channels = [part for each in found.channels for part in ("-c", each)]
        wanted = [f"{each.name}={each.version}" for each in found.conda if each.requested]
        command = ["conda", "create", "--dry-run", "-y", "-q", "--override-channels", *channels]
        return program([*command, "-p", place / "nowhere", *wanted], place)(place)

    return work


def link_with_conda(target: Target, tools: Tools) -> Callable[[Path], int]:
    """Return the work of conda itself: it makes a prefix of conda's half of the lock."""

    def work(place: Path) -> int:
        explicit = place / "explicit.txt"
        text = conda_lock.render(require_lock(target, tools.store))
        urls = (line.partition("#sha256:")[0] for line in text.splitlines())  # conda < 24.9
        explicit.write_text("\n".join(urls) + "\n", encoding="utf-8")
        return program(
            ["conda", "create", "-y", "-q", "-p", place / "conda", "--file", explicit], place
        )(place)

    return work
