"""Results that the server does not take."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from thoonk import Thoonk

from .conftest import KINDS, Workers, becomes

MIB = 1 << 20


@pytest.fixture
def small_server(any_server: Callable[..., Any]) -> Iterator[Any]:
    with any_server("--proto-max-bulk-len", "1mb") as server:
        yield server


@pytest.mark.parametrize("prefetch", [1, 16])
@pytest.mark.parametrize("kind", KINDS)
def test_a_job_whose_result_the_server_refuses_is_stalled_and_the_others_are_finished(
    small_server: Any, kind: str, prefetch: int, caplog: pytest.LogCaptureFixture
) -> None:
    workers = Workers(kind, small_server.url)
    done = []

    def handler(item: str) -> str:
        done.append(item)
        return item * (3 * MIB) if item == "L" else item

    worker = workers(concurrency=1)
    workers.handle(worker, "j", handler, prefetch=prefetch, backoff=0.01)
    with Thoonk(backend=small_server.url) as thoonk:
        jobs = thoonk.job("j")
        ids = jobs.put_many(["a", "L", "b", "L", "c"])
        with workers.working(worker):
            becomes(jobs, 0, 0, 2, 3)
        assert sorted(done) == ["L", "L", "a", "b", "c"]
        assert jobs.get_result(ids[4], timeout=5).result == "c"
        info = jobs.get_info(ids[1])
        assert info is not None
        assert info.failure is not None
        assert info.failure.message.startswith("its result cannot be stored: ")
    refused = [record for record in caplog.records if record.levelname == "ERROR"]
    assert [record.id for record in refused] == [ids[1], ids[3]]
    assert all("exceed the server's" in record.message for record in refused)


def test_a_loop_over_claims_goes_on_after_a_result_that_is_refused(small_server: Any) -> None:
    with Thoonk(backend=small_server.url) as thoonk:
        jobs = thoonk.job("j")
        jobs.put_many(["L", "a"])
        for claim in jobs.claims(timeout=1):
            claim.set_result(claim.item * (3 * MIB) if claim.item == "L" else claim.item)
        becomes(jobs, 0, 0, 1, 1)
