"""Notices on a cluster: subscriptions follow their feeds from node to node."""

from __future__ import annotations

import contextlib
import logging
import os
import random
import time
import weakref
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any

from redis.exceptions import ResponseError

from thoonk.backends.redis import errors
from thoonk.backends.redis._async.cluster_subscription import (
    AsyncClusterSubscription,
    AsyncNodeListener,
    Part,
    Post,
)
from thoonk.backends.redis._async.nodes import MOST_REDIRECTIONS, AsyncNode, AsyncNodes
from thoonk.backends.redis._async.pubsub import ENDS_WITHIN, AsyncPubSub
from thoonk.concurrency._async import Background, Event, Lock, shielded, sleep, wait_event
from thoonk.exceptions import BackendUnavailable, ThoonkError
from thoonk.notices import Created, Deleted
from thoonk.operations import FeedIsRegistered, Operation

logger = logging.getLogger("thoonk.notices")

LOOK_EVERY = 2.0
"""Seconds from one look at who has which slot to the next, while there are subscriptions."""

PAUSE = 0.3
"""Seconds from one attempt to the next while no node has a slot."""


def _is_elsewhere(error: BackendUnavailable) -> bool:
    """Whether a node has refused a subscription because another has the feed."""
    cause = error.__cause__
    return isinstance(cause, ResponseError) and isinstance(
        errors.of_server(cause), errors.Elsewhere
    )


def _shares(owners: Sequence[AsyncNode | None]) -> dict[AsyncNode, tuple[int, ...]]:
    """The slots of each node. Slots that no node has are left out."""
    shares: dict[AsyncNode, list[int]] = {}
    for slot, node in enumerate(owners):
        if node is not None:
            shares.setdefault(node, []).append(slot)
    return {node: tuple(slots) for node, slots in shares.items()}


class AsyncClusterNotices:
    """The subscriptions of a client of a cluster, and what keeps them where their feeds are.

    A subscription listens at the node that has the feed, because only that node passes on a
    notice before it answers the call. It moves when the node reports that the feed has left, when
    the connection is lost, and when the table of slots has changed, which is read from time to
    time: a node that is cut off from the others reports nothing.
    """

    def __init__(
        self,
        nodes: AsyncNodes,
        db: int,
        execute: Callable[[Operation[Any]], Coroutine[Any, Any, Any]],
        retry_for: float,
    ) -> None:
        """Nothing is connected before there is a subscription.

        Args:
            nodes: those of the cluster.
            db: which notices are for the subscriptions.
            execute: asks the backend.
            retry_for: seconds for which to try to subscribe, once a node has answered.
        """
        self._retry_for = retry_for
        self._nodes = nodes
        self._db = db
        self._execute = execute
        self._is_closed = False
        self._begin()

    def _begin(self) -> None:
        self._pid = os.getpid()
        self._changing = Lock()
        self._pubsubs: dict[Post, AsyncPubSub] = {}
        self._subscriptions: dict[int, weakref.ref[AsyncClusterSubscription]] = {}
        self._unchecked: list[weakref.ref[AsyncClusterSubscription]] = []
        self._due = Event()
        self._following: Background | None = None

    def _check_process(self) -> None:
        if self._pid != os.getpid():
            # After a fork connections, locks and what follows are the parent's.
            self._begin()

    def _pubsub(self, post: Post) -> AsyncPubSub:
        def on_loss() -> None:
            self._nodes.doubt(post.node)
            self._due.set()

        pubsub = self._pubsubs.get(post)
        if pubsub is None:
            pool = post.node.server.pool
            # Of clusters only those of Valkey 9 have more than db 0, and few use it.
            # To ask whether a feed is in db 0 is no help if the feed was deleted right away.
            has_dbs = self._db != 0
            made = AsyncPubSub(pool, self._db, self._execute, on_loss, has_dbs=has_dbs)
            pubsub = self._pubsubs.setdefault(post, made)
        return pubsub

    # --- subscriptions ----------------------------------------------------------------------

    async def add(self, subscription: AsyncClusterSubscription) -> None:
        """Subscribe. What happens after it has returned is delivered.

        Raises:
            BackendUnavailable: a node that it has to listen at cannot be reached.
        """
        self._check_process()
        deadline = time.monotonic() + self._retry_for
        redirections = 0
        try:
            while True:
                try:
                    await self._begin_to_hear(subscription)
                    await self._follow(subscription)
                    await self._see(subscription)
                    break
                except BackendUnavailable as error:
                    if _is_elsewhere(error) and redirections < MOST_REDIRECTIONS:
                        redirections += 1
                        continue
                    is_over = self._is_closed or time.monotonic() >= deadline
                    if is_over or not self._nodes.is_reached:
                        raise
                await sleep(PAUSE * random.uniform(0.5, 1))  # noqa: S311
        except BaseException:
            # Also when the caller is cancelled: nobody else will close it.
            await shielded(self.remove, subscription)
            raise

    async def _begin_to_hear(self, subscription: AsyncClusterSubscription) -> None:
        """Listen where it has to be done, and nowhere else."""
        await self._nodes.owner(subscription.slot or 0)
        wanted = subscription.wanted(self._nodes.owners, _shares(self._nodes.owners))
        for post in [post for post in subscription.listeners if post not in wanted]:
            await self._leave(post, subscription.listeners.pop(post))
        for post, slots in wanted.items():
            if subscription.hears(post, slots):
                continue  # since an attempt that failed elsewhere
            listener = AsyncNodeListener(subscription, post, is_first=True)
            listener.slots = slots
            subscription.listeners[post] = listener
            try:
                await self._pubsub(post).add(listener)
            except BackendUnavailable as error:
                if not _is_elsewhere(error):
                    self._nodes.doubt(post.node)
                raise

    async def _see(self, subscription: AsyncClusterSubscription) -> None:
        """Learn whether its feed exists, to know later whether that has changed."""
        if subscription.feed is not None:
            with contextlib.suppress(ThoonkError):
                exists = await self._execute(FeedIsRegistered(subscription.feed))
                # Else it has heard of it meanwhile.
                if subscription.exists is None:
                    subscription.exists = exists

    async def add_when_possible(self, subscription: AsyncClusterSubscription) -> None:
        """Subscribe, now or later: it gets a `Gap` when it is done."""
        self._check_process()
        await self._follow(subscription)
        self._due.set()

    async def remove(self, subscription: AsyncClusterSubscription) -> None:
        """Unsubscribe."""
        self._check_process()
        self._subscriptions.pop(id(subscription), None)
        listeners, subscription.listeners = subscription.listeners, {}
        for post, listener in list(listeners.items()):
            await self._leave(post, listener)
        following = self._following
        if not self._subscriptions and following is not None:
            self._due.set()
            await following.join(ENDS_WITHIN, lambda: self._subscriptions)

    async def _leave(self, post: Post, listener: AsyncNodeListener) -> None:
        await self._pubsub(post).remove(listener)

    async def close(self) -> None:
        """End all subscriptions."""
        if self._pid != os.getpid():
            return
        self._is_closed = True
        self._due.set()
        for subscription in self._alive():
            await subscription.close()
        for pubsub in list(self._pubsubs.values()):
            await pubsub.close()

    def moved(self, elsewhere: errors.Elsewhere, node: AsyncNode) -> None:
        """A node says that another has a slot. Subscriptions go there."""
        self._nodes.moved(elsewhere.slot, self._nodes.at(elsewhere.place, node))
        self._due.set()

    def check_exists(self, subscription: AsyncClusterSubscription) -> None:
        """Tell the subscription if its feed has been deleted."""
        self._unchecked.append(weakref.ref(subscription))
        self._due.set()

    def _alive(self) -> list[AsyncClusterSubscription]:
        found = [reference() for reference in list(self._subscriptions.values())]
        return [subscription for subscription in found if subscription is not None]

    # --- following --------------------------------------------------------------------------

    async def _follow(self, subscription: AsyncClusterSubscription) -> None:
        key = id(subscription)

        def forget(_: object) -> None:
            self._subscriptions.pop(key, None)

        async with self._changing:
            self._subscriptions[key] = weakref.ref(subscription, forget)
            if self._following is None:
                self._following = Background(self._keep_following, "thoonk-cluster")

    async def _keep_following(self) -> None:
        """Move listeners to where feeds are, for as long as there are subscriptions."""
        pid = self._pid
        try:
            while await self._look():
                pass
        except BaseException:
            # Somebody cancels whatever runs. No subscription stays where its feed has left.
            if pid == os.getpid():
                self._following = None
                for subscription in self._alive():
                    subscription.end()
            raise

    async def _look(self) -> bool:
        """Look once, after a while. False: no subscription is left."""
        async with self._changing:
            if self._is_closed or not self._subscriptions:
                self._following = None
                return False
        is_due = await wait_event(self._due, LOOK_EVERY)
        self._due.clear()
        try:
            await self._nodes.look()
            shares = _shares(self._nodes.owners)
            for subscription in self._alive():
                await self._move(subscription, shares)
            await self._check()
        except ThoonkError as error:
            logger.debug(
                "Cannot see where feeds are: %s",
                error,
                extra={"event": "slots_not_seen"},
            )
        except Exception:
            logger.exception("Following feeds failed", extra={"event": "slots_not_followed"})
        if is_due and not self._is_closed:
            # What made it due may come again at once.
            await sleep(PAUSE * random.uniform(0.2, 0.4))  # noqa: S311
        return True

    async def _move(
        self, subscription: AsyncClusterSubscription, shares: Mapping[AsyncNode, tuple[int, ...]]
    ) -> None:
        """Listen where it has to be done by now. The connections that were left go last."""
        wanted = subscription.wanted(self._nodes.owners, shares)
        for post, old in list(subscription.listeners.items()):
            old.is_wanted = post in wanted
        asked = []
        for post, slots in wanted.items():
            listener = subscription.listeners.get(post)
            if listener is None:
                listener = AsyncNodeListener(subscription, post, is_first=False)
                subscription.listeners[post] = listener
                self._tell_of(subscription, post)
            elif (listener.is_confirmed and subscription.hears(post, slots)) or listener.is_asked(
                slots
            ):
                listener.slots = slots
                continue
            listener.slots = slots
            listener.is_confirmed = False
            subscription.leave(post, slots)
            asked.append((post, listener))
            await self._pubsub(post).add_when_possible(listener)
        listeners = subscription.listeners
        if all(listeners[post].is_confirmed for post in wanted if post in listeners):
            for post in [post for post in listeners if post not in wanted]:
                if (gone := listeners.pop(post, None)) is not None:
                    await self._leave(post, gone)
        if subscription.is_closed:
            # It was closed meanwhile, and what was added since has to go, too.
            for post, listener in asked:
                await self._leave(post, listener)
            await self.remove(subscription)

    def _tell_of(self, subscription: AsyncClusterSubscription, post: Post) -> None:
        if post.part is Part.CATALOGUE:
            return
        logger.info(
            "Listening to notices at %s:%d, which has the feed by now",
            *post.node.place,
            extra={"event": "notices_moved", "feed": subscription.feed or ""},
        )

    async def _check(self) -> None:
        unchecked, self._unchecked = self._unchecked, []
        while unchecked:
            subscription = unchecked[-1]()
            feed = None if subscription is None else subscription.feed
            if subscription is not None and feed is not None:
                try:
                    exists = await self._execute(FeedIsRegistered(feed))
                except ThoonkError:
                    self._unchecked += unchecked
                    raise
                before, subscription.exists = subscription.exists, exists
                if before and not exists:
                    subscription.mailbox.hear(Deleted(feed))
                elif exists and before is False:
                    subscription.mailbox.hear(Created(feed))
            unchecked.pop()
