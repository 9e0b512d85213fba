"""The store: locks, their pointers, evidence, and what was used when."""
