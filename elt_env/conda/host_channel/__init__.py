"""The host channel: conda packages made from this machine's own interpreters and from wheels."""

from elt_env.conda.host_channel.archive import RECIPE, Entry
from elt_env.conda.host_channel.channel import FORMAT, HostChannel
from elt_env.conda.host_channel.kept import KeptPackages
from elt_env.conda.host_channel.python_package import relocated_files

__all__ = ["FORMAT", "RECIPE", "Entry", "HostChannel", "KeptPackages", "relocated_files"]
