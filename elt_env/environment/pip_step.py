"""The one pip command of a prefix, and the log of it."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from elt_env.environment.kept_files import UnfitError
from elt_env.environment.prefix import Prefix
from elt_env.environment.prefix_tools import PrefixTools
from elt_env.environment.recorded_files import install_request
from elt_env.lockfile.document import Package
from elt_env.machine.process import Say, keeping
from elt_env.python.wheel import open_wheel
from elt_env.runtime.files import write_atomically
from elt_env.runtime.masking import hidden

PIP_LOG = "pip_install"
"""The name of the log of what pip was asked and said."""


def install_pip(
    prefix: Prefix,
    packages: Sequence[Package],
    tools: PrefixTools,
    say: Say,
    there: Collection[str] = (),
) -> None:
    """Install packages of the prefix's lock with one pip command.

    Args:
        prefix: where they are not yet.
        packages: those to install.
        tools: those it is built with.
        say: told what is done, and the command.
        there: paths below the prefix that none of them may bring.

    Raises:
        UnfitError: one brings what is there, or what pip alone knows the place of.
        As `install_request` and `Installer.install`.
    """
    say(f"pip: installing {len(packages)} packages in one command, hashes required")
    request = install_request(prefix, packages, tools.files, say)
    if there:
        site = prefix.site_packages.relative_to(prefix.path).as_posix()
        for each in request.archives:
            twice = sorted(wheel_places(each, site) & set(there))
            if twice:
                raise UnfitError(f"{each.name} brings {twice[0]}, which another package has")
    say("command: " + tools.installer.install(request, say))


def wheel_places(path: Path, site: str) -> set[str]:
    """Return the paths below a prefix where the files of a wheel come (PEP 427), and its scripts.

    Args:
        path: the wheel.
        site: site-packages below the prefix.

    Raises:
        UnfitError: it has headers, whose place is not the same for all installers.
        IntegrityError: it is no wheel.
    """
    schemes = {"purelib": f"{site}/", "platlib": f"{site}/", "scripts": "bin/", "data": ""}
    with open_wheel(path) as wheel:
        places = {f"bin/{each.name}" for each in wheel.entry_points}
        for member in wheel.files:
            top, _, below = member.filename.partition("/")
            scheme, _, rest = below.partition("/")
            if top != wheel.data:
                places.add(f"{site}/{member.filename}")
            elif scheme in schemes:
                places.add(schemes[scheme] + rest)
            else:
                raise UnfitError(f"{path.name} has {scheme}")
    return places


@contextmanager
def logged(path: Path, say: Say) -> Iterator[Say]:
    """Yield a `say` that also keeps every line; the log is written when the block ends."""
    lines: list[str] = []

    try:
        yield keeping(lines, say)
    finally:
        write_atomically(path, "\n".join(map(hidden, lines)) + "\n")
