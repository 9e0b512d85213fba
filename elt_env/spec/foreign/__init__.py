"""Specs in files of other tools, told as an `environment.yml` says it, a module a format."""
