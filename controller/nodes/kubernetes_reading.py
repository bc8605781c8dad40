"""What a pod's status means for the node that it is: pure reading, no calls."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from controller.ports import NodeListing, NodeState

NODE_LABEL = "slackwater/node"
TYPE_LABEL = "slackwater/type"
SERVICE_LABEL = "slackwater/service"
WORKERS = "slackwater/workers"
"""An annotation: how many workers the pod is to hold; labels cannot be told a pod that runs."""

HOPELESS = frozenset(
    {
        "ImagePullBackOff",
        "ErrImageNeverPull",
        "InvalidImageName",
        "CreateContainerConfigError",
        "CreateContainerError",
        "RunContainerError",
        "CrashLoopBackOff",
    }
)
"""A container that waits for one of these reasons will not start unless somebody mends something.
``ErrImagePull`` is not among them: the first try may fail, the second one is ``ImagePullBackOff``.
"""

EXIT_CODES = {
    75: "its workers could not reach the scheduler",
    78: "its workers were refused",
    126: "its command cannot be executed",
    127: "its command was not found in the image",
    137: "killed",
    143: "told to end",
}
"""What a worker's exit code says (`slackwater worker`, and what shells and kernels add)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pod:
    """What is kept of a pod of ours.

    Parameters
    ----------
    name, uid, node_id, node_type, phase : str
    version : int
        Of the object, as the API counts changes; 0 when it tells no number.
    workers : int
        How many it is to hold.
    leaving : bool
        It was asked to end.
    leave_s : float
        It was given so long to end [s].
    unschedulable, waiting, ended : str
        Why it has no place, why its container does not start, how it ended; empty when not so.
    runs : bool
        Its container runs.
    """

    name: str
    uid: str
    node_id: str
    node_type: str
    phase: str
    version: int
    workers: int
    leaving: bool = False
    leave_s: float = 0.0
    unschedulable: str = ""
    waiting: str = ""
    ended: str = ""
    runs: bool = False


def read_pod(raw: Mapping[str, Any]) -> Pod:
    """Return what is worth keeping of a pod as the API tells it."""
    metadata, status = raw["metadata"], raw.get("status") or {}
    labels, annotations = metadata.get("labels") or {}, metadata.get("annotations") or {}
    containers = status.get("containerStatuses") or [{}]
    state = containers[0].get("state") or {}
    workers = annotations.get(WORKERS, "")
    return Pod(
        name=metadata["name"],
        uid=metadata.get("uid", ""),
        node_id=labels.get(NODE_LABEL, ""),
        node_type=labels.get(TYPE_LABEL, ""),
        phase=status.get("phase", "Pending"),
        version=number(metadata.get("resourceVersion")),
        workers=number(workers),
        leaving=bool(metadata.get("deletionTimestamp")),
        leave_s=float(metadata.get("deletionGracePeriodSeconds") or 0),
        unschedulable=_unschedulable(status),
        waiting=_waiting(state.get("waiting") or {}),
        ended=_ended(status, state.get("terminated") or {}),
        runs="running" in state,
    )


def number(text: object) -> int:
    """Return the number that a text is, 0 when it is none."""
    text = str(text)
    return int(text) if text.isascii() and text.isdigit() else 0


def _condition(status: Mapping[str, Any], kind: str) -> Mapping[str, Any]:
    conditions = status.get("conditions") or []
    return next((each for each in conditions if each.get("type") == kind), {})


def _unschedulable(status: Mapping[str, Any]) -> str:
    placed = _condition(status, "PodScheduled")
    if placed.get("status") != "False" or placed.get("reason") != "Unschedulable":
        return ""
    return placed.get("message") or "Unschedulable"


def _waiting(waiting: Mapping[str, Any]) -> str:
    """Return a reason, its first word the API's own."""
    return ": ".join(filter(None, (waiting.get("reason"), waiting.get("message"))))


def _ended(status: Mapping[str, Any], terminated: Mapping[str, Any]) -> str:
    """Return how a pod ended; the pod's own reason (Evicted, Preempting) says more than its exit.

    What is told ends with what the container said last, if anything.
    """
    if status.get("phase") not in ("Failed", "Succeeded"):
        return ""
    disruption = _condition(status, "DisruptionTarget")
    told = [status.get("reason"), status.get("message"), disruption.get("reason")]
    code = terminated.get("exitCode")
    if terminated.get("reason") not in (None, "Error", "Completed"):
        told.append(f"{terminated['reason']} (exit code {code})")
    elif code is not None:
        told.append(EXIT_CODES.get(code, "its command ended") + f" (exit code {code})")
    told.append((terminated.get("message") or "").strip())
    return ": ".join(each for each in told if each) or f"the pod {status['phase'].lower()}"


def listing(pod: Pod, *, age_s: float, launch_s_max: float) -> NodeListing:
    """Return how a node stands.

    Parameters
    ----------
    pod : Pod
    age_s : float
        For how long it is known [s].
    launch_s_max : float
        A pod that does not run by then is broken [s].
    """
    state, reason = _state(pod, late=age_s > launch_s_max)
    return NodeListing(
        node_id=pod.node_id,
        node_type=pod.node_type,
        state=state,
        workers=pod.workers,
        reason=reason,
    )


def _state(pod: Pod, *, late: bool) -> tuple[NodeState, str]:
    """Return the first of these that is so."""
    hopeless = pod.waiting if pod.waiting.partition(":")[0] in HOPELESS else ""
    no_place = f"no capacity: {pod.unschedulable}" if pod.unschedulable else ""
    leaving = "its pod was told to end" if pod.leaving else ""
    if broken := pod.ended or leaving or hopeless:
        return NodeState.BROKEN, broken
    if pod.phase == "Running" and pod.runs:
        return NodeState.RUNNING, ""
    if late:
        return NodeState.BROKEN, no_place or f"it does not start: {pod.waiting or pod.phase}"
    return NodeState.BOOTING, no_place or pod.waiting
