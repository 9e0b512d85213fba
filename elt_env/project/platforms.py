"""The platforms of an environment, as its policy describes them."""

from __future__ import annotations

from elt_env.package.platform import PLATFORMS, Platform, this_platform
from elt_env.project.policy import EnvironmentPolicy, Policy


def find_platform(name: str, policy: Policy) -> Platform | None:
    """Return a platform as the policy describes it.

    None is this machine as it is found: its own platform, of which the policy says nothing.
    """
    told = policy.virtual_packages.get(name, {})
    if name == this_platform() and not told:
        return None
    virtual = {**PLATFORMS.get(name, {}), **told}
    return Platform(name, tuple(sorted(each for each in virtual.items() if each[1])))


def platforms_of(environment: EnvironmentPolicy) -> tuple[str, ...]:
    """Return the platforms to lock for, this machine's first."""
    here = this_platform()
    return (here, *(each for each in environment.platforms if each != here))
