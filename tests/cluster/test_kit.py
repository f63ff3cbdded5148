"""The contract classes of `thoonk.testing`, on a cluster: each feed is in a slot of its own."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from clusters import Cluster

from thoonk import testing
from thoonk.backends import AsyncBackend, Backend, open_async_backend, open_backend
from thoonk.testing import AsyncContract, Contract
from thoonk.testing._async.prefixed import AsyncPrefixed
from thoonk.testing._sync.prefixed import Prefixed
from thoonk.testing.clock import rewind, rewind_workers

ORDER = dict.fromkeys(
    (
        "test_a_feed_tells_of_its_configuration_and_its_end",
        "test_nothing_is_lost_between_a_feeds_creation_and_its_first_publish",
    ),
    "notices of different nodes have no order: of a feed, and of the names of all feeds",
)


def pass_time(cluster: Cluster, seconds: float) -> None:
    for name in cluster.raw.smembers("feeds"):
        rewind(cluster.raw, name.decode(), seconds)
    rewind_workers(cluster.raw, seconds)


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


for name in testing.__all__:
    base = getattr(testing, name)
    if isinstance(base, type) and issubclass(base, (AsyncContract, Contract)):
        if base in (AsyncContract, Contract):
            continue
        on = AsyncOnCluster if issubclass(base, AsyncContract) else OnCluster
        deviations = {test: reason for test, reason in ORDER.items() if hasattr(base, test)}
        here = {"__module__": __name__, "deviations": deviations}
        globals()["Test" + name] = type("Test" + name, (on, base), here)
