"""What a client of a cluster that was handed over knows."""

from __future__ import annotations

from typing import Any

from thoonk.backends.redis.address import Address
from thoonk.backends.redis.settings import check_no_decoding

_KEPT = {"username", "password", "credential_provider", "client_name"}
_KEPT_PREFIXES = ("socket_", "ssl_")


def address_of(client: Any) -> Address:
    """Its nodes, and its settings of connections.

    Its connections are not: the one for threads has pools, and the one for asyncio has none.

    Raises:
        InvalidValue: it decodes replies.
    """
    given = client.get_connection_kwargs()
    check_no_decoding(given)
    kept = {
        name: value
        for name, value in given.items()
        if value is not None and (name in _KEPT or name.startswith(_KEPT_PREFIXES))
    }
    kind = given.get("connection_class")
    if given.get("ssl") or (kind is not None and "SSL" in kind.__name__):
        kept["ssl"] = True
    else:
        kept = {name: value for name, value in kept.items() if not name.startswith("ssl_")}
    manager = client.nodes_manager
    nodes = {**manager.startup_nodes, **manager.nodes_cache}.values()
    return Address(kept, nodes=tuple((node.host, int(node.port)) for node in nodes))
