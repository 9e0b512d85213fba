"""The spec: what a person asked for."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, replace

from elt_env.errors import SpecError
from elt_env.package.canonical import digest_of
from elt_env.spec.conda_bounds import admits_minor
from elt_env.spec.conda_spec import CondaSpec
from elt_env.spec.direct import DirectRequirement
from elt_env.spec.faults import Fault
from elt_env.spec.pip_options import PipOptions


@dataclass(frozen=True)
class Spec:
    """What a person asked for.

    Attributes:
        source: where it was read, for messages.
        channels: conda channels, the first has priority; empty when the file lists none.
        python: the version bound on Python that the spec carries, or "".
        conda: conda requirements without Python, one a package, sorted.
        pip: requirements for pip (PEP 508), normalized and sorted.
        name: the environment's name in the file, or "".
        variables: environment variables and their values, sorted by name.
        python_build: what is asked of Python beside its version, or None.
        constraints: bounds for pip (PEP 508) on what nobody need have asked for, sorted.
        directs: what pip takes from one URL, sorted.
        pip_options: the options of the lines for pip.
        files: the files read beside this one, relative to the same directory, sorted.
        warnings: what is ignored or worth saying; no part of what is asked for.
        venv: whether the policy takes Python from the machine, and nothing from conda.
    """

    source: str
    channels: tuple[str, ...]
    python: str
    conda: tuple[CondaSpec, ...]
    pip: tuple[str, ...]
    name: str = ""
    variables: tuple[tuple[str, str], ...] = ()
    python_build: CondaSpec | None = None
    constraints: tuple[str, ...] = ()
    directs: tuple[DirectRequirement, ...] = ()
    pip_options: PipOptions = field(default_factory=PipOptions)
    files: tuple[str, ...] = ()
    warnings: tuple[Fault, ...] = field(default=(), compare=False)
    venv: bool = False

    @property
    def python_spec(self) -> CondaSpec:
        """All that is asked of Python, as a conda requirement."""
        return self.python_build or CondaSpec("python", self.python)

    @property
    def digest(self) -> str:
        """The digest of what is asked for; the order of requirements does not enter.

        What included files ask for enters; their names do not.
        """
        content: dict[str, object] = {
            "channels": list(self.channels),
            "python": self.python,
            "conda": [str(spec) for spec in self.conda],
            "pip": list(self.pip),
        }
        if self.venv:
            content["venv"] = True
        if self.python_build is not None:
            content["python_build"] = str(self.python_build)
        if self.variables:
            content["variables"] = [list(each) for each in self.variables]
        if self.constraints:
            content["constraints"] = list(self.constraints)
        if self.directs:
            content["directs"] = [str(each) for each in self.directs]
        if self.pip_options != PipOptions():
            content["pip_options"] = asdict(self.pip_options)
        return digest_of(content)

    def for_venv(self) -> Spec:
        """Return what is asked of pip and of Python alone, as for an environment without conda.

        Conda's `pip` is left out: an environment needs none, and the installer is the policy's.

        Raises:
            SpecError: more is asked of conda than that.
        """
        mine = [str(each) for each in self.conda if each.name != "pip"]
        mine += [str(self.python_build)] if self.python_build else []
        if mine:
            raise SpecError(
                f"{self.source} asks conda for {', '.join(mine)}, and the policy takes Python from "
                'this machine (python = "venv"): there is no conda that could bring it.',
                "Ask pip for it, below 'pip:' where its name on the index may differ; or take "
                'Python from conda: python = "conda".',
            )
        return replace(self, channels=(), conda=(), venv=True)

    def require_python(self, minors: Iterable[str]) -> None:
        """Return when the spec's bound on Python admits all `minors`.

        Raises:
            SpecError: a minor is outside the bound.
        """
        outside = [minor for minor in minors if not admits_minor(self.python, minor)]
        if outside:
            raise SpecError(
                f"{self.source}: 'python {self.python}' excludes Python {', '.join(outside)}, "
                "which the policy lists.",
                "Widen the bound, or take the version out of 'pythons' in [tool.elt-env].",
            )
