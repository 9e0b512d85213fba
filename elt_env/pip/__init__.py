"""The pip half: what a resolver and an installer are asked. The tools are loaded where chosen."""

from elt_env.pip.port import Installer, InstallRequest, Resolver, ResolveRequest

__all__ = ["InstallRequest", "Installer", "ResolveRequest", "Resolver"]
