"""Requirements that name a URL in place of an index: archives and commits of a repository.

Their forms are pip's (https://pip.pypa.io/en/stable/topics/vcs-support/) and those of the direct
URL data structure (https://packaging.python.org/en/latest/specifications/direct-url/).
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit, urlunsplit

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import (
    InvalidSdistFilename,
    InvalidWheelFilename,
    parse_sdist_filename,
    parse_wheel_filename,
)

from elt_env.package.names import normalize
from elt_env.runtime.credentials import carries_credentials
from elt_env.spec.faults import WrittenError

ARCHIVES = (".whl", ".zip", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")
"""How the names of archives end that a wheel can be made of."""

_GIT = ("git+https", "git+http", "git+ssh", "git+file", "git+git")
_OTHER_SYSTEMS = {"hg": "Mercurial", "svn": "Subversion", "bzr": "Bazaar"}
_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_COMMIT_START = re.compile(r"[0-9a-f]{7,39}")
_BUILT_BY_CONDA = re.compile(r"_[0-9]{9,}/work(/|$)|/(croot|conda-bld|feedstock_root|bld)/")
_SHA256 = re.compile(r"[0-9a-f]{64}")
# git+git@HOST:PATH and git+ssh://git@HOST:PATH, which git knows without `ssh://` alone.
_SCP = re.compile(
    r"git\+(?:ssh://)?(?P<user>[^/@:\s]+@)?(?P<host>[^/@:\s]+):(?!//)(?P<path>[^\s@/\d][^\s@/]*/\S*)"
)
_VARIABLE = re.compile(r"\$\{[A-Z0-9_]+\}")
_LOGIN_REMEDY = (
    "Take it out of the URL and put it into ~/.netrc, into the keyring of pip or uv, or for a "
    "repository into git's credential helper; the URL of an index may name variables in its "
    "place, as in ${INDEX_USER}:${INDEX_PASSWORD} before its @"
)


@dataclass(frozen=True, order=True)
class DirectRequirement:
    """A requirement that is met by one archive, or by one commit of a git repository.

    Attributes:
        name: the distribution's normalized name.
        url: the archive, or the repository without `git+`; no fragment, no credentials. A path
            without a scheme is relative to the project.
        sha256: hex digest of the archive; "" for a repository.
        commit: the full commit; "" for an archive.
        subdirectory: where the project lies in the archive or repository, or "".
        extras: normalized, sorted.
        marker: when it applies (PEP 508), or "".
    """

    name: str
    url: str
    sha256: str = ""
    commit: str = ""
    subdirectory: str = ""
    extras: tuple[str, ...] = ()
    marker: str = ""

    @property
    def is_wheel(self) -> bool:
        """Whether nothing has to be built."""
        return not self.commit and urlsplit(self.url).path.endswith(".whl")

    @property
    def origin(self) -> str:
        """The URL as pip writes it, with the commit or the hash."""
        return origin_of(self.url, self.sha256, self.commit, self.subdirectory)

    @property
    def named(self) -> str:
        """The requirement by its name, extras and marker alone."""
        extras = f"[{','.join(self.extras)}]" if self.extras else ""
        return f"{self.name}{extras}" + (f"; {self.marker}" if self.marker else "")

    def __str__(self) -> str:
        extras = f"[{','.join(self.extras)}]" if self.extras else ""
        marker = f" ; {self.marker}" if self.marker else ""
        return f"{self.name}{extras} @ {self.origin}{marker}"


def origin_of(url: str, sha256: str, commit: str, subdirectory: str) -> str:
    """Return a URL as pip writes it, with the commit or the hash; see DirectRequirement."""
    part = f"subdirectory={subdirectory}" if subdirectory else ""
    if commit:
        return f"git+{url}@{commit}" + (f"#{part}" if part else "")
    return f"{url}#" + "&".join(filter(None, (f"sha256={sha256}", part)))


def is_url(text: str) -> bool:
    """Tell whether a requirement starts with a URL, as `https:`, `file:` or `git+ssh:`."""
    return re.match(r"[A-Za-z][A-Za-z0-9+.-]*:(//|/|\.)", text) is not None or text.startswith(
        "git+"
    )


def refuse_credentials(url: str, *, variables: bool = False) -> None:
    """Return when a URL carries no user, password or token in plain text.

    Args:
        url: the URL.
        variables: whether `${NAME}` may stand for the user and the password.

    Raises:
        WrittenError: it does; what it carries is not repeated.
    """
    address = split_url(url)
    login, _, host = address.netloc.rpartition("@")
    user, _, password = login.partition(":")
    is_hidden = variables and _VARIABLE.fullmatch(password or user)
    is_user = address.scheme.endswith("ssh") and not password  # of the machine, as in git@…
    if is_hidden or is_user:
        url = urlunsplit(address._replace(netloc=host))
    if carries_credentials(url):
        raise WrittenError(f"the URL at {host or 'this place'} carries a credential", _LOGIN_REMEDY)


def parse_direct(
    text: str, *, name: str = "", extras: tuple[str, ...] = (), marker: str = "", sha256: str = ""
) -> DirectRequirement:
    """Return what a URL of a requirement means.

    Args:
        text: the URL, with its fragment.
        name: the name that stands before `@`, if any.
        extras: the extras that stand there.
        marker: the marker behind it (PEP 508).
        sha256: the hash of `--hash=sha256:…`, if any.

    Raises:
        WrittenError: it does not name one content, or has no name, or carries a credential.
    """
    address = split_url(text)
    refuse_credentials(text)
    if _VARIABLE.search(text):
        raise WrittenError(
            "a variable stands in a URL, so that a lock would differ between machines",
            "Write its value; variables are read in the URLs of indexes alone.",
        )
    fragment = dict(parse_qsl(address.fragment))
    name, extras = _name(address, fragment, name, extras)
    if address.scheme == "file" and _BUILT_BY_CONDA.search(address.path):
        raise WrittenError(
            f"'{name or 'it'} @ {text}' is where conda built that package; 'pip freeze' writes "
            "it in a conda environment, and no other machine has it",
            f"Write '{name or 'NAME'}==VERSION', as 'pip list --format=freeze' does; or lock what "
            "is installed: elt-env adopt --prefix ENVIRONMENT --as NAME@3.11",
        )
    bare = address._replace(fragment="")
    system, _, rest = address.scheme.rpartition("+")
    if system or rest in _OTHER_SYSTEMS or rest == "git":
        return _commit(bare, fragment, name, extras, marker)
    return _archive(bare, fragment, name, extras, marker, sha256)


def _commit(
    address: SplitResult,
    fragment: dict[str, str],
    name: str,
    extras: tuple[str, ...],
    marker: str,
) -> DirectRequirement:
    system = address.scheme.partition("+")[0]
    if system in _OTHER_SYSTEMS:
        raise WrittenError(
            f"it names a {_OTHER_SYSTEMS[system]} repository, and only git is supported",
            f"Build a wheel of it, put it into an index, and write '{name or 'NAME'}==VERSION'.",
        )
    if address.scheme not in _GIT:
        raise WrittenError(
            "it is not a URL of a git repository as pip writes it",
            "Write git+https://HOST/REPOSITORY@COMMIT or git+ssh://git@HOST/REPOSITORY@COMMIT.",
        )
    path, _, reference = address.path.rpartition("@")
    path = path or reference
    reference = reference if path != reference else ""
    url = urlunsplit(address._replace(scheme=address.scheme.removeprefix("git+"), path=path))
    if not _COMMIT.fullmatch(reference):
        name = name or _stem(path)
        if _COMMIT_START.fullmatch(reference):
            raise WrittenError(
                f"the repository {url} is named with '{reference}', the start of a commit",
                f"Write '{name or 'NAME'} @ git+{url}@COMMIT' with the full commit; in a clone of "
                f"it that is told by: git rev-parse {reference}",
            )
        what = f"'{reference}', which can move" if reference else "no commit"
        raise WrittenError(
            f"the repository {url} is named with {what}",
            f"Write '{name or 'NAME'} @ git+{url}@COMMIT' with the full commit; it is told by: "
            f"git ls-remote {url} {reference or 'HEAD'}",
        )
    if not name:
        raise _nameless(f"git+{url}@{reference}", _stem(path))
    return DirectRequirement(
        name=name,
        url=url,
        commit=reference,
        subdirectory=_subdirectory(fragment),
        extras=extras,
        marker=marker,
    )


def _archive(  # noqa: PLR0913, PLR0917  # the parts of one requirement
    address: SplitResult,
    fragment: dict[str, str],
    name: str,
    extras: tuple[str, ...],
    marker: str,
    sha256: str,
) -> DirectRequirement:
    url = urlunsplit(address)
    if address.scheme not in ("https", "http", "file", ""):
        raise WrittenError(
            f"'{address.scheme}:' is not a scheme that files are fetched by",
            "Use https:, or file: for a file of this machine.",
        )
    if not address.path.endswith(ARCHIVES):
        raise _no_archive(address, name)
    found = (sha256 or fragment.get("sha256", "")).lower()
    if not _SHA256.fullmatch(found):
        where = unquote(address.path) if address.scheme in ("", "file") else None
        tell = f"sha256sum {where}" if where else f"curl -sL {url} | sha256sum"
        raise WrittenError(
            f"the archive {url} is named without its sha256",
            f"Write '{name or 'NAME'} @ {url}#sha256=…' with what this tells: {tell}",
        )
    if not name:
        raise _nameless(f"{url}#sha256={found}", "")
    return DirectRequirement(
        name=name,
        url=url,
        sha256=found,
        subdirectory=_subdirectory(fragment),
        extras=extras,
        marker=marker,
    )


def _no_archive(address: SplitResult, name: str) -> WrittenError:
    shown = urlunsplit(address)
    if address.scheme in ("", "file"):
        return local_project(unquote(address.path))
    if address.path.endswith(".git") or not address.path.strip("/"):
        name = name or _stem(address.path) or "NAME"
        return WrittenError(
            f"{shown} is a repository, not an archive",
            f"Write '{name} @ git+{shown}@COMMIT' with the full commit; it is told by: "
            f"git ls-remote {shown} HEAD",
        )
    return WrittenError(
        f"{shown} is not the URL of a wheel or of an sdist",
        f"Name a file that ends in {', '.join(ARCHIVES[:3])}; a git repository is written "
        f"'{name or 'NAME'} @ git+https://…@COMMIT'.",
    )


def local_project(written: str, path: str = "", *, editable: bool = False) -> WrittenError:
    """Return the refusal of a project's directory, with the ways that work.

    Args:
        written: the directory as the line names it.
        path: the same, relative to the elt_env project; `written` where that is absolute.
        editable: whether the line has `-e`.
    """
    written = written.partition("#")[0].rstrip("/") or "."
    path = path.partition("#")[0]
    shown = f"-e {written}" if editable else written
    path = path or written
    project, wheels = shlex.quote(path), shlex.quote(f"{path}/dist")
    return WrittenError(
        f"'{shown}' is a project's directory, whose content no lock can name",
        f"Build a wheel (python -m pip wheel --no-deps --wheel-dir {wheels} {project}), and write "
        f"these two lines in its place: --find-links {shlex.quote(f'{written}/dist')} and "
        f"NAME==VERSION; or write -r {shlex.quote(f'{written}/pyproject.toml')} for what it asks "
        "for alone, and run it where it is: "
        f"elt-env run TARGET -- env PYTHONPATH={project} python -m MODULE",
    )


def _nameless(url: str, stem: str) -> WrittenError:
    return WrittenError(
        f"{url} does not tell the name of its distribution",
        f"Write the name before it, as in '{stem or 'NAME'} @ {url}'.",
    )


def _name(
    address: SplitResult, fragment: dict[str, str], name: str, extras: tuple[str, ...]
) -> tuple[str, tuple[str, ...]]:
    """Return the name and extras: those before the `@`, else of `#egg=`, else of the file."""
    if name:
        return normalize(name), extras
    if "egg" in fragment:
        try:
            egg = Requirement(fragment["egg"])
        except InvalidRequirement as error:
            raise WrittenError(
                f"'#egg={fragment['egg']}' is not the name of a distribution",
                "Write the name before the URL, as in 'NAME @ URL'.",
            ) from error
        return normalize(egg.name), tuple(sorted(egg.extras))
    file_name = unquote(address.path.rpartition("/")[2])
    try:
        if file_name.endswith(".whl"):
            return str(parse_wheel_filename(file_name)[0]), extras
        return str(parse_sdist_filename(file_name)[0]), extras
    except InvalidWheelFilename as error:
        raise WrittenError(
            f"'{file_name}' is not the name of a wheel",
            "Wheels are named NAME-VERSION-TAGS.whl, as the build wrote them.",
        ) from error
    except InvalidSdistFilename:
        return "", extras


def _subdirectory(fragment: dict[str, str]) -> str:
    path = fragment.get("subdirectory", "").strip("/")
    if ".." in path.split("/"):
        raise WrittenError(
            "its 'subdirectory' leads out of the project", "Name a directory inside it."
        )
    return path


def _stem(path: str) -> str:
    stem = path.rstrip("/").rpartition("/")[2].removesuffix(".git")
    return normalize(stem) if re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", stem) else ""


def split_url(url: str) -> SplitResult:
    """Return the parts of a URL.

    Raises:
        WrittenError: it is none.
    """
    scp = _SCP.match(url)
    if scp is not None:
        raise WrittenError(
            "it names a repository as scp does, which is no URL",
            f"Write 'git+ssh://{scp['user'] or 'git@'}{scp['host']}/{scp['path']}'.",
        )
    try:
        address = urlsplit(url)
        _ = address.port
    except ValueError:
        raise WrittenError(
            "its URL cannot be read", "Write it as in https://packages.example/simple"
        ) from None
    return address
