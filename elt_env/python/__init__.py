"""What Python and its installers write: bytecode, wheels, entry points, first lines of scripts."""
