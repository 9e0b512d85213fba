"""The outside world, one noun a module: processes, sockets, files, conda, pip."""
