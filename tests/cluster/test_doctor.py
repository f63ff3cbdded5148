"""What the doctor says of a cluster, its servers and its feeds."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest
from click.testing import CliRunner
from clusters import Cluster, slot_of
from conftest import World

from thoonk import BackendError, BackendUnavailable, Thoonk
from thoonk.doctor import Finding, Report, examine
from thoonk.doctor.cluster import ClusterNode, examine_cluster, gone
from thoonk.doctor.cluster_examination import ClusterExamination
from thoonk.doctor.command import doctor


def looked_at(cluster: Cluster, *, patience: float = 0.15) -> Report:
    """The servers of the tests keep nothing on a disk."""
    return examine(cluster.url, patience=patience, ignore=["persistence"])


def told(report: Report) -> dict[str, list[Finding]]:
    found: dict[str, list[Finding]] = {}
    for finding in report.findings:
        found.setdefault(finding.check.name, []).append(finding)
    return found


def test_what_is_well_is_not_told_and_feeds_of_all_nodes_are_listed(cluster: Cluster) -> None:
    names = {f"{{feed {number}}}" for number in range(12)}
    with Thoonk(backend=cluster.url) as thoonk:
        for name in names:
            thoonk.queue(name).put("x" * 100)
    report = looked_at(cluster)
    assert not report.findings
    assert re.fullmatch(r"(Redis|Valkey) .*, cluster of 3 masters and 3 replicas", report.server)
    assert {size.feed for size in report.sizes} == names
    assert all(size.items == 1 and size.bytes > 100 for size in report.sizes)


def test_what_is_alike_on_all_nodes_is_one_line(cluster: Cluster) -> None:
    result = CliRunner().invoke(doctor, [cluster.url, "--patience", "0"])
    assert result.exit_code == 1
    (line,) = [line for line in result.stdout.splitlines() if "persistence" in line]
    assert all(f"127.0.0.1:{node.port}" in line for node in cluster.nodes)


def test_settings_of_one_node_are_told_with_its_name(cluster: Cluster) -> None:
    node = cluster.masters()[1]
    node.call("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
    try:
        found = told(looked_at(cluster))
    finally:
        node.call("CONFIG", "SET", "maxmemory-policy", "noeviction")
    assert found.keys() == {"eviction", "policies"}
    (eviction,), (policies,) = found["eviction"], found["policies"]
    assert eviction.says.startswith(f"127.0.0.1:{node.port}: maxmemory-policy is allkeys-lru")
    assert policies.says.startswith(
        f"maxmemory-policy is allkeys-lru on 127.0.0.1:{node.port} and noeviction on 127.0.0.1:"
    )


def test_faults_of_feeds_are_told(cluster: Cluster) -> None:
    with Thoonk(backend=cluster.url) as thoonk:
        job = thoonk.job("{job}")
        job.put("x")
        job.get(timeout=5)
    cluster.owner("{job}").call("HSET", "feed.config:{job}", "claim_timeuot", "60")
    cluster.owner("feeds").call("SADD", "feeds", "plain")
    report = looked_at(cluster)
    assert {(f.check.name, f.feed) for f in report.findings} == {
        ("config-field", "{job}"),
        ("endless", "{job}"),
        ("untagged", "plain"),
    }


@pytest.fixture
def moving(cluster: Cluster) -> Iterator[tuple[int, Any, Any]]:
    """A slot with a feed, on its way from a node to another."""
    with Thoonk(backend=cluster.url) as thoonk:
        thoonk.queue("{moving}").put("x")
    slot = slot_of("{moving}")
    target = cluster.other_master(cluster.owner("{moving}"))
    source = cluster.begin_to_move(slot, target)
    yield slot, source, target
    cluster.move_keys(slot, source, target)
    cluster.end_move(slot, source, target)
    cluster.settle()


def test_a_slot_that_stays_on_its_way_is_told(
    cluster: Cluster, moving: tuple[int, Any, Any]
) -> None:
    slot, source, target = moving
    found = told(looked_at(cluster))
    assert found.keys() == {"moving"}
    (finding,) = found["moving"]
    assert finding.feed == "{moving}"
    assert finding.says == (
        f"slot {slot} is on its way from 127.0.0.1:{source.port} to 127.0.0.1:{target.port}, "
        "and no key has moved"
    )


def test_a_slot_whose_keys_move_is_not_told(
    cluster: Cluster, moving: tuple[int, Any, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time, "sleep", lambda _: cluster.move_keys(*moving, count=1))
    assert "moving" not in told(looked_at(cluster, patience=0))


def test_slots_of_no_node_are_told(cluster: Cluster) -> None:
    with Thoonk(backend=cluster.url) as thoonk:
        for name in ("{lost}", "{there}"):
            thoonk.queue(name)
    slot, owner = slot_of("{lost}"), cluster.owner("{lost}")
    for each in cluster.nodes:
        # Otherwise all of them refuse all calls, and that takes seconds to begin and to end.
        each.call("CONFIG", "SET", "cluster-require-full-coverage", "no")
        each.call("CLUSTER", "DELSLOTS", slot)
    try:
        report = looked_at(cluster)
    finally:
        owner.call("CLUSTER", "ADDSLOTS", slot)
        for each in cluster.nodes:
            each.call("CONFIG", "SET", "cluster-require-full-coverage", "yes")
        cluster.settle()
    assert {name: [f.says for f in found] for name, found in told(report).items()} == {
        "slots": [f"no node has slot {slot}"]
    }
    assert [size.feed for size in report.sizes] == ["{there}"]


def test_a_replica_that_is_not_there_is_told(cluster: Cluster) -> None:
    master = cluster.masters()[0]
    replica = cluster.replica_of(master)
    cluster.kill(replica)
    try:
        found = told(looked_at(cluster))
    finally:
        cluster.restart(replica)
        cluster.settle()
    says = {name: [finding.says for finding in found[name]] for name in found}
    assert says == {
        "node-down": [f"the replica 127.0.0.1:{replica.port} does not answer"],
        "no-replica": [f"127.0.0.1:{master.port} has no replica that is up"],
    }


def test_a_node_that_goes_down_meanwhile_ends_nothing(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    replica = cluster.replica_of(cluster.masters()[0])
    look = ClusterExamination._look

    def look_and_kill(examination: ClusterExamination) -> Any:
        seen = look(examination)
        cluster.kill(replica)
        return seen

    monkeypatch.setattr(ClusterExamination, "_look", look_and_kill)
    try:
        found = told(looked_at(cluster))
    finally:
        cluster.restart(replica)
        cluster.settle()
    says = [finding.says for finding in found["node-down"]]
    assert says == [f"127.0.0.1:{replica.port}: the node went down while it was examined"]


def node(name: str, slots: range, *, master: str = "", down: bool = False) -> ClusterNode:
    place = (name, 7000)
    return ClusterNode(name, place, master, frozenset(slots), frozenset(), down, not down)


def test_a_master_that_is_down_has_its_slots_told() -> None:
    nodes = [node("a", range(8000), down=True), node("b", range(8000, 16384))]
    nodes.append(node("c", range(0), master="b"))
    assert [finding.line.partition(";")[0] for finding in examine_cluster(nodes)] == [
        "a:7000, which is down, has slots 0-7999",
        "the master a:7000 does not answer",
        "a:7000 has no replica",
    ]
    assert gone(nodes) == {"a:7000": {*range(8000)}}


def test_a_node_is_the_same_fault_before_and_after_the_others_notice() -> None:
    silent = attrs.evolve(node("a", range(16384), down=True), is_down=False)
    noticed = attrs.evolve(silent, is_down=True)
    assert [*examine_cluster([silent])] == [*examine_cluster([noticed])]
    (*_, cut_off, _) = examine_cluster([attrs.evolve(noticed, answers=True)])
    assert cut_off.says == "the master a:7000 is down, according to other nodes"


def test_of_many_slots_some_are_named() -> None:
    nodes = [node("a", range(0, 16384, 2)), node("b", range(0), master="a")]
    (finding,) = examine_cluster(nodes)
    assert finding.says == "no node has slots 1, 3, 5, 7, 9 and 8187 more"


def test_one_server_is_told_to_be_one(real_world: World) -> None:
    assert real_world.server is not None
    with pytest.raises(BackendError, match="not part of a cluster: use a backend redis://"):
        examine(real_world.server.url.replace("redis://", "redis+cluster://"))


def test_nodes_that_are_not_there_are_an_error() -> None:
    with pytest.raises(BackendUnavailable):
        examine("redis+cluster://127.0.0.1:1,127.0.0.1:2")


def test_the_rights_that_the_page_names_are_enough(cluster: Cluster) -> None:
    text = (Path(__file__).parents[2] / "docs/doctor.md").read_text("utf-8")
    rule = re.search(r"```text\n(ACL SETUSER .*?)```", text, re.DOTALL)
    more = re.search(r"On a cluster, add `(.*?)`", text, re.DOTALL)
    assert rule is not None
    assert more is not None
    with Thoonk(backend=cluster.url) as thoonk:
        job = thoonk.job("{job}", {"claim_timeout": 60})
        job.put("x")
        job.get(timeout=5)
        job.schedule("s", "x", every=60)
    words = [*rule[1].replace("PASSWORD", "secret").split(), *more[1].split()]
    for each in cluster.nodes:
        each.call(*words)
    try:
        url = cluster.url.replace("//", "//watch:secret@")
        report = examine(url, patience=0, ignore=["persistence"])
        assert not report.findings
        assert report.sizes[0].bytes > 0
    finally:
        for each in cluster.nodes:
            each.call("ACL", "DELUSER", "watch")
