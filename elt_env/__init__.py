"""One `environment.yml` becomes a locked, installed and proven ELT environment."""
