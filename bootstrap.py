"""Set-up: `.venv` with what requirements.txt locks and this project, and the Dagster instance.

    python3 bootstrap.py            make .venv, or bring it up to date
    python3 bootstrap.py instance   make the instance in DAGSTER_HOME, unless it is there

Any Python since 3.6 can read this file, since it has to say when one is too old.
"""

import ast
import contextlib
import fcntl
import os
import shutil
import subprocess
import sys
import time
import typing
from pathlib import Path

HERE = Path(__file__).resolve().parent
LOCK = HERE / "requirements.txt"
INPUTS = (LOCK, HERE / "pyproject.toml", Path(__file__))
VENV = HERE / ".venv"
BIN = VENV / "bin"
PYTHON = str(BIN / "python")
STAMP = VENV / ".ready"
"""Written last, with the place it is for; make compares its time with that of the inputs."""

INSTANCE = HERE / "elt_env" / "defs" / "dagster.yaml"
"""Not at the top, where `dagster dev` warns of it."""

OLDEST, NEWEST = (3, 10), (3, 14)
OTHERS = ("python3.11", "python3.12", "python3.13", "python3.10", "python3.14")
PROBE = f"import ensurepip, sys, venv; sys.exit(not {OLDEST} <= sys.version_info[:2] <= {NEWEST})"
LIMIT = 1800
"""Seconds that one command may take."""

UNPACK = """
import ensurepip, pathlib, sysconfig, zipfile
beside = pathlib.Path(ensurepip.__file__).with_name("_bundled")
[wheel] = pathlib.Path(sysconfig.get_config_var("WHEEL_PKG_DIR") or beside).glob("pip-*.whl")
zipfile.ZipFile(wheel).extractall(sysconfig.get_path("purelib"))
"""
"""Puts the pip of ensurepip into a virtual environment, which itself takes seconds to do so."""


def main() -> None:
    """Do what the command line asks for, one process at a time."""
    if sys.argv[1:] == ["instance"]:
        with alone():
            make_instance()
        return
    shortcoming = what_is_wrong()
    if shortcoming:
        hand_over(shortcoming)
    with alone():
        if not is_current():
            make_venv()


def what_is_wrong() -> str:
    """Return why this Python is of no use here, or an empty text."""
    found = f"{sys.executable} is Python {dotted(sys.version_info[:3])}"
    if not OLDEST <= sys.version_info[:2] <= NEWEST:
        age = "old" if sys.version_info[:2] < OLDEST else "new"
        return f"{found}, which is too {age}: install one of {dotted(OLDEST)} to {dotted(NEWEST)}"
    try:
        import ensurepip  # noqa: F401
        import venv  # noqa: F401
    except ImportError:
        return f"{found} without venv: on Debian, apt-get install python3-venv"
    return ""


def hand_over(shortcoming: str) -> None:
    """Go on with another Python of PATH, or say what is wrong with this one."""
    for name in OTHERS:
        if succeeds(name, "-c", PROBE):
            os.execvp(name, [name, *sys.argv])
    fail(shortcoming)


@contextlib.contextmanager
def alone() -> "typing.Iterator[None]":
    """Keep a second set-up of this project waiting."""
    with Path(__file__).open() as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def is_whole() -> bool:
    """Tell whether .venv was completed, here, and its Python is still there."""
    # Its programs carry its path: moved elsewhere, none of them starts.
    return STAMP.exists() and STAMP.read_text() == f"{HERE}\n" and succeeds(PYTHON, "-c", PROBE)


def is_current() -> bool:
    """Tell whether .venv is whole, and newer than all it is made of."""
    if not is_whole():
        return False
    return max(each.stat().st_mtime_ns for each in INPUTS) <= STAMP.stat().st_mtime_ns


def make_venv() -> None:
    """Leave .venv with exactly what is locked: a whole one is changed, a half-made one replaced."""
    start = time.monotonic()
    if is_whole():
        tell("bringing .venv up to date")
        STAMP.unlink()
    else:
        tell(f"making .venv with Python {dotted(sys.version_info[:3])}")
        run(sys.executable, "-m", "venv", "--clear", "--without-pip", str(VENV))
        if not succeeds(PYTHON, "-c", UNPACK):
            run(PYTHON, "-m", "ensurepip")
        install_uv()
    uv = (str(BIN / "uv"), "pip")
    sync = (*uv, "sync", "--python", PYTHON, "--require-hashes", str(LOCK))
    variables = uv_variables()
    # Without --offline, uv asks the index even for what is installed already.
    if not succeeds(*sync, "--offline", variables=variables):
        run(*sync, variables=variables)
    own = ("--offline", "--quiet", "--no-deps", "--no-build-isolation", "--editable", str(HERE))
    run(*uv, "install", "--python", PYTHON, *own)
    STAMP.write_text(f"{HERE}\n")
    tell(f".venv is ready, after {time.monotonic() - start:.0f} s")


def install_uv() -> None:
    """Install the locked uv with the pip of venv; uv is many times faster for the rest."""
    only_uv = VENV / "uv.txt"
    only_uv.write_text("".join(lines_of("uv", LOCK.read_text().splitlines(keepends=True))))
    pip = (PYTHON, "-m", "pip", "--disable-pip-version-check", "install", "--quiet")
    variables = {"PIP_USER": "0"}
    run(*pip, "--require-hashes", "--requirement", str(only_uv), variables=variables)


def lines_of(name: str, lock: "typing.Iterable[str]") -> "typing.Iterator[str]":
    """Yield the requirement of one package and the hashes below it."""
    inside = False
    for line in lock:
        inside = line.startswith(name + "==") or (inside and line.startswith(" "))
        if inside:
            yield line


def uv_variables() -> "typing.Dict[str, str]":
    """Return what uv is told: the index of the user's pip settings, unless uv has its own."""
    variables = {"UV_PYTHON_DOWNLOADS": "never"}
    config = Path(os.environ.get("XDG_CONFIG_HOME") or "~/.config").expanduser()
    files = (config / "uv" / "uv.toml", Path("/etc/uv/uv.toml"))
    names = ("UV_DEFAULT_INDEX", "UV_INDEX_URL", "UV_CONFIG_FILE")
    if not any(map(os.environ.get, names)) and not any(each.exists() for each in files):
        index = pip_index()
        if index:
            variables["UV_DEFAULT_INDEX"] = index
    return variables


def pip_index() -> str:
    """Return the URL of the index in pip's variables or files, or an empty text."""
    listing = subprocess.check_output(
        (PYTHON, "-m", "pip", "config", "list"), universal_newlines=True, timeout=LIMIT
    )
    settings = dict(line.split("=", 1) for line in listing.splitlines() if "=" in line)
    for name in (":env:.index-url", "install.index-url", "global.index-url"):
        if name in settings:
            return str(ast.literal_eval(settings[name]))
    return ""


def make_instance() -> None:
    """Leave DAGSTER_HOME with a dagster.yaml and a database.

    Two processes that are the first to use an instance break its database. The project's own
    instance follows the project's dagster.yaml; one from elsewhere keeps what it has.
    """
    home = Path(os.environ["DAGSTER_HOME"])
    home.mkdir(parents=True, exist_ok=True)
    config = home / "dagster.yaml"
    if home == HERE / ".dagster" or not config.exists():
        shutil.copyfile(str(INSTANCE), str(config))
    stamp = home / ".ready"
    if not stamp.exists():
        run(str(BIN / "dagster"), "instance", "info", stdout=subprocess.DEVNULL)
        stamp.touch()


def succeeds(*command: str, variables: "typing.Optional[typing.Dict[str, str]]" = None) -> bool:
    """Run a command without its complaints, and tell whether it ended well."""
    env = dict(os.environ, **(variables or {}))
    try:
        return subprocess.call(command, env=env, stderr=subprocess.DEVNULL, timeout=LIMIT) == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def run(
    *command: str,
    variables: "typing.Optional[typing.Dict[str, str]]" = None,
    stdout: "typing.Optional[int]" = None,
) -> None:
    """Run a command that must end well."""
    env = dict(os.environ, **(variables or {}))
    try:
        code = subprocess.call(command, env=env, stdout=stdout, timeout=LIMIT)
    except (OSError, subprocess.TimeoutExpired) as error:
        fail(f"set-up failed: {error}")
    if code:
        fail(f"set-up failed with exit code {code} at: {' '.join(command)}")


def dotted(numbers: "typing.Iterable[int]") -> str:
    """Return numbers as in 3.11."""
    return ".".join(map(str, numbers))


def tell(message: str) -> None:
    """Print one line for a person."""
    sys.stderr.write(f"elt_env: {message}\n")


def fail(message: str) -> "typing.NoReturn":
    """End with one line."""
    tell(message)
    sys.exit(1)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        fail("interrupted; the same command takes it up again")
