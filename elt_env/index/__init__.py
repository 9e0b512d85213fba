"""Package indexes and downloads, through one HTTP client."""
