"""This library as a peer, broken on purpose: ``python toy_peer.py FAULT``.

It is so whenever it is asked for the item of the id "x".
"""

from __future__ import annotations

import json
import os
import sys
import time
from typing import Any

from thoonk.conform.adapter import Adapter, respond

fault = sys.argv[1]
adapter: Any = None

for line in sys.stdin.buffer:
    request = json.loads(line)
    operation, given = request["operation"], request["arguments"]
    if operation == "hello":
        match fault:
            case "dies at once":
                sys.exit("no, thank you")
            case "refuses":
                response: Any = {"error": "failed"}
            case "lacks what there is not":
                response = {"answer": {"without": ["magic"]}}
            case "is of level 3":
                response = {"answer": {"level": 3}}
            case "lacks it":
                response = {"answer": {"name": "toy", "without": ["get_item", "sessions"]}}
            case _:
                response = {"answer": {"name": "toy"}}
        adapter = Adapter(given["url"])
    else:
        response = respond(adapter, operation, given)
        if operation == "get_item" and given["id"] == "x":
            match fault:
                case "dies":
                    print("what a day", file=sys.stderr)
                    os._exit(7)
                case "hangs":
                    time.sleep(600)
                case "raves":
                    print("hello there")
                case "says two things":
                    response["error"] = "failed"
                case "answers another":
                    request["id"] = 4711
                case "does not know":
                    response = {"error": "unsupported"}
                case "writes":
                    adapter.client.hset("feed.items:F", "x", "mine")
                case "talks":
                    adapter.client.publish("feed.edit:F", b"x\0mine")
    print(json.dumps({"id": request["id"], **response}), flush=True)
