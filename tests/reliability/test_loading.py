"""A server that is still loading its data says so; calls wait for it."""

from __future__ import annotations

import time

import pytest
import redis
import servers
from conftest import _binary
from redis.backoff import NoBackoff
from redis.retry import Retry

from thoonk import BackendUnavailable, Thoonk

# redis-server 6.2 looks at its clients only after every 2 MB of data.
NAMES = [name for name in servers.binaries() if name != "redis-6.2"]


@pytest.mark.parametrize("name", NAMES)
def test_a_call_waits_until_the_server_has_loaded(name: str) -> None:
    with servers.running(_binary(name)) as server:
        with Thoonk(backend=server.url) as thoonk:
            feed = thoonk.feed("f")
            id = feed.publish("kept")
            with server.client() as raw:
                raw.mset({f"ballast:{number}": "x" * 2000 for number in range(1500)})
                raw.save()
            server.kill()
            slowly = ("--key-load-delay", "1000", "--loading-process-events-interval-bytes", "1024")
            server.options = slowly
            with Thoonk(backend=server.url, retry_for=0) as impatient:
                server.start(ready=False)
                until_loading(server)
                with pytest.raises(BackendUnavailable, match="nothing was done"):
                    impatient.get_feed_names()
            assert feed.get_item(id) == "kept"
            assert feed.publish("more", id="2") == "2"


def until_loading(server: servers.Server) -> None:
    deadline = time.monotonic() + 10
    while True:
        assert time.monotonic() < deadline
        try:
            with server.client(retry=Retry(NoBackoff(), 0)) as raw:
                raw.ping()
        except redis.BusyLoadingError:
            return
        except redis.ConnectionError:
            time.sleep(0.01)
        else:
            pytest.fail("it loaded too fast to be seen")
