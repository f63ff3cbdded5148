"""Who takes part, and in what."""

from __future__ import annotations

import attrs

from benchmarks.environments import THOONK as OURS


@attrs.frozen
class Contestant:
    """One way to do the work.

    Attributes:
        name: its key in the results.
        label: what tables and charts call it.
        target: ``MODULE:CLASS`` below ``benchmarks.contestants``.
        environment: where its library is installed. Thoonk and the floors share one.
        visits: each is a row of methods, called on an empty server one after the other;
            ``fill`` prepares the next and is not recorded.
        acknowledges: whether a job survives the death of who claimed it.
        workers: what its worker has: ``8 threads``, ``8 tasks``, ``1 process``; None: no worker.
        stores: whether it has its items on the server.
        jobs: how many its worker does in a measurement.
        calls: how many calls at once it is measured with.
    """

    name: str
    label: str
    target: str
    environment: str = OURS
    visits: tuple[tuple[str, ...], ...] = ()
    acknowledges: bool = True
    workers: str | None = None
    stores: bool = True
    jobs: int = 3_000
    calls: tuple[int, ...] = ()


FLOORS = (
    Contestant(
        "floor.lists",
        "floor: LPUSH / RPOP, no ack",
        "floors:Lists",
        visits=(("put", "claim"), ("put_many",)),
        acknowledges=False,
    ),
    Contestant(
        "floor.scripts",
        "floor: script of 4 writes / claim script + ack script",
        "floors:Scripts",
        visits=(("put", "claim"), ("publish",), ("put_many",), ("publish_many",)),
    ),
    Contestant(
        "floor.fewer",
        "floor: ack and claim in 1 script / 1 script for 1,000",
        "floors:FewerTrips",
        visits=(("fill", "loop"), ("put_many",), ("publish_many",)),
    ),
    Contestant(
        "floor.async",
        "floor: redis.asyncio, script of 4 writes",
        "floors:AsyncScripts",
        visits=(("async_put",), ("async_publish",)),
    ),
    Contestant(
        "floor.memory",
        "floor: fakeredis, script of 4 writes",
        "floors:Memory",
        visits=(("memory_put",),),
        stores=False,
    ),
)

THOONK = (
    Contestant(
        "thoonk.job",
        "thoonk job",
        "thoonk_sync:Job",
        visits=(
            ("put", "claim"),
            ("fill", "loop"),
            ("fill", "prefetch"),
            ("put_many", "claim_many"),
        ),
        workers="8 threads",
    ),
    Contestant("thoonk.one_thread", "thoonk job, one", "thoonk_sync:OneThread", workers="1 thread"),
    Contestant(
        "thoonk.queue",
        "thoonk queue",
        "thoonk_sync:Queue",
        visits=(("put", "claim"), ("put_many", "claim_many")),
    ),
    Contestant(
        "thoonk.feed",
        "thoonk feed",
        "thoonk_sync:Feed",
        visits=(("publish",), ("publish_many",)),
    ),
    Contestant(
        "thoonk.async_job",
        "thoonk job, asyncio",
        "thoonk_async:Job",
        visits=(("async_put",),),
        workers="8 tasks",
    ),
    Contestant(
        "thoonk.async_feed",
        "thoonk feed, asyncio",
        "thoonk_async:Feed",
        visits=(("async_publish",),),
    ),
    Contestant(
        "thoonk.memory",
        "thoonk job, in memory",
        "thoonk_sync:Memory",
        visits=(("memory_put",),),
        stores=False,
    ),
)

PEERS = (
    Contestant(
        "hotqueue",
        "HotQueue, no ack",
        "hotqueue:Queue",
        "hotqueue",
        visits=(("put", "claim"), ("put_many",)),
        acknowledges=False,
    ),
    Contestant(
        "dramatiq",
        "dramatiq",
        "dramatiq:Queue",
        "dramatiq",
        visits=(("put", "claim"), ("fill", "prefetch")),
        workers="8 threads",
    ),
    Contestant(
        "huey",
        "huey, no ack",
        "huey:Queue",
        "huey",
        visits=(("put", "claim"),),
        acknowledges=False,
        workers="8 threads",
    ),
    Contestant("saq", "saq", "saq:Queue", "saq", visits=(("put", "claim"),), workers="8 tasks"),
    Contestant(
        "rq",
        "RQ",
        "rq:Queue",
        "rq",
        visits=(("put",), ("put_many",)),
        workers="SimpleWorker, 1 process",
    ),
    Contestant(
        "rq.forking",
        "RQ, forking",
        "rq:Forking",
        "rq",
        workers="Worker, a process for each job",
        jobs=300,
    ),
    Contestant(
        "bullmq",
        "BullMQ (Python)",
        "bullmq:Queue",
        "bullmq",
        visits=(("put",), ("put_many",)),
        workers="8 tasks",
    ),
    Contestant(
        "bullmq.node",
        "BullMQ (Node)",
        "bullmq:Queue",
        "bullmq.node",
        visits=(("put",), ("put_many",)),
        workers="8 at once",
    ),
    Contestant(
        "beequeue",
        "Bee-Queue (Node)",
        "beequeue:Queue",
        "beequeue",
        visits=(("put",), ("put_many",)),
        workers="8 at once",
    ),
    Contestant("arq", "arq", "arq:Queue", "arq", visits=(("put",),), workers="8 tasks"),
    Contestant("arq.tuned", "arq, tuned", "arq:Tuned", "arq", workers="8 tasks"),
    Contestant(
        "celery", "Celery", "celery:Queue", "celery", visits=(("put",),), workers="8 threads"
    ),
    Contestant(
        "dramatiq.memory",
        "dramatiq StubBroker",
        "dramatiq:Memory",
        "dramatiq",
        visits=(("memory_put",),),
        stores=False,
    ),
    Contestant(
        "kombu.memory",
        "kombu memory transport",
        "celery:Memory",
        "celery",
        visits=(("memory_put",),),
        stores=False,
    ),
)

ALL = (*FLOORS, *THOONK, *PEERS)

NOTICES = (
    Contestant("floor.listen", "redis-py: PUBLISH, listen()", "floors_waiting:Listener"),
    Contestant(
        "floor.script_listen", "redis-py: script, listen()", "floors_waiting:ScriptListener"
    ),
    Contestant("thoonk.feed", "thoonk feed", "thoonk_waiting:Notices"),
    Contestant("broadcaster", "broadcaster", "broadcaster:Notices", "broadcaster"),
)

TAKERS = (
    Contestant("floor.brpop", "redis-py: LPUSH, BRPOP", "floors_waiting:Pops"),
    Contestant("thoonk.queue", "thoonk queue", "thoonk_waiting:QueueTakers"),
    Contestant("thoonk.job", "thoonk job", "thoonk_waiting:JobTakers"),
)

SUBSCRIBERS = tuple(c for c in NOTICES if c.name in ("floor.script_listen", "thoonk.feed"))

CALLS = (1, 10, 100, 1_000)
THREADS = (1, 10, 64)

_PUT, _PUBLISH, _PUT_MANY = ("put_at_once",), ("publish_at_once",), ("put_many",)

AT_ONCE = (
    Contestant(
        "thoonk.async_job",
        "thoonk put, asyncio",
        "thoonk_async:Job",
        visits=(_PUT, _PUT_MANY),
        workers="thoonk, AsyncWorker",
        calls=CALLS,
    ),
    Contestant(
        "thoonk.uvloop_job",
        "thoonk put, uvloop",
        "thoonk_uvloop:Job",
        "uvloop",
        visits=(_PUT,),
        workers="thoonk, AsyncWorker on uvloop",
        calls=CALLS,
    ),
    Contestant(
        "thoonk.job", "thoonk put, threads", "thoonk_sync:Job", visits=(_PUT,), calls=THREADS
    ),
    Contestant(
        "bullmq.node",
        "BullMQ (Node) add",
        "bullmq:Queue",
        "bullmq.node",
        visits=(_PUT, _PUT_MANY),
        workers="BullMQ (Node), Worker",
        calls=CALLS,
    ),
    Contestant(
        "bullmq.pipelining",
        "BullMQ (Node) add, auto-pipelining",
        "bullmq:Pipelining",
        "bullmq.node",
        visits=(_PUT,),
        calls=CALLS,
    ),
    Contestant(
        "beequeue",
        "Bee-Queue (Node) save",
        "beequeue:Queue",
        "beequeue",
        visits=(_PUT, _PUT_MANY),
        workers="Bee-Queue (Node), process",
        calls=CALLS,
    ),
    Contestant(
        "thoonk.async_feed",
        "thoonk publish, asyncio",
        "thoonk_async:Feed",
        visits=(_PUBLISH,),
        calls=CALLS,
    ),
    Contestant(
        "thoonk.uvloop_feed",
        "thoonk publish, uvloop",
        "thoonk_uvloop:Feed",
        "uvloop",
        visits=(_PUBLISH,),
        calls=CALLS,
    ),
    Contestant(
        "thoonk.feed",
        "thoonk publish, threads",
        "thoonk_sync:Feed",
        visits=(_PUBLISH,),
        calls=THREADS,
    ),
)
"""Those who do many calls at once: of each the first visit, as often at once as ``calls`` says."""

GROWTH = Contestant("thoonk", "thoonk", "thoonk_growth:Growth")

PINGER = Contestant("pinger", "PING", "floors_waiting:Pinger")

BULK = tuple(
    attrs.evolve(c, visits=bulk)
    for c in (*FLOORS, *THOONK)
    if c.name != "floor.lists" and (bulk := tuple(v for v in c.visits if v[0].endswith("_many")))
)
"""Those who put many at once, in scripts."""

FLOOR_OF = {
    "put": ("floor.scripts", "script of 4 writes"),
    "publish": ("floor.scripts", "script of 3 writes and PUBLISH"),
    "claim": ("floor.scripts", "claim script, ack script"),
    "loop": ("floor.fewer", "ack and claim in one script"),
    "put_many": ("floor.fewer", "one script for 1,000"),
    "publish_many": ("floor.fewer", "one script for 1,000"),
    "async_put": ("floor.async", "the script with redis.asyncio"),
    "async_publish": ("floor.async", "the script with redis.asyncio"),
    "memory_put": ("floor.memory", "the script on fakeredis"),
}
"""By method, whose numbers its ratios are taken of, and what that does."""
