"""Conda packages that are odd and that channels really have, each with what it is imported as."""

from __future__ import annotations

from pathlib import Path

from tests.support.conda_archives import PREFIX, make_archive
from tests.support.wheels import core_metadata

ODD = ("sparse", "twice", "old", "old-noarch", "opencv")
"""The names of the packages."""

DISTRIBUTIONS = {
    "sparse": (("sparse", "1.2"),),
    "twice": (("twice", "1.0"),),
    "old": (("old", "0.9"),),
    "old-noarch": (("old-noarch", "0.9"),),
    "opencv": (("opencv-python", "4.9.0.80"), ("opencv-python-headless", "4.9.0.80")),
}
"""What Python distributions each of them carries."""

_SITE = "site-packages"
_WHEEL = "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n"


def offer_odd_packages(channel: Path, python: str) -> None:
    """Write the packages into a channel, which has to be indexed afterwards."""
    _sparse(channel)
    _twice(channel)
    _old(channel, python)
    _old_noarch(channel)
    _opencv(channel)


def _info(
    name: str, version: str, *, whole: bool, requires: tuple[str, ...] = ()
) -> dict[str, str]:
    """Return a dist-info: METADATA and INSTALLER, and if it is whole, WHEEL and RECORD."""
    place = f"{_SITE}/{name.replace('-', '_')}-{version}.dist-info"
    files = {
        f"{place}/METADATA": core_metadata(name, version, requires),
        f"{place}/INSTALLER": "conda\n",
    }
    return files | ({f"{place}/WHEEL": _WHEEL, f"{place}/RECORD": ""} if whole else {})


def _sparse(channel: Path) -> None:
    """A dist-info of METADATA and INSTALLER alone, as those of vtk and usd-core."""
    info = _info("sparse", "1.2", whole=False, requires=("twice>=1",))
    files = {f"{_SITE}/sparse/__init__.py": "import twice\n", **info}
    make_archive(channel, "sparse", "1.2", files, noarch="python", depends=("python", "twice"))


def _twice(channel: Path) -> None:
    """An egg-info and a dist-info of one distribution."""
    egg = f"{_SITE}/twice-1.0-py3.11.egg-info"
    files = {
        f"{_SITE}/twice/__init__.py": "",
        **_info("twice", "1.0", whole=True),
        f"{egg}/PKG-INFO": core_metadata("twice", "1.0"),
        f"{egg}/SOURCES.txt": "twice/__init__.py\n",
        f"{egg}/top_level.txt": "twice\n",
    }
    make_archive(channel, "twice", "1.0", files, noarch="python")


def _old(channel: Path, python: str) -> None:
    """Made before conda 4.3: `info/files` and `info/has_prefix`, an egg-info that is one file."""
    site = f"lib/python{python}/{_SITE}"
    files: dict[str, str | bytes] = {
        f"{site}/old.py": f"WHERE = '{PREFIX}'\n",
        f"{site}/old-0.9-py{python}.egg-info": core_metadata("old", "0.9"),
        "bin/old": f"#!{PREFIX}/bin/python\nimport old\nprint('old in', old.WHERE)\n",
        "share/old.bin": b"\x7fOLD\0" + PREFIX.encode() + b"/share\0end",
    }
    make_archive(
        channel,
        *("old", "0.9", files),
        subdir="linux-64",
        links={"bin/old2": "old"},
        form="tar.bz2",
        listed="files",
    )


def _old_noarch(channel: Path) -> None:
    """The same for every platform, with an entry point."""
    main = "def main():\n    print('old-noarch')\n"
    files = {f"{_SITE}/old_noarch/__init__.py": main, **_info("old-noarch", "0.9", whole=False)}
    make_archive(
        channel,
        *("old-noarch", "0.9", files),
        noarch="python",
        entry_points=["old-noarch = old_noarch:main"],
        form="tar.bz2",
        listed="files",
    )


def _opencv(channel: Path) -> None:
    """Two distributions in one package, whose version is not theirs."""
    files = {f"{_SITE}/cv2/__init__.py": ""}
    for name, version in DISTRIBUTIONS["opencv"]:
        files |= _info(name, version, whole=True)
    make_archive(channel, "opencv", "4.9.0", files, noarch="python")
