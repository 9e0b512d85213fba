"""This user's network settings: certificates and proxies, the same for every tool.

Each program looks in places of its own: OpenSSL, uv and rattler at SSL_CERT_FILE, requests at
REQUESTS_CA_BUNDLE, curl at CURL_CA_BUNDLE, pip at its `cert`, conda at its `ssl_verify`. What any
of them names is read here, and every program gets all of it, in the variables that it reads.

Trusted are the system's authorities, or what SSL_CERT_FILE and SSL_CERT_DIR name in their place,
and those of every other bundle that is named. Certificates are always checked: `ssl_verify: false`
is not followed.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import ssl
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import certifi

from elt_env.errors import PolicyError
from elt_env.machine.condarc import read_conda_settings
from elt_env.machine.indexes import pip_settings, uv_settings
from elt_env.project.cache_home import make_private, user_cache
from elt_env.runtime.files import write_atomically
from elt_env.runtime.input_files import cause, read_bytes, read_stored_text

# RFC 7468; OpenSSL writes the second form with what a certificate is trusted for.
_CERTIFICATE = re.compile(
    r"-----BEGIN (?P<kind>(?:TRUSTED |X509 )?CERTIFICATE)-----.+?-----END (?P=kind)-----", re.DOTALL
)
_BUNDLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "PIP_CERT")
_CERTIFICATE_VARIABLES = ("SSL_CERT_FILE", *_BUNDLES)
_GIT = "GIT_SSL_CAINFO"
# Where systems keep all their authorities in one file: Debian, Fedora, openSUSE, Alpine.
_SYSTEM_FILES = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
)
_PROXIES = ("http_proxy", "https_proxy", "all_proxy")
_CONDA_PROXIES = {"http": "http_proxy", "https": "https_proxy", "all": "all_proxy"}
_UV_PROXIES = {"http-proxy": "http_proxy", "https-proxy": "https_proxy", "no-proxy": "no_proxy"}
_exporting = threading.RLock()


@dataclass(frozen=True)
class NamedValue:
    """A value of a setting.

    Attributes:
        value: a path or a URL, which may carry a password.
        source: the variable or the file that it stands in.
    """

    value: str
    source: str

    def __repr__(self) -> str:
        return f"NamedValue(source={self.source!r})"


@dataclass(frozen=True)
class NetworkSettings:
    """What the settings of a user say about certificates and proxies.

    Attributes:
        system: what stands in for the system's authorities, if anything does.
        bundles: the files and directories of further ones.
        proxies: by the name of the variable, in lower case.
        unverified: the setting that asks for certificates not to be checked, if one does.
    """

    system: tuple[NamedValue, ...] = ()
    bundles: tuple[NamedValue, ...] = ()
    proxies: tuple[tuple[str, NamedValue], ...] = ()
    unverified: str | None = None


def find_network_settings(environ: Mapping[str, str] | None = None) -> NetworkSettings:
    """Return what the user's variables and the settings of pip, uv and conda say.

    Of proxies the variables win, then come pip, uv and conda.

    Raises:
        PolicyError: conda's settings have a value that cannot be used.
    """
    variables = os.environ if environ is None else environ
    conda = read_conda_settings(variables)
    pip = list(pip_settings(variables))
    system = _from_variables(variables, ("SSL_CERT_FILE", "SSL_CERT_DIR"))
    bundles = [*_from_variables(variables, _BUNDLES)]
    bundles += [NamedValue(value, source) for key, value, source in pip if key == "cert"]
    where = ", ".join(conda.sources.get("ssl_verify", ())) or "conda's settings"
    if isinstance(conda.ssl_verify, str) and conda.ssl_verify != "truststore":
        bundles.append(NamedValue(conda.ssl_verify, where))
    found: dict[str, NamedValue] = {}
    for name, value, source in [
        *((key, value, source) for key, value, source in _proxy_variables(variables)),
        *(("http_proxy", value, source) for key, value, source in pip if key == "proxy"),
        *(("https_proxy", value, source) for key, value, source in pip if key == "proxy"),
        *((_UV_PROXIES[k], value, s) for k, value, s in uv_settings(variables) if k in _UV_PROXIES),
        *(
            (_CONDA_PROXIES[scheme], url, ", ".join(conda.sources.get("proxy_servers", ())))
            for scheme, url in conda.proxy_servers.items()
            if scheme in _CONDA_PROXIES
        ),
    ]:
        if not (name in _PROXIES and "all_proxy" in found):
            found.setdefault(name, NamedValue(value, source))
    unverified = where if conda.ssl_verify is False else None
    return NetworkSettings(tuple(system), tuple(bundles), tuple(sorted(found.items())), unverified)


def _from_variables(environ: Mapping[str, str], names: tuple[str, ...]) -> list[NamedValue]:
    return [NamedValue(environ[name], name) for name in names if environ.get(name)]


def _proxy_variables(environ: Mapping[str, str]) -> Iterator[tuple[str, str, str]]:
    """Yield the proxies of variables; the lower case wins, as in curl."""
    for name in ("all_proxy", "http_proxy", "https_proxy", "no_proxy"):
        for spelt in (name, name.upper()):
            if environ.get(spelt):
                yield name, environ[spelt], spelt
    # pip's own, https://pip.pypa.io/en/stable/user_guide/#using-a-proxy-server
    if environ.get("PIP_PROXY"):
        for name in ("http_proxy", "https_proxy"):
            yield name, environ["PIP_PROXY"], "PIP_PROXY"


def network_variables(environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the variables by which every tool learns of the certificates and proxies.

    Where several bundles are trusted, they are joined in a file below the user's cache directory.

    Raises:
        PolicyError: a setting names a file that is not there, or holds no certificate.
        StorageError: the joined bundle cannot be written.
    """
    variables = os.environ if environ is None else environ
    settings = find_network_settings(variables)
    proxies = {name: each.value for name, each in settings.proxies}
    both_cases = proxies | {name.upper(): value for name, value in proxies.items()}
    return both_cases | _certificate_variables(settings, variables)


def _certificate_variables(settings: NetworkSettings, environ: Mapping[str, str]) -> dict[str, str]:
    bundle = _bundle(settings, environ)
    if bundle is None:
        return {}
    # Only git reads its own, and what it says of git stays.
    git = {} if environ.get(_GIT) else {_GIT: str(bundle)}
    return git | dict.fromkeys(_CERTIFICATE_VARIABLES, str(bundle))


def _bundle(settings: NetworkSettings, environ: Mapping[str, str]) -> Path | None:
    """Return one file with all authorities that are trusted; None for those of the system."""
    named = [*settings.system, *settings.bundles]
    if not named:
        return None if _system_file() or _system_directory() else Path(certifi.where())
    files = [Path(each.value).expanduser().absolute() for each in named]
    held = [_certificates(each) for each in named]
    if not settings.system:
        files.insert(0, _system_file() or Path(certifi.where()))
        held.insert(0, _read(files[0], _stamp(files[0])))
    every = tuple(dict.fromkeys(text for texts in held for text in texts))
    # A setting often names what the system has anyway.
    for file, texts in zip(files, held, strict=True):
        if file.is_file() and set(texts) == set(every):
            return file
    joined = "\n".join(every) + "\n"
    name = hashlib.sha256(joined.encode()).hexdigest()[:16]
    cache = user_cache(environ)
    make_private(cache)
    path = cache / "certificates" / f"{name}.pem"
    if not path.is_file() or read_stored_text(path) != joined:
        write_atomically(path, joined)
    return path


def _certificates(named: NamedValue) -> tuple[str, ...]:
    """Return the certificates of a file, or of all files of a directory, in PEM form."""
    path = Path(named.value).expanduser()
    try:
        found = _read(path, _stamp(path))
    except OSError as error:
        raise PolicyError(
            f"{named.source} names certificates in {path}, which cannot be read: {cause(error)}.",
            f"Correct {named.source}, or remove it.",
        ) from error
    if not found:
        raise PolicyError(
            f"{named.source} names {path}, in which there is no certificate in PEM form.",
            f"Correct {named.source}: a certificate begins with '-----BEGIN CERTIFICATE-----'.",
        )
    return found


def _stamp(path: Path) -> tuple[int, int]:
    """Return what changes when a file or the list of a directory changes."""
    state = path.stat()
    return state.st_mtime_ns, state.st_size


@lru_cache(maxsize=16)
def _read(path: Path, stamp: tuple[int, int]) -> tuple[str, ...]:
    del stamp
    files = [each for each in sorted(path.iterdir()) if each.is_file()] if path.is_dir() else [path]
    texts = (read_bytes(each).decode("utf-8", "replace") for each in files)
    return tuple(dict.fromkeys(found[0] for text in texts for found in _CERTIFICATE.finditer(text)))


def _system_file() -> Path | None:
    own = ssl.get_default_verify_paths().openssl_cafile
    return next((Path(each) for each in [*_SYSTEM_FILES, own] if Path(each).is_file()), None)


def _system_directory() -> bool:
    return any(Path(ssl.get_default_verify_paths().openssl_capath).glob("*.0"))


@contextlib.contextmanager
def exported(variables: Mapping[str, str]) -> Iterator[None]:
    """Let this process have variables inside the block, for libraries that read them themselves."""
    with _exporting:
        before = {name: os.environ.get(name) for name in variables}
        os.environ.update(variables)
        try:
            yield
        finally:
            for name, value in before.items():
                if value is None:
                    os.environ.pop(name, None)
                else:
                    os.environ[name] = value
