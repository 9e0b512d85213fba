"""The check of what runs whenever a Python of the environment starts."""

from __future__ import annotations

from elt_env.environment.prefix import Prefix
from elt_env.environment.startup import startup_since
from elt_env.environment.startup_files import startup_files
from elt_env.machine.process import Say
from elt_env.proof.checks.check_tools import CheckTools
from elt_env.proof.checks.finding import Finding, judge
from elt_env.release.store import ReleaseStore


def startup_code(prefix: Prefix, tools: CheckTools, say: Say) -> Finding:
    """Nothing runs at every start of Python that did not in the last release.

    What does are `.pth` files, `sitecustomize` and `usercustomize`. One that a package brings, and
    that the last release had not, or not like this, is a warning.
    """
    del say
    files = startup_files(prefix)
    release = ReleaseStore(tools.store).current(prefix.lock.target.name)
    notes = []
    if release is not None and release.digest != prefix.lock.digest:
        released = tools.store.read_manifest(release.digest, prefix.lock.target)
        notes = list(map(str, startup_since(released, prefix, tools.store)))
    listed = ", ".join(f"{each.path} of {each.package or 'no package'}" for each in files)
    return judge([], f"at every start of Python runs: {listed or 'nothing'}", notes=notes)
