"""Hashed `requirements.txt` files, as pip-compile, uv and Poetry write them."""

from __future__ import annotations

from functools import partial

from packaging.requirements import Requirement

from elt_env.errors import InputError
from elt_env.lockfile.foreign.document import ForeignLock, ForeignPackage, Select, Wanted
from elt_env.spec.direct import DirectRequirement
from elt_env.spec.faults import FaultsError
from elt_env.spec.pip_line import is_pinned
from elt_env.spec.pip_lines import PipLines, read_pip_lines

_SHOWN = 10


def read(text: str, source: str) -> Select:
    """Return what gives the packages of a requirements file.

    Raises:
        InputError: it is none, or a requirement in it has no exact version or no hash.
    """
    lines = read_pip_lines([(1, text)], source, _no_file)
    if lines.faults:
        raise FaultsError(lines.faults, source)
    _require_hashes(lines, source)
    return partial(_select, lines, source)


def _select(lines: PipLines, source: str, wanted: Wanted) -> ForeignLock:
    hashes, options = dict(lines.options.hashes), lines.options
    asked = map(Requirement, lines.requirements)
    mine = [each for each in asked if wanted.admits(str(each.marker or ""))]
    main = (options.index_url,) if options.index_url else ()
    return ForeignLock(
        source,
        pip=(
            *(_package(each, hashes[each.name]) for each in mine),
            *(_direct(each) for each in lines.directs if wanted.admits(each.marker)),
        ),
        indexes=(*options.extra_index_urls, *main),
        notes=tuple(f"--find-links {each} of {source} is not used" for each in options.find_links),
    )


def _no_file(path: str) -> str:
    raise OSError(0, "a lock file stands alone", path)


def _require_hashes(lines: PipLines, source: str) -> None:
    hashes = dict(lines.options.hashes)
    asked = [*map(Requirement, lines.requirements)]
    wrong = [str(each) for each in asked if each.name not in hashes or not is_pinned(each)]
    if asked or lines.directs:
        problem = f"no exact version with a hash stands in it for {', '.join(wrong[:_SHOWN])}"
    else:
        problem = "it is empty"
    if wrong or not (asked or lines.directs):
        raise InputError(
            f"{source} is no lock: {problem}.",
            "Write it with hashes, as pip-compile --generate-hashes and uv pip compile "
            f"--generate-hashes do; or lock what it asks for: elt-env build {source}",
        )


def _package(requirement: Requirement, hashes: tuple[str, ...]) -> ForeignPackage:
    version = next(each.version for each in requirement.specifier if each.operator[:2] == "==")
    return ForeignPackage(
        requirement.name, version, hashes=hashes, extras=tuple(sorted(requirement.extras))
    )


def _direct(direct: DirectRequirement) -> ForeignPackage:
    return ForeignPackage(direct.name, "", extras=direct.extras, direct=direct)
