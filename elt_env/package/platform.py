"""Platforms by their conda subdirs (`linux-64`): this machine's, and those that are locked for."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass

from typing_extensions import Self

_SYSTEMS = {"darwin": "osx"}
_ARCHITECTURES = {"x86_64": "64"}  # all others have the kernel's names
_LINUX = {"__unix": "0", "__linux": "4.18", "__glibc": "2.28"}
_MAC = {"__unix": "0", "__osx": "13.0"}

PLATFORMS: Mapping[str, Mapping[str, str]] = {
    "linux-64": {**_LINUX, "__archspec": "1=x86_64"},
    "linux-aarch64": {**_LINUX, "__archspec": "1=aarch64"},
    "osx-64": {**_MAC, "__archspec": "1=x86_64"},
    "osx-arm64": {**_MAC, "__archspec": "1=m1"},
}
"""The platforms that can be locked for, each with the virtual packages that its machines have.

glibc 2.28 is that of manylinux_2_28, which wheels and conda-forge's packages are made for.
"""


def this_platform() -> str:
    """Return the subdir of this machine (CEP 26); rattler knows it too, but is slow to load."""
    machine = os.uname().machine
    return f"{_SYSTEMS.get(sys.platform, sys.platform)}-{_ARCHITECTURES.get(machine, machine)}"


@dataclass(frozen=True)
class Platform:
    """A platform that is locked for, as the policy describes it.

    Attributes:
        name: its conda subdir.
        virtual: the virtual packages of its machines by name: a version, maybe with `=build`.
    """

    name: str
    virtual: tuple[tuple[str, str], ...]

    @property
    def is_mac(self) -> bool:
        """Whether it is macOS; else it is Linux."""
        return self.name.startswith("osx-")

    @property
    def machine(self) -> str:
        """The architecture, as the kernel calls it."""
        architecture = self.name.partition("-")[2]
        return {"64": "x86_64"}.get(architecture, architecture)

    @property
    def system(self) -> tuple[int, int]:
        """The version of glibc, or of macOS."""
        version = dict(self.virtual).get("__osx" if self.is_mac else "__glibc", "0.0")
        major, _, minor = version.partition("=")[0].partition(".")
        return int(major), int(minor.partition(".")[0] or 0)

    @property
    def markers(self) -> dict[str, str]:
        """What environment markers say of it (PEP 508); no release of its kernel is known."""
        return {
            "os_name": "posix",
            "platform_machine": self.machine,
            "platform_release": "",
            "platform_system": "Darwin" if self.is_mac else "Linux",
            "platform_version": "",
            "sys_platform": "darwin" if self.is_mac else "linux",
        }


class PythonVersion(str):
    """The full version of a Python, as in `3.11.7`, that runs on another platform than this one.

    Whoever asks what fits a Python asks for its platform too; a plain text is one of this machine.
    """

    platform: Platform

    __slots__ = ("platform",)

    def __new__(cls, version: str, platform: Platform) -> Self:
        """Return that version on that platform."""
        made = super().__new__(cls, version)
        made.platform = platform
        return made

    def __getnewargs__(self) -> tuple[str, Platform]:  # type: ignore[override]
        """Return what it is made of, for pickle."""
        return str(self), self.platform


def python_on(version: str, platform: Platform | None) -> str:
    """Return a full version of Python on a platform; None is this machine as it is found."""
    return version if platform is None else PythonVersion(version, platform)


def platform_of(python: str) -> Platform | None:
    """Return the platform of a full version of Python; None is this machine as it is found."""
    return python.platform if isinstance(python, PythonVersion) else None
