"""The checks, the evidence that they leave, and what a release needs of it."""
