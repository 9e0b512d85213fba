"""The pip half: what a resolver and an installer are asked, and the tools that can."""

from elt_env.pip.pip_tool import Pip
from elt_env.pip.port import Installer, InstallRequest, Resolver, ResolveRequest
from elt_env.pip.uv_tool import Uv

__all__ = ["InstallRequest", "Installer", "Pip", "ResolveRequest", "Resolver", "Uv"]
