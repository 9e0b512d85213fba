"""The names of a bundle's members."""

from __future__ import annotations

from elt_env.lockfile import lock_json
from elt_env.lockfile.document import Package

LOCK = lock_json.FILE_NAME
_SPEC, _BUILT, _PLUGINS, _JSON = "spec/", "built/", "plugins/", ".json"


def spec_entry(path: str) -> str:
    """Return the name of a spec's file that lies at `path` below the project."""
    return _SPEC + path


def spec_path(name: str) -> str | None:
    """Return the path that a name stands for; None where it is not that of a spec's file."""
    return name.removeprefix(_SPEC) if name.startswith(_SPEC) else None


def plugins_entry(check: str) -> str:
    """Return the name of the lock of the plugins that a check runs."""
    return f"{_PLUGINS}{check}{_JSON}"


def plugins_check(name: str) -> str | None:
    """Return the check that a name stands for; None where it is not that of a lock of plugins."""
    is_one = name.startswith(_PLUGINS) and name.endswith(_JSON) and name.count("/") == 1
    return name.removeprefix(_PLUGINS).removesuffix(_JSON) if is_one else None


def archive_entry(package: Package) -> str:
    """Return the name of what is downloaded of a package."""
    return f"{package.manager}/{package.sha256}/{package.archive_name}"


def built_entry(sdist: Package, wheel: str) -> str:
    """Return the name of a wheel that was built of a locked sdist."""
    return f"{_BUILT}{sdist.sha256}/{wheel}"


def is_sdist(package: Package) -> bool:
    """Tell whether pip has to build a package."""
    return package.manager == "pip" and not package.file_name.endswith(".whl")


def is_text(name: str) -> bool:
    """Tell whether a member is none of the archives."""
    return name == LOCK or name.startswith((_SPEC, _PLUGINS))
