"""Build a wheel of a project in a venv that holds its locked build requirements and nothing else.

What is built of an sdist when it is installed takes what it needs for that from the index of that
day. Here it is resolved first, each file with its hash, installed in one command, and kept with the
wheel (PEP 517, PEP 518).
"""

from __future__ import annotations

import importlib.util
import json
import os
import re
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from packaging.utils import parse_wheel_filename

from elt_env import probes
from elt_env.errors import SpecError, ToolError
from elt_env.lockfile import requirements
from elt_env.lockfile.document import Package
from elt_env.machine.indexes import Indexes
from elt_env.machine.process import Completed, Say, clean_environment, end_of, run
from elt_env.pip.direct_wheels import EPOCH
from elt_env.pip.port import Installer, InstallRequest, Resolver, ResolveRequest
from elt_env.python.interpreters import Interpreter
from elt_env.python.venv_base import make_venv
from elt_env.runtime.input_files import read_text
from elt_env.runtime.limits import load_toml

if TYPE_CHECKING:
    from elt_env.index.download import Downloads

_HOOKS = probes.DIRECTORY / "build_hooks.py"
# What a project without a [build-system] has (PEP 517).
_LEGACY = {"requires": ["setuptools>=40.8.0"], "build-backend": "setuptools.build_meta:__legacy__"}
# By these a person says where compilers, headers and libraries are.
_VARIABLES = (
    *("CC", "CXX", "FC", "AR", "CFLAGS", "CXXFLAGS", "CPPFLAGS", "LDFLAGS", "RUSTFLAGS"),
    *("PKG_CONFIG_PATH", "CMAKE_PREFIX_PATH", "CMAKE_ARGS", "CARGO_HOME", "RUSTUP_HOME"),
)
_COMPILERS = r"[\w./-]*(?:gcc|g\+\+|clang|clang\+\+|gfortran|cc|c\+\+)(?:-\d+)?"
_LACKS = (
    (
        re.compile(r"fatal error: ['\"]?(?P<what>[\w./+-]+\.h\w*)['\"]?(?:: No such| file not)"),
        "header",
    ),
    (re.compile(r"cannot find -l(?P<what>[\w.+-]+)"), "library"),
    (re.compile(rf"No such file or directory: '(?P<what>{_COMPILERS})'"), "compiler"),
    (re.compile(rf"command '(?P<what>{_COMPILERS})' failed: No such file"), "compiler"),
    (re.compile(rf"(?P<what>{_COMPILERS})['\"]?: (?:command )?not found"), "compiler"),
    (re.compile(r"[Nn]o package '(?P<what>[\w.+-]+)' found"), "library"),
    (
        re.compile(
            r"(?P<what>pg_config|mysql_config|krb5-config|xml2-config|xslt-config|pkg-config|cargo"
            r"|rustc|cmake|ninja|swig)\b[^\n]{0,60}(?:not found|not installed|No such file)"
        ),
        "program",
    ),
)
_DEBIAN = {
    **dict.fromkeys(("gcc", "cc", "g++", "c++", "make"), "build-essential"),
    **dict.fromkeys(("libpq-fe.h", "pg_config", "pq"), "libpq-dev"),
    **dict.fromkeys(("ffi.h", "ffi", "libffi"), "libffi-dev"),
    **dict.fromkeys(("openssl/ssl.h", "openssl/opensslv.h", "ssl", "crypto"), "libssl-dev"),
    **dict.fromkeys(("mysql.h", "mysql_config"), "default-libmysqlclient-dev"),
    **dict.fromkeys(("cargo", "rustc"), "cargo"),
    "Python.h": "python3-dev",
    "sql.h": "unixodbc-dev",
    "lber.h": "libldap-dev",
    "sasl/sasl.h": "libsasl2-dev",
    "xml2-config": "libxml2-dev",
    "xslt-config": "libxslt1-dev",
    "krb5-config": "libkrb5-dev",
    "zlib.h": "zlib1g-dev",
}


@dataclass(frozen=True)
class BuildTools:
    """What resolves, fetches and installs build requirements.

    Attributes:
        limit: seconds that one step may take.
    """

    resolver: Resolver
    installer: Installer
    downloads: Downloads
    indexes: Indexes
    limit: float


@dataclass(frozen=True)
class LockedBuild:
    """A wheel, and what it was built with.

    Attributes:
        requirements: the build requirements with their hashes, as pip reads them.
    """

    wheel: Path
    requirements: str


class WheelBuild:
    """The build of one project.

    Args:
        source: the project's directory.
        origin: what names it in messages.
        python: the interpreter to build with, and for.
        asked: how its build requirements are to be chosen.
        tools: what chooses and installs them.
        place: an empty directory to work in.
        say: told of progress.
    """

    def __init__(  # noqa: PLR0913, PLR0917  # what a build is made of
        self,
        source: Path,
        origin: str,
        python: Interpreter,
        asked: ResolveRequest,
        tools: BuildTools,
        place: Path,
        say: Say,
    ) -> None:
        self._source, self._origin, self._python = source, origin, python
        self._asked, self._tools, self._say = asked, tools, say
        self._venv, self._place = place / "venv", place

    def wheel(self) -> LockedBuild:
        """Return the wheel; one with native code holds the libraries that it needs.

        Raises:
            SpecError: the project's pyproject.toml cannot be used.
            ToolError: it does not build; what is missing on this machine is named.
            EltEnvError: its build requirements cannot be had.
        """
        system = _build_system(self._source, self._origin)
        make_venv(self._python, self._venv, self._tools.limit)
        needs = tuple(system["requires"])
        packages = self._install(needs)
        more = self._call(system, "requires")
        if more:
            packages = self._install((*needs, *map(str, more)))
        output = self._place / "wheel"
        output.mkdir()
        self._say(f"wheelhouse: building {self._origin} with {len(packages)} locked packages")
        name = self._call(system, "wheel", str(output))
        built = output / str(name)
        repaired = _repaired(built, self._place / "repaired", self._tools.limit, self._say)
        return LockedBuild(repaired, requirements.pinned(packages))

    def _install(self, asked: Sequence[str]) -> tuple[Package, ...]:
        """Resolve build requirements, and install their files; return them."""
        if not asked:
            return ()
        tools = self._tools
        request = replace(self._asked, requirements=tuple(asked))
        resolved = tools.resolver.resolve(request, self._say)
        packages = tools.resolver.files(resolved, request, self._say)
        with tools.downloads.connected():
            archives = tuple(tools.downloads.fetch(each.url, each.sha256) for each in packages)
        install = InstallRequest(
            requirements=requirements.pinned(packages),
            prefix=self._venv,
            indexes=tools.indexes,
            archives=archives,
            site_packages=self._venv / "lib" / f"python{self._python.minor}" / "site-packages",
        )
        tools.installer.install(install, self._say)
        return packages

    def _call(self, system: dict[str, Any], *arguments: str) -> Any:  # noqa: ANN401  # JSON
        """Return what a hook of the build backend answers."""
        backend = {"backend": system["build-backend"], "path": system.get("backend-path", [])}
        done = run(
            [str(self._venv / "bin" / "python"), str(_HOOKS), *arguments],
            limit=self._tools.limit,
            env=self._variables(),
            cwd=self._source,
            input=json.dumps(backend),
        )
        answer = done.stdout.strip().splitlines()
        if done.returncode or not answer:
            raise _not_built(self._origin, done)
        return json.loads(answer[-1])

    def _variables(self) -> dict[str, str]:
        own = {name: os.environ[name] for name in _VARIABLES if os.environ.get(name)}
        path = [self._venv / "bin", *map(Path, os.environ.get("PATH", "").split(os.pathsep))]
        return clean_environment(path=path, extra={**own, "SOURCE_DATE_EPOCH": str(EPOCH)})


def _build_system(source: Path, origin: str) -> dict[str, Any]:
    """Return the `[build-system]` of a project."""
    try:
        text = read_text(source / "pyproject.toml")
    except FileNotFoundError:
        if (source / "setup.py").is_file():
            return _LEGACY
        raise SpecError(
            f"{origin} is no project: it has neither a pyproject.toml nor a setup.py.",
            "Name the directory of one, an sdist, or a wheel.",
        ) from None
    try:
        found = load_toml(text).get("build-system") or _LEGACY
        system = {"build-backend": _LEGACY["build-backend"], **found}
        usable = all(isinstance(each, str) for each in system["requires"])
    except (ValueError, KeyError, TypeError, AttributeError):
        usable = False
    if not usable:
        raise SpecError(
            f"{origin}: its pyproject.toml has no [build-system] that can be used.",
            "Write 'requires' and 'build-backend' into it (PEP 518).",
        )
    return system


def missing_for_build(text: str) -> tuple[tuple[str, str], ...]:
    """Return what a failed build says it lacks on this machine: kinds and names, each once."""
    found = {
        (kind, match["what"].rsplit("/", 1)[-1] if kind == "compiler" else match["what"]): None
        for pattern, kind in _LACKS
        for match in pattern.finditer(text)
    }
    return tuple(found)


def _not_built(origin: str, done: Completed) -> ToolError:
    text = f"{done.stdout}\n{done.stderr}".strip()
    lacks = missing_for_build(text)
    named = ", ".join(f"the {kind} {what}" for kind, what in lacks)
    packages = sorted({_DEBIAN[what] for _, what in lacks if what in _DEBIAN})
    remedy = "Mend what its build says, or ask for a version that has a wheel."
    if lacks:
        how = f", on Debian with: apt-get install {' '.join(packages)}" if packages else ""
        remedy = f"Install what has {named}{how}. Then run the same command again."
    return ToolError(
        f"{origin} does not build{f': this machine lacks {named}' if lacks else ''}\n"
        f"{end_of(text, 15)}",
        remedy,
    )


def _repaired(wheel: Path, output: Path, limit: float, say: Say) -> Path:
    """Return a wheel that holds the libraries it needs, with the tag of where it runs (PEP 600).

    One without native code is left as it is.
    """
    if _is_pure(parse_wheel_filename(wheel.name)[3]):
        return wheel
    if importlib.util.find_spec("auditwheel") is None:
        raise ToolError(
            "auditwheel, which puts the libraries that a wheel needs into it, is not installed.",
            "Install it beside elt-env: python -m pip install 'elt-env[wheelhouse]'",
        )
    command = [sys.executable, "-m", "auditwheel", "repair", "--wheel-dir", str(output)]
    variables = clean_environment(
        path=[Path(sys.executable).parent], extra={"SOURCE_DATE_EPOCH": str(EPOCH)}
    )
    done = run([*command, str(wheel)], limit=limit, env=variables)
    made = [*output.glob("*.whl")]
    if done.returncode or not made:
        raise ToolError(
            f"auditwheel cannot repair {wheel.name}:\n{end_of(done.stderr.strip(), 6)}",
            "Install the library that it does not find, or link against one that is there.",
        )
    say(f"wheelhouse: {made[0].name} holds what it needs")
    return made[0]


def _is_pure(tags: Iterable[Any]) -> bool:
    return all(each.platform == "any" for each in tags)
