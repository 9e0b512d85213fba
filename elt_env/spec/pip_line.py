"""One line of pip's: a requirement by name, by URL or by path, and the options behind it."""

from __future__ import annotations

import re
from posixpath import join, normpath

from packaging.markers import InvalidMarker, Marker
from packaging.requirements import InvalidRequirement, Requirement

from elt_env.package.names import normalize
from elt_env.runtime.credentials import without_credentials
from elt_env.spec.direct import ARCHIVES, DirectRequirement, is_url, local_project, parse_direct
from elt_env.spec.faults import WrittenError
from elt_env.spec.markers import require_meaning
from elt_env.spec.requirement_faults import explain


def split_options(text: str) -> tuple[str, str]:
    """Return the requirement and the options behind it: these start at the first ` -`."""
    words = text.split(" ")
    for place, word in enumerate(words):
        if word.startswith("-"):
            return " ".join(words[:place]).strip(), " ".join(words[place:])
    return text, ""


def beside(source: str, name: str) -> str:
    """Return the path of a file that `source` names relative to itself."""
    return normpath(join(source.rpartition("/")[0], name))


_NAMED = re.compile(
    r"(?P<name>[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)\s*(?:\[(?P<extras>[^\]]*)\])?\s*@\s*(?P<url>\S.*)"
)


def read_direct(text: str, hashes: tuple[str, ...], source: str) -> DirectRequirement | None:
    """Return what a URL or a path asks for; None when the requirement is one by name.

    Raises:
        WrittenError: it is a directory, a file without a hash, or no URL that can be locked.
    """
    named = _NAMED.fullmatch(text)
    written, _, marker = re.sub(
        r"\s+;|;\s+", "\0", named["url"] if named else text, count=1
    ).partition("\0")
    url, extras = written.strip(), named["extras"] if named else ""
    if not is_url(url):
        if not _is_path(url):
            return None
        path, _, behind = url.partition("[")
        extras = extras or behind.rstrip("]")
        bare, _, fragment = path.partition("#")
        if not bare.endswith(ARCHIVES):
            raise local_project(path, beside(source, path))
        if not hashes and "sha256=" not in fragment:
            raise WrittenError(
                f"the file {bare} is named without its sha256",
                f"Write '{bare} --hash=sha256:…' with what this tells: "
                f"sha256sum {beside(source, bare)}",
            )
        url = beside(source, path)
    return parse_direct(
        url,
        name=named["name"] if named else "",
        extras=tuple(sorted(normalize(each) for each in re.split(r"[\s,]+", extras or "") if each)),
        marker=_marker(marker.strip(), text),
        sha256=hashes[0] if len(hashes) == 1 else "",
    )


def _is_path(text: str) -> bool:
    """Tell whether pip takes a text for a path: a separator, a leading dot, or an archive."""
    bare = text.partition("#")[0].partition("[")[0]
    return "/" in bare or bare.startswith(".") or (bare.endswith(ARCHIVES) and "=" not in bare)


def _marker(marker: str, text: str) -> str:
    if not marker:
        return ""
    try:
        read = Marker(marker)
    except InvalidMarker as error:
        name = text.partition("@")[0].strip()
        raise WrittenError(*explain(f"{name}; {marker}")) from error
    require_meaning(read)
    return str(read)


def read_requirement(text: str) -> Requirement:
    """Return a requirement by name, normalized.

    Raises:
        WrittenError: it is none, or asks for what this program refuses.
    """
    try:
        requirement = Requirement(text)
    except InvalidRequirement as error:
        raise WrittenError(*explain(without_credentials(text))) from error
    requirement.name = normalize(requirement.name)
    # packaging takes a name that ends in a dash or an underscore, and not its normalized form.
    if requirement.url or requirement.name.endswith("-"):
        raise WrittenError(*explain(without_credentials(text)))
    requirement.extras = {normalize(each) for each in requirement.extras}
    if requirement.marker is not None:
        require_meaning(requirement.marker)
    return requirement


def is_pinned(requirement: Requirement) -> bool:
    """Tell whether a requirement leaves one version, as pip wants it beside a hash."""
    return any(
        each.operator in {"==", "==="} and not each.version.endswith(".*")
        for each in requirement.specifier
    )
