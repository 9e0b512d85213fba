"""Container engines of this machine: they load images of a layout as they are."""

from __future__ import annotations

import io
import json
import os
import shutil
import tarfile
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from elt_env.errors import ToolError
from elt_env.image import spec as oci
from elt_env.image.oci.layer import MTIME
from elt_env.image.oci.layout import Layout
from elt_env.image.oci.reader import Image, read_image, single_image
from elt_env.image.spec import Descriptor
from elt_env.machine.process import Completed, Say, clean_environment, end_of, run
from elt_env.runtime.files import writing

NAMES = ("docker", "podman", "buildah")

_QUICK = 20.0  # seconds
_LAYOUT = "elt-env-layout"
_CONTAINERD_NAME = "io.containerd.image.name"
_WORKS: Mapping[str, tuple[str, ...]] = {
    "docker": ("info", "--format", "{{.ServerVersion}}"),
    "podman": ("info", "--format", "{{.Version.Version}}"),
    "buildah": ("images", "--quiet"),
}
# Where the daemon is. podman and buildah would read credentials from DOCKER_CONFIG, and fail where
# there are none.
_VARIABLES = {
    "docker": ("DOCKER_HOST", "DOCKER_CONFIG", "DOCKER_CONTEXT"),
    "podman": ("CONTAINER_HOST",),
}


@dataclass(frozen=True)
class LoadedImage:
    """An image as an engine has it.

    Attributes:
        name: what the engine calls it.
        digest: of its manifest there; "" where the engine does not tell.
        kept: whether that is the image's own digest.
    """

    name: str
    digest: str
    kept: bool


@dataclass(frozen=True)
class Engine:
    """One of docker, podman and buildah.

    Attributes:
        name: the program.
        options: given to it before every command, as in `("--root", "/storage")`.
    """

    name: str
    options: tuple[str, ...] = ()
    limit: float = 1800.0

    @property
    def installed(self) -> bool:
        """Whether the program is there, working or not."""
        return shutil.which(self.name) is not None

    @property
    def program(self) -> str:
        """The program that the user's PATH has."""
        return shutil.which(self.name) or self.name

    def require(self) -> None:
        """Return when the engine answers.

        Raises:
            ToolError: it is not installed, or is and does not work, as docker without its daemon.
        """
        if not self.installed:
            raise ToolError(
                f"The engine {self.name} is not installed.", f"Install it: apt install {self.name}"
            )
        done = self._run(*_WORKS[self.name], limit=_QUICK)
        # docker fails to tell its server's version and says why; older ones end with 0 all the same
        if done.returncode or (self.name == "docker" and not done.stdout.strip()):
            raise ToolError(
                f"{self.name} is installed but does not work: {_words(done)}",
                "Start its daemon, or let this user use it; or take another engine.",
            )

    def load(self, layout: Layout, manifest: Descriptor, name: str, say: Say) -> LoadedImage:
        """Return the image of a layout as the engine has it afterwards, under `name`.

        podman and buildah keep its digest, as does docker with the containerd image store.
        Without that docker makes a manifest of its own, which is said.

        Raises:
            ToolError: the engine does not work, or refuses the image.
            TimeLimitError: it took too long.
        """
        self.require()
        say(f"{self.name}: loading {name}")
        with tempfile.TemporaryDirectory(dir=layout.path, prefix=".load-") as place:
            source = single_image(layout, manifest, name, Path(place) / _LAYOUT)
            if self.name == "docker":
                archive = Path(place) / "image.tar"
                _write_archive(source, read_image(layout, manifest), name, archive)
                done = self._run("load", "--input", str(archive), say=say)
            else:
                # Some versions name an image by its path first, which not every path is fit for.
                done = self._run("pull", "--quiet", f"oci:{source.name}:{name}", cwd=source.parent)
                self._checked(done, name)
                done = self._run("tag", done.stdout.split()[-1], name)
                self._run("rmi", f"localhost/{source.name}")  # that name alone; the image stays
        self._checked(done, name)
        digest = self.digest(name)
        kept = digest == manifest.digest
        if not kept:
            say(
                f"{self.name}: its digest of {name} is {digest or 'not told'}, since it rewrites it"
            )
        return LoadedImage(name, digest, kept)

    def digest(self, name: str) -> str:
        """Return the digest of the manifest that the engine has under that name, or ""."""
        if self.name == "buildah":
            done = self._run("inspect", "--type", "image", name)
            return _field(done, lambda content: content["FromImageDigest"])
        done = self._run("image", "inspect", name)
        if self.name == "podman":
            return _field(done, lambda content: content[0]["Digest"])
        return _field(done, lambda content: content[0]["Id"])

    def _checked(self, done: Completed, name: str) -> None:
        if done.returncode:
            raise ToolError(
                f"{self.name} does not take the image {name}: {_words(done)}",
                'An old engine may not know zstd: set image-compression = "gzip" in '
                "[tool.elt-env] and pack the image again.",
            )

    def _run(
        self, *arguments: str, limit: float = 0.0, cwd: Path | None = None, say: Say | None = None
    ) -> Completed:
        command = [self.program, *self.options, *arguments]
        return run(command, limit=limit or self.limit, env=self.env(), cwd=cwd, say=say)

    def env(self) -> dict[str, str]:
        """Return its variables: the clean ones, and those that say where its daemon is."""
        mine = _VARIABLES.get(self.name, ())
        return clean_environment(
            extra={name: os.environ[name] for name in mine if name in os.environ}
        )


def find_engine(names: tuple[str, ...] = NAMES) -> Engine:
    """Return the first of those engines that works.

    Raises:
        ToolError: none does; each one that is there is named with its reason.
    """
    reasons = []
    for name in names:
        engine = Engine(name)
        try:
            engine.require()
        except ToolError as error:
            if engine.installed:
                reasons.append(error.problem)
        else:
            return engine
    raise ToolError(
        "\n".join(reasons) or f"None of {', '.join(names)} is installed.",
        "Install one of them: apt install podman",
    )


def _field(done: Completed, pick: Callable[..., object]) -> str:
    try:
        return str(pick(json.loads(done.stdout)))
    except (ValueError, KeyError, IndexError, TypeError):
        return ""


def _words(done: Completed) -> str:
    return end_of((done.stderr.strip() or done.stdout.strip()), 5) or f"exit code {done.returncode}"


def _write_archive(layout: Path, image: Image, name: str, archive: Path) -> None:
    """Write a layout of one image as the tar that `docker load` reads.

    With the containerd image store docker reads the index, otherwise manifest.json, which lists
    the same blobs (https://github.com/moby/moby, image/spec/v1.2.md).
    """
    full = _full_name(name)
    named = replace(image.manifest, annotations={_CONTAINERD_NAME: full, oci.REF_NAME: full})
    config = oci.parse_manifest(Layout(layout).read(image.manifest)).config
    listed = {
        "Config": _blob(config),
        "RepoTags": [full],
        "Layers": [_blob(each.blob) for each in image.layers],
    }
    texts = {"index.json": oci.index_bytes((named,)), "manifest.json": oci.encode([listed])}
    with writing(archive), tarfile.open(archive, "w", dereference=True) as tar:
        for place, text in texts.items():
            info = tarfile.TarInfo(place)
            info.size, info.mtime, info.mode = len(text), MTIME, 0o644
            tar.addfile(info, io.BytesIO(text))
        for each in sorted(layout.rglob("*")):
            if each.is_file() and each.name not in texts and not each.name.startswith("."):
                tar.add(each, each.relative_to(layout).as_posix())


def _blob(blob: Descriptor) -> str:
    return f"blobs/{blob.digest.replace(':', '/')}"


def _full_name(name: str) -> str:
    """Return a name with the registry and the tag that docker takes where it has none."""
    tagged = name if ":" in name.rpartition("/")[2] else f"{name}:latest"
    first, slash, _ = tagged.partition("/")
    if slash and ("." in first or ":" in first or first == "localhost"):
        return tagged
    return f"docker.io/{tagged}" if slash else f"docker.io/library/{tagged}"
