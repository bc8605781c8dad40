"""What the API says of a pod is read as what it means for the node."""

from __future__ import annotations

from typing import Any

import pytest

from controller.nodes.kubernetes_reading import (
    NODE_LABEL,
    TYPE_LABEL,
    WORKERS,
    listing,
    read_pod,
)
from controller.ports import NodeState

BOOTING, RUNNING, BROKEN = NodeState.BOOTING, NodeState.RUNNING, NodeState.BROKEN


def pod(status: dict[str, Any], **metadata: Any) -> dict[str, Any]:
    labels = {NODE_LABEL: "n1", TYPE_LABEL: "small"}
    told = {"name": "p", "uid": "u", "resourceVersion": "7", "labels": labels}
    return {"metadata": {**told, "annotations": {WORKERS: "2"}, **metadata}, "status": status}


def container(**state: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"name": "worker", "state": state}]


def waiting(reason: str) -> dict[str, Any]:
    state = container(waiting={"reason": reason, "message": "why"})
    return {"phase": "Pending", "containerStatuses": state}


def ended(code: int, reason: str = "Error", **more: str) -> dict[str, Any]:
    state = container(terminated={"exitCode": code, "reason": reason})
    return {"phase": "Failed" if code else "Succeeded", "containerStatuses": state, **more}


UNSCHEDULABLE = {
    "phase": "Pending",
    "conditions": [
        {
            "type": "PodScheduled",
            "status": "False",
            "reason": "Unschedulable",
            "message": "0/3 nodes are available: 3 Insufficient cpu.",
        }
    ],
}
RUNS = {"phase": "Running", "containerStatuses": container(running={"startedAt": "now"})}
PREEMPTED = ended(143) | {
    "conditions": [{"type": "DisruptionTarget", "reason": "PreemptionByScheduler"}]
}
TELLING = ended(78)
TELLING["containerStatuses"][0]["state"]["terminated"]["message"] = "error: another version\n"

CASES: tuple[tuple[dict[str, Any], bool, NodeState, str], ...] = (
    ({}, False, BOOTING, ""),
    ({"phase": "Pending"}, True, BROKEN, "it does not start: Pending"),
    (UNSCHEDULABLE, False, BOOTING, "no capacity: 0/3 nodes are available: 3 Insufficient cpu."),
    (UNSCHEDULABLE, True, BROKEN, "no capacity: 0/3 nodes are available: 3 Insufficient cpu."),
    (waiting("ContainerCreating"), False, BOOTING, "ContainerCreating: why"),
    (waiting("ContainerCreating"), True, BROKEN, "it does not start: ContainerCreating: why"),
    (waiting("ErrImagePull"), False, BOOTING, "ErrImagePull: why"),
    (waiting("ImagePullBackOff"), False, BROKEN, "ImagePullBackOff: why"),
    (waiting("ErrImageNeverPull"), False, BROKEN, "ErrImageNeverPull: why"),
    (waiting("CreateContainerConfigError"), False, BROKEN, "CreateContainerConfigError: why"),
    (RUNS, True, RUNNING, ""),
    (ended(0, "Completed"), False, BROKEN, "its command ended (exit code 0)"),
    (ended(137, "OOMKilled"), False, BROKEN, "OOMKilled (exit code 137)"),
    (ended(75), False, BROKEN, "its workers could not reach the scheduler (exit code 75)"),
    (TELLING, False, BROKEN, "its workers were refused (exit code 78): error: another version"),
    (ended(127), False, BROKEN, "its command was not found in the image (exit code 127)"),
    (
        {"phase": "Failed", "reason": "Evicted", "message": "low on memory"},
        False,
        BROKEN,
        "Evicted: low on memory",
    ),
    (PREEMPTED, False, BROKEN, "PreemptionByScheduler: told to end (exit code 143)"),
    ({"phase": "Failed"}, False, BROKEN, "the pod failed"),
)


@pytest.mark.parametrize(("status", "late", "state", "reason"), CASES)
def test_a_status_is_a_state_and_a_reason(
    status: dict[str, Any], late: bool, state: NodeState, reason: str
) -> None:
    told = listing(read_pod(pod(status)), age_s=100.0 if late else 1.0, launch_s_max=60.0)
    assert (told.state, told.reason) == (state, reason)
    assert (told.node_id, told.node_type, told.workers) == ("n1", "small", 2)


def test_a_pod_that_was_told_to_end_is_none_to_count_on() -> None:
    raw = pod(RUNS, deletionTimestamp="2026-01-01T00:00:00Z", deletionGracePeriodSeconds=30)
    read = read_pod(raw)
    assert (read.leaving, read.leave_s) == (True, 30.0)
    told = listing(read, age_s=1.0, launch_s_max=60.0)
    assert (told.state, told.reason) == (BROKEN, "its pod was told to end")


def test_what_others_have_written_on_a_pod_does_no_harm() -> None:
    raw = pod({"phase": "Pending"}, annotations={WORKERS: "many"}, resourceVersion="opaque")
    assert (read_pod(raw).workers, read_pod(raw).version) == (0, 0)
