"""Followers: machines that run what is released elsewhere, and need neither Dagster nor a spec.

A follower has a store of its own in a directory, into which releases arrive; so all commands that
look at a release work there, also while the place that they came from is away.
"""
