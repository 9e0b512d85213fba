"""What `dg scaffold defs` adds to the definitions of this project; see `[tool.dg.project]`."""
