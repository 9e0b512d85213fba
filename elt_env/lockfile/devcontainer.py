"""`.devcontainer/`: a development container that installs a lock.

https://containers.dev/implementors/json_reference/
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from elt_env.lockfile import conda_lock, dockerfile, requirements
from elt_env.lockfile.document import Lock

FOLDER = ".devcontainer"
"""Where editors look for it, relative to the workspace."""


def render(lock: Lock) -> str:
    """Return a devcontainer.json, which builds the Dockerfile beside it."""
    configuration = {
        "name": lock.target.name,
        "build": {"dockerfile": "Dockerfile", "context": "."},
        "containerEnv": {"ELT_ENV_LOCK": lock.digest},
        "remoteUser": "root",
        "customizations": {
            "vscode": {
                "extensions": ["ms-python.python"],
                "settings": {"python.defaultInterpreterPath": dockerfile.python_path(lock)},
            }
        },
    }
    return json.dumps(configuration, indent=2) + "\n"


def files(lock: Lock) -> Mapping[str, str]:
    """Return the files of the folder by their names: the configuration and all that it builds."""
    return {
        "devcontainer.json": render(lock),
        "Dockerfile": dockerfile.render(lock, context="."),
        **({} if lock.interpreter else {conda_lock.file_name(lock): conda_lock.render(lock)}),
        requirements.FILE_NAME: requirements.render(lock),
    }
