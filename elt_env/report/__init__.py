"""What a person is shown: the state of a target, its history, the settings."""
