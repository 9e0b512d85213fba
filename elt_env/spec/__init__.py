"""What a person asked for: environment.yml and requirements, read into one spec."""
