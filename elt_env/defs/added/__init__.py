"""Definitions that `dg scaffold defs` adds to this project; see `[tool.dg.project]`."""
