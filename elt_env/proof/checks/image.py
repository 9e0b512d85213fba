"""The checks on an image. Each says in its docstring what holds when it passes."""

from elt_env.proof.checks.image_content import image_content
from elt_env.proof.checks.image_format import image_format
from elt_env.proof.checks.image_runs import image_runs
from elt_env.proof.checks.image_subject import ImageCheck, ImageUnderTest

__all__ = ["IMAGE_CHECKS", "ImageCheck", "ImageUnderTest"]

IMAGE_CHECKS: dict[str, ImageCheck] = {
    "image_format": image_format,
    "image_content": image_content,
    "image_runs": image_runs,
}
"""The checks that the packing of an image ends with, by name; each is blocking."""
