"""Files, locks on files, limits and masked secrets: nothing here knows of environments."""
