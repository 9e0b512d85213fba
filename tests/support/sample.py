"""Locks with real packages of both kinds, which can be built at any place."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from elt_env.environment.build import BuildResult, ensure_prefix
from elt_env.lock.make import lock
from elt_env.lockfile.document import Lock
from elt_env.machine.platform import target_here
from elt_env.machine.process import Completed, clean_environment, run
from elt_env.tools import Tools
from tests.support.channel import Channel
from tests.support.conda_packages import make_conda_distribution
from tests.support.index_server import IndexServer, dead_url
from tests.support.isolation import clear_settings
from tests.support.loopback import running
from tests.support.project import make_project, toolbox_of
from tests.support.wheels import make_wheel

_LIMIT = 60.0
_SCRIPT = "def main():\n    import sys\n    print(__name__, 'in', sys.prefix)\n"
# What every installer of wheels leaves, and `uv pip check` looks for.
_WHEEL = "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n"


def silent(line: str, level: int = logging.INFO, /) -> None:
    """Tell nobody."""
    del line, level


@dataclass(frozen=True)
class Sample:
    """A channel with a real Python and an index, and what is locked from them.

    The channel has `tally`, which brings a script; the index has `alpha`, which brings a script
    and needs `beta`.

    Attributes:
        root: a directory for whatever is made.
        python: the Python minor.
    """

    root: Path
    channel: Channel
    index: IndexServer
    python: str

    def offer_conda(
        self, name: str, version: str, files: Mapping[str, str | bytes], **more: Any
    ) -> Path:
        """Offer a conda package with one Python distribution."""
        info = f"{name.replace('-', '_')}-{version}.dist-info"
        made = make_conda_distribution(
            self.channel.root, name, version, files={**files, f"{info}/WHEEL": _WHEEL}, **more
        )
        self.channel.index()
        return made

    def offer_pip(
        self, name: str, files: Mapping[str, str | bytes] | None = None, **more: Any
    ) -> None:
        """Offer version 1.0 of a distribution, as a wheel."""
        self.index.add(make_wheel(self.root / "wheels", name, "1.0", files=files, **more))

    def lock(
        self,
        *,
        conda: Sequence[str] = (),
        pip: Sequence[str] = (),
        channel_url: str | None = None,
        allow_sdist: Sequence[str] = (),
    ) -> Lock:
        """Return a new lock; `directory` is where its files lie."""
        project = make_project(
            self.root / "locking",
            channels=[channel_url or self.channel.url],
            index=self.index.url,
            conda=conda,
            pip=pip,
            policy={"cooldown": "0", "allow-sdist": list(allow_sdist)},
            pythons=[self.python],
        )
        toolbox = toolbox_of(project)
        return lock(target_here("elt", self.python), toolbox, silent, upgrade=None).lock

    def directory(self, made: Lock) -> Path:
        """Return where the files of a lock lie."""
        return self.root / "locking/.elt_env/locks" / made.digest.removeprefix("sha256:")

    def toolbox(self, root: Path, **policy: Any) -> Tools:
        """Return the tools of a project at `root` that knows neither channel nor index.

        Args:
            root: the project's directory; its store is below it unless `home` says otherwise.
            policy: keys of the policy with `_` for `-`, and of its environment `imports_allow`,
                `installer` and `shared_files`.
        """
        own = {
            "imports-allow": policy.pop("imports_allow", []),
            "installer": policy.pop("installer", "uv"),
            "shared-files": policy.pop("shared_files", "warn"),
        }
        project = make_project(
            root,
            channels=["https://channel.invalid"],
            index=dead_url(),
            policy={key.replace("_", "-"): value for key, value in policy.items()},
            environment=own,
            pythons=[self.python],
        )
        return toolbox_of(project)

    def build(self, root: Path, made: Lock) -> BuildResult:
        """Build a lock in a project of its own at `root`."""
        return ensure_prefix(made, self.toolbox(root), silent)


@contextlib.contextmanager
def own_sample(root: Path, python_channel: Channel) -> Iterator[Sample]:
    """Yield a sample of a test's own, on a machine without any settings of a user."""
    with pytest.MonkeyPatch.context() as patch, running(IndexServer()) as index:
        clear_settings(patch, keep_registry=False)
        patch.setenv("UV_CACHE_DIR", str(root / "uv"))
        yield make_sample(root / "sample", python_channel, index)


def make_sample(root: Path, python_channel: Channel, index: IndexServer) -> Sample:
    """Return a sample with a channel of its own, which shares the Pythons of `python_channel`."""
    channel = python_channel.linked_copy(root / "channel")
    python = "3.11" if list(channel.root.glob("*/python-3.11.*")) else "3.12"
    sample = Sample(root, channel, index, python)
    scripts = {"tally": "tally:main"}
    sample.offer_conda("tally", "1.0", {"tally/__init__.py": _SCRIPT}, scripts=scripts)
    sample.offer_pip(
        "alpha",
        {"alpha/__init__.py": _SCRIPT},
        requires=["beta>=1"],
        entry_points={"alpha": "alpha:main"},
    )
    sample.offer_pip("beta")
    return sample


def run_in(prefix: Path, program: str, *arguments: str) -> Completed:
    """Run a program of a prefix as the project's own tools are run."""
    return run([prefix / "bin" / program, *arguments], limit=_LIMIT, env=clean_environment())
