"""Console scripts: the text of the files in `bin`. Pure functions."""

from __future__ import annotations

import re

from elt_env.conda.host_channel.archive import PLACEHOLDER
from elt_env.python.entry_points import EntryPoint

_SHEBANG = re.compile(rb"#!pythonw?[^\r\n]*(\r?\n|$)")
# The kernel limits the length of a shebang and splits it at spaces; sh does neither
# (https://github.com/pypa/distlib/blob/master/distlib/scripts.py uses the same trick).
_LAUNCHER = f"""\
#!/bin/sh
'''exec' "{PLACEHOLDER}/bin/python" "$0" "$@"
' '''
"""


def entry_point_script(point: EntryPoint) -> bytes:
    """Return the text of the file in `bin` that runs an entry point, with the placeholder."""
    imported = point.attribute.partition(".")[0]
    text = (
        f"{_LAUNCHER}import sys\nfrom {point.module} import {imported}\n\n"
        f'if __name__ == "__main__":\n    sys.exit({point.attribute}())\n'
    )
    return text.encode()


def relocatable_script(content: bytes) -> bytes:
    """Return a wheel's script; where it starts with `#!python`, with a launcher in its place."""
    found = _SHEBANG.match(content)
    return content if found is None else _LAUNCHER.encode() + content[found.end() :]
