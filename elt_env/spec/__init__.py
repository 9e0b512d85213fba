"""The spec: environment.yml and requirements, as a person wrote them, read into one value."""
