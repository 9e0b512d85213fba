"""What knows nothing of environments: files, locks on files, limits, masked secrets."""
