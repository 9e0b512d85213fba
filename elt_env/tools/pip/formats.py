"""Which file formats pip and uv may take, as the options that both understand."""

from __future__ import annotations


def format_options(*, wheels_only: bool, allow: tuple[str, ...]) -> list[str]:
    """Return the options for wheels only, with `allow` as the distributions built from an sdist."""
    if not wheels_only:
        return []
    exceptions = [part for name in allow for part in ("--no-binary", name)]
    return ["--only-binary", ":all:", *exceptions]
