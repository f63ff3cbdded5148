"""The peer of version 1 of these tests (peer.py), fitted to the protocol of `thoonk conform`.

Started as a program, with ``tests`` on the path. Its arguments are the habits of some such
peers, as `Peer` names them.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import redis
from peer import Peer, Refused

from thoonk.conform.values import decode, encode

WITHOUT = ["job counts", "job maintenance", "listen", "names", "several"]
"""What it lacks beside all of version 2. (Nothing else of its tests needs them.)"""

NO_WAIT = 0.01
"""Seconds. BRPOP takes 0 for «for ever»."""


def answer(  # noqa: PLR0912
    peer: Peer, operation: str, given: dict[str, Any]
) -> dict[str, Any]:
    """Do one operation; raises Refused."""
    feed, id, item = (
        decode(given[name]) if name in given else b"" for name in ("feed", "id", "item")
    )
    wait = given.get("timeout", NO_WAIT)
    high = given.get("priority") == "high"
    match operation:
        case "create":
            try:
                peer.create(feed, given["config"])
            except Refused:
                return {"created": False}
            return {"created": True}
        case "delete":
            peer.delete(feed)
        case "set config":
            peer.set_config(feed, given["config"])
        case "get_config":
            fields = peer.get_config(feed)
            return {"config": {name.decode(): encode(value) for name, value in fields.items()}}
        case "get_names":
            return {"names": [*map(encode, peer.names())]}
        case "get_ids":
            return {"ids": [*map(encode, peer.get_ids(feed, given["type"]))]}
        case "get_item":
            found = peer.get_item(feed, id)
            return {"item": None if found is None else encode(found)}
        case "get_all":
            return {"items": [[encode(i), encode(v)] for i, v in peer.get_all(feed).items()]}
        case "feed publish":
            ((new_id, new_item),) = given["entries"]
            known = decode(new_id) in peer.get_ids(feed, "feed")
            peer.publish(feed, decode(new_item), decode(new_id))
            return {"new": [not known]}
        case "feed retract":
            known = id in peer.get_ids(feed, "feed")
            peer.retract(feed, id)
            return {"removed": known}
        case "sorted append" | "sorted prepend" | "sorted before" | "sorted after":
            neighbour = decode(given.get("neighbour", ""))
            position = {
                "sorted append": b":end",
                "sorted prepend": b"begin:",
                "sorted before": b":" + neighbour,
                "sorted after": neighbour + b":",
            }[operation]
            (new,) = map(decode, given["items"])
            return {"ids": [encode(peer.insert(feed, new, position))]}
        case "sorted edit":
            peer.edit(feed, id, item)
        case "sorted move":
            peer.move(feed, decode(given["position"]), id)
        case "sorted retract":
            known = id in peer.get_ids(feed, "list")
            peer.sorted_retract(feed, id)
            return {"removed": known}
        case "queue put":
            return {"id": encode(peer.queue_put(feed, item, high=high))}
        case "queue get":
            found = peer.queue_get(feed, wait)
            return {"item": None if found is None else encode(found)}
        case "job put":
            return {"id": encode(peer.job_put(feed, item, high=high))}
        case "job get":
            got = peer.job_get(feed, wait)
            if got is None:
                return {"entries": []}
            return {"entries": [[encode(got[0]), encode(got[1] or b""), got[2]]]}
        case "job finish":
            (job,) = given["jobs"]
            result = decode(job["result"]) if "result" in job else None
            peer.job_finish(feed, decode(job["id"]), result)
        case "job cancel":
            peer.job_cancel(feed, id)
        case "job stall":
            peer.job_stall(feed, id)
        case "job retry":
            peer.job_retry(feed, id)
        case "job retract":
            known = peer.get_item(feed, id) is not None
            peer.job_retract(feed, id)
            return {"removed": known}
        case "get_result":
            found = peer.job_take_result(feed, id, wait)
            return {"found": found is not None, "result": None if found is None else encode(found)}
        case _:
            raise Refused("unsupported")
    return {}


CODES = {
    "delete": "no feed",
    "sorted before": "no item",
    "sorted after": "no item",
    "sorted edit": "no item",
    "sorted move": "no item",
    "job finish": "not claimed",
    "job cancel": "not claimed",
    "job stall": "not claimed",
    "job retry": "not stalled",
}


def main() -> None:
    peer: Any = None
    for line in sys.stdin.buffer:
        request = json.loads(line)
        operation, given = request["operation"], request["arguments"]
        if operation == "hello":
            habits = dict.fromkeys(sys.argv[1:], True)
            peer = Peer(redis.Redis.from_url(given["url"], protocol=2), **habits)
            response = {"answer": {"name": "peer of version 1", "level": 1, "without": WITHOUT}}
        else:
            try:
                response = {"answer": answer(peer, operation, given)}
            except Refused:
                response = {"error": CODES.get(operation, "unsupported")}
        print(json.dumps({"id": request["id"], **response}), flush=True)


if __name__ == "__main__":
    main()
