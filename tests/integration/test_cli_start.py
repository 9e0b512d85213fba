"""What `elt-env` loads before it knows which command is meant."""

from __future__ import annotations

import subprocess
import sys

_LOADED = "import sys, elt_env.cli as c\ntry: c.main(['--help'])\nfinally: print(*sys.modules)"


def test_the_list_loads_no_command() -> None:
    done = subprocess.run(
        [sys.executable, "-c", _LOADED], capture_output=True, text=True, timeout=60, check=True
    )
    loaded = set(done.stdout.splitlines()[-1].split())
    assert "elt_env.cli" in loaded
    assert not loaded & {"dagster", "pydantic", "rattler", "httpx", "elt_env.lockfile.document"}
