"""Names the bytecode that the interpreter which runs it would not take as it is.

On stdin is a JSON list of paths of bytecode below the directory it runs in. On stdout is the JSON
list of those that are of another version of Python, or of another source than lies there now. A
hash is compared even where it says that nobody should (PEP 552, unchecked): what does not come of
its source would hide it.
"""

import importlib.util
import json
import os
import sys

_HASHED, _CHECKED = 1, 2
_HEADER = 16


def main() -> None:
    """Read, look and tell."""
    json.dump([each for each in json.load(sys.stdin) if not _is_valid(each)], sys.stdout)


def _is_valid(path: str) -> bool:
    source = _source(path)
    with open(path, "rb") as file:  # noqa: PTH123  # open to any Python
        header = file.read(_HEADER)
    flags = int.from_bytes(header[4:8], "little")
    if len(header) < _HEADER or header[:4] != importlib.util.MAGIC_NUMBER:
        return False
    if flags & ~(_HASHED | _CHECKED):
        return False
    if flags & _HASHED:
        with open(source, "rb") as file:  # noqa: PTH123
            return importlib.util.source_hash(file.read()) == header[8:]
    found = os.stat(source)  # noqa: PTH116
    stated = (int(found.st_mtime), found.st_size)
    return header[8:] == b"".join((each & 0xFFFFFFFF).to_bytes(4, "little") for each in stated)


def _source(path: str) -> str:
    """Return the source that bytecode is made of (PEP 3147, PEP 488).

    `importlib.util.source_from_cache` refuses a module with a dot in its file's name, as Python
    3.10's own `__phello__.foo.py`.
    """
    cache, name = os.path.split(path)
    module, _, last = name[: -len(".pyc")].rpartition(".")
    if last.startswith("opt-"):
        module = module.rpartition(".")[0]
    return os.path.join(os.path.dirname(cache), module + ".py")  # noqa: PTH118, PTH120  # any Python


if __name__ == "__main__":
    main()
