"""The client, which opens feeds and calls handlers."""

from __future__ import annotations

import builtins
import functools
import os
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Literal, Self, TypeAlias, TypeVar, overload

from thoonk._async.alive import read_workers
from thoonk._async.collection import AsyncCollection
from thoonk._async.dialect import open_at_once
from thoonk._async.feed import AsyncFeed
from thoonk._async.job import AsyncJob
from thoonk._async.listener import AsyncListener
from thoonk._async.partitioned import AsyncPartitionedJob, AsyncPartitionedQueue
from thoonk._async.queue import AsyncQueue
from thoonk._async.sorted_feed import AsyncSortedFeed
from thoonk.arguments import check_kind, check_type
from thoonk.backends import AsyncBackend, open_async_backend
from thoonk.config import FEED, FeedConfig, check_config
from thoonk.exceptions import (
    Closed,
    FeedDoesNotExist,
    FeedExists,
    InvalidType,
    InvalidValue,
    NotListening,
    UnsupportedOperation,
    WrongFeedType,
)
from thoonk.names import check_name
from thoonk.operations import (
    MOST,
    CreateFeed,
    DeleteFeed,
    FeedIsRegistered,
    FeedNames,
    FeedTrim,
    GetConfig,
    RegisterFeed,
    SetConfig,
    UnregisterFeed,
    WorkerInfo,
)
from thoonk.partitions import PARTITIONS, check_partitions, partition_names
from thoonk.serializers import PICKLE, Serializer, SerializerRegistry, serializer_name

T = TypeVar("T")
C = TypeVar("C", bound=AsyncCollection[Any])

Config: TypeAlias = Mapping[str, Any] | str | None
"""A configuration: a mapping, JSON text, or None to leave it unchanged."""


class AsyncThoonk:
    """A client for the feeds, queues and jobs of one backend.

    As a context manager, it closes itself at the end of the block.
    """

    def __init__(
        self,
        host: str | None = None,
        port: int | None = None,
        db: int | None = None,
        listen: bool = False,
        *,
        backend: object = None,
        **options: Any,
    ) -> None:
        """Create a client. Without ``backend``, it uses the Redis at ``host``, ``port`` and ``db``.

        Args:
            host: the host of the Redis server. None: ``localhost``.
            port: its port. None: 6379.
            db: the number of the db. None: 0.
            listen: whether to call registered handlers for notices.
            backend: a URL (``redis://``, ``rediss://``, ``unix://``, ``redis+sentinel://``,
                ``sqlite:///FILE``, ``embedded://NAME``, ``memory://NAME``), ``"embedded"``,
                ``"memory"``, a redis-py client, or a backend object. `close` does not close
                objects that are passed in.
            options: options of the backend. For Redis: ``retry_for``, for how many seconds to
                repeat a call after a lost connection (default: 10), and ``username``,
                ``password``, ``ssl`` and others, named as in redis-py.

        Raises:
            InvalidValue, InvalidType: there is no such backend, or both host and backend are given.
            BackendNotInstalled: packages of the backend are missing.
            BackendUnavailable: ``listen`` is set, and there is no connection.
        """
        address = {"host": host, "port": port, "db": db}
        given = {name: value for name, value in address.items() if value is not None}
        if backend is None:
            backend = "redis"
            options = {"host": "localhost", "port": 6379, "db": 0, **given, **options}
        elif given:
            raise InvalidValue(f"pass either backend or {', '.join(given)}, not both")
        self._backend, self._owns_backend = open_async_backend(backend, **options)
        self._serializers = SerializerRegistry()
        self._types: dict[str, type[AsyncCollection[Any]]] = {}
        # By the number of the process: a forked child has handlers of its own, or none.
        self._listeners = {os.getpid(): AsyncListener(self._backend, self._serializers)}
        self._wants_to_listen = listen
        self._is_closed = False
        open_at_once(self)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} on {self._backend!r}>"

    # --- beginning and end --------------------------------------------------------------

    async def open(self) -> Self:
        """Start listening if ``listen`` is set. The first call of any method does this."""
        if self._is_closed:
            raise Closed("the client has been closed")
        if self._wants_to_listen and (listener := self._listeners.get(os.getpid())) is not None:
            await listener.start()
        return self

    async def close(self) -> None:
        """Stop listening and release connections. May be called twice."""
        if self._is_closed:
            return
        self._is_closed = True
        try:
            if (listener := self._listeners.get(os.getpid())) is not None:
                await listener.close()
            if self._owns_backend:
                await self._backend.close()
        except BaseException:
            self._is_closed = False  # it can be called again, perhaps in the right event loop
            raise

    async def __aenter__(self) -> Self:
        return await self.open()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    @property
    def backend(self) -> AsyncBackend:
        """The backend, on which you can execute operations directly."""
        return self._backend

    @property
    def listening(self) -> bool:
        """Whether handlers are called."""
        return self._wants_to_listen

    # --- opening feeds --------------------------------------------------------------------

    @overload
    async def feed(self, name: str, config: Config = None) -> AsyncFeed[str]: ...
    @overload
    async def feed(
        self, name: str, config: Config = None, *, serializer: Serializer[T]
    ) -> AsyncFeed[T]: ...
    @overload
    async def feed(
        self, name: str, config: Config = None, *, serializer: Literal["text"]
    ) -> AsyncFeed[str]: ...
    @overload
    async def feed(
        self, name: str, config: Config = None, *, serializer: Literal["binary"]
    ) -> AsyncFeed[bytes]: ...
    @overload
    async def feed(
        self, name: str, config: Config = None, *, serializer: str | None
    ) -> AsyncFeed[Any]: ...
    async def feed(
        self,
        name: str,
        config: Config = None,
        *,
        serializer: Serializer[Any] | str | None = None,
    ) -> AsyncFeed[Any]:
        """Open a feed. Create it if it does not exist.

        Args:
            name: the feed's name: a non-empty text without NUL.
            config: settings to change, as a dict or JSON text. None: change nothing.
            serializer: a serializer, or the name of one, with which a new feed is configured.
                None: the configured one. Type checkers infer the type of the items from it;
                without it they assume text.

        Raises:
            WrongFeedType: a feed of another type has this name.
            InvalidValue, InvalidType: an argument is not allowed; nothing was sent.
            SerializerError: the configured serializer is not registered.
        """
        return await self._open(AsyncFeed, name, config, serializer)

    @overload
    async def sorted_feed(self, name: str, config: Config = None) -> AsyncSortedFeed[str]: ...
    @overload
    async def sorted_feed(
        self, name: str, config: Config = None, *, serializer: Serializer[T]
    ) -> AsyncSortedFeed[T]: ...
    @overload
    async def sorted_feed(
        self, name: str, config: Config = None, *, serializer: Literal["text"]
    ) -> AsyncSortedFeed[str]: ...
    @overload
    async def sorted_feed(
        self, name: str, config: Config = None, *, serializer: Literal["binary"]
    ) -> AsyncSortedFeed[bytes]: ...
    @overload
    async def sorted_feed(
        self, name: str, config: Config = None, *, serializer: str | None
    ) -> AsyncSortedFeed[Any]: ...
    async def sorted_feed(
        self,
        name: str,
        config: Config = None,
        *,
        serializer: Serializer[Any] | str | None = None,
    ) -> AsyncSortedFeed[Any]:
        """Open a sorted feed. Arguments and errors are those of `feed`."""
        return await self._open(AsyncSortedFeed, name, config, serializer)

    list = sorted_feed

    @overload
    async def queue(self, name: str, config: Config = None) -> AsyncQueue[str]: ...
    @overload
    async def queue(
        self, name: str, config: Config = None, *, serializer: Serializer[T]
    ) -> AsyncQueue[T]: ...
    @overload
    async def queue(
        self, name: str, config: Config = None, *, serializer: Literal["text"]
    ) -> AsyncQueue[str]: ...
    @overload
    async def queue(
        self, name: str, config: Config = None, *, serializer: Literal["binary"]
    ) -> AsyncQueue[bytes]: ...
    @overload
    async def queue(
        self, name: str, config: Config = None, *, serializer: str | None
    ) -> AsyncQueue[Any]: ...
    async def queue(
        self,
        name: str,
        config: Config = None,
        *,
        serializer: Serializer[Any] | str | None = None,
    ) -> AsyncQueue[Any]:
        """Open a queue. Arguments and errors are those of `feed`."""
        return await self._open(AsyncQueue, name, config, serializer)

    async def pyqueue(self, name: str, config: Config = None) -> AsyncQueue[Any]:
        """Open a queue of pickled Python objects. Errors are those of `feed`.

        Unpickling can run code. Use it only if you trust every program that can write to the
        server.
        """
        return await self._open(AsyncQueue, name, config, PICKLE)

    @overload
    async def job(self, name: str, config: Config = None) -> AsyncJob[str]: ...
    @overload
    async def job(
        self, name: str, config: Config = None, *, serializer: Serializer[T]
    ) -> AsyncJob[T]: ...
    @overload
    async def job(
        self, name: str, config: Config = None, *, serializer: Literal["text"]
    ) -> AsyncJob[str]: ...
    @overload
    async def job(
        self, name: str, config: Config = None, *, serializer: Literal["binary"]
    ) -> AsyncJob[bytes]: ...
    @overload
    async def job(
        self, name: str, config: Config = None, *, serializer: str | None
    ) -> AsyncJob[Any]: ...
    async def job(
        self,
        name: str,
        config: Config = None,
        *,
        serializer: Serializer[Any] | str | None = None,
    ) -> AsyncJob[Any]:
        """Open a job feed. Arguments and errors are those of `feed`."""
        return await self._open(AsyncJob, name, config, serializer)

    @overload
    async def partitioned_queue(
        self, name: str, config: Config = None, *, partitions: int
    ) -> AsyncPartitionedQueue[str]: ...
    @overload
    async def partitioned_queue(
        self, name: str, config: Config = None, *, partitions: int, serializer: Serializer[T]
    ) -> AsyncPartitionedQueue[T]: ...
    @overload
    async def partitioned_queue(
        self, name: str, config: Config = None, *, partitions: int, serializer: str | None
    ) -> AsyncPartitionedQueue[Any]: ...
    async def partitioned_queue(
        self,
        name: str,
        config: Config = None,
        *,
        partitions: int,
        serializer: Serializer[Any] | str | None = None,
    ) -> AsyncPartitionedQueue[Any]:
        """Open a queue whose load several feeds share, on a cluster several nodes.

        Args:
            name: the name that the partitions have in common, without braces. Partition 0 is
                the feed ``{NAME:0}``.
            config, serializer: as for `feed`, for each partition.
            partitions: how many there are, 1 to 1000. It is stored with each, and must be the
                same for all programs.

        Raises:
            InvalidValue, InvalidType: an argument is not allowed, or there is another number
                of partitions.
            ThoonkError: as for `feed`.
        """
        feeds = await self._open_partitions(AsyncQueue, name, config, partitions, serializer)
        return AsyncPartitionedQueue(name, self._backend, feeds)

    @overload
    async def partitioned_job(
        self, name: str, config: Config = None, *, partitions: int
    ) -> AsyncPartitionedJob[str]: ...
    @overload
    async def partitioned_job(
        self, name: str, config: Config = None, *, partitions: int, serializer: Serializer[T]
    ) -> AsyncPartitionedJob[T]: ...
    @overload
    async def partitioned_job(
        self, name: str, config: Config = None, *, partitions: int, serializer: str | None
    ) -> AsyncPartitionedJob[Any]: ...
    async def partitioned_job(
        self,
        name: str,
        config: Config = None,
        *,
        partitions: int,
        serializer: Serializer[Any] | str | None = None,
    ) -> AsyncPartitionedJob[Any]:
        """Open a job feed whose load several feeds share, on a cluster several nodes.

        Arguments and errors are those of `partitioned_queue`.
        """
        feeds = await self._open_partitions(AsyncJob, name, config, partitions, serializer)
        return AsyncPartitionedJob(name, self._backend, feeds)

    def register_feedtype(self, name: str, feed_class: type[AsyncCollection[Any]]) -> None:
        """Register a type of feed. ``thoonk.NAME(feed_name, config)`` then opens such a feed.

        Args:
            name: a Python identifier, which is stored as ``type``.
            feed_class: a subclass of one of the four feed classes.

        Raises:
            InvalidValue: the name is taken, or is not an identifier.
            InvalidType: the class is not a feed class.
        """
        check_name(name, "feed type")
        if not name.isidentifier() or hasattr(self, name):
            raise InvalidValue(f"the feed type {name!r} is already taken or not an identifier")
        # Also a class that is none of ours is refused here, whatever the annotation says.
        if AsyncCollection not in getattr(feed_class, "__mro__", ()):
            raise InvalidType(f"{feed_class!r:.80} is not a subclass of a feed class")
        own = type(feed_class.__name__, (feed_class,), {"type": name})
        self._types[name] = own
        setattr(self, name, functools.partial(self._open, own))

    def register_serializer(self, serializer: Serializer[Any], name: str | None = None) -> None:
        """Register a serializer under its own name or ``name``, for configurations of feeds.

        Raises:
            InvalidValue: a built-in serializer has this name.
            InvalidType: it has no ``encode`` and ``decode``.
        """
        self._serializers.register(serializer, name)

    async def _open(
        self,
        feed_class: type[C],
        name: str,
        config: Config = None,
        serializer: Serializer[Any] | str | None = None,
    ) -> C:
        check_name(name)
        fields = check_config(config)
        check_kind(name, fields.pop("type", None), feed_class.kind, type=feed_class.type)
        if serializer is not None:
            stored = serializer_name(serializer)
            if fields.setdefault("serializer", stored) != stored:
                raise InvalidValue(
                    f"config has serializer {fields['serializer']!r}, the argument is {stored!r}"
                )
        if isinstance(serializer, str) or (serializer is None and fields.get("serializer")):
            serializer = self._serializers.get(fields["serializer"])
        await self.open()
        initial = {key: value for key, value in fields.items() if value is not None}
        opened = await self._backend.execute(CreateFeed(name, {"type": feed_class.type, **initial}))
        current = FeedConfig.from_fields(opened.config, name)
        if not opened.created:
            check_kind(name, current.type, feed_class.kind, type=feed_class.type)
            check_partitions(name, fields, opened.config)
            if serializer is not None and check_config(config).get("serializer") is None:
                # An argument is for this object; only a configuration changes what is stored.
                fields.pop("serializer", None)
            if fields:
                known = opened.config.get("max_length")
                await self._set_config(name, fields, trim=fields.get("max_length") != known)
        await self._backend.execute(RegisterFeed(name))
        if serializer is None:
            serializer = self._serializers.get(current.serializer)
        return feed_class(name, self._backend, serializer)

    async def _open_partitions(
        self,
        feed_class: type[C],
        name: str,
        config: Config,
        partitions: int,
        serializer: Serializer[Any] | str | None,
    ) -> builtins.list[C]:
        fields = {**check_config(config), PARTITIONS: partitions}
        return [
            await self._open(feed_class, partition, fields, serializer)
            for partition in partition_names(name, partitions)
        ]

    # --- all feeds --------------------------------------------------------------------------

    async def create_feed(self, name: str, config: Config = None) -> None:
        """Create a feed. (Contract: create)

        Args:
            name: the feed's name: a non-empty text without NUL.
            config: a dict or JSON text. The default for ``type`` is ``feed``.

        Raises:
            FeedExists: the name is taken.
            InvalidValue, InvalidType: an argument is not allowed; nothing was sent.
        """
        fields = {key: value for key, value in check_config(config).items() if value is not None}
        check_type(fields.setdefault("type", FEED), self._types)
        await self.open()
        opened = await self._backend.execute(CreateFeed(check_name(name), fields))
        # Also when it exists: its creator may have died before it came to this.
        await self._backend.execute(RegisterFeed(name))
        if not opened.created:
            raise FeedExists(name)

    async def delete_feed(self, name: str) -> None:
        """Delete a feed and everything in it. (Contract: delete)

        Raises:
            FeedDoesNotExist: there is no such feed.
        """
        await self.open()
        existed = True
        try:
            results = await self._backend.execute(DeleteFeed(check_name(name)))
            while results:
                results = await self._backend.execute(DeleteFeed(name, results))
        except FeedDoesNotExist:
            existed = False
        if not await self._backend.execute(UnregisterFeed(name)) and not existed:
            raise FeedDoesNotExist(name)
        if await self._backend.execute(GetConfig(name)):
            # Another client created the feed between the two steps: put its name back on the list.
            await self._backend.execute(RegisterFeed(name))

    async def feed_exists(self, name: str) -> bool:
        """Whether a feed exists."""
        await self.open()
        return await self._backend.execute(FeedIsRegistered(check_name(name)))

    async def get_feed_names(self) -> set[str]:
        """Return the names of all feeds."""
        await self.open()
        return set(await self._backend.execute(FeedNames()))

    async def get_workers(self, feed: str | None = None) -> builtins.list[WorkerInfo]:
        """Return the live workers, by host and process, and what each is doing.

        Workers report every five seconds. A worker that dies stays listed for another twenty
        seconds. (Contract: worker list)

        Args:
            feed: only workers of this feed. None: all.

        Raises:
            UnsupportedOperation: the backend does not store workers.
        """
        if feed is not None:
            check_name(feed)
        await self.open()
        workers = await read_workers(self._backend.execute)
        return [worker for worker in workers if feed is None or feed in worker.feeds]

    async def get_config(self, name: str) -> FeedConfig:
        """Return a feed's configuration.

        Raises:
            FeedDoesNotExist: there is no such feed.
        """
        await self.open()
        fields = await self._backend.execute(GetConfig(check_name(name)))
        if not fields:
            raise FeedDoesNotExist(name)
        return FeedConfig.from_fields(fields, name)

    async def set_config(self, name: str, config: Config) -> None:
        """Change settings of a feed; the value None removes a setting. (Contract: set config)

        A lower ``max_length`` trims the feed at once, with retract notices.

        Args:
            name: the feed's name.
            config: a dict or JSON text. ``type`` cannot change.

        Raises:
            FeedDoesNotExist: there is no such feed.
            WrongFeedType: ``type`` is not the feed's type.
            InvalidValue, InvalidType: an argument is not allowed; nothing was sent.
        """
        fields = check_config(config)
        await self.open()
        trim = "max_length" in fields
        if trim and "type" in fields:
            # Nothing may go when another type is refused.
            stored = await self._backend.execute(GetConfig(check_name(name)))
            trim = stored.get("type") == fields["type"]
        await self._set_config(check_name(name), fields, trim=trim)

    async def _set_config(self, name: str, fields: dict[str, str | None], *, trim: bool) -> None:
        """Set fields.

        With ``trim``, separate steps first remove all but a thousand of the items beyond
        ``max_length``. So with few of them, everything is one atomic step.
        """
        length = int(fields.get("max_length") or 0)
        gone = MOST if trim and length else 0
        while gone == MOST:
            try:
                gone = len(await self._backend.execute(FeedTrim(name, length + MOST)))
            except (UnsupportedOperation, WrongFeedType):
                gone = 0  # it all goes at once; or it is no feed, which keeps what it has
        await self._backend.execute(SetConfig(name, fields))

    # --- handlers -----------------------------------------------------------------------------

    async def register_handler(self, name: str, handler: Callable[..., Any]) -> None:
        """Call ``handler`` for each event of this name, on any feed.

        Args:
            name: the event, with the handler's arguments: ``create``, ``delete`` (feed),
                ``publish``, ``edit`` (feed, item, id), ``retract`` (feed, id), ``position``
                (feed, id, position), ``finish`` (feed, id, result), ``config:FEED`` (feed), or
                ``gap`` (None): the connection was lost, and notices may have been missed. The
                name may end in ``_notice``.
            handler: a function. It is called in the listener's task, for one notice at a time,
                and only in this process, not in forked children.

        Raises:
            NotListening: the client was created without ``listen=True``.
            InvalidValue: there is no such event.
        """
        if not self._wants_to_listen:
            raise NotListening("only a client created with listen=True calls handlers")
        self._own_listener().add(name, handler)
        await self.open()

    async def remove_handler(self, name: str, handler: Callable[..., Any]) -> None:
        """Stop calling ``handler`` for the event.

        Raises:
            InvalidValue: the handler is not registered for the event.
        """
        self._own_listener().remove(name, handler)

    def _own_listener(self) -> AsyncListener:
        """The listener of this process; a forked child gets a new one."""
        listener = self._listeners.get(os.getpid())
        if listener is None:
            # Atomic: two threads of the child may come here at once.
            new = AsyncListener(self._backend, self._serializers)
            listener = self._listeners.setdefault(os.getpid(), new)
        return listener
