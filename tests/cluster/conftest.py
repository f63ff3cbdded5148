"""Clusters for the tests of this folder: one of each kind of server, started when it is needed."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

import clusters
import pytest
from conftest import _binary


@pytest.fixture(scope="session")
def running_clusters() -> Iterator[Callable[[str], clusters.Cluster]]:
    """Clusters by the name of their server."""
    with contextlib.ExitStack() as stack:
        started: dict[str, clusters.Cluster] = {}

        def get(name: str) -> clusters.Cluster:
            if name not in started:
                started[name] = stack.enter_context(clusters.running_cluster(_binary(name)))
            return started[name]

        yield get


@pytest.fixture(params=["redis-6.2", "valkey-8.1", "redis-path"])
def cluster(
    request: pytest.FixtureRequest, running_clusters: Callable[[str], clusters.Cluster]
) -> Iterator[clusters.Cluster]:
    """A cluster, empty, of which no node is failing."""
    found = running_clusters(request.param)
    found.calm()
    found.empty()
    yield found
    assert not found.crashed(), found.crashed()[0]
