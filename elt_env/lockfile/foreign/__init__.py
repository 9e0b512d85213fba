"""The lock files of other tools, each read by a module of its own into one `ForeignLock`."""
