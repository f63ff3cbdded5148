"""The contract classes of `thoonk.testing`, on a cluster: each feed is in a slot of its own."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import pytest
from clusters import Cluster

from thoonk import testing
from thoonk.backends import AsyncBackend, Backend, open_async_backend, open_backend
from thoonk.testing import AsyncContract, Contract
from thoonk.testing._async.prefixed import AsyncPrefixed
from thoonk.testing._sync.prefixed import Prefixed
from thoonk.testing.clock import rewind, rewind_workers


def pass_time(cluster: Cluster, seconds: float) -> None:
    with contextlib.closing(cluster.client()) as raw:
        client: Any = raw
        for name in client.smembers("feeds"):
            rewind(client, name.decode(), seconds)
        rewind_workers(client, seconds)


class AsyncOnCluster(AsyncContract):
    """A contract class that stands behind this one runs on a cluster."""

    @pytest.fixture
    def open_async_backend(self, cluster: Cluster) -> Callable[[], AsyncBackend]:
        self.cluster = cluster
        return lambda: AsyncPrefixed(open_async_backend(cluster.url)[0], "{", "}")

    async def pass_time(self, seconds: float) -> None:
        pass_time(self.cluster, seconds)


class OnCluster(Contract):
    """A contract class that stands behind this one runs on a cluster."""

    @pytest.fixture
    def open_backend(self, cluster: Cluster) -> Callable[[], Backend]:
        self.cluster = cluster
        return lambda: Prefixed(open_backend(cluster.url)[0], "{", "}")

    def pass_time(self, seconds: float) -> None:
        pass_time(self.cluster, seconds)


# The scripts are the same on one server: these are the ones that ask the most of how they are sent.
ON_CLUSTERS = (
    testing.AsyncBackendContract,
    testing.AsyncCancellationContract,
    testing.AsyncClaimsContract,
    testing.AsyncJobContract,
    testing.AsyncQueueContract,
    testing.BulkContract,
    testing.FeedContract,
    testing.PauseContract,
    testing.StatsContract,
    testing.ThreadContract,
)

WAITING_FOR_RESULTS = dict.fromkeys(
    (
        "test_a_result_that_comes_after_one_asks",
        "test_another_jobs_result_is_not_ones_own",
    ),
    "a cluster has no notices yet",
)

for base in ON_CLUSTERS:
    name = base.__name__
    on = AsyncOnCluster if name.startswith("Async") else OnCluster
    here: dict[str, Any] = {"__module__": __name__}
    if name.endswith("JobContract"):
        here["deviations"] = WAITING_FOR_RESULTS
    globals()["Test" + name] = type("Test" + name, (on, base), here)
