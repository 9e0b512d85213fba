"""This machine and its user: their settings for conda, pip and the network, and processes."""
