"""The lock as a value, its file formats, and what differs between two."""
