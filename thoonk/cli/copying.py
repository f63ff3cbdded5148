"""The command ``copy``: feeds from one backend to another.

While a feed is being copied, its configuration in the target has a field ``copying`` that says
from where, and how far that has come. So an interrupted copy continues when it is run again,
and no feed that others fill is taken for one. The target of a queue or job feed is paused until
all is there: else its workers would do jobs that the next run would put again.
"""

from __future__ import annotations

import contextlib
import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
import click

from thoonk import (
    BackendError,
    FeedDoesNotExist,
    FeedExists,
    InvalidValue,
    Thoonk,
    ThoonkError,
    WrongFeedType,
)
from thoonk.backends import checkable
from thoonk.chunks import MOST_ADDED
from thoonk.cli.output import print_table, to_terminal, write_json, write_line
from thoonk.cli.records import Reader, Writer
from thoonk.cli.session import A_FEED, MEMORY_NOTE, Seconds, Session, common_params, pass_session
from thoonk.cli.transfer import with_progress
from thoonk.cli.urls import address
from thoonk.config import FEED, JOB, KIND_OF_TYPE, PAUSED, QUEUE, SORTED_FEED
from thoonk.operations import (
    CreateFeed,
    FeedRetract,
    FeedStats,
    GetConfig,
    JobRetract,
    Outcome,
    PauseFeed,
    QueueClear,
    ReadItems,
    ReadJobs,
    ReadPage,
    ReadSchedules,
    ReadStats,
    RegisterFeed,
    ResumeFeed,
    SetConfig,
    SortedRetract,
)
from thoonk.raw_items import printable

COPYING = "copying"
"""The field in the target's configuration."""

MOST_PASSES = 10
"""How often a feed that changes is read before a move gives up."""

LIVE_PASSES = 2
"""How often a feed that changes is read for a copy."""

LOOK_EVERY = 0.2
"""Seconds between two looks at claims that are waited for."""


class InUse(FeedExists):
    """There is a feed in the target to which nothing may be copied."""

    def __init__(self, feed: str, says: str) -> None:
        super().__init__(feed)
        self.args = (f"feed {feed!r} {says}",)


class NotMoved(ThoonkError):
    """A feed was copied but not removed, as it changed or has claimed jobs."""


@attrs.frozen
class Options:
    """What the command line asks for."""

    move: bool
    merge: bool
    pause: bool
    include_claimed: bool
    wait: float
    batch: int


@attrs.frozen
class Mark:
    """What the target's configuration says of a copy.

    Attributes:
        source: the address of the source.
        feed: the feed's name there.
        paused: whether the feed is to be paused in the end.
        source_paused: whether the source was paused in the beginning.
        merge: whether the target had something of its own.
        step: ``copying``; ``deleting`` once all is there and the source may be removed; ``done``.
    """

    source: str
    feed: str
    paused: bool
    source_paused: bool
    merge: bool
    step: str = "copying"

    @classmethod
    def read(cls, text: str | None) -> Mark | None:
        """The mark in a configuration; None if there is none."""
        with contextlib.suppress(ValueError, TypeError):
            return cls(**json.loads(text or ""))
        return None

    def __str__(self) -> str:
        return json.dumps(attrs.asdict(self), ensure_ascii=False)


class FeedCopy:
    """Copies one feed.

    Attributes:
        writer: stores, and counts what it stores.
        notes: what a user should know.
    """

    def __init__(
        self, source: Thoonk, target: Thoonk, place: str, name: str, new_name: str, options: Options
    ) -> None:
        self._source, self._target = source, target
        self._from, self._to = source.backend.execute, target.backend.execute
        self._place, self.name, self.new_name = place, name, new_name
        self._options = options
        self.config = dict(self._from(GetConfig(name)))
        try:
            self._there = dict(self._to(GetConfig(new_name)))
        except InvalidValue as error:
            raise InvalidValue(f"{error}; copy it by itself, with --as NAME") from error
        self._mark = Mark.read(self._there.get(COPYING))
        self._continues = self._mark is not None
        self.kind = KIND_OF_TYPE.get((self.config or self._there).get("type", ""), "")
        self.notes: list[str] = []
        self.removed = 0
        self.writer = Writer(target.backend, new_name, self.kind, options.batch)

    # --- what there is ------------------------------------------------------------------

    @property
    def _is_ours(self) -> bool:
        mark = self._mark
        return mark is not None and (mark.source, mark.feed) == (self._place, self.name)

    @property
    def _is_moved(self) -> bool:
        """Whether an earlier run has deleted the source, and was stopped after that."""
        mark = self._mark
        return not self.config and mark is not None and self._is_ours and mark.step != "copying"

    @property
    def _takes(self) -> bool:
        return self.kind in (QUEUE, JOB)

    def check(self) -> str:
        """See that the feed can be copied. Returns what will be done, in a word.

        Raises:
            FeedDoesNotExist, WrongFeedType, FeedExists: it cannot.
        """
        if self._is_moved:
            return "finish"
        if not self.config:
            raise FeedDoesNotExist(self.name)
        if not self.kind:
            raise WrongFeedType(
                self.name, expected="feed, sorted_feed, queue or job", actual=self.config["type"]
            )
        if not self._there:
            return "new"
        there = KIND_OF_TYPE.get(self._there["type"])
        if there != self.kind:
            raise WrongFeedType(self.new_name, expected=self.kind, actual=self._there["type"])
        if self._is_ours:
            return "continue"
        if self._mark is not None:
            raise InUse(
                self.new_name,
                f"is the target of a copy that was interrupted, from feed {self._mark.feed!r} of "
                f"{self._mark.source}: run that copy again, or delete the feed",
            )
        return self._check_target()

    def _check_target(self) -> str:
        """The same, where a feed of that type is there which no copy has begun."""
        if not self._has_something():
            return "fill"
        if self.kind == SORTED_FEED:
            raise InUse(
                self.new_name, "is not empty in TARGET: delete it, or choose another name with --as"
            )
        if not self._options.merge:
            raise InUse(
                self.new_name,
                "is not empty in TARGET: delete it, choose another name with --as, or add to it "
                "with --merge",
            )
        return "merge"

    def _has_something(self) -> bool:
        stats = self._to(ReadStats(self.new_name, self.kind))
        return bool(
            stats.items
            or stats.scheduled
            or (self.kind == JOB and self._to(ReadSchedules(self.new_name)))
        )

    def stats(self) -> FeedStats | None:
        """How full the source is; None if it was deleted already."""
        return self._from(ReadStats(self.name, self.kind)) if self.config else None

    # --- copying ------------------------------------------------------------------------

    def run(self) -> None:
        """Copy it, or continue a copy."""
        what = self.check()
        # Where only the end was missing, others may be at work on the target already.
        is_done = self._mark is not None and self._mark.step == "done"
        if what != "finish" and not is_done:
            self._begin(what)
            if self._options.move or self._options.pause:
                self._pause(self._from, self.name)
            if self._options.move and not self._options.include_claimed:
                self._wait_for_claims()
            self._copy()
            if self._options.move:
                self._step("deleting")
                self._source.delete_feed(self.name)
        self._finish()

    def _begin(self, what: str) -> None:
        if self._mark is None:
            source_paused = self.config.get(PAUSED) == "1"
            paused = source_paused or self._there.get(PAUSED) == "1"
            merge = what == "merge"
            mark = self._mark = Mark(self._place, self.name, paused, source_paused, merge)
            if what == "new":
                fields = {key: value for key, value in self.config.items() if key != PAUSED}
                fields.pop(COPYING, None)
                self._to(CreateFeed(self.new_name, {**fields, COPYING: str(mark)}))
            else:
                self._to(SetConfig(self.new_name, {COPYING: str(mark)}))
            if self._from(GetConfig(self.name)).get(COPYING) == str(mark):
                self._to(SetConfig(self.new_name, {COPYING: None}))
                raise click.UsageError(f"feed {self.name!r} cannot be copied to itself.")
        self._to(RegisterFeed(self.new_name))
        if self._takes:
            self._pause(self._to, self.new_name)

    def _pause(self, execute: Any, name: str) -> None:
        while self._takes and execute(PauseFeed(name)) is None:
            pass

    def _wait_for_claims(self) -> None:
        if not self._takes:
            return
        deadline = time.monotonic() + self._options.wait
        while claimed := self._from(ReadStats(self.name, self.kind)).claimed:
            if time.monotonic() >= deadline:
                raise NotMoved(
                    f"feed {self.name!r} is not moved: {claimed} claimed jobs have not ended "
                    f"within {self._options.wait:g} seconds. It is paused: run the move again "
                    "when they have, or with --include-claimed if their workers are dead"
                )
            time.sleep(LOOK_EVERY)

    def _copy(self) -> None:
        assert self._mark is not None  # noqa: S101
        is_all_ours = not self._mark.merge
        if self._continues and is_all_ours and self.kind == QUEUE:
            # We cannot know which items consumers got from the source since then.
            while self._to(QueueClear(self.new_name)).left:
                pass
        passes = 0
        most = MOST_PASSES if self._options.move else LIVE_PASSES
        while True:
            before = self._state()
            reader = Reader(self._source.backend, self.name, self.kind, self._options.batch)
            self._write(reader)
            passes += 1
            if self._state() == before:
                break
            if passes == most:
                if self._options.move:
                    raise NotMoved(
                        f"feed {self.name!r} is copied but not moved: it changed in each of "
                        f"{passes} passes. Stop the programs that change it, and run this again"
                    )
                self.notes.append("it changed while it was copied")
                break
        if is_all_ours and self.kind != QUEUE and (self._continues or passes > 1):
            self._prune()
            # To remove a job lets its id be put again.
            self.writer.write(reader.taken())
        if reader.lacks:
            self.notes.append(f"the source cannot tell {', '.join(sorted(reader.lacks))}")
        if self.writer.is_plain:
            self.notes.append("the target cannot store times, failures and results")

    def _write(self, reader: Reader) -> None:
        stats = self._from(ReadStats(self.name, self.kind))
        total = _items(stats) + (stats.scheduled or 0)
        says = f"copy {printable(self.name)}"
        self.writer.write(with_progress(reader.entries(), total, says))
        self.writer.write_schedules(reader.schedules())

    def _state(self) -> tuple[object, ...]:
        """What shows whether something has changed at the source."""
        stats = self._from(ReadStats(self.name, self.kind))
        return (
            stats.publishes,
            stats.items,
            stats.waiting,
            stats.claimed,
            stats.stalled,
            stats.failing,
            stats.finished,
            stats.scheduled,
        )

    def _prune(self) -> None:
        """Remove what an earlier pass has copied and the source does not have any more."""
        retract = {FEED: FeedRetract, SORTED_FEED: SortedRetract, JOB: JobRetract}[self.kind]
        cursor = ""
        while True:
            page = self._to(ReadPage(self.new_name, self.kind, count=500, cursor=cursor))
            if page.ids:
                known: Any
                if self.kind == JOB:
                    known = self._from(ReadJobs(self.name, page.ids))
                else:
                    known = self._from(ReadItems(self.name, page.ids))
                if gone := tuple(id for id in page.ids if id not in known):
                    self.removed += sum(self._to(retract(self.new_name, gone)))
            cursor = page.cursor
            if not cursor:
                return

    # --- the end ------------------------------------------------------------------------

    def _step(self, step: str) -> None:
        assert self._mark is not None  # noqa: S101
        self._mark = attrs.evolve(self._mark, step=step)
        self._to(SetConfig(self.new_name, {COPYING: str(self._mark)}))

    def _finish(self) -> None:
        assert self._mark is not None  # noqa: S101
        if self._mark.step != "done":
            self._step("done")
        if self._options.pause and not self._options.move and not self._mark.source_paused:
            self._resume(self._from, self.name)
        if not self._mark.paused:
            self._resume(self._to, self.new_name)
        self._to(SetConfig(self.new_name, {COPYING: None}))

    def _resume(self, execute: Any, name: str) -> None:
        while self._takes and execute(ResumeFeed(name)) is None:
            pass


# --- the command ---------------------------------------------------------------------------


def place_of(url: str) -> str:
    """The address of a backend without user, password and options, the same each time."""
    scheme, _, rest = url.partition("://")
    if scheme.lower() == "sqlite":
        return f"sqlite:///{Path(rest.partition('?')[0].removeprefix('/')).absolute()}"
    return f"{scheme}://{address(url)}"


class CopyCommand(click.Command):
    """A command with two backends, so without the option for one."""

    def __init__(self, *args: Any, **attributes: Any) -> None:
        super().__init__(*args, **attributes)
        self.params += [param for param in common_params() if param.name != "backend"]


@click.command(cls=CopyCommand)
@click.argument("source", metavar="SOURCE")
@click.argument("target", metavar="TARGET")
@click.argument("names", nargs=-1, metavar="[FEED]...", callback=A_FEED["callback"])
@click.option("--move", is_flag=True, help="Delete each feed in SOURCE once it is copied.")
@click.option("--as", "new_name", metavar="NAME", help="The name of the feed in TARGET.", **A_FEED)
@click.option("--merge", is_flag=True, help="Add to feeds in TARGET that are not empty.")
@click.option("--pause", is_flag=True, help="Pause queues and job feeds in SOURCE during the copy.")
@click.option(
    "--wait",
    type=Seconds(min=0),
    default=60.0,
    show_default=True,
    metavar="SECONDS",
    help="How long --move waits for claimed jobs to end.",
)
@click.option(
    "--include-claimed",
    is_flag=True,
    help="With --move: do not wait for claimed jobs. In TARGET they wait.",
)
@click.option(
    "--batch",
    type=click.IntRange(1, MOST_ADDED),
    default=MOST_ADDED,
    show_default=True,
    metavar="N",
    help="How many items to read and write at once; fewer if they are large.",
)
@click.option("--dry-run", is_flag=True, help="Show what would be copied, and change nothing.")
@click.option(
    "--yes", is_flag=True, help="Do not ask for confirmation of --move. (Scripts are never asked.)"
)
@pass_session
def copy(
    session: Session,
    /,
    source: str,
    target: str,
    names: tuple[str, ...],
    *,
    new_name: str | None,
    dry_run: bool,
    yes: bool,
    **given: Any,
) -> None:
    """Copy or move feeds from SOURCE to TARGET, two URLs of backends. Default: all feeds.

    For example: thoonk copy sqlite:///jobs.db redis://localhost:6379/0

    Feeds are copied with their configuration, ids, order, times, states, failures, results and
    schedules. After an interruption, run the same command again.
    """
    options = Options(**given)
    if new_name is not None and len(names) != 1:
        raise click.UsageError("--as needs exactly one FEED.")
    if options.include_claimed and not options.move:
        raise click.UsageError("--include-claimed needs --move.")
    place = place_of(source)
    if place == place_of(target) and new_name in (None, *names):
        raise click.UsageError("SOURCE and TARGET are the same: choose another NAME with --as.")
    if any(url.partition(":")[0].lower() in ("memory", "embedded") for url in (source, target)):
        click.echo(MEMORY_NOTE, err=True)
    _check_source(source)
    with Thoonk(backend=source) as origin, Thoonk(backend=target) as destination:
        copies = [
            FeedCopy(origin, destination, place, name, new_name or name, options)
            for name in names or _all_names(origin, destination, place)
        ]
        if not copies:
            click.echo("Note: there are no feeds in SOURCE", err=True)
        plans = [each.check() for each in copies]
        if dry_run:
            _show(session, copies, plans)
            return
        if options.move and not yes and sys.stdin.isatty():
            click.confirm(f"Move {len(copies)} feeds, and delete them in SOURCE?", abort=True)
        for each in copies:
            each.run()
            _tell(session, each)


def _check_source(url: str) -> None:
    """Refuse a file that does not exist, which would be created, or is damaged.

    Raises:
        BackendUnavailable, BackendError: it is.
    """
    checker = checkable(url)
    if checker is None:
        return
    try:
        checkup = checker.check_up(url)
    except InvalidValue:
        return  # it is in memory
    for finding in checkup.findings:
        if not checkup.can_be_opened and finding.is_fault:
            raise BackendError(f"{finding.says}; see thoonk doctor {url.partition('?')[0]}")


def _all_names(source: Thoonk, target: Thoonk, place: str) -> Iterator[str]:
    """The feeds of the source, and those that an earlier run has moved but not finished."""
    names = source.get_feed_names()
    for name in sorted(names):
        type = source.backend.execute(GetConfig(name)).get("type", "")
        if type in KIND_OF_TYPE:
            yield name
        elif type:
            note = f"Note: feed {printable(name)!r} is not copied, as its type is {type!r}"
            click.echo(note, err=True)
    for name in sorted(target.get_feed_names() - names):
        mark = Mark.read(target.backend.execute(GetConfig(name)).get(COPYING))
        if mark is not None and (mark.source, mark.feed) == (place, name):
            yield name


def _items(stats: FeedStats) -> int:
    """How many items there are but for scheduled jobs, which not all backends count as such."""
    if stats.kind != JOB:
        return stats.items
    return (stats.waiting or 0) + (stats.claimed or 0) + (stats.stalled or 0)


def _show(session: Session, copies: list[FeedCopy], plans: list[str]) -> None:
    columns = ("feed", "as", "type", "plan", "items", "claimed", "stalled", "scheduled")
    rows = []
    for each, plan in zip(copies, plans, strict=True):
        stats = each.stats()
        counts: list[int | None] = [None] * 4
        if stats:
            counts = [_items(stats), stats.claimed, stats.stalled, stats.scheduled]
        rows.append((each.name, each.new_name, each.kind, plan, *counts))
    if session.json:
        for row in rows:
            write_json(dict(zip(columns, row, strict=True)))
        return
    texts = [["-" if cell is None else str(cell) for cell in row] for row in rows]
    if to_terminal():
        shown = [[printable(cell) for cell in row] for row in texts]
        print_table(columns, shown, right=columns[4:])
    else:
        for text in texts:
            write_line("\t".join(text))


def _tell(session: Session, each: FeedCopy) -> None:
    counts = each.writer.counts
    if session.json:
        write_json(
            {
                "feed": each.name,
                "as": each.new_name,
                "type": each.kind,
                "added": counts[Outcome.ADDED],
                "kept": counts[Outcome.KEPT],
                "replaced": counts[Outcome.REPLACED],
                "removed": each.removed,
                "notes": each.notes,
            }
        )
        return
    more = [
        f"{count} {word}"
        for count, word in (
            (counts[Outcome.KEPT], "existed"),
            (counts[Outcome.REPLACED], "replaced"),
            (each.removed, "removed"),
        )
        if count
    ]
    write_line(": ".join((each.new_name, ", ".join([f"{counts[Outcome.ADDED]} added", *more]))))
    for note in each.notes:
        click.echo(f"Note: {printable(each.name)}: {note}", err=True)
