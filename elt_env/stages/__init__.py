"""The verbs: each takes values and tools, and returns values."""
