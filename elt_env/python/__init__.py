"""Files of Python and its installers: bytecode, wheels, entry points, first lines of scripts."""
