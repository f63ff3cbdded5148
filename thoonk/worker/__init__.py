"""Workers for job feeds: functions that do the jobs, and processes that call them.

>>> from thoonk import Thoonk
>>> from thoonk.worker import Worker
>>> thoonk = Thoonk(backend="memory")
>>> worker = Worker(thoonk)
>>> @worker.handles("greetings")
... def greet(name):
...     return f"hello {name}"
>>> id = thoonk.job("greetings").put("world")
>>> worker.run(burst=True)
0
>>> thoonk.job("greetings").get_result(id, timeout=5)
JobResult(query='world', result='hello world')
"""

from __future__ import annotations

from thoonk.worker.handlers import Handler
from thoonk.worker.outcomes import Discard, Retry, Stall, TimeLimitExceeded
from thoonk.worker.workers import AsyncWorker, Worker

__all__ = [
    "AsyncWorker",
    "Discard",
    "Handler",
    "Retry",
    "Stall",
    "TimeLimitExceeded",
    "Worker",
]
