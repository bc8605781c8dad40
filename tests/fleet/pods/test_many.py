"""What 200 pods cost: requests a node, and time, on a real control plane (`make many-pods`)."""

from __future__ import annotations

import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest

from controller.ports import NodeState
from tests.fleet.control_plane import until
from tests.fleet.kubelet import Kubelet
from tests.fleet.pods.conftest import Cluster, Make

COUNT = 200
LANES = 4
"""Calls to a provider at the same time, as its keeper makes them."""

REQUESTS_MAX = 3.1
"""A node costs its pod, its Secret and its end; all else is shared by all of them."""

WAIT_S_MAX = 240.0


@pytest.mark.slow
def test_many_pods_are_created_watched_and_collected(
    make: Make, kubelet: Kubelet, cluster: Cluster
) -> None:
    nodes = make(kind={"nodes_max": COUNT}, size={"cpu": 0.01, "memory_mb": 8})
    ids = [f"n{number}" for number in range(COUNT)]
    began = time.monotonic()
    with ThreadPoolExecutor(LANES) as lanes:
        list(lanes.map(lambda node_id: nodes.create(node_id, "small", 2), ids))
        created_s = time.monotonic() - began

        def states() -> Counter[NodeState]:
            return Counter(each.state for each in nodes.list_nodes())

        until("all run", lambda: states()[NodeState.RUNNING] == COUNT, wait_s_max=WAIT_S_MAX)
        ran_s = time.monotonic() - began
        listing = time.process_time()
        for _ in range(10):
            nodes.list_nodes()
        list_ms = (time.process_time() - listing) * 100
        began = time.monotonic()
        left = list(ids)

        def gone() -> bool:
            ended = list(lanes.map(nodes.delete, left))
            left[:] = [node_id for node_id, end in zip(left, ended, strict=True) if not end]
            return not left

        until("all are gone", gone, wait_s_max=WAIT_S_MAX)
    gone_s = time.monotonic() - began
    requests = nodes.requests()
    a_node = requests.total() / COUNT
    print(
        f"\n{COUNT} pods: created {created_s:.1f} s, running {ran_s:.1f} s, gone {gone_s:.1f} s;"
        f" {a_node:.2f} requests a node {dict(requests)}; a listing {list_ms:.1f} ms of CPU"
    )
    assert a_node <= REQUESTS_MAX
    assert cluster.pods() == []
