"""`Dockerfile`: an image that installs a lock, built with the directory of the lock as context.

https://docs.docker.com/reference/dockerfile/
"""

from __future__ import annotations

from collections.abc import Iterator

from elt_env.lockfile import conda_lock, requirements
from elt_env.lockfile.document import Lock

_PLACE = "/opt/lock/"
_PYTHON = "${PREFIX}/bin/python"
# The wheel of pip that Python carries runs as it is: nothing is installed that is not locked.
_BUNDLED = """\
PYTHONPATH="$(${PREFIX}/bin/python -c 'import ensurepip, pathlib; \\
print(*pathlib.Path(ensurepip.__file__).parent.glob("_bundled/pip-*.whl"))')" \\
    """

_CONDA = """\
# CONDA may be mamba or conda (24.9 or newer, which reads sha256) where BASE has one.
ARG BASE=mambaorg/micromamba:2
FROM ${{BASE}}
ARG CONDA=micromamba
"""
_VENV = """\
# BASE has Python {python}.
ARG BASE=python:{python}-slim
FROM ${{BASE}}
"""
_TEMPLATE = """\
{heading}
# Its context is a directory with the files that it copies:
#   docker build -f Dockerfile {context}
{base}ARG PREFIX={prefix}
USER 0
COPY {files} {place}
RUN {create}
{pip}{variables}ENV PATH="${{PREFIX}}/bin:${{PATH}}"
LABEL org.opencontainers.image.title="{target}" elt-env.lock="{digest}"
"""


def python_path(lock: Lock) -> str:
    """Return where Python lies in the image."""
    return f"{_prefix(lock)}/bin/python"


def _prefix(lock: Lock) -> str:
    return f"/opt/{lock.target.environment}"


def render(lock: Lock, context: str = "") -> str:
    """Return a Dockerfile that installs what is locked: Python or conda's half, then pip's half.

    Args:
        lock: the lock.
        context: the directory that has the lock's files; by default the lock's own in the store.
    """
    files, create = [requirements.FILE_NAME], "python -m venv --without-pip ${PREFIX}"
    if lock.interpreter is None:
        explicit = conda_lock.file_name(lock)
        files.insert(0, explicit)
        create = "${CONDA} create --yes --prefix ${PREFIX} --file " + _PLACE + explicit
    return _TEMPLATE.format(
        base=(_VENV if lock.interpreter else _CONDA).format(python=lock.target.python),
        heading=lock.heading,
        context=context or f".elt_env/locks/{lock.digest.removeprefix('sha256:')}",
        prefix=_prefix(lock),
        files=" ".join(files),
        place=_PLACE,
        create=create,
        pip=_pip(lock) if lock.pip else "",
        variables="".join(_variables(lock)),
        target=lock.target.name,
        digest=lock.digest,
    )


def _pip(lock: Lock) -> str:
    """Return the one pip command."""
    options = ["--no-cache-dir", "--no-deps"]
    if not any(each.built and each.built.commit for each in lock.pip):
        options.append("--require-hashes")  # pip takes no commit with it
    if all(each.built is None and each.file_name.endswith(".whl") for each in lock.pip):
        options.append("--only-binary :all:")
    main, *extra = lock.indexes or ("",)
    options += [f'--index-url "{main}"'] if main else ["--no-index"]
    options += [f'--extra-index-url "{each}"' for each in extra]
    start = "" if "pip" in lock.distributions else _BUNDLED
    lines = [*options, f"--requirement {_PLACE}{requirements.FILE_NAME}"]
    return f"RUN {start}{_PYTHON} -m pip install " + " \\\n    ".join(lines) + "\n"


def _variables(lock: Lock) -> Iterator[str]:
    for name, value in lock.variables:
        if value.isprintable():
            quoted = "".join(f"\\{each}" if each in '\\"$' else each for each in value)
            yield f'ENV {name}="{quoted}"\n'
        else:
            yield f"# {name} is left out: ENV takes one line.\n"
