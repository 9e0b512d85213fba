"""The pip half: what the stages ask of a resolver and an installer, and the tools that can."""

from elt_env.tools.pip.pip_tool import Pip
from elt_env.tools.pip.port import Installer, InstallRequest, Resolver, ResolveRequest
from elt_env.tools.pip.uv_tool import Uv

__all__ = ["InstallRequest", "Installer", "Pip", "ResolveRequest", "Resolver", "Uv"]
