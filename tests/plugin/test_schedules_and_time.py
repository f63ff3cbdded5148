"""The kit's time moves schedules, and gives no time twice."""

from __future__ import annotations

import pytest

from thoonk import Empty
from thoonk.testing import World


def test_each_hour_that_goes_by_puts_a_job(thoonk_world: World) -> None:
    job = thoonk_world.client().job("j")
    job.schedule("hourly", "x", every=3600)
    claims = []
    for _ in range(3):
        with pytest.raises(Empty):
            job.get_nowait()
        # Just as long as between two of them: its id must not be that of one that is still there.
        thoonk_world.advance(3600)
        claims.append(job.get_nowait())
    assert len({claim.id for claim in claims}) == 3
    assert job.get_counts().claimed == 3
    thoonk_world.advance(86400)
    assert job.get_nowait().item == "x"
    with pytest.raises(Empty):
        job.get_nowait()
