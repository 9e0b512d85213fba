"""Reports for a person: the state of a target, its history, the settings."""
