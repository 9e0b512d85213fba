"""From a directory to a project: what it holds, and the files that are written."""
