"""The client: opens feeds and says where handlers are called."""

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
from thoonk.serializers import PICKLE, Serializer, SerializerRegistry, serializer_name

T = TypeVar("T")
C = TypeVar("C", bound=AsyncCollection[Any])

Config: TypeAlias = Mapping[str, Any] | str | None
"""A configuration: a mapping, JSON text, or None to leave it unchanged."""


class AsyncThoonk:
    """A connection to one world of feeds, queues and jobs.

    Usable as a context manager, which closes it.
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
        """Without ``backend``, a client of the Redis at ``host``, ``port`` and ``db``.

        Args:
            host: None: ``localhost``.
            port: None: 6379.
            db: None: 0.
            listen: call registered handlers for what happens to feeds.
            backend: a URL (``redis://``, ``rediss://``, ``unix://``, ``redis+sentinel://``,
                ``sqlite:///FILE``, ``embedded://NAME``, ``memory://NAME``), ``"embedded"``,
                ``"memory"``, a redis-py client, or a backend object. `close` does not close
                objects that are passed in.
            options: for the backend. For Redis: ``retry_for``, how many seconds a call is
                repeated after its connection is lost (10); ``username``, ``password``,
                ``ssl`` … as redis-py names them.

        Raises:
            InvalidValue, InvalidType: no such backend, or host and backend both given.
            BackendNotInstalled: the backend's packages are missing.
            BackendUnavailable: it listens and there is no connection.
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
        """Start listening if that was asked for. Done by whatever is called first."""
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
        """The backend, for executing operations directly."""
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
        """The feed of that name, created if it does not exist, reconfigured if asked.

        Args:
            name: non-empty text without NUL.
            config: a dict or JSON text; None leaves the configuration as it is.
            serializer: a serializer, or the name of one. None: the configured one. A
                new feed is configured with it. Type checkers learn the type of items
                from it; without it they assume text.

        Raises:
            WrongFeedType: a feed of another type has that name.
            InvalidValue, InvalidType: nothing was sent.
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
        """The sorted feed of that name; arguments and errors as `feed`."""
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
        """The queue of that name; arguments and errors as `feed`."""
        return await self._open(AsyncQueue, name, config, serializer)

    async def pyqueue(self, name: str, config: Config = None) -> AsyncQueue[Any]:
        """A queue of Python objects, pickled. Errors as `feed`.

        Unpickling can run code: use it only if every program that can write to the server
        is trusted.
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
        """The job feed of that name; arguments and errors as `feed`."""
        return await self._open(AsyncJob, name, config, serializer)

    def register_feedtype(self, name: str, feed_class: type[AsyncCollection[Any]]) -> None:
        """Add a type of feed: ``thoonk.NAME(feed_name, config)`` opens it from then on.

        Args:
            name: a Python identifier; what is stored as ``type``.
            feed_class: a subclass of one of the four feed classes.

        Raises:
            InvalidValue: the name is taken or no identifier.
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
        """Let configurations of feeds choose ``serializer`` by its name (or ``name``).

        Raises:
            InvalidValue: the name is that of a built-in serializer.
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

    # --- all feeds --------------------------------------------------------------------------

    async def create_feed(self, name: str, config: Config = None) -> None:
        """Create a feed. (Contract: create)

        Args:
            name: non-empty text without NUL.
            config: a dict or JSON text; ``type`` is ``feed`` when it does not say.

        Raises:
            FeedExists: the name is taken.
            InvalidValue, InvalidType: nothing was sent.
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
        """Delete a feed and all that is in it. (Contract: delete)

        Raises:
            FeedDoesNotExist: there is none of that name.
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
            # Created anew by someone else between the two steps: it belongs on the list.
            await self._backend.execute(RegisterFeed(name))

    async def feed_exists(self, name: str) -> bool:
        """Whether there is a feed of that name."""
        await self.open()
        return await self._backend.execute(FeedIsRegistered(check_name(name)))

    async def get_feed_names(self) -> set[str]:
        """The names of all feeds."""
        await self.open()
        return set(await self._backend.execute(FeedNames()))

    async def get_workers(self, feed: str | None = None) -> builtins.list[WorkerInfo]:
        """The workers that are alive, by host and process, and what each is doing.

        A worker reports every five seconds. One that dies is listed for twenty seconds more.
        (Contract: worker list)

        Args:
            feed: only those that work on this feed; None: all.

        Raises:
            UnsupportedOperation: the backend does not keep them.
        """
        if feed is not None:
            check_name(feed)
        await self.open()
        workers = await read_workers(self._backend.execute)
        return [worker for worker in workers if feed is None or feed in worker.feeds]

    async def get_config(self, name: str) -> FeedConfig:
        """A feed's configuration.

        Raises:
            FeedDoesNotExist: there is none of that name.
        """
        await self.open()
        fields = await self._backend.execute(GetConfig(check_name(name)))
        if not fields:
            raise FeedDoesNotExist(name)
        return FeedConfig.from_fields(fields, name)

    async def set_config(self, name: str, config: Config) -> None:
        """Set fields of a feed's configuration; None as a value removes a field.

        A lower ``max_length`` trims at once, with retract notices. (Contract: set config)

        Args:
            name: the feed's name.
            config: a dict or JSON text. ``type`` may only be what it is.

        Raises:
            FeedDoesNotExist: there is none of that name.
            WrongFeedType: ``type`` is given, and another.
            InvalidValue, InvalidType: nothing was sent.
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

        With ``trim``, all but a thousand of what ``max_length`` pushes out goes before, in
        steps. So where few go, all is one step, and done or not done.
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
        """Call ``handler`` whenever the event happens, to whichever feed.

        Args:
            name: ``create``, ``delete`` (handler gets feed), ``publish``, ``edit`` (feed,
                item, id), ``retract`` (feed, id), ``position`` (feed, id, position),
                ``finish`` (feed, id, result), ``config:FEED`` (feed), or ``gap`` (None):
                the connection was lost for a while and notices may have been missed.
                With or without ``_notice`` at the end.
            handler: it is called in the listener's task, one notice at a time, and only in
                this process, not in those that are forked from it.

        Raises:
            NotListening: the client was made without ``listen=True``.
            InvalidValue: there is no such event.
        """
        if not self._wants_to_listen:
            raise NotListening("only a client created with listen=True calls handlers")
        self._own_listener().add(name, handler)
        await self.open()

    async def remove_handler(self, name: str, handler: Callable[..., Any]) -> None:
        """Do not call ``handler`` for the event any more.

        Raises:
            InvalidValue: it is not registered for it.
        """
        self._own_listener().remove(name, handler)

    def _own_listener(self) -> AsyncListener:
        """That of this process; a new one in a child that was forked."""
        listener = self._listeners.get(os.getpid())
        if listener is None:
            # Atomic: two threads of the child may come here at once.
            new = AsyncListener(self._backend, self._serializers)
            listener = self._listeners.setdefault(os.getpid(), new)
        return listener
