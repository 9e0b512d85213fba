"""What a page of the documentation lets its reader do, as a script.

Fenced blocks are taken by the words after the fence:

    sh            commands; `exit=5` says with which exit code they end
    diff          an edit of files, applied with `git apply`
    yaml a/file   a file to write; `+a/file` is one to append to
    (others)      something to look at
"""

from __future__ import annotations

import re
import shlex
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

_LIMIT = 900.0
_DONE = "the page was done"
_BLOCK = re.compile(r"^```(?P<info>[^\n`]+)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    """A fenced block: the words after its fence, and what is in it."""

    words: tuple[str, ...]
    text: str


def blocks(page: Path) -> tuple[Block, ...]:
    """Return the blocks of a page, in their order."""
    text = page.read_text(encoding="utf-8")
    return tuple(
        Block(tuple(found["info"].split()), found["text"]) for found in _BLOCK.finditer(text)
    )


def as_script(page: Path) -> str:
    """Return a bash script that does what the page says, and ends where something fails."""
    steps = [step for block in blocks(page) if (step := _step(block))]
    return "\n".join(["set -eu -o pipefail", *steps, f"echo '{_DONE}'", ""])


def follow(script: str, directory: Path, variables: Mapping[str, str]) -> None:
    """Run the script of a page in a directory; it comes to its end."""
    done = subprocess.run(
        ["bash", "-c", script],
        cwd=directory,
        env=dict(variables),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=_LIMIT,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-6000:]
    assert done.stdout.endswith(f"{_DONE}\n")


def _step(block: Block) -> str | None:
    kind, *more = block.words
    if kind == "sh" and not more:
        return f"{_told(block)}\n{block.text}"
    if kind == "sh":
        [expected] = [each.partition("=")[2] for each in more]
        run = f"( {block.text} ) && code=0 || code=$?"
        return f'{_told(block)}\n{run}\n[ "$code" = {expected} ] || exit 99'
    if kind == "diff":
        return _fed("git apply -p0 -", block.text)
    if more:
        target = more[0]
        return _fed(
            f"cat {'>>' if target.startswith('+') else '>'} {target.lstrip('+')}", block.text
        )
    return None


def _told(block: Block) -> str:
    return f"echo {shlex.quote('+ ' + block.text.strip())}"


def _fed(command: str, text: str) -> str:
    return f"{command} <<'END_OF_BLOCK'\n{text}END_OF_BLOCK"
