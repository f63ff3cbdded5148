"""What the tests of the plugin need."""

from __future__ import annotations

import pytest
import servers

from thoonk.testing.servers import FINDERS


@pytest.fixture(autouse=True)
def _has_servers(request: pytest.FixtureRequest) -> None:
    """At a desk without any server, what needs one is skipped."""
    wants = request.node.callspec.params.get("world") if hasattr(request.node, "callspec") else ""
    if wants == "server" and not any(find() for find in FINDERS.values()):
        message = "no server on this machine"
        if servers.servers_are_required():
            pytest.fail(message)
        pytest.skip(message)
