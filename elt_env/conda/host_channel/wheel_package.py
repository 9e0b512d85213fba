"""Makes a conda package of a wheel."""

from __future__ import annotations

import csv
import io
import posixpath
import re
from collections.abc import Iterator
from datetime import datetime, timezone

from packaging.metadata import RawMetadata

from elt_env.conda.host_channel import requirements
from elt_env.conda.host_channel.archive import PLACEHOLDER, RECIPE, Entry, PackageInfo, record_hash
from elt_env.errors import IntegrityError
from elt_env.lockfile.document import WHEEL_BUILD_NUMBER
from elt_env.package.canonical import digest_of, short
from elt_env.python.entry_points import EntryPoint
from elt_env.python.wheel import Wheel
from elt_env.python.wheel_tags import is_pure, wheel_tags
from elt_env.runtime.files import sha256_of

_EXECUTABLE = 0o111
_DROPPED = ("RECORD", "RECORD.jws", "RECORD.p7s", "INSTALLER", "REQUESTED", "direct_url.json")
_SHEBANG = re.compile(rb"#!pythonw?[^\r\n]*(\r?\n|$)")
# The kernel limits the length of a shebang and splits it at spaces; sh does neither
# (https://github.com/pypa/distlib/blob/master/distlib/scripts.py uses the same trick).
_LAUNCHER = f"""\
#!/bin/sh
'''exec' "{PLACEHOLDER}/bin/python" "$0" "$@"
' '''
"""


def describe(wheel: Wheel, minor: str, platform: str, released_at: datetime | None) -> PackageInfo:
    """Return what the conda package of `wheel` says of itself.

    A wheel that is the same for every Python and platform becomes `noarch: python`; any other
    belongs to `platform` and the Python `minor`. The build string carries a hash of everything
    the package's bytes depend on.

    Raises:
        IntegrityError: the wheel is made for another Python or another platform.
        ValueError, packaging.requirements.InvalidRequirement: its metadata cannot be read.
    """
    if wheel.tags.isdisjoint(wheel_tags(minor)):
        raise IntegrityError(
            f"{wheel.path} is not made for Python {minor} on this machine.",
            f"Get a wheel with a tag of CPython {minor} and {platform}, or without any.",
        )
    noarch = _is_noarch(wheel)
    identity = short(
        digest_of([RECIPE, sha256_of(wheel.path), "" if noarch else minor, _moment(released_at)])
    )[:7]
    python = (
        (requirements.python_bound(wheel.metadata.get("requires_python", "")),)
        if noarch
        else requirements.python_depends(minor)
    )
    required = wheel.metadata.get("requires_dist", [])
    return PackageInfo(
        name=wheel.name,
        version=wheel.version,
        build=_build("pyh" if noarch else f"py{minor.replace('.', '')}h", identity),
        build_number=WHEEL_BUILD_NUMBER,
        subdir="noarch" if noarch else platform,
        noarch="python" if noarch else "",
        depends=(*python, *requirements.conda_depends(required, minor, wheel.name)),
        timestamp=released_at,
        license=_license(wheel.metadata),
        summary=wheel.metadata.get("summary", ""),
        home=wheel.metadata.get("home_page", ""),
        entry_points=tuple(map(str, wheel.entry_points)) if noarch else (),
    )


def describe_extra(wheel: Wheel, extra: str, minor: str, platform: str) -> PackageInfo:
    """Return the package without files that stands for an extra of a wheel.

    It requires this version of the distribution, and what the extra brings; conda-forge has such
    packages too, as jsonschema-with-format-nongpl. It is `noarch` where this is the same for every
    Python and platform.

    Raises:
        packaging.requirements.InvalidRequirement: the wheel's metadata cannot be read.
    """
    required = wheel.metadata.get("requires_dist", [])
    noarch = not requirements.depends_on_environment(required, extra)
    depends = (
        *(() if noarch else requirements.python_depends(minor)),
        f"{wheel.name} =={wheel.version}",
        *requirements.conda_depends(required, minor, wheel.name, extra),
    )
    identity = short(digest_of([RECIPE, list(depends)]))[:7]
    return PackageInfo(
        name=requirements.extra_package(wheel.name, extra),
        version=wheel.version,
        build=_build("h" if noarch else f"py{minor.replace('.', '')}h", identity),
        build_number=WHEEL_BUILD_NUMBER,
        subdir="noarch" if noarch else platform,
        noarch="generic" if noarch else "",
        depends=depends,
        license=_license(wheel.metadata),
        summary=f"What the extra '{extra}' of {wheel.name} requires",
    )


def _build(start: str, identity: str) -> str:
    return f"{start}{identity}_{WHEEL_BUILD_NUMBER}"


def _moment(released_at: datetime | None) -> str | None:
    return None if released_at is None else released_at.astimezone(timezone.utc).isoformat()


def _license(metadata: RawMetadata) -> str:
    """Return the licence's name; some distributions put the whole text into the field."""
    text = metadata.get("license_expression") or metadata.get("license") or ""
    return text.splitlines()[0].strip() if text else ""


def _is_noarch(wheel: Wheel) -> bool:
    headers = f"{wheel.data}/headers/"
    return (
        is_pure(wheel.tags)
        and not requirements.depends_on_environment(wheel.metadata.get("requires_dist", []))
        and not any(each.filename.startswith(headers) for each in wheel.files)
    )


def entries(wheel: Wheel, info: PackageInfo, minor: str) -> Iterator[Entry]:
    """Yield the files of the conda package, RECORD last.

    INSTALLER says conda, which owns the files from then on; RECORD lists what will be installed
    (https://packaging.python.org/en/latest/specifications/recording-installed-packages/).
    """
    layout = _Layout(wheel, minor, noarch=info.noarch == "python")
    record: list[tuple[str, str, str]] = []
    for entry in _contents(wheel, layout):
        record.append(layout.record_row(entry))
        yield entry
    if layout.noarch:
        record += [(f"../../../bin/{point.name}", "", "") for point in wheel.entry_points]
    path = f"{layout.site_packages}/{wheel.dist_info}/RECORD"
    record.append((layout.installed(path), "", ""))
    yield Entry(path, _csv(sorted(record)))


def _contents(wheel: Wheel, layout: _Layout) -> Iterator[Entry]:
    dropped = {f"{wheel.dist_info}/{name}" for name in _DROPPED}
    for member in wheel.files:
        if member.filename in dropped:
            continue
        path, is_script = layout.destination(member.filename)
        content = wheel.read(member)
        yield Entry(
            path,
            relocatable_script(content) if is_script else content,
            executable=is_script or bool(member.external_attr >> 16 & _EXECUTABLE),
        )
    yield Entry(f"{layout.site_packages}/{wheel.dist_info}/INSTALLER", b"conda\n")
    if not layout.noarch:
        for point in wheel.entry_points:
            yield Entry(f"bin/{point.name}", entry_point_script(point), executable=True)


def _csv(rows: list[tuple[str, str, str]]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().encode()


class _Layout:
    """Where the files of one wheel go."""

    def __init__(self, wheel: Wheel, minor: str, *, noarch: bool) -> None:
        self.noarch = noarch
        self.site_packages = "site-packages" if noarch else f"lib/python{minor}/site-packages"
        self._data = wheel.data
        self._schemes = {
            "purelib": self.site_packages,
            "platlib": self.site_packages,
            "scripts": "python-scripts" if noarch else "bin",
            "headers": f"include/python{minor}/{wheel.name}",
            "data": "",
        }

    def destination(self, member: str) -> tuple[str, bool]:
        """Return a member's path in the package, and whether it is a script.

        Raises:
            ValueError: it is in a part of `.data` that PEP 427 does not know.
        """
        if not member.startswith(f"{self._data}/"):
            return f"{self.site_packages}/{member}", False
        scheme, _, rest = member.removeprefix(f"{self._data}/").partition("/")
        if scheme not in self._schemes or not rest:
            raise ValueError(f"'{member}' has no place in an installation")
        return posixpath.join(self._schemes[scheme], rest), scheme == "scripts"

    def installed(self, path: str) -> str:
        """Return a package path as RECORD names it, relative to site-packages."""
        if path.startswith("python-scripts/") and self.noarch:
            path = "bin/" + path.removeprefix("python-scripts/")
        if path.startswith(f"{self.site_packages}/"):
            return path.removeprefix(f"{self.site_packages}/")
        return f"../../../{path}"

    def record_row(self, entry: Entry) -> tuple[str, str, str]:
        """Return a RECORD row; what the installer still changes has neither hash nor size."""
        if entry.relocated:
            return self.installed(entry.path), "", ""
        return self.installed(entry.path), record_hash(entry.content), str(len(entry.content))


def entry_point_script(point: EntryPoint) -> bytes:
    """Return the text of the file in `bin` that runs an entry point, with the placeholder."""
    imported = point.attribute.partition(".")[0]
    text = (
        f"{_LAUNCHER}import sys\nfrom {point.module} import {imported}\n\n"
        f'if __name__ == "__main__":\n    sys.exit({point.attribute}())\n'
    )
    return text.encode()


def relocatable_script(content: bytes) -> bytes:
    """Return a wheel's script; where it starts with `#!python`, with a launcher in its place."""
    found = _SHEBANG.match(content)
    return content if found is None else _LAUNCHER.encode() + content[found.end() :]
