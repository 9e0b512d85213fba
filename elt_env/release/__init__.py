"""Promote, roll back, verify, repair and collect: what is done to releases."""
