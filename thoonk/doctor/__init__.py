"""Finds what contradicts the contract on a live Redis or Valkey server, and repairs it on demand.

It reads the keys themselves, not through operations, so it is for the Redis backend only.
"""

from __future__ import annotations

from collections.abc import Collection

import redis

from thoonk.backends.redis import open_client
from thoonk.backends.redis.errors import CONNECTION_ERRORS, not_sent, of_server
from thoonk.doctor.examination import CHECKS, Examination
from thoonk.doctor.findings import Check, Finding, Report, Severity, Size
from thoonk.exceptions import InvalidValue
from thoonk.names import check_timeout

__all__ = ["CHECKS", "Check", "Finding", "Report", "Severity", "Size", "examine"]

WITHOUT_SERVER = ("embedded", "memory", "sqlite")
"""Backends that have nothing to examine: no other program writes what they store."""


def examine(
    url: str,
    *,
    repair: bool = False,
    patience: float = 2.0,
    ignore: Collection[str] = (),
    stuck_after: float | None = None,
) -> Report:
    """Examine a server, in small steps.

    Args:
        url: any URL that the Redis backend takes.
        repair: repair what can be repaired without loss.
        patience: seconds for which something has to be wrong, without a change, to count.
        ignore: names of checks to leave out.
        stuck_after: for how many seconds a job may be claimed before it is reported as stuck.
            None: 60 times its feed's ``claim_timeout``.

    Raises:
        InvalidValue: not such a URL, no such check, or a patience that makes no sense.
        BackendUnavailable, AccessDenied: the server cannot be reached, or denies access.
    """
    patience = check_timeout(patience, "patience") or 0.0
    stuck_after = check_timeout(stuck_after, "stuck_after")
    if unknown := set(ignore) - CHECKS.keys():
        raise InvalidValue(
            f"unknown check {', '.join(unknown)}; known: {', '.join(sorted(CHECKS))}"
        )
    scheme = url.partition(":")[0].lower()
    if scheme in WITHOUT_SERVER:
        raise InvalidValue(f"the doctor examines only Redis and Valkey servers, not {scheme}")
    client = open_client(url)
    try:
        examination = Examination(
            client, repair=repair, patience=patience, ignore=ignore, stuck_after=stuck_after
        )
        return examination.run()
    except (*CONNECTION_ERRORS, redis.exceptions.NoPermissionError) as error:
        raise not_sent(error) from error
    except redis.exceptions.ResponseError as error:
        raise of_server(error) from error
    finally:
        client.close()
