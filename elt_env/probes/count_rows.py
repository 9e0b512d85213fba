"""Runs a Singer tap or target, and counts the records that it passes on, takes in, and loads.

    python count_rows.py REPORT (extractor|loader) NAME PROGRAM [ARGUMENT]...

It adds a JSON line to REPORT when the program ends, with numbers by stream: `passed`, the RECORD
messages of an extractor or those that reached a loader, and `loaded`, what a loader says in the
metrics that the Singer SDK writes to stderr (`METRIC: {…"metric": "record_count"…}`). Every byte
goes through as it is, and the exit code is the program's.
"""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable
from typing import IO

_METRIC = re.compile(rb"METRIC: (\{.*\})")


def main() -> int:
    """Run the program and count."""
    report, kind, name, *command = sys.argv[1:]
    passed: Counter[str] = Counter()
    loaded: Counter[str] = Counter()
    pipe, is_loader = subprocess.PIPE, kind == "loader"
    process = subprocess.Popen(  # noqa: S603  # what Meltano would start itself
        command,
        stdin=pipe if is_loader else None,
        stdout=None if is_loader else pipe,
        stderr=pipe if is_loader else None,
    )
    signal.signal(signal.SIGTERM, lambda *_: process.terminate())
    threads = []
    if process.stderr:
        threads.append(_follow(process.stderr, sys.stderr.buffer, lambda x: _metric(x, loaded)))
    if process.stdin is not None:
        # The loader may end first: then there is nobody to wait for.
        feeding = _follow(sys.stdin.buffer, process.stdin, lambda x: _record(x, passed))
        process.wait()
        feeding.join(5)
    elif process.stdout is not None:
        _pass(process.stdout, sys.stdout.buffer, lambda x: _record(x, passed))
    code = process.wait()
    for each in threads:
        each.join()
    if passed or loaded:
        line = json.dumps({"kind": kind, "name": name, "passed": passed, "loaded": loaded})
        handle = os.open(report, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
        os.write(handle, (line + "\n").encode())
        os.close(handle)
    return code if code >= 0 else 128 - code


def _follow(
    source: "IO[bytes]", sink: "IO[bytes]", look: "Callable[[bytes], None]"
) -> threading.Thread:
    thread = threading.Thread(target=_pass, args=(source, sink, look), daemon=True)
    thread.start()
    return thread


def _pass(source: "IO[bytes]", sink: "IO[bytes]", look: "Callable[[bytes], None]") -> None:
    """Pass every line on, at once, and look at it."""
    with contextlib.suppress(BrokenPipeError):
        for line in source:
            look(line)
            sink.write(line)
            sink.flush()
    if sink not in (sys.stdout.buffer, sys.stderr.buffer):
        with contextlib.suppress(BrokenPipeError):
            sink.close()


def _record(line: bytes, counts: "Counter[str]") -> None:
    if b"RECORD" not in line:
        return
    try:
        message = json.loads(line)
        if message["type"] == "RECORD":
            counts[str(message["stream"])] += 1
    except (ValueError, KeyError, TypeError):
        return


def _metric(line: bytes, counts: "Counter[str]") -> None:
    found = _METRIC.search(line)
    if found is None:
        return
    try:
        metric = json.loads(found[1])
        if metric["metric"] == "record_count":
            counts[str(metric.get("tags", {}).get("stream", ""))] += int(metric["value"])
    except (ValueError, KeyError, TypeError, AttributeError):
        return


if __name__ == "__main__":
    # No interpreter's end: it would wait for what still reads stdin.
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(main())
