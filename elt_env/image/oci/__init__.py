"""OCI images: the layout on disk, layers, and what pushes, pulls and runs them."""
