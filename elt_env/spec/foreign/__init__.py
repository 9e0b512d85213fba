"""What other tools' files ask for, told as an `environment.yml` says it, a module a format."""
