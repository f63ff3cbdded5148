"""An SQLite file: opening it, transactions, forks, and whether it is still the same file."""

from __future__ import annotations

import contextlib
import logging
import os
import random
import sqlite3
import threading
import time
from abc import abstractmethod
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from importlib import resources
from pathlib import Path
from types import TracebackType
from typing import Any

from thoonk.backends.at_fork import forget_at_fork, prepare_at_fork
from thoonk.backends.embedded import sqlite_errors
from thoonk.backends.embedded.mounts import network_file_system_of
from thoonk.backends.embedded.store import Store
from thoonk.backends.embedded.turns import Turns, turns_of
from thoonk.exceptions import BackendError, BackendUnavailable
from thoonk.names import decode_name, encode_name

logger = logging.getLogger("thoonk.backends.sqlite")

IN_MEMORY = ":memory:"
"""What SQLite calls a database without a file."""

SCHEMA = 1
"""The version of the tables."""

LOOK_AT_FILE = 0.5
"""Seconds after which it is checked that the file is still the one that was opened."""

SHORTEST_PAUSE, LONGEST_PAUSE = 0.0002, 0.002
"""Seconds between two attempts to write while another process does."""

SWEEP = 1000
"""How many rows of deleted feeds, or records, or pages, are removed at once."""

_WRITE = "BEGIN IMMEDIATE"


def stored(text: str) -> str | bytes:
    """How a name or id is stored: text that is not UTF-8 as bytes."""
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return encode_name(text)
    return text


def read_text(value: str | bytes) -> str:
    """A name or id as it was stored."""
    return value if isinstance(value, str) else decode_name(value)


class _Transaction:
    """A block that is written as a whole, or not at all."""

    def __init__(self, store: SqliteFile, begin: str) -> None:
        self._store = store
        self._begin = begin

    def __enter__(self) -> None:
        try:
            self._store.begin(self._begin)
        except BaseException:
            # Ctrl-C may have come when it had begun already.
            self._store.roll_back()
            raise

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        if kind is None:
            self._store.commit()
        else:
            self._store.roll_back()
            if isinstance(error, sqlite3.Error):
                raise sqlite_errors.translated(error, self._store.path) from error


class SqliteFile(Store):
    """Opens and closes the file, and runs transactions. The base of `SqliteStore`.

    Attributes:
        path: of the file, or ``:memory:``.
        log: the path of its write-ahead log.
        db: the connection. It is another one after a fork.
        cursor, execute: a cursor of the connection, and its method.
        is_suspended: whether the file is closed for a fork, until it is needed again.
        has_room: whether a part of the file is free, to be given back to the disk.
    """

    def __init__(self, path: str, *, synchronous: str = "normal", retry_for: float = 30.0) -> None:
        """Open the file, or make it.

        Args:
            path: of the file; ``:memory:``: none, and what is stored ends with the store.
            synchronous: ``normal`` or ``full``, as SQLite means it.
            retry_for: seconds for which a file that another process writes is tried again.

        Raises:
            BackendUnavailable: it cannot be opened, or stays locked.
            AccessDenied: it cannot be written.
            BackendError: it is no file of this library's, or of a later version.
        """
        super().__init__()
        self.path = path
        # Which is beside the file itself, not beside a link to it.
        self.log = os.path.realpath(path) + "-wal"
        self.is_quick = path == IN_MEMORY
        self.shares_notices = not self.is_quick
        self.retry_for = retry_for
        self._synchronous = synchronous
        self.has_room = False
        self._version = -1
        self._reads = _Transaction(self, "BEGIN")
        self._writes = _Transaction(self, _WRITE)
        self._turns = turns_of(self.log) if self.shares_notices else Turns()
        self._ticket, self._has_asked = threading.Lock(), False
        self._open()
        if self.shares_notices:
            prepare_at_fork(self)
            self._warn_of_network()

    def __str__(self) -> str:
        return self.path

    def _warn_of_network(self) -> None:
        if kind := network_file_system_of(self.path):
            logger.warning(
                "The file %s is on a network file system (%s): SQLite's locks are not safe there",
                self.path,
                kind,
                extra={"event": "file_on_network", "path": self.path},
            )

    # --- connections --------------------------------------------------------------------

    def _open(self) -> None:
        with sqlite_errors.told(self.path):
            self.db = self.connect()
            # One cursor for all: what a statement finds is read before the next one.
            self.cursor = self.db.cursor()
            self.execute = self.cursor.execute
            self.is_suspended = False
            self._retried(self._prepare)
        if self.shares_notices:
            self._files = {path: _identity(path) for path in (self.path, self.log)}
        self._look_at = time.monotonic() + LOOK_AT_FILE

    def connect(self, *, create: bool = True) -> sqlite3.Connection:
        """A connection to the file, which may have to be there."""
        return sqlite3.connect(
            self.path if create else f"{Path(self.path).as_uri()}?mode=rw",
            uri=not create,
            timeout=0,
            isolation_level=None,
            check_same_thread=False,
            cached_statements=256,
        )

    def _prepare(self) -> None:
        db = self.db
        # Even this reads the file, which another process may have locked.
        db.execute("PRAGMA cache_size = -16000")
        version = db.execute("PRAGMA user_version").fetchone()[0]
        if not version:
            if db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
                raise BackendError(f"{self.path} is a database of another program")
            # Before the first table, or they have no effect. A step changes a few rows in each of
            # some pages, and all of these are written.
            db.execute("PRAGMA page_size = 2048")
            db.execute("PRAGMA auto_vacuum = INCREMENTAL")
        if version > SCHEMA:
            raise BackendError(
                f"{self.path} was written by a later version of Thoonk: its tables have version "
                f"{version}, but this one supports {SCHEMA}"
            )
        mode = db.execute("PRAGMA journal_mode = WAL").fetchone()[0]
        if self.shares_notices and mode != "wal":
            raise BackendUnavailable(
                f"SQLite cannot use a write-ahead log at {self.path}: journal_mode is {mode}"
            )
        db.execute(f"PRAGMA synchronous = {self._synchronous}")
        db.execute("PRAGMA wal_autocheckpoint = 2000")
        if not version:
            db.execute("BEGIN IMMEDIATE")
            try:
                if not db.execute("PRAGMA user_version").fetchone()[0]:
                    for statement in _statements():
                        db.execute(statement)
                    db.execute(f"PRAGMA user_version = {SCHEMA}")
                db.execute("COMMIT")
            except BaseException:
                db.execute("ROLLBACK")
                raise
        # In a file that had no log, the first read makes it.
        db.execute("SELECT count(*) FROM sqlite_master").fetchone()

    def _check_file(self) -> None:
        if self.is_suspended:
            # The log is removed by whichever process closes the file last.
            self._check_identity(self.path)
            self._open()
        self._look_at = 0.0
        for path in self._files:
            self._check_identity(path)
        self._look_at = time.monotonic() + LOOK_AT_FILE

    def _check_identity(self, path: str) -> None:
        """Check that the file is the one that was opened."""
        with contextlib.suppress(OSError):
            if _identity(path) == self._files[path]:
                return
        raise BackendUnavailable(f"{path} was removed or replaced while it was open")

    def close(self) -> None:
        """Close the file."""
        forget_at_fork(self)
        # Another thread may be in the middle of something.
        with self.lock:
            self.db.close()

    def before_fork(self) -> None:
        """Close the file before this process forks, and lock the store.

        SQLite cannot share with a child what it knows of the locks that its parent holds.
        """
        self.lock.acquire()
        self.db.close()
        self.is_suspended = True
        self._forget()

    def after_fork(self, *, in_child: bool) -> None:
        """Open the file again when it is needed."""
        del in_child  # it opens the file anew, as its parent does
        self.lock.release()

    def _retried(self, function: Callable[[], Any], deadline: float | None = None) -> Any:
        """Call it again while another process has locked the file."""
        if deadline is None:
            deadline = time.monotonic() + self.retry_for
        while True:
            try:
                return function()
            except sqlite3.OperationalError as error:
                if not sqlite_errors.is_busy(error) or time.monotonic() > deadline:
                    raise
            # By chance, or processes that write all the time would keep one from it.
            time.sleep(random.uniform(SHORTEST_PAUSE, LONGEST_PAUSE))  # noqa: S311

    # --- transactions -------------------------------------------------------------------

    def transaction(self, *, writes: bool) -> AbstractContextManager[None]:
        """A block that happens as a whole or not at all."""
        return self._writes if writes else self._reads

    def begin(self, statement: str) -> None:
        """Begin a transaction."""
        try:
            if self.shares_notices and (self.is_suspended or time.monotonic() >= self._look_at):
                self._check_file()
            if self.db.in_transaction:
                # A second Ctrl-C may have come in the way of rolling back.
                self.roll_back()
            deadline = None
            if statement is _WRITE:
                # The threads of one process take turns, instead of all trying again and again.
                if self._has_asked:
                    self._end_turn()
                self._has_asked = True
                if not self._turns.wait(self._ticket, self.retry_for):
                    # Else there is time to use a turn, however late it comes.
                    deadline = time.monotonic()
            try:
                version = self._begun(statement)
            except sqlite3.OperationalError as error:
                if not sqlite_errors.is_busy(error):
                    raise
                version = self._retried(lambda: self._begun(statement), deadline)
        except sqlite3.Error as error:
            raise sqlite_errors.translated(error, self.path) from error
        if version != self._version:
            # Another process has written: what is remembered may be old.
            self._version = version
            self._forget()

    def _begun(self, statement: str) -> int:
        """Begin, and look what there is: without BEGIN IMMEDIATE only that needs the file."""
        self.execute(statement)
        try:
            version: int = self.execute("PRAGMA data_version").fetchone()[0]
        except sqlite3.Error:
            self.execute("ROLLBACK")
            raise
        return version

    def commit(self) -> None:
        """Make the transaction last."""
        try:
            self.execute("COMMIT")
            self._end_turn()
        except BaseException as error:
            self.roll_back()
            if isinstance(error, sqlite3.Error):
                raise sqlite_errors.translated(error, self.path) from error
            raise
        if self.has_room:
            self.has_room = False
            self._give_back()

    def _give_back(self) -> None:
        """Give some room that is free back to the disk."""
        # Of `execute`, Python does one step of it, which is one page.
        with contextlib.suppress(sqlite3.Error):
            self.db.executescript(f"PRAGMA incremental_vacuum({SWEEP})")

    def roll_back(self) -> None:
        """Undo the transaction."""
        self._forget()
        # It may have been undone by what went wrong, such as a full disk.
        with contextlib.suppress(sqlite3.Error):
            if self.db.in_transaction:
                self.execute("ROLLBACK")
        self._end_turn()

    def _end_turn(self) -> None:
        if self._has_asked:
            self._turns.end(self._ticket)
            self._has_asked = False

    def number(self, sql: str, values: tuple[Any, ...] = ()) -> int | None:
        """The first value that a statement finds."""
        found = self.execute(sql, values).fetchone()
        number: int | None = found[0] if found else None
        return number

    @abstractmethod
    def _forget(self) -> None:
        """Forget what was read: another process, or an undone transaction, may have changed it."""


def _identity(path: str) -> tuple[int, int]:
    """What a file has in common with no other."""
    found = Path(path).stat()
    return found.st_dev, found.st_ino


def _statements() -> Iterator[str]:
    """The statements of the schema."""
    text = resources.files(__package__).joinpath("schema.sql").read_text("utf-8")
    lines = (line.partition("--")[0] for line in text.splitlines())
    for statement in "\n".join(lines).split(";"):
        if statement.strip():
            yield statement


def path_of(url: str) -> str:
    """The path in ``sqlite:///relative``, ``sqlite:////absolute`` or ``sqlite://`` (in memory)."""
    path = url.partition("://")[2].removeprefix("/")
    # From here on it stays the same file wherever the program goes.
    return str(Path(path).absolute()) if path else IN_MEMORY
