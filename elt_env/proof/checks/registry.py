"""All checks of one environment: this package's and its own."""

from __future__ import annotations

import inspect
from collections.abc import Mapping

from elt_env.project.own_checks import IN_IMAGE
from elt_env.project.policy import EnvironmentPolicy
from elt_env.proof.checks import CHECKS, HEALTH_CHECKS
from elt_env.proof.checks.finding import Check
from elt_env.proof.checks.image import IMAGE_CHECKS
from elt_env.proof.checks.image_subject import ImageCheck
from elt_env.proof.checks.own import description, own_checks, own_image_checks


def health_checks(policy: EnvironmentPolicy) -> dict[str, Check]:
    """Return every check on the prefix, by name, the cheap ones first and its own last."""
    return {**HEALTH_CHECKS, **own_checks(policy)}


def image_checks(policy: EnvironmentPolicy) -> dict[str, ImageCheck]:
    """Return every check on the image, by name."""
    return {**IMAGE_CHECKS, **own_image_checks(policy)}


def build_checks(policy: EnvironmentPolicy) -> tuple[str, ...]:
    """Return the names of the checks that a build ends with; not all are blocking."""
    return (*CHECKS, *policy.checks)


def is_blocking(name: str, policy: EnvironmentPolicy) -> bool:
    """Tell whether nothing is released while that check does not hold; not of one that is gone."""
    own = _own(policy).get(name)
    blocks = name in CHECKS or name in IMAGE_CHECKS if own is None else own
    required = policy.required_checks
    on_image = name in IMAGE_CHECKS or name.endswith(IN_IMAGE)
    return blocks and (on_image or required is None or name in required)


def descriptions(policy: EnvironmentPolicy) -> Mapping[str, str]:
    """Return what each check finds out, for people, by name."""
    known = {**HEALTH_CHECKS, **IMAGE_CHECKS}
    found = {name: inspect.getdoc(check) or "" for name, check in known.items()}
    for name, check in policy.checks.items():
        found[name] = description(name, check)
    for name in own_image_checks(policy):
        found[name] = f"In the image: {found[_base(name)]}"
    return found


def _own(policy: EnvironmentPolicy) -> Mapping[str, bool]:
    own = {name: check.blocking for name, check in policy.checks.items()}
    return own | {name: own[_base(name)] for name in own_image_checks(policy)}


def _base(name: str) -> str:
    return name.removesuffix(IN_IMAGE)
