"""The host channel: conda packages made from this machine's own interpreters and from wheels."""

from elt_env.conda.host_channel.channel import FORMAT, HostChannel

__all__ = ["FORMAT", "HostChannel"]
