"""Workers: handlers for job feeds, and the threads, tasks or processes that call them."""

from __future__ import annotations

import abc
import asyncio
import contextlib
import logging
import os
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any, ClassVar, Generic, TypeVar

import attrs

from thoonk import AsyncThoonk, Thoonk
from thoonk.exceptions import InvalidType, InvalidValue
from thoonk.identity import in_role, process_name
from thoonk.operations import check_count
from thoonk.worker._async.executor import AsyncExecutor
from thoonk.worker._sync.executor import Executor
from thoonk.worker.handlers import Handler, make_handler
from thoonk.worker.notify import Notifier
from thoonk.worker.report import Legacy, Report
from thoonk.worker.reporting import Group, Reporting
from thoonk.worker.shutdown import Shutdown, StopReason
from thoonk.worker.signals import STOPPING, Noted, taken
from thoonk.worker.supervisor import Supervisor
from thoonk.worker.values import check_seconds

C = TypeVar("C", Thoonk, AsyncThoonk)
Function = TypeVar("Function", bound=Callable[..., Any])

logger = logging.getLogger("thoonk.worker")

DEFAULT_URL = "redis://localhost:6379/0"


class _ShutdownLevel:
    """The shutdown level that signals and `stop` have requested for this process."""

    def __init__(self) -> None:
        self._noted = Noted()
        self._told = Shutdown.NONE

    @property
    def signals(self) -> list[int]:
        return self._noted.numbers

    def tell(self, level: Shutdown) -> None:
        self._told = max(self._told, level)

    def __call__(self) -> Shutdown:
        return max(self._told, Shutdown(min(len(self.signals), Shutdown.COLD)))

    @contextlib.contextmanager
    def from_signals(self) -> Iterator[None]:
        """Listen to signals, if possible."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        with taken(dict.fromkeys(STOPPING, self._noted)):
            yield


@attrs.frozen
class _Task:
    """What the executor of one process does."""

    handlers: list[Handler]
    shutdown: Callable[[], Shutdown]
    burst: bool
    report: Report | None = None
    legacy: Legacy = attrs.field(factory=Legacy)
    group: Group | None = None
    notifier: Notifier | None = None


class BaseWorker(abc.ABC, Generic[C]):
    """The common base of `Worker` and `AsyncWorker`."""

    _client_class: ClassVar[type[Any]]
    _asynchronous: ClassVar[bool]
    _concurrency: ClassVar[int] = 8
    _reporting: Reporting | None = None

    def __init__(
        self,
        backend: C | str | None = None,
        *,
        concurrency: int | None = None,
        processes: int = 0,
        grace: float = 30.0,
        max_jobs: int | None = None,
        store_traceback: bool = True,
        shared: bool = False,
    ) -> None:
        """Create a worker without handlers. It does not connect yet.

        Args:
            backend: a client, which the worker does not close, or a backend URL. None: the
                URL from the command line or ``THOONK_URL``. Default:
                ``redis://localhost:6379/0``.
            concurrency: how many jobs of each feed each process runs at once, in threads
                (tasks). Default: 8, or 1 for a `Worker` with ``processes``.
            processes: how many processes to start. 0: work in this process.
            grace: seconds that running jobs have to finish when the worker stops.
            max_jobs: replace a process after about this many jobs. None: never.
            store_traceback: the default for handlers (see `handle`).
            shared: whether all feeds share ``concurrency``. A free thread (task) then claims a
                job from the first feed that has one, in the order of the handlers or of
                ``feeds``, or in random order if a handler has a ``weight``.

        Raises:
            InvalidValue, InvalidType: an argument is not allowed.
        """
        if not (backend is None or isinstance(backend, str | self._client_class)):
            raise InvalidType(
                f"{type(self).__name__} takes a URL or a {self._client_class.__name__}, "
                f"not {type(backend).__name__}"
            )
        self.backend = backend
        self.concurrency = None if concurrency is None else check_count("concurrency", concurrency)
        self.processes = 0 if processes == 0 else check_count("processes", processes)
        self.grace = check_seconds("grace", grace)
        self.max_jobs = max_jobs
        if max_jobs is not None and (isinstance(max_jobs, bool) or not isinstance(max_jobs, int)):
            raise InvalidType(f"max_jobs must be an int, not {type(max_jobs).__name__}")
        if max_jobs is not None and max_jobs < 1:
            raise InvalidValue(f"max_jobs must be 1 or more, not {max_jobs}")
        if not isinstance(store_traceback, bool):
            raise InvalidType(
                f"store_traceback must be True or False, not {type(store_traceback).__name__}"
            )
        self.store_traceback = store_traceback
        if not isinstance(shared, bool):
            raise InvalidType(f"shared must be True or False, not {type(shared).__name__}")
        self.shared = shared
        self._handlers: dict[str, Handler] = {}
        self._shutdown = _ShutdownLevel()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} for {', '.join(self._handlers) or 'nothing'}>"

    @property
    def handlers(self) -> dict[str, Handler]:
        """The handlers by feed name."""
        return {**self._handlers}

    def handle(self, feed: str, function: Callable[..., Any], **options: Any) -> None:
        """Register ``function`` as the handler for the jobs of a feed.

        The function is called with the item and, if it has a parameter named ``claim``, with
        the claim. When it returns, the job is finished, and the return value is the result.
        When it raises, the job has failed. To control what happens then, raise `Retry`,
        `Stall` or `Discard`.

        Args:
            feed: the feed's name. The feed is created if it does not exist.
            function: a coroutine function for `AsyncWorker`, a plain function for `Worker`.
            serializer: as for `thoonk.Thoonk.job`.
            partitions: how many partitions the feed has, as for `thoonk.Thoonk.partitioned_job`.
                The worker has to be ``shared``. None: it is a plain job feed.
            concurrency: how many jobs of this feed run at once. Default: the worker's
                ``concurrency``. If the worker is ``shared``: how many of its threads (tasks)
                this feed (each partition) can use. Default: all.
            weight: if the worker is ``shared``, how often a free thread (task) tries this feed
                first, in proportion to the others, 1 to 1000. Default: 1 if another handler
                has a weight.
            prefetch: how many jobs to claim at once, 1 to 1000. None: 1, or more while jobs
                take only a few milliseconds.
            retries: how many times to retry a job before it is stalled. Stored in the feed's
                configuration as ``max_failures``, which is one more. None: as configured,
                or 3.
            backoff: seconds between the first failure and the next attempt. The delay doubles
                with each further failure. 0: retry at once. The server keeps the time.
            max_backoff: the longest delay in seconds.
            time_limit: seconds that a job may take. A `Worker` needs ``processes`` for this.
            claim_timeout: seconds after which the job of a dead worker becomes available
                again. Stored in the feed's configuration. None: as configured, or 30.
            heartbeat: whether to extend the claim while the job runs. If False, another worker
                can claim a job that takes longer than ``claim_timeout``.
            result: whether to store the return value. None: unless it is None.
            result_timeout: seconds to keep results. None: as configured for the feed.
            store_traceback: whether to store the traceback with a failed job, for
                `thoonk.Job.get_info`. It contains source lines and the exception's message,
                which may include secrets. The message is always stored. None: as set for the
                worker.

        Raises:
            InvalidValue, InvalidType: an argument is not allowed, or the feed already has a
                handler.
        """
        if options.get("store_traceback") is None:
            options["store_traceback"] = self.store_traceback
        handler = make_handler(feed, function, asynchronous=self._asynchronous, **options)
        if feed in self._handlers:
            raise InvalidValue(f"feed {feed!r} already has a handler")
        served = {
            part.feed: part
            for other in self._handlers.values()
            for part in other.of_each_partition()
        }
        for part in handler.of_each_partition():
            if (other := served.get(part.feed)) is not None:
                raise InvalidValue(
                    f"feed {part.feed!r} already has a handler: it is a partition of "
                    f"{(other.family or part.family)!r}"
                )
        self._handlers[feed] = handler

    def handles(self, feed: str, **options: Any) -> Callable[[Function], Function]:
        """Register a handler as `handle` does, as a decorator. Returns the function unchanged."""

        def decorate(function: Function) -> Function:
            self.handle(feed, function, **options)
            return function

        return decorate

    def run(self, *, burst: bool = False, feeds: Iterable[str] | None = None) -> int:
        """Work until SIGTERM, SIGINT, SIGHUP or `stop`, and return the exit code to use.

        After that, the worker claims no more jobs. Jobs that are still running after ``grace``
        seconds, or when a second signal arrives, are given back. This does not count as a
        failure.

        Args:
            burst: whether to stop when no jobs are left.
            feeds: the feeds to work on. None: all that have handlers.

        Returns:
            0, or 128 plus the number of the second signal, which stopped the worker at once.

        Raises:
            InvalidValue: there are no handlers, or the options exclude each other.
            ThoonkError: a feed cannot be opened.
        """
        handlers = self._chosen(feeds)
        shutdown = self._shutdown
        try:
            with shutdown.from_signals():
                names = [handler.feed for handler in handlers]
                logger.info(
                    "Working on %s",
                    ", ".join(names),
                    extra={"event": "worker_started", "feeds": names},
                )
                notifier = Notifier.from_environment(os.environ)
                if self.processes:
                    self._supervise(handlers, burst=burst, notifier=notifier)
                else:
                    self._work(_Task(handlers, shutdown, burst, notifier=notifier))
        finally:
            self._shutdown = _ShutdownLevel()
        return 128 + shutdown.signals[-1] if len(shutdown.signals) > 1 else 0

    def stop(self, *, hurry: bool = False) -> None:
        """Stop `run`, as a signal does. Any thread can call this, and handlers, too.

        Args:
            hurry: whether to give running jobs back at once.
        """
        self._shutdown.tell(Shutdown.COLD if hurry else Shutdown.WARM)

    # --- inside -------------------------------------------------------------------------

    def _chosen(self, feeds: Iterable[str] | None) -> list[Handler]:
        names = [*dict.fromkeys(self._handlers if feeds is None else feeds)]
        unknown = [name for name in names if name not in self._handlers]
        if unknown:
            raise InvalidValue(f"no handler for {', '.join(map(repr, unknown))}")
        if not names:
            raise InvalidValue("the worker has no handlers")
        handlers = [self._handlers[name] for name in names]
        weighted = [handler for handler in handlers if handler.weight is not None]
        if weighted and not self.shared:
            raise InvalidValue(
                f"weight={weighted[0].weight} of {weighted[0].feed!r} needs a shared pool: "
                f"shared=True, or --shared"
            )
        partitioned = [handler for handler in handlers if handler.partitions is not None]
        if partitioned and not self.shared:
            raise InvalidValue(
                f"partitions={partitioned[0].partitions} of {partitioned[0].feed!r} need a shared "
                f"pool: shared=True, or --shared"
            )
        return [each for handler in handlers for each in handler.of_each_partition()]

    def _loops(self) -> int:
        """How many jobs a process runs at once: of each feed without its own setting, or in all."""
        return self.concurrency or (1 if self.processes and not self._asynchronous else 8)

    def _options(self, task: _Task) -> dict[str, Any]:
        """Options of the executor."""
        return {
            "handlers": task.handlers,
            "concurrency": self._loops(),
            "shared": self.shared,
            "burst": task.burst,
            "max_jobs": self.max_jobs if self.processes else None,
            "report": task.report,
            "legacy": task.legacy,
            "group": task.group,
            "reporting": self._reporting,
            "notifier": task.notifier,
        }

    def _url(self) -> C | str:
        return self.backend or os.environ.get("THOONK_URL") or DEFAULT_URL

    def _supervise(self, handlers: list[Handler], *, burst: bool, notifier: Notifier) -> None:
        if not hasattr(os, "fork"):
            raise InvalidValue("processes need a system that can fork; use threads")
        target = self._url()
        url = target if isinstance(target, str) else repr(target.backend)
        if url.startswith("memory") or "Memory" in url:
            raise InvalidValue("what is in memory cannot be shared by processes; use threads")
        # What is wrong with the configuration or the server shows here, once.
        self._open(handlers)
        loops = self._loops()
        group = Group(process_name(), self.processes)
        supervisor = Supervisor(
            lambda shutdown, report, legacy: self._work(
                _Task(handlers, shutdown, burst, report, legacy, group)
            ),
            processes=self.processes,
            feeds=[each.feed for each in handlers],
            slots=loops if self.shared else sum(each.concurrency or loops for each in handlers),
            grace=self.grace,
            burst=burst,
            notifier=notifier,
        )
        supervisor.run(self._shutdown)

    @abc.abstractmethod
    def _open(self, handlers: list[Handler]) -> None:
        """Open the feeds once, and close connections that this has opened."""

    @abc.abstractmethod
    def _work(self, task: _Task) -> StopReason:
        """Work in this process."""


class Worker(BaseWorker[Thoonk]):
    """A worker that runs jobs in threads, or in processes.

    >>> worker = Worker("memory://docs")
    >>> @worker.handles("greetings")
    ... def greet(name):
    ...     return f"hello {name}"
    """

    _client_class = Thoonk
    _asynchronous = False

    def _chosen(self, feeds: Iterable[str] | None) -> list[Handler]:
        handlers = super()._chosen(feeds)
        limited = [handler.feed for handler in handlers if handler.time_limit is not None]
        if limited and not self.processes:
            raise InvalidValue(
                f"time_limit of {limited[0]!r} needs processes (processes=8, or --processes 8) or "
                f"an AsyncWorker: a thread cannot be stopped"
            )
        return handlers

    @contextlib.contextmanager
    def _client(self) -> Iterator[Thoonk]:
        target = self._url()
        if isinstance(target, Thoonk):
            yield target
            return
        with in_role("worker"):
            client = Thoonk(backend=target)
        with client:
            yield client

    def _open(self, handlers: list[Handler]) -> None:
        with self._client() as client:
            Executor(client, handlers, self._loops()).open()

    def _work(self, task: _Task) -> StopReason:
        with self._client() as client:
            return Executor(client, **self._options(task)).run(task.shutdown, self.grace)


class AsyncWorker(BaseWorker[AsyncThoonk]):
    """A worker that runs jobs in asyncio tasks, of one event loop in each process.

    It has the methods and options of `Worker`, but its handlers are coroutine functions.
    """

    _client_class = AsyncThoonk
    _asynchronous = True
    _is_stuck = False

    async def serve(self, *, burst: bool = False, feeds: Iterable[str] | None = None) -> None:
        """Work in the running event loop until `stop`, or until cancelled.

        It installs no signal handlers. If it is cancelled, it shuts down as after `stop`.
        """
        handlers = self._chosen(feeds)
        try:
            await self._serve(_Task(handlers, self._shutdown, burst))
        finally:
            self._shutdown = _ShutdownLevel()

    @contextlib.asynccontextmanager
    async def _client(self) -> Any:
        target = self._url()
        if isinstance(target, AsyncThoonk):
            yield target
            return
        with in_role("worker"):
            client = AsyncThoonk(backend=target)
        async with client:
            yield client

    def _open(self, handlers: list[Handler]) -> None:
        asyncio.run(self._opened(handlers))

    async def _opened(self, handlers: list[Handler]) -> None:
        async with self._client() as client:
            await AsyncExecutor(client, handlers, self._loops()).open()

    def _supervise(self, handlers: list[Handler], *, burst: bool, notifier: Notifier) -> None:
        if not isinstance(self._url(), str):
            raise InvalidValue("an AsyncThoonk belongs to one process: with processes give a URL")
        super()._supervise(handlers, burst=burst, notifier=notifier)

    def _work(self, task: _Task) -> StopReason:
        runner = asyncio.Runner()
        self._is_stuck = False
        loop = runner.get_loop()
        serving = loop.create_task(self._serve(task))
        try:
            while True:
                try:
                    return loop.run_until_complete(serving)
                except (KeyboardInterrupt, SystemExit) as error:
                    if serving.done():
                        return serving.result()
                    # asyncio lets these out of any task at once; signals are noted elsewhere.
                    logger.exception(
                        "Task started by a handler raised %s; the worker continues",
                        type(error).__name__,
                        extra={"event": "task_failed"},
                    )
        finally:
            if self._is_stuck:
                # The runner would wait for handlers that do not let themselves be cancelled.
                loop.close()
            else:
                runner.close()

    async def _serve(self, task: _Task) -> StopReason:
        async with self._client() as client:
            executor = AsyncExecutor(client, **self._options(task))
            try:
                return await executor.run(task.shutdown, self.grace)
            finally:
                self._is_stuck = executor.is_stuck
