"""Bundles: a lock and all that a build takes for it in one file, for where no network is."""
