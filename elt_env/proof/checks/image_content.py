"""The check that an image holds nothing that it must not hold."""

from __future__ import annotations

import io
import os
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import IO

from elt_env.errors import IntegrityError
from elt_env.image.oci.reader import layer_content, read_image
from elt_env.image.source import PLACE
from elt_env.machine.process import Say
from elt_env.proof.checks.check_tools import CheckTools
from elt_env.proof.checks.finding import Finding, judge
from elt_env.proof.checks.image_subject import ImageUnderTest
from elt_env.proof.checks.image_traces import (
    PRIVATE_KEY,
    Trace,
    host_traces,
    is_credential_file,
    search,
    secret_traces,
    wants_look,
)

_SPECIAL = 0o6000  # set-user-id and set-group-id
_STICKY = 0o1000
_OTHERS_WRITE = 0o002
_ANY_WRITE = 0o022


def image_content(image: ImageUnderTest, tools: CheckTools, say: Say) -> Finding:
    """No file or link tells of the building machine, or a secret; owners and modes are sane.

    The environment and the projects belong to root, everybody can read them, and only root can
    write them. Set-user-id and set-group-id bits and devices are the base's alone; what everybody
    can write is sticky, as /tmp. Private keys that a package brings are a warning.
    """
    try:
        content = read_image(image.layout, image.manifest)
        inside = _named_by(content.config.env)
        look = _Look(
            place=tools.project.policy.image_path.strip("/"),
            traces=(
                *host_traces(image.prefix, tools.project, tools.store, inside),
                *secret_traces(tools.files.indexes, os.environ),
            ),
        )
        for number, layer in enumerate(content.layers, 1):
            say(f"image_content: layer {number} of {len(content.layers)}: {layer.holds}")
            with layer_content(image.layout, layer) as tar:
                look.through(tar, f"layer {number}, {layer.holds}")
            image.read.add((layer.blob.digest, layer.diff_id))
    except IntegrityError as error:
        return Finding("failed", error.problem)
    return _judged(look)


def _named_by(env: tuple[str, ...]) -> set[str]:
    """Return the directories that an image's own variables name."""
    values = (each.partition("=")[2] for each in env)
    return {part for value in values for part in value.split(":") if part.startswith("/")}


def _judged(look: _Look) -> Finding:
    faults = [*look.faults, *look.special_above_base()]
    own = len(look.special) - len(faults) + len(look.faults)
    passed = (
        f"{look.entries} entries: nothing of this machine, no secret; "
        f"{own} set-id programs and devices, all the base's"
    )
    named = "\n".join(f"looked for: {each.what}" for each in look.traces)
    finding = judge(faults, passed, notes=look.notes, log=named)
    return replace(finding, counts={"entries": look.entries, "faults": len(faults)})


@dataclass
class _Look:
    """A walk through the layers of an image, from the lowest.

    Attributes:
        place: where the environment lives, without the first slash.
        special: the programs with a set-id bit, and devices, with the number of their layer.
        first: number of the first layer with something of the environment; below it is the base.
    """

    place: str
    traces: tuple[Trace, ...]
    faults: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    special: list[tuple[int, str]] = field(default_factory=list)
    entries: int = 0
    first: int = 0
    number: int = 0

    def through(self, tar: tarfile.TarFile, layer: str) -> None:
        """Look at every entry of the next layer."""
        self.number += 1
        for entry in tar:
            self.entries += 1
            name = "/".join(each for each in entry.name.split("/") if each not in ("", "."))
            where = f"/{name} ({layer})"
            if not self.first and self._is_below(name, self.place):
                self.first = self.number
            self.faults += [f"{where} {each}" for each in self._mode_faults(name, entry)]
            if entry.issym() or entry.islnk():
                self._look_at_link(where, entry.linkname)
            elif entry.isreg():
                self._look_at_file(name, where, entry, tar)
            if _is_special(entry):
                self.special.append((self.number, f"{where} {_shown(entry)}"))

    def special_above_base(self) -> list[str]:
        """Return what only the base may have, and another layer has."""
        return [what for number, what in self.special if self.first and number >= self.first]

    @staticmethod
    def _is_below(name: str, place: str) -> bool:
        return name == place or name.startswith(f"{place}/")

    def _mode_faults(self, name: str, entry: tarfile.TarInfo) -> Iterator[str]:
        if entry.issym() or entry.islnk() or entry.ischr() or entry.isblk():
            return
        is_ours = self._is_below(name, self.place) or self._is_below(name, PLACE.strip("/"))
        if is_ours:
            yield from _environment_faults(entry)
        elif entry.mode & _OTHERS_WRITE and not (entry.isdir() and entry.mode & _STICKY):
            yield f"has mode {entry.mode:o}: everybody can write it"

    def _look_at_link(self, where: str, target: str) -> None:
        data = os.fsencode(target)
        self.faults += [f"{where} links to {each.what}" for each in self.traces if each.is_in(data)]

    def _look_at_file(
        self, name: str, where: str, entry: tarfile.TarInfo, tar: tarfile.TarFile
    ) -> None:
        content: IO[bytes] | None = tar.extractfile(entry)
        if content is None:
            return
        if wants_look(name):
            whole = io.BytesIO(content.read())
            if is_credential_file(name, whole):
                self.faults.append(f"{where} holds credentials")
            whole.seek(0)
            content = whole
        found = search(content, self.traces)
        for what in found:
            # A package is what its lock says: a key in it is public, and no one's here.
            is_packages = what == PRIVATE_KEY and self._is_below(name, self.place)
            (self.notes if is_packages else self.faults).append(f"{where} holds {what}")


def _environment_faults(entry: tarfile.TarInfo) -> Iterator[str]:
    if (entry.uid, entry.gid) != (0, 0):
        yield f"belongs to {entry.uid}:{entry.gid}, not to root"
    if entry.mode & _ANY_WRITE:
        yield f"has mode {entry.mode:o}: not only root can write it"
    wanted = 0o555 if entry.isdir() else 0o444
    if entry.mode & wanted != wanted:
        yield f"has mode {entry.mode:o}: not everybody can read it"


def _is_special(entry: tarfile.TarInfo) -> bool:
    is_device = entry.ischr() or entry.isblk()
    return is_device or (entry.isreg() and bool(entry.mode & _SPECIAL))


def _shown(entry: tarfile.TarInfo) -> str:
    if entry.isreg():
        return f"has mode {entry.mode:o}: it runs as its owner or group"
    return "is a device"
