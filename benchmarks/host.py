"""The process in which one contestant runs; JSON lines on standard input and output.

    python benchmarks/host.py MODULE:CLASS URL

Each line is ``{"call": METHOD, "arguments": {...}}`` and is answered by
``{"answer": ...}`` or ``{"error": TRACEBACK}``. What the library prints goes to
standard error.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import traceback
from pathlib import Path


def main() -> None:
    """Make the contestant, then do what the runner asks until it hangs up."""
    target, url = sys.argv[1:]
    # The contestants are those beside this file; all else, also Thoonk, is what is installed.
    sys.path[0] = str(Path(__file__).resolve().parent.parent)
    importlib.import_module("benchmarks")
    del sys.path[0]
    # Some libraries greet on standard output.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    module, _, name = target.partition(":")
    contestant = None
    for line in sys.stdin:
        request = json.loads(line)
        try:
            if contestant is None:
                contestant = getattr(importlib.import_module(module), name)(url)
            answer = getattr(contestant, request["call"])(**request["arguments"])
            reply = {"answer": answer}
        except Exception:  # noqa: BLE001 - the runner tells of it
            reply = {"error": traceback.format_exc()}
        answers.write(json.dumps(reply) + "\n")
        answers.flush()
    # Threads that a library has left behind are not waited for.
    os._exit(0)


if __name__ == "__main__":
    main()
