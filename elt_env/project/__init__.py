"""The project and its policy."""
