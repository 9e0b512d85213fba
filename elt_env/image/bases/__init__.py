"""Base images: the layers below the environment."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from elt_env.environment.prefix import Prefix
from elt_env.errors import NetworkError, PolicyError, ToolError
from elt_env.image.bases import debian
from elt_env.image.bases.archive import find_image, from_layout, from_tar, split_layout
from elt_env.image.bases.base import (
    FORMAT,
    Base,
    BaseRecords,
    BuiltBase,
    Kind,
    Request,
    SharedBases,
)
from elt_env.image.bases.host import make_host
from elt_env.image.bases.images import Pull, from_registry, reference_in
from elt_env.image.bases.needs import needed_packages
from elt_env.image.oci.layer import Compression, compressor_version
from elt_env.image.oci.layout import Layout
from elt_env.image.reference import Reference
from elt_env.machine.process import Say
from elt_env.package.canonical import digest_of, short
from elt_env.project.cache_home import CacheHome

__all__ = ["Base", "Pull", "provide"]

_OWN = "this machine's own files"
_FORMS = (
    "Set image-base to auto, debian, host, the path of an OCI layout or of a root tar, or "
    "registry/repository@sha256:..."
)


def provide(  # noqa: PLR0913  # what it is made of, where it is kept, and how
    wanted: str,
    prefix: Prefix,
    layout: Layout,
    cache: Path,
    *,
    compression: Compression,
    limit: float,
    say: Say,
    pull: Pull | None = None,
    caches: CacheHome | None = None,
    refresh: bool = False,
) -> Base:
    """Return the base that `wanted` names, its layers in the layout.

    One that was made before for the same question is used again as it is.

    Args:
        wanted: `auto`, `debian`, `host`, the path of an OCI layout (or `path:name`) or of a root
            tar, or a reference pinned by digest. `auto` is `debian` where mmdebstrap works, and
            else `host`, which is then said.
        prefix: what the base has to run; it is built.
        layout: gets the blobs.
        cache: where it is remembered what was made.
        compression: of the layers that are written here.
        limit: seconds that mmdebstrap may take.
        say: told how it goes on.
        pull: gets an image of a registry: `Registry.pull`.
        caches: where a base that mmdebstrap makes is shared with other projects.
        refresh: make it anew, with the newest packages.

    Raises:
        PolicyError: `wanted` is none of these, is not pinned, or is for another platform.
        ToolError: mmdebstrap fails, or this machine lacks what a base of its own files needs.
        NetworkError: the sources of packages or the registry cannot be reached.
        IntegrityError: a blob is not what its digest says.
        BusyError, TimeLimitError, StorageError: as they say.
    """
    request = Request(prefix.lock.target.platform, layout, compression, limit, say)
    desk = _Desk(prefix, request, cache, refresh, caches)
    own = {"auto": desk.auto, "debian": desk.debian, "host": desk.host}
    if wanted in own:
        return own[wanted]()
    if place := split_layout(wanted):
        return desk.of_layout(*place)
    if Path(wanted).is_file():
        return desk.of_tar(Path(wanted))
    if reference := reference_in(wanted):
        return desk.of_registry(reference, pull)
    raise PolicyError(f"The image-base '{wanted}' {_fault(wanted)}.", _FORMS)


@dataclass(frozen=True)
class _Desk:
    """Where requests for a base are answered."""

    prefix: Prefix
    request: Request
    cache: Path
    refresh: bool
    caches: CacheHome | None

    def auto(self) -> Base:
        if not debian.is_installed():
            self.request.say(f"base: {debian.PROGRAM} is not installed; taking {_OWN}")
            return self.host()
        try:
            return self.debian()
        except (ToolError, NetworkError) as error:
            cause = " ".join(error.problem.split())
            self.request.say(f"base: taking {_OWN}, because: {cause}")
            return self.host()

    def debian(self) -> Base:
        included = sorted(
            {*debian.INCLUDED, *needed_packages(self.prefix, self.cache, anew=self.refresh)}
        )
        asked = [debian.codename(), debian.VARIANT, included]
        return self._recall("debian", asked, lambda: self._shared_debian(included))

    def _shared_debian(self, included: Sequence[str]) -> BuiltBase:
        """Return the base that another project of this user has made lately, else a new one."""
        if self.caches is None or not self.caches.shared:
            return debian.make_debian(included, self.request)
        request, shared = self.request, SharedBases(self.caches)
        asked = [FORMAT, debian.codename(), debian.VARIANT, included, request.platform]
        how = [request.compression, compressor_version(request.compression)]
        name = short(digest_of([asked, how]))
        known = None if self.refresh else shared.take(name, request.layout)
        if known is not None:
            request.say("base: another project of this user has made it")
            return BuiltBase(known)
        made = debian.make_debian(included, request)
        shared.keep(name, made.base, request.layout)
        return made

    def host(self) -> Base:
        prefix = self.prefix
        asked = [prefix.lock.digest, str(prefix.path), prefix.interpreter_digest]
        return self._recall("host", asked, lambda: make_host(prefix, self.request))

    def of_layout(self, path: Path, name: str) -> Base:
        image = find_image(path, name)
        asked = [str(path), name, image.digest]
        return self._recall("layout", asked, lambda: from_layout(path, name, image, self.request))

    def of_tar(self, path: Path) -> Base:
        asked = [str(path.resolve())]
        return self._recall("archive", asked, lambda: from_tar(path, self.request))

    def of_registry(self, reference: Reference, pull: Pull | None) -> Base:
        if pull is None:
            raise ToolError(
                f"There is nothing here to pull the image-base '{reference}' with.", _FORMS
            )
        return self._recall(
            "registry", [str(reference)], lambda: from_registry(reference, pull, self.request)
        )

    def _recall(self, kind: Kind, asked: Sequence[object], make: Callable[[], BuiltBase]) -> Base:
        request = self.request
        how = [request.platform, request.compression, compressor_version(request.compression)]
        memory = BaseRecords(self.cache, request.layout, request.limit)
        return memory.recall(kind, [asked, how], make, anew=self.refresh)


def _fault(wanted: str) -> str:
    if Path(wanted).is_dir():
        return "is a directory, but not an OCI layout: it has no file oci-layout"
    if "/" in wanted or ".tar" in wanted:
        return "is not there"
    return "is not a word that is known, and no file of that name is there"
