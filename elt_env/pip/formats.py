"""The file formats that pip and uv may take, as options that both understand."""

from __future__ import annotations

from collections.abc import Iterable


def format_options(
    *,
    wheels_only: bool,
    allow: Iterable[str],
    only_binary: Iterable[str] = (),
    no_binary: Iterable[str] = (),
) -> list[str]:
    """Return the options for wheels only, with `allow` as the distributions built from an sdist.

    `only_binary` and `no_binary` are names that a person gave; see PipOptions.
    """
    sdists = [*allow, *no_binary] if wheels_only else [*no_binary]
    wheels = [":all:"] if wheels_only else [*only_binary]
    return [
        *(part for name in wheels for part in ("--only-binary", name)),
        *(part for name in dict.fromkeys(sdists) for part in ("--no-binary", name)),
    ]
