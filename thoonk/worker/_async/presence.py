"""Reports on the server that the worker is alive, and what it is doing."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable

from thoonk import AsyncThoonk
from thoonk.concurrency._async import Event, wait_event
from thoonk.exceptions import AccessDenied, ThoonkError, UnsupportedOperation
from thoonk.operations import RemoveWorker, ReportWorker, WorkerReport
from thoonk.worker.reporting import Reporting

logger = logging.getLogger("thoonk.worker")

DENIED_PAUSE = 60.0
"""Seconds until a worker that may not report tries again."""


class AsyncPresence:
    """Keeps the worker's record on the server. A worker works without it, too."""

    def __init__(
        self, thoonk: AsyncThoonk, report: Callable[[], WorkerReport], reporting: Reporting
    ) -> None:
        """``report`` says what the worker is doing now."""
        self._thoonk = thoonk
        self._report = report
        self._reporting = reporting
        self._is_closed = Event()
        self._is_known = False
        self._has_failed = False

    def close(self) -> None:
        """End `run`."""
        self._is_closed.set()

    async def run(self) -> None:
        """Report until it is closed, then remove the record."""
        try:
            wait = 0.0
            while not await wait_event(self._is_closed, wait):
                wait = await self._report_once()
        except UnsupportedOperation:
            return  # a backend that keeps no workers
        if self._is_known:
            # It expires by itself.
            with contextlib.suppress(ThoonkError):
                await self._thoonk.backend.execute(RemoveWorker(self._report().id))

    async def _report_once(self) -> float:
        """Report, and return in how many seconds to report again."""
        try:
            await self._thoonk.backend.execute(ReportWorker(self._report(), self._reporting.keep))
        except UnsupportedOperation:
            raise
        except ThoonkError as error:
            self._log(error)
            return DENIED_PAUSE if isinstance(error, AccessDenied) else self._reporting.every
        except Exception as error:  # noqa: BLE001 - a worker works without its record
            self._log(error)
        else:
            self._is_known = True
            self._has_failed = False
        return self._reporting.every

    def _log(self, error: Exception) -> None:
        """Log it the first time. That the server is away is logged by others."""
        if self._has_failed:
            return
        self._has_failed = True
        extra = {"event": "worker_not_reported"}
        text = "Worker is not listed, its report failed: %s"
        if isinstance(error, AccessDenied):
            logger.warning(text, error, extra=extra)
        else:
            logger.debug(text, error, extra=extra)
