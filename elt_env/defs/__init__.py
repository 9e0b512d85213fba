"""Dagster: assets, checks, jobs and resources; each body calls one room."""
