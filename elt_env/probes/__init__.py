"""Programs that the interpreter of a prefix runs; they use nothing but its standard library."""
