"""Finds what contradicts the contract on a live Redis or Valkey server, and repairs it on demand.

There it reads the keys themselves. Of a cluster it examines the nodes and how they hang together,
and of other backends what they store in, if they offer that (`thoonk.backends.checkups`); then the
feeds, through operations.
"""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Mapping

import redis

from thoonk.backends import checkable, open_backend
from thoonk.backends.checkups import Checkable
from thoonk.backends.redis import is_of_cluster, open_client
from thoonk.backends.redis.errors import CONNECTION_ERRORS, not_sent, of_server
from thoonk.doctor.cluster import CHECKS as CLUSTER_CHECKS
from thoonk.doctor.cluster_examination import ClusterExamination
from thoonk.doctor.contents import Contents
from thoonk.doctor.examination import CHECKS as SERVER_CHECKS
from thoonk.doctor.examination import Examination
from thoonk.doctor.findings import Check, Finding, Report, Severity, Size, in_order
from thoonk.exceptions import InvalidValue
from thoonk.names import check_timeout

__all__ = ["CHECKS", "Check", "Finding", "Report", "Severity", "Size", "examine"]

_FILES = checkable("sqlite://")

CHECKS: Mapping[str, Check] = {
    **SERVER_CHECKS,
    **CLUSTER_CHECKS,
    **{check.name: check for check in (_FILES.checks if _FILES else ())},
}
"""All there are, by name."""


def examine(
    url: str,
    *,
    repair: bool = False,
    patience: float = 2.0,
    ignore: Collection[str] = (),
    stuck_after: float | None = None,
) -> Report:
    """Examine a server or a cluster, in small steps, or a file.

    Args:
        url: any URL that the Redis backend takes, or ``sqlite:///FILE``.
        repair: repair what can be repaired without loss; on one server only.
        patience: seconds for which something has to be wrong, without a change, to count.
        ignore: names of checks to leave out.
        stuck_after: for how many seconds a job may be claimed before it is reported as stuck.
            None: 60 times its feed's ``claim_timeout``.

    Raises:
        InvalidValue: not such a URL, no such check, or a patience that makes no sense.
        BackendUnavailable, AccessDenied: the server cannot be reached, or denies access; there is
            no such file.
    """
    patience = check_timeout(patience, "patience") or 0.0
    stuck_after = check_timeout(stuck_after, "stuck_after")
    if unknown := set(ignore) - CHECKS.keys():
        raise InvalidValue(
            f"unknown check {', '.join(unknown)}; known: {', '.join(sorted(CHECKS))}"
        )
    checker = checkable(url)
    if checker is not None:
        return _without_server(checker, url, ignore, stuck_after)
    if url.partition(":")[0].lower() == "memory":
        raise InvalidValue("the memory backend keeps nothing that could be examined")
    try:
        if is_of_cluster(url):
            return ClusterExamination(url, patience, ignore, stuck_after).run()
        with contextlib.closing(open_client(url)) as client:
            return Examination(
                client, repair=repair, patience=patience, ignore=ignore, stuck_after=stuck_after
            ).run()
    except (*CONNECTION_ERRORS, redis.exceptions.NoPermissionError) as error:
        raise not_sent(error) from error
    except redis.exceptions.ResponseError as error:
        raise of_server(error) from error


def _without_server(
    checker: Checkable, url: str, ignore: Collection[str], stuck_after: float | None
) -> Report:
    """Examine a file, and then its feeds unless it is damaged."""
    checkup = checker.check_up(url)
    findings, sizes, count = [*checkup.findings], tuple[Size, ...](), 0
    if checkup.can_be_opened:
        backend, _ = open_backend(url)
        try:
            contents = Contents(backend, checkup.sizes, stuck_after)
            findings += contents.findings()
            sizes, count = contents.sizes, contents.operations
        finally:
            backend.close()
    wanted = (finding for finding in findings if finding.check.name not in ignore)
    return Report(checkup.name, in_order(wanted), sizes, count)
