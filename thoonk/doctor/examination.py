"""The course of an examination: scan, look closely at what may be wrong, repair, report."""

from __future__ import annotations

import contextlib
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import TypeAlias

import redis

from thoonk._sync import alive
from thoonk.backends.redis import RedisBackend
from thoonk.backends.redis.wire import DELFEED, FEEDS, NEWFEED, keys_of
from thoonk.config import JOB, KIND_OF_TYPE, SORTED_FEED
from thoonk.doctor import candidates, catalogue, claims, results, schedule, server, states
from thoonk.doctor.candidates import Candidate
from thoonk.doctor.findings import Check, Finding, Report, Severity, Size, in_order
from thoonk.doctor.item_state import Fault, Feed
from thoonk.doctor.probe import STEP, Probe, batches
from thoonk.doctor.reader import Scan
from thoonk.doctor.server import ServerFacts, examine_server
from thoonk.exceptions import ThoonkError
from thoonk.names import decode_name
from thoonk.operations import WorkerInfo, WorkerJob

LOOKS = 3
"""How often a candidate is looked at again within the patience."""

CLOSELY = 1000
"""How many ids of one feed are looked at closely in one round."""

ROUNDS = 100
"""Of a repair, at most: each but the last has repaired something."""

SHOWN = 100
"""How many ids a finding keeps."""

MORE = Check(
    "more",
    Severity.NOTE,
    f"{CLOSELY} of them are looked at closely, and there may be more faults",
    "Repair what is reported, and look again",
)

CHECKS: Mapping[str, Check] = {
    check.name: check
    for module in (server, catalogue, states, schedule, claims, results)
    for check in vars(module).values()
    if isinstance(check, Check)
} | {MORE.name: MORE}
"""All there are, by name."""

Outcome: TypeAlias = dict[tuple[str, str, str], tuple[Fault, Candidate, bool]]
"""By check, feed and subject: the fault, where, and whether it was repaired."""


class Examination:
    """One examination of one server. For the arguments see `thoonk.doctor.examine`.

    The server is at work meanwhile, and between two steps of a peer things look wrong for a
    moment. So what a scan finds is only a candidate. Each is looked at several times, all that
    concerns it at one instant; what is wrong each time, and has not changed, is a finding. A
    repair is one script, which writes only if the candidate is still as at the last look.
    """

    def __init__(
        self,
        client: redis.Redis,
        *,
        repair: bool,
        patience: float,
        ignore: Collection[str],
        stuck_after: float | None,
    ) -> None:
        self._client = client
        self._probe = Probe(client)
        self._repair = repair
        self._patience = patience
        self._ignore = ignore
        self._stuck_after = None if stuck_after is None else stuck_after * 1000
        self._workers: list[WorkerInfo] | None = None
        self._notes: list[Finding] = []
        self._repaired: set[tuple[str, str, str]] = set()
        self._sizes: Counter[str] = Counter()
        self._items: dict[str, int] = {}

    def run(self) -> Report:
        """Do it all."""
        facts = ServerFacts.read(self._client, self._probe)
        outcome: Outcome = {}
        for _ in range(ROUNDS if self._repair else 1):
            found = self._round()
            # Do not report what disappeared without a repair.
            outcome = {key: value for key, value in outcome.items() if value[2]} | found
            if not any(repaired for *_, repaired in found.values()):
                break
        findings = [*examine_server(facts), *self._notes, *_findings(outcome)]
        return Report(
            server=facts.name,
            findings=in_order(f for f in findings if f.check.name not in self._ignore),
            sizes=tuple(
                Size(name, size, self._items.get(name, 0))
                for name, size in self._sizes.most_common()
            ),
            commands=self._probe.commands,
        )

    # --- one round ------------------------------------------------------------------------

    def _round(self) -> Outcome:
        self._notes.clear()
        with _announced(self._client) as announced:
            found = list(self._candidates())
            for _ in range(LOOKS if found else 0):
                time.sleep(self._patience / LOOKS)
                found = self._unchanged(found)
            # What was read of those that are created or deleted meanwhile is of two feeds.
            names = announced()
        return {
            (fault.check.name, candidate.feed, candidate.subject): (
                fault,
                candidate,
                self._try_repair(candidate, fault),
            )
            for candidate in found
            if candidate.feed not in names
            for fault in candidate.faults
        }

    def _wrong(self, looked_at: Iterable[Candidate]) -> list[Candidate]:
        """Look at each; those with which something is wrong."""
        wrong = []
        for batch in batches(looked_at, STEP):
            now = self._probe.now()
            walk = max(candidate.comparisons for candidate in batch)
            looks = self._probe.look([candidate.reads for candidate in batch], walk)
            for candidate, replies in zip(batch, looks, strict=True):
                candidate.replies = replies
                candidate.faults = self._faults(candidate, now)
                if candidate.faults:
                    wrong.append(candidate)
        return wrong

    def _faults(self, candidate: Candidate, now: float) -> tuple[Fault, ...]:
        if any(isinstance(reply, Exception) for reply in candidate.replies):
            return ()  # a key of another type, which another rule reports
        faults = candidate.rule(candidate.replies, now)
        return tuple(f for f in faults if f is not None and f.check.name not in self._ignore)

    def _unchanged(self, found: Sequence[Candidate]) -> list[Candidate]:
        before = {candidate: candidate.fingerprint for candidate in found}
        return [again for again in self._wrong(found) if again.fingerprint == before[again]]

    def _try_repair(self, candidate: Candidate, fault: Fault) -> bool:
        # If a repaired fault is back, report it and leave it to people.
        key = (fault.check.name, candidate.feed, candidate.subject)
        if not self._repair or not fault.repair or key in self._repaired:
            return False
        fixed = candidate.fixed
        try:
            repaired = self._probe.repair(
                candidate.reads[:fixed], candidate.replies[:fixed], fault.repair
            )
        except redis.exceptions.ResponseError as error:
            if not _is_of_another_type(error):
                raise
            return False  # a key to write has another type, which the next run reports
        if repaired:
            self._repaired.add(key)
        return repaired

    # --- candidates -------------------------------------------------------------------------

    def _candidates(self) -> Iterator[Candidate]:
        names = self._names()
        found: defaultdict[str, set[str]] = defaultdict(set)
        stored: defaultdict[str, list[bytes]] = defaultdict(list)
        unknown: Counter[str] = Counter()
        self._sizes.clear()
        for keys in self._probe.keys(b"feed.*"):
            self._sort_in(keys, found, stored, unknown)
        for word, count in unknown.items():
            says = f"keys that are named feed.{word}:…"
            self._notes.append(Finding(catalogue.UNKNOWN_KEY, says, count=count))
        for name in names:
            found[name] |= set()
        yield from self._wrong(candidates.of_existence(name, found[name]) for name in found)
        for name in sorted(found):
            yield from self._of_feed(name, found[name], stored.pop(name, []))

    def _names(self) -> set[str]:
        try:
            return {decode_name(name) for name in self._probe.members(FEEDS)}
        except redis.exceptions.ResponseError as error:
            if not _is_of_another_type(error):
                raise
            self._notes.append(Finding(catalogue.WRONG_TYPE, "feeds is not a set"))
            return set()

    def _sort_in(
        self,
        keys: Sequence[bytes],
        found: defaultdict[str, set[str]],
        stored: defaultdict[str, list[bytes]],
        unknown: Counter[str],
    ) -> None:
        """Note which keys there are of which feed, and how large they are."""
        for key, size in zip(keys, self._probe.sizes_of(keys), strict=True):
            name = catalogue.KeyName.parse(key)
            if name is None:
                continue
            if not name.is_known:
                unknown[name.word] += 1
                continue
            found[name.feed].add(name.word)
            self._sizes[name.feed] += size
            if name.id is not None:
                stored[name.feed].append(name.id)

    def _of_feed(self, name: str, found: set[str], stored: list[bytes]) -> Iterator[Candidate]:
        fields = self._fields(name)
        kind = KIND_OF_TYPE.get(fields.get("type", ""))
        # We cannot know what a custom type stores under its ids.
        known = found - {catalogue.RESULT, *(("ids",) if kind is None else ())}
        wrong_types = self._wrong(
            candidates.of_type(name, word, kind or "") for word in sorted(known)
        )
        yield from wrong_types
        if "type" not in fields:
            yield from self._wrong(candidates.of_stray_result(name, id) for id in stored)
            return
        faulty = catalogue.faulty_settings(fields)
        yield from self._wrong(candidates.of_setting(name, field) for field in faulty)
        if kind is None:
            says = f"its type is {fields['type']!r:.80}"
            self._notes.append(Finding(catalogue.OWN_TYPE, says, name))
        elif not wrong_types:
            config = catalogue.sensible(fields)
            is_paused = fields.get("paused") == catalogue.PAUSED
            feed = Feed(name, kind, keys_of(name), config, self._probe.now(), is_paused)
            try:
                yield from [
                    *self._of_items(feed, found),
                    *self._of_results(feed, found, stored),
                    *self._of_schedules(feed, found),
                ]
            except redis.exceptions.ResponseError as error:
                if not _is_of_another_type(error):
                    raise
                # It was deleted, and created as another type of feed, at this moment.

    def _fields(self, name: str) -> dict[str, str]:
        key = keys_of(name).config
        if self._probe.ask("TYPE", key) != b"hash":
            return {}
        return {decode_name(f): decode_name(v) for f, v in self._probe.pairs("HSCAN", key)}

    def _of_items(self, feed: Feed, words: set[str]) -> Iterator[Candidate]:
        scan = Scan.of(self._probe, feed, words)
        items, claimed = scan.found["items"], scan.found.get("claimed", {})
        self._items[feed.name] = len(items) + len(scan.found.get("scheduleditems", ()))
        endless = claims.endless_rule(feed, claimed)
        if endless is not None:
            self._notes.append(Finding(endless.check, endless.says, feed.name))
        self._note_stuck(feed, scan)
        wrong = [state for state in scan.states() if any(candidates.faults_of(state, feed))]
        # First without going through lists: that clears those that have moved on.
        glances = {candidates.of_id(feed, state, 0, walk=False): state for state in wrong}
        closely = [glances[candidate] for candidate in self._wrong(glances)]
        if len(closely) > CLOSELY:
            says = f"{len(closely)} ids look suspicious"
            self._notes.append(Finding(MORE, says, feed.name))
        yield from self._wrong(
            candidates.of_id(feed, state, scan.length) for state in closely[:CLOSELY]
        )
        yield from self._wrong(candidates.of_tokens(feed, scan))
        totals = ("publishes", "finishes")
        yield from self._wrong(candidates.of_total(feed, word) for word in totals)
        if feed.kind == SORTED_FEED:
            yield from self._wrong([candidates.of_counter(feed, items)])

    def _note_stuck(self, feed: Feed, scan: Scan) -> None:
        if feed.kind != JOB:
            return
        stuck = claims.stuck_rule(feed, claims.since_when(scan.found), self._stuck_after)
        holders = self._holders(feed.name) if stuck else {}
        for id, since in stuck[: claims.NAMED]:
            says = claims.says_of_stuck(feed, since, holders.get(decode_name(id)))
            self._notes.append(Finding(claims.STUCK, says, feed.name, (decode_name(id),)))
        if more := stuck[claims.NAMED :]:
            ids = tuple(decode_name(id) for id, _ in more[:SHOWN])
            says = f"{len(more)} more that were claimed after these"
            self._notes.append(Finding(claims.STUCK, says, feed.name, ids, len(more)))

    def _holders(self, feed: str) -> Mapping[str, tuple[WorkerInfo, WorkerJob]]:
        """Which workers say that they are processing jobs of the feed. They are read once."""
        if self._workers is None:
            try:
                self._workers = alive.read_workers(RedisBackend(client=self._client).execute)
            except ThoonkError:
                self._workers = []  # not allowed, or a peer has left something else there
        return alive.holders(self._workers, feed)

    def _of_results(
        self, feed: Feed, found: set[str], stored: Sequence[bytes]
    ) -> Iterator[Candidate]:
        if feed.kind != JOB:
            return
        listed = self._probe.pairs("ZSCAN", feed.keys.results) if "results" in found else ()
        ids = {*stored, *(id for id, _ in listed)}
        yield from self._wrong(candidates.of_result(feed, id) for id in ids)

    def _of_schedules(self, feed: Feed, found: set[str]) -> Iterator[Candidate]:
        if feed.kind != JOB:
            return
        names: set[bytes] = set()
        for word in found & {"schedules", "runtimes"}:
            names.update(self._probe.fields(getattr(feed.keys, word)))
        if "runs" in found:
            names.update(name for name, _ in self._probe.pairs("ZSCAN", feed.keys.runs))
        yield from self._wrong(candidates.of_schedule(feed, name) for name in names)


def _is_of_another_type(error: redis.exceptions.ResponseError) -> bool:
    return "WRONGTYPE" in str(error)


@contextlib.contextmanager
def _announced(client: redis.Redis) -> Iterator[Callable[[], set[str]]]:
    """Which feeds were said to be created or deleted since the block began."""
    names: set[str] = set()
    with client.pubsub() as pubsub:  # type: ignore[no-untyped-call,unused-ignore]
        pubsub.subscribe(NEWFEED, DELFEED)
        for _ in range(2):
            pubsub.get_message(timeout=5)

        def announced() -> set[str]:
            # What was published before this one is answered arrives before the answer. (PING
            # would do, but is refused by a server that cannot save.)
            pubsub.unsubscribe(NEWFEED)
            while (message := pubsub.get_message(timeout=5)) and message["type"] == "message":
                names.add(decode_name(message["data"].partition(b"\0")[0]))
            return names

        yield announced


def _findings(outcome: Outcome) -> Iterator[Finding]:
    """One for each feed and fault, whatever number of ids it has."""
    alike: defaultdict[tuple[str, str, str], list[tuple[Fault, Candidate, bool]]]
    alike = defaultdict(list)
    for (check, feed, _), found in outcome.items():
        alike[check, feed, found[0].says].append(found)
    for (_, feed, says), group in alike.items():
        yield Finding(
            check=group[0][0].check,
            says=says,
            feed=feed,
            ids=tuple(candidate.subject for _, candidate, _ in group if candidate.shown)[:SHOWN],
            count=len(group),
            repairable=sum(1 for fault, *_ in group if fault.repair),
            repaired=sum(1 for *_, repaired in group if repaired),
        )
