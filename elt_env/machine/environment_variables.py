"""The variables a tool is started with: an allow-list, so that nothing leaks in by accident."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from elt_env.errors import IntegrityError
from elt_env.machine.activation import Activation, parse_activation
from elt_env.runtime.input_files import read_stored
from elt_env.runtime.limits import load_json

ACTIVATION = ".elt-env-activation.json"
"""Name of the file in a prefix that says what is set for what is run from it."""

_PROXIES = ("http_proxy", "https_proxy", "ftp_proxy", "all_proxy", "no_proxy")
_KEPT = frozenset(
    {
        *("HOME", "USER", "LOGNAME", "LANG", "TZ", "TMPDIR", "TERM"),
        *_PROXIES,
        *(name.upper() for name in _PROXIES),
        *("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"),
        *("PIP_CERT", "GIT_SSL_CAINFO"),
        *("NETRC", "RATTLER_AUTH_FILE", "UV_CACHE_DIR"),
    }
)
_SYSTEM_PATH = ("/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin")
_SET = {
    # https://docs.python.org/3/using/cmdline.html#envvar-PYTHONNOUSERSITE
    "PYTHONNOUSERSITE": "1",
    # What is sealed stays as it is; see elt_env.environment.prefix_bytecode.
    "PYTHONDONTWRITEBYTECODE": "1",
    # https://pip.pypa.io/en/stable/topics/configuration/: os.devnull turns every file off
    "PIP_CONFIG_FILE": os.devnull,
    "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    # https://docs.astral.sh/uv/concepts/configuration-files/: no file is looked for, and one
    # given with --config-file is still read
    "UV_NO_CONFIG": "1",
    "UV_PYTHON_DOWNLOADS": "never",
    # uv brings authorities of its own; those of the system are what all others trust
    "UV_SYSTEM_CERTS": "true",
    "DO_NOT_TRACK": "1",
}


def clean_environment(
    *,
    path: Sequence[Path] = (),
    extra: Mapping[str, str] | None = None,
    base: Mapping[str, str] | None = None,
) -> dict[str, str]:
    """Return the variables for a tool: those of the allow-list in `base`, and fixed ones.

    Only who and where the user is, the language, the proxies, the certificates and the caches
    are taken over; proxies and certificates from wherever the user's settings name them. Python's,
    pip's, uv's and conda's own settings and the loader's are not, and user-wide configuration
    files of pip and uv are off.

    Args:
        path: directories that come first on PATH; the system's follow.
        extra: variables that are set whatever the rest says.
        base: where the variables are taken from; os.environ by default.

    Raises:
        PolicyError: a setting of certificates or proxies cannot be used.
    """
    from elt_env.machine.network_settings import network_variables  # slow to load

    source = os.environ if base is None else base
    kept = {name: value for name, value in source.items() if _is_kept(name)}
    search = os.pathsep.join([*(str(each) for each in path), *_SYSTEM_PATH])
    reach = network_variables(source)
    return kept | reach | _SET | {"PATH": search} | dict(extra or {})


def _is_kept(name: str) -> bool:
    if name.startswith("XDG_"):
        return name.endswith(("_HOME", "_DIR", "_DIRS"))
    return name in _KEPT or name.startswith("LC_")


def prefix_environment(
    prefix: Path,
    *,
    extra: Mapping[str, str] | None = None,
    base: Mapping[str, str] | None = None,
) -> dict[str, str]:
    """Return the variables for a tool of a prefix: the clean ones, and what its activation sets.

    As with conda, that wins over the caller's variable of the same name; `extra` wins over it.

    Args:
        prefix: whose tools come first on PATH.
        extra: variables that are set whatever the rest says.
        base: where the caller's variables are taken from; os.environ by default.

    Raises:
        IntegrityError: as `read_activation`.
    """
    activation = read_activation(prefix)
    own = {
        name: value for name, value in activation.values(str(prefix)).items() if name not in _SET
    }
    path = [Path(each) for each in activation.path(str(prefix))]
    return clean_environment(path=path, extra=own | dict(extra or {}), base=base)


def read_activation(prefix: Path) -> Activation:
    """Return what is set for all that is run from a prefix, as it was recorded.

    Raises:
        IntegrityError: the record cannot be read.
    """
    file = prefix / ACTIVATION
    try:
        return parse_activation(load_json(read_stored(file)))
    except FileNotFoundError:
        return Activation()
    except (OSError, ValueError) as error:
        raise IntegrityError(
            f"{file} cannot be read: {error}.", "Mend it: elt-env verify TARGET --repair"
        ) from error


FOREIGN = ("PYTHON", "LD_", "CONDA_", "MAMBA_", "VIRTUAL_ENV", "PIP_", "UV_")
"""What the variables of another Python, loader or environment begin with."""

ACTIVE = ("VIRTUAL_ENV", "CONDA_PREFIX")
"""The variables that each name an environment that is activated."""

PLACES = ("PATH", "HOME", "PWD", "OLDPWD", "TMPDIR")
"""The variables that may lead into an activated environment and stay."""


def user_environment(prefix: Path, base: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the variables for a person's command in a prefix: theirs, its tools first on PATH.

    What would make another Python, library or environment take part is left out: the variables
    of Python, the loader, conda, pip, uv and virtual environments, those that lead into an
    activated environment, as its activation hooks set them, and its `bin` on PATH. What the
    activation of the prefix sets is there, and wins over the person's own, as with conda.

    Raises:
        IntegrityError: as `read_activation`.
    """
    activation = read_activation(prefix)
    source = os.environ if base is None else base
    active = [Path(source[name]) for name in ACTIVE if source.get(name)]
    kept = {name: value for name, value in source.items() if not _is_foreign(name, value, active)}
    foreign = {each / "bin" for each in active}
    search = [
        each
        for each in source.get("PATH", os.defpath).split(os.pathsep)
        if each and Path(each) not in foreign
    ]
    path = os.pathsep.join([*activation.path(str(prefix)), *search])
    fixed = {"PATH": path, "PYTHONNOUSERSITE": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    return kept | activation.values(str(prefix)) | fixed


def _is_foreign(name: str, value: str, active: Sequence[Path]) -> bool:
    """Tell whether a variable is another environment's own, or leads into one."""
    if name.startswith(FOREIGN):
        return True
    return name not in PLACES and any(Path(value).is_relative_to(each) for each in active)
