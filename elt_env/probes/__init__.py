"""Programs that the interpreter of a prefix runs; they use nothing but its standard library."""

from pathlib import Path

DIRECTORY = Path(__file__).parent
