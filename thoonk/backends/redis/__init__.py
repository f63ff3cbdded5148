"""Feeds on Redis or Valkey, the primary backend."""

from __future__ import annotations

from typing import Any

from redis import Redis

from thoonk.backends.redis._async.backend import AsyncRedisBackend
from thoonk.backends.redis._async.cluster import AsyncClusterBackend
from thoonk.backends.redis._sync.backend import RedisBackend
from thoonk.backends.redis._sync.cluster import ClusterBackend
from thoonk.backends.redis._sync.connection import open_plain_pool
from thoonk.backends.redis.address import CLUSTER_SCHEMES, SCHEMES, Address
from thoonk.backends.redis.settings import with_defaults
from thoonk.backends.redis.slots import Place
from thoonk.exceptions import InvalidType, InvalidValue

__all__ = [
    "AsyncClusterBackend",
    "AsyncRedisBackend",
    "ClusterBackend",
    "RedisBackend",
    "is_of_cluster",
    "open_client",
    "opener",
]


_OF_CALLS = ("retry_for", "wait_replicas", "wait_timeout")
"""Options of a URL that redis-py does not know."""


def open_client(url: str, *, node: Place | None = None, **options: Any) -> Redis:
    """A plain redis-py client of the server that a backend of this URL would use.

    Closing it closes its connections.

    Args:
        url: of the server, or of a cluster.
        node: which one, if it is a cluster.
        options: as of `RedisBackend`.

    Raises:
        InvalidValue: no such URL, or an option makes no sense.
    """
    address = Address.parse(url)
    settings = {**options, **address.options}
    if address.nodes:
        if node is None:
            raise InvalidValue("this is for one server: pass the URL of a node of the cluster")
        settings["host"], settings["port"] = node
        address = Address()
    kept = {name: value for name, value in settings.items() if name not in _OF_CALLS}
    return Redis.from_pool(open_plain_pool(address, with_defaults(kept)))


class _Opener:
    """Opens ``redis``, ``redis://…``, ``redis+cluster://…``, their variants, and clients."""

    def open(self, url: Any, **options: Any) -> RedisBackend | ClusterBackend:
        if not isinstance(url, str):
            _check_client(url, options, asynchronous=False)
            if is_of_cluster(url):
                return ClusterBackend(client=url, **options)
            return RedisBackend(client=url, **options)
        if is_of_cluster(url):
            return ClusterBackend(url, **options)
        return RedisBackend(_url_of(url), **options)

    def open_async(self, url: Any, **options: Any) -> AsyncRedisBackend | AsyncClusterBackend:
        if not isinstance(url, str):
            _check_client(url, options, asynchronous=True)
            if is_of_cluster(url):
                return AsyncClusterBackend(client=url, **options)
            return AsyncRedisBackend(client=url, **options)
        if is_of_cluster(url):
            return AsyncClusterBackend(url, **options)
        return AsyncRedisBackend(_url_of(url), **options)


def is_of_cluster(target: Any) -> bool:
    """Whether a URL, or a client, is one of a cluster."""
    if isinstance(target, str):
        return target.partition("://")[0].lower() in CLUSTER_SCHEMES
    return hasattr(target, "nodes_manager")


def _url_of(name: str) -> str | None:
    """None for a bare scheme: all is in the options."""
    return None if name in SCHEMES else name


def _check_client(client: Any, options: dict[str, Any], *, asynchronous: bool) -> None:
    if ignored := options.keys() - {*_OF_CALLS}:
        raise InvalidValue(
            f"options cannot be combined with your own client, which has its own settings: "
            f"{', '.join(ignored)}"
        )
    if is_of_cluster(client):
        wanted = "redis.asyncio.RedisCluster" if asynchronous else "redis.RedisCluster"
        module = type(client).__module__
    else:
        wanted = "redis.asyncio.Redis" if asynchronous else "redis.Redis"
        module = type(client.connection_pool).__module__
    if module.partition(".")[0] == "valkey":
        raise InvalidType(
            f"this client needs a {wanted}, not a client of the package valkey; "
            "for a Valkey server, pass its URL (valkey://HOST:PORT)"
        )
    if ("asyncio" in module) != asynchronous:
        raise InvalidType(
            f"this client needs a {wanted}, not a "
            f"{type(client).__module__}.{type(client).__qualname__}"
        )


opener = _Opener()
