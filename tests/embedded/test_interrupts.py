"""A signal handler raises in the middle of a step: it has happened as a whole, or not at all."""

from __future__ import annotations

import dis
import functools
import itertools
import sys
from collections.abc import Callable
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import pytest

from thoonk import operations as ops
from thoonk.backends import embedded
from thoonk.backends.embedded.core import Core
from thoonk.backends.embedded.memory import MemoryStore
from thoonk.backends.embedded.sqlite import SqliteStore
from thoonk.backends.embedded.store import Store
from thoonk.backends.mailbox import Mailbox
from thoonk.exceptions import ThoonkError
from thoonk.notices import Gap

FOLDER = str(Path(embedded.__file__).parent)
STRIDE = 4
"""Of so many places one is tried, each operation beginning at another one."""

END = ops.Position(ops.Where.END)
ENTRY = ops.Entry("new", b"item")

BEFORE: list[ops.Operation[Any]] = [
    ops.CreateFeed("jobs", {"type": "job", "events": "1", "claim_timeout": "10"}),
    ops.CreateFeed("queue", {"type": "queue"}),
    ops.CreateFeed("feed", {"type": "feed", "max_length": "3"}),
    ops.CreateFeed("songs", {"type": "sorted_feed"}),
    ops.JobPut("jobs", tuple(ops.Entry(f"job {n}", b"x") for n in range(6))),
    ops.JobClaim("jobs", "mine", 3),
    ops.JobStall("jobs", "job 2", "mine"),
    ops.JobProgress("jobs", "job 1", "mine", 0.5, "half"),
    ops.QueuePut("queue", (ops.Entry("a", b"a"), ops.Entry("b", b"b"))),
    ops.QueueTake("queue", "taken", 1),
    ops.FeedPublish("feed", tuple(ops.Entry(str(n), b"x") for n in range(3))),
    ops.SortedInsert("songs", (b"one", b"two", b"three"), END),
]

STEPS: list[ops.Operation[Any]] = [
    ops.CreateFeed("other", {"type": "feed"}),
    ops.RegisterFeed("jobs"),
    ops.DeleteFeed("jobs"),
    ops.SetConfig("feed", {"max_length": "1"}),
    ops.PauseFeed("queue"),
    ops.JobPut("jobs", (ENTRY, ops.Entry("job 4", b"again"))),
    ops.JobAdd("jobs", (ENTRY,), due=ops.Due(delay=5.0), unique_for=60.0),
    ops.JobClaim("jobs", "other", 2),
    ops.JobFinish("jobs", (ops.Completion("job 0", "mine", True, b"result"),)),
    ops.JobFail("jobs", "job 1", "mine", failure=ops.Failure("why")),
    ops.JobRetry("jobs", "job 2"),
    ops.JobRetract("jobs", ("job 1", "job 5")),
    ops.QueueConfirm("queue", ids=("a",), token="taken"),
    ops.Release("queue", "taken"),
    ops.FeedPublish("feed", (ENTRY, ops.Entry("2", b"edited"))),
    ops.SortedInsert("songs", (b"first",), ops.Position(ops.Where.BEFORE, "2")),
    ops.SortedMove("songs", "3", ops.Position(ops.Where.BEGIN)),
]


def kind(operation: ops.Operation[Any]) -> str:
    return type(operation).__name__


def picture(core: Core) -> list[Any]:
    """What is there, as far as reading shows it."""

    def read(operation: ops.Operation[Any]) -> Any:
        try:
            return core.execute(operation)
        except ThoonkError as error:
            return repr(error)

    seen = [read(ops.FeedNames()), read(ops.GetConfig("queue")), read(ops.GetConfig("other"))]
    unfinished = [state for state in ops.JobState if state is not ops.JobState.FINISHED]
    seen += [read(ops.ReadJobPage("jobs", state, 100)) for state in unfinished]
    seen += [read(ops.ReadPage(name, name, 0, 100, with_items=True)) for name in ("queue", "feed")]
    seen.append(read(ops.ReadPage("songs", "sorted_feed", 0, 100, with_items=True)))
    seen += [read(ops.ReadStats(name)) for name in ("jobs", "queue", "feed", "songs")]
    seen += [read(ops.ReadIds("jobs", "job")), read(ops.ReadResult("jobs", "job 0"))]
    # What a token holds, by giving it back.
    seen += [
        read(ops.Release(name, token)) for name, token in (("jobs", "mine"), ("queue", "taken"))
    ]
    seen += [read(ops.JobClaim("jobs", "late", 100)), read(ops.QueueTake("queue", "late", 100))]
    return seen


def prepared(store: Store) -> Core:
    core = Core(store, clock=lambda: 1_700_000_000.0)
    for operation in BEFORE:
        core.execute(operation)
    return core


@functools.cache
def handler_points(code: CodeType) -> frozenset[int]:
    """The instructions before which Python runs signal handlers."""
    points, follows = set[int](), False
    for instruction in dis.get_instructions(code):
        if follows:
            points.add(instruction.offset)
        follows = instruction.opname == "RESUME" or instruction.opname.startswith("CALL")
        if instruction.opname == "JUMP_BACKWARD":
            points.add(instruction.argval)
    return frozenset(points)


def interrupted(core: Core, operation: ops.Operation[Any], at: int) -> bool:
    """Do it, and raise as a signal handler may. False: there are fewer places for that."""
    left = at

    def trace(frame: FrameType, event: str, _: object) -> Callable[..., Any] | None:
        nonlocal left
        if not frame.f_code.co_filename.startswith(FOLDER):
            return None
        frame.f_trace_opcodes = True
        if event == "opcode" and frame.f_lasti in handler_points(frame.f_code):
            left -= 1
            if left < 0:
                sys.settrace(None)
                raise KeyboardInterrupt
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        core.execute(operation)
    except KeyboardInterrupt:
        return True
    finally:
        sys.settrace(before)
    return False


def in_sqlite() -> Store:
    return SqliteStore(":memory:")


STORES: dict[str, Callable[[], Store]] = {"memory": MemoryStore, "sqlite": in_sqlite}


@pytest.mark.parametrize("name", STORES)
@pytest.mark.parametrize("operation", STEPS, ids=kind)
def test_a_step_that_is_interrupted_happens_as_a_whole_or_not_at_all(
    name: str, operation: ops.Operation[Any]
) -> None:
    unchanged, changed = prepared(STORES[name]()), prepared(STORES[name]())
    changed.execute(operation)
    allowed = [picture(unchanged), picture(changed)]
    assert allowed[0] != allowed[1]
    found = set[int]()
    for at in itertools.count(STEPS.index(operation) % STRIDE, STRIDE):
        core = prepared(STORES[name]())
        mailbox = Mailbox(None, lambda: None)
        core.add_listener(mailbox)
        was_interrupted = interrupted(core, operation, at)
        notices = [*iter(mailbox.take, None)]
        seen = picture(core)
        assert seen in allowed, f"interrupted at {at}"
        # Who listens learns of it, or that something may be missing.
        learns = any(isinstance(notice, Gap) for notice in notices) or not was_interrupted
        assert learns or seen == allowed[0], f"interrupted at {at}"
        found.add(allowed.index(seen))
        core.close()
        if not was_interrupted:
            break
    assert found == {allowed.index(each) for each in allowed}
