"""Sandboxes: what the tools of an image are run in, apart from this machine."""

from elt_env.image.sandbox.find import Search, find_sandbox, run_in
from elt_env.image.sandbox.port import Bind, Launch, Sandbox, Task

__all__ = ["Bind", "Launch", "Sandbox", "Search", "Task", "find_sandbox", "run_in"]
