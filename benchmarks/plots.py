"""Draws figures with pygal, as SVG that is the same for the same figures."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from pathlib import Path
from statistics import median
from typing import Any

from elt_env.runtime.files import write_atomically

_SCRIPT = re.compile(rb"<script.*?</script>", re.DOTALL)


def bars(name: str, figures: Mapping[str, Mapping[str, Any]], path: Path) -> None:
    """Draw the medians of a group, seconds of the clock and of processors.

    Raises:
        StorageError: it cannot be written.
    """
    chart = new_plot("HorizontalBar", title=name, x_title="seconds, median")
    chart.height = 120 + 45 * len(figures)
    chart.x_labels = list(figures)
    for unit in ("wall", "cpu"):
        chart.add(unit, [median(each[unit]) for each in figures.values()])
    save(chart, path)


def new_plot(kind: str, **options: Any) -> Any:  # noqa: ANN401  # pygal has no types
    """Return an empty plot of a kind that pygal has."""
    import pygal
    from pygal.style import CleanStyle

    # It adds one without `find_spec`, of which Python warns at each later import.
    sys.meta_path[:] = [each for each in sys.meta_path if hasattr(each, "find_spec")]
    style = CleanStyle(font_family="sans-serif")
    common = {"js": (), "no_prefix": True, "width": 640, "height": 360, "legend_at_bottom": True}
    return getattr(pygal, kind)(style=style, **common, **options)


def save(plot: Any, path: Path) -> None:  # noqa: ANN401
    """Write a plot, without what a page would do with it: that is another in every run."""
    write_atomically(path, _SCRIPT.sub(b"", plot.render()))
