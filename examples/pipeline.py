"""A pipeline: two job feeds, workers in processes, one of which dies between the stages.

    python examples/pipeline.py [--backend URL] [--texts 40]

Texts wait in the first job feed. A worker claims one, counts its words, puts the counts
into the second job feed and finishes its job. Workers of the second stage pick the most
frequent word and publish it, under the id of the text.

The order matters: hand over first, finish second. Whoever dies in between leaves a job
that another worker does again, so nothing is lost, but the next stage gets it twice. As
the last stage publishes under an id that is made from the first, the second time is an
edit that changes nothing. Here one worker is killed at just that moment.
"""

from __future__ import annotations

import argparse
import random
from collections import Counter
from typing import Any

from side_by_side import Processes, main, names_of_our_own, parser, vanish

from thoonk import JSON, Edited, Job, Published, Thoonk

CLAIM_TIMEOUT = 2.0
"""Seconds after which the job of a worker that died goes to another."""

TIMEOUT = 60.0
WORDS = ["feed", "queue", "job", "claim", "notice", "item", "stall", "retract"]


def stage(thoonk: Thoonk, name: str) -> Job[Any]:
    """The job feed of a stage. A job that fails three times is stalled, not lost."""
    config = {"claim_timeout": CLAIM_TIMEOUT, "max_failures": 3}
    return thoonk.job(name, config, serializer=JSON)


def count(backend: str, prefix: str, unlucky: bool) -> None:
    """The first stage; an unlucky worker dies when it has handed over its first text."""
    with Thoonk(backend=backend) as thoonk:
        texts, counts = stage(thoonk, prefix + "texts"), stage(thoonk, prefix + "counts")
        # Asking for the next claim finishes the last one, in the same round trip.
        for claim in texts.claims(timeout=TIMEOUT):
            if claim.item is None:
                return  # leaving the loop gives the job back, so that the others see it, too
            words = Counter(claim.item["text"].split())
            counts.put({"id": claim.item["id"], "counts": words})
            if unlucky:
                vanish()


def pick(backend: str, prefix: str) -> None:
    """The second stage."""
    with Thoonk(backend=backend) as thoonk:
        counts, words = stage(thoonk, prefix + "counts"), thoonk.feed(prefix + "words")
        for claim in counts.claims(timeout=TIMEOUT):
            if claim.item is None:
                return
            (word, _), *_ = Counter(claim.item["counts"]).most_common(1)
            words.publish(word, id=claim.item["id"])


def run(arguments: argparse.Namespace) -> bool:
    """Send texts through both stages; returns whether each came out, and rightly."""
    texts = {
        f"text-{number}": random.choices(WORDS, k=100) + [random.choice(WORDS)] * 100
        for number in range(arguments.texts)
    }
    found: dict[str, str] = {}
    repeated = 0
    with (
        Thoonk(backend=arguments.backend) as thoonk,
        names_of_our_own(thoonk) as prefix,
        Processes(arguments.backend) as processes,
        thoonk.feed(prefix + "words").subscribe(resync=True) as notices,
    ):
        first, second = stage(thoonk, prefix + "texts"), stage(thoonk, prefix + "counts")
        first.put_many({"id": id, "text": " ".join(words)} for id, words in texts.items())
        processes.start(pick, prefix)
        processes.start(pick, prefix)
        processes.start(count, prefix, True)
        while len(found) < len(texts) or not repeated:
            notice = notices.get(timeout=TIMEOUT)
            if not found:  # the unlucky one has had its chance
                processes.start(count, prefix, False)
                processes.start(count, prefix, False)
            match notice:
                case Published(id=id, item=word):
                    found[id] = word
                case Edited(id=id, item=word):
                    found[id] = word
                    repeated += 1
        first.put(None)
        second.put(None)
    right = all(found[id] == words[-1] for id, words in texts.items())
    print(f"texts     {len(texts)}")
    print(f"results   {len(found)}")
    print(f"repeated  {repeated}, for a worker died between handing over and finishing")
    print("Each text came out once, and rightly." if right else "Some results are wrong.")
    return right


if __name__ == "__main__":
    options = parser(__doc__)
    options.add_argument("--texts", type=int, default=40, metavar="N")
    main(run, options.parse_args())
