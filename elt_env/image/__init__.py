"""OCI images: made of a prefix, kept in a layout, pushed, pulled and run."""
