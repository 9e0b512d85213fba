"""The prefix: built from a lock, sealed, and compared with it."""
