"""What a run of a playbook tells, line by line: how each host is doing, and what came of it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from controller.errors import NodeError, NodeFault

LAST_TASK = "See the worker stand"
"""A host of which this task is done is a worker, whatever others are still about."""

CONNECT_TASK = "Wait until the host lets us in"
"""It fails of a host that never answered."""

MESSAGE_MAX = 600
"""Of what a failed task says [characters]: its end says why."""


class Done(StrEnum):
    """How a task of a host ended."""

    OK = "ok"
    CHANGED = "changed"
    SKIPPED = "skipped"
    FAILED = "failed"
    UNREACHABLE = "unreachable"


@dataclass(frozen=True, slots=True, kw_only=True)
class HostProgress:
    """One task of one host has ended.

    Parameters
    ----------
    node_id, task : str
    done : Done
    outcome : HostOutcome or None
        What came of the host, if that is known now.
    """

    node_id: str
    task: str
    done: Done
    outcome: HostOutcome | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HostOutcome:
    """What came of a host.

    Parameters
    ----------
    node_id : str
    changed : int
        Tasks that changed something.
    error : NodeError or None
        What failed, and in which task.
    """

    node_id: str
    changed: int
    error: NodeError | None = None


class Told:
    """What is known of the hosts of one run.

    Parameters
    ----------
    node_ids : sequence of str
    told : callable
        Is given each task as it ends.
    """

    def __init__(self, node_ids: Sequence[str], told: Callable[[HostProgress], None]) -> None:
        self._told = told
        self._tasks = dict.fromkeys(node_ids, "")
        self._changed = dict.fromkeys(node_ids, 0)
        self._outcomes: dict[str, HostOutcome] = {}
        self._finished = False

    def take(self, line: str) -> None:
        """Take one line; those that tell nothing of a host are passed over."""
        try:
            event = json.loads(line)
        except ValueError:
            return
        kind, data = event.get("event", ""), event.get("event_data") or {}
        if kind == "playbook_on_stats":
            self._finished = True
            # Of tasks with secrets the events do not say it.
            self._changed |= data.get("changed") or {}
        node_id = data.get("host")
        if node_id not in self._tasks:
            return
        self._tasks[node_id] = str(data.get("task", ""))
        done = done_of(kind, data)
        if done is not None:
            self._note(node_id, done, data.get("res") or {})

    def _note(self, node_id: str, done: Done, result: Mapping[str, Any]) -> None:
        task = self._tasks[node_id]
        self._changed[node_id] += done is Done.CHANGED
        outcome = None
        if node_id not in self._outcomes:
            error = error_of(node_id, task, done, result)
            if error or task == LAST_TASK:
                outcome = self._outcome(node_id, error)
        self._told(HostProgress(node_id=node_id, task=task, done=done, outcome=outcome))

    def _outcome(self, node_id: str, error: NodeError | None) -> HostOutcome:
        changed = self._changed[node_id]
        outcome = HostOutcome(node_id=node_id, changed=changed, error=error)
        self._outcomes[node_id] = outcome
        return outcome

    def outcomes(self, said: str, limit_s: float, *, ended: bool) -> list[HostOutcome]:
        """Return what came of each host, now that the run is over.

        Parameters
        ----------
        said : str
            What the programs wrote besides.
        limit_s : float
            How long the run was allowed to take [s].
        ended : bool
            It was ended by us.
        """
        for node_id, task in self._tasks.items():
            if node_id not in self._outcomes:
                error = None if self._finished else unfinished(node_id, task, said, limit_s, ended)
                self._outcome(node_id, error)
        return [
            replace(self._outcomes[node_id], changed=self._changed[node_id])
            for node_id in self._tasks
        ]


def done_of(kind: str, data: Mapping[str, Any]) -> Done | None:
    """Return how a task ended, None if it did not, or if its failure does not count."""
    if kind == "runner_on_ok":
        return Done.CHANGED if (data.get("res") or {}).get("changed") else Done.OK
    if kind == "runner_on_failed" and not data.get("ignore_errors"):
        return Done.FAILED
    simple = {"runner_on_skipped": Done.SKIPPED, "runner_on_unreachable": Done.UNREACHABLE}
    return simple.get(kind)


def error_of(node_id: str, task: str, done: Done, result: Mapping[str, Any]) -> NodeError | None:
    """Return the fault of a task that failed."""
    if done not in (Done.FAILED, Done.UNREACHABLE):
        return None
    words = " ".join(str(result.get("stderr") or result.get("msg") or "no reason given").split())
    if done is Done.UNREACHABLE or task == CONNECT_TASK:
        return NodeError(
            f"node {node_id}: its host cannot be reached in the task {task!r}: "
            f"{words[-MESSAGE_MAX:]}",
            fault=NodeFault.RETRY,
        )
    return NodeError(
        f"node {node_id}: the task {task!r} failed: {words[-MESSAGE_MAX:]}", fault=NodeFault.OURS
    )


def unfinished(node_id: str, task: str, said: str, limit_s: float, ended: bool) -> NodeError:
    """Return the fault of a host that was not done when the run was over."""
    if ended:
        return NodeError(f"node {node_id}: its setup was broken off", fault=NodeFault.RETRY)
    if task:
        return NodeError(
            f"node {node_id}: not set up within {limit_s:.0f} s; it was at the task {task!r}",
            fault=NodeFault.RETRY,
        )
    return NodeError(
        f"node {node_id}: Ansible did nothing with it: {said or 'it said nothing'}",
        fault=NodeFault.OURS,
        fix="Run the playbook by hand, as its README says",
    )
