"""What a run came to: deadlines met, time late, nodes paid for and how they were used."""

from __future__ import annotations

import math
from array import array
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from planner.commands import AnyCommand, Notify, ProvisionNode, RunPart, StopPart
from planner.events import (
    AnyEvent,
    AttemptLost,
    NodeLost,
    NodeReady,
    NodeRefused,
    NodeRemoved,
    OffersChanged,
    PartFailed,
    PartFinished,
)
from planner.fleet import billed_for_s
from planner.model import NodeOffer, NoticeKind
from planner.results import ENDS

SECONDS_PER_H = 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a run came to.

    Parameters
    ----------
    tasks : int
        Tasks that ended, without those that turned out to hold nothing.
    due, on_time : int
        Of these, tasks with a deadline, and those delivered by it.
    undelivered : int
        Failed or expired.
    worst_slack_s : float or None
        Smallest time left at a delivery [s], negative when late; None where nothing was due.
    p95_tardiness_s : float
        95th percentile of the time late, 0 for those on time [s].
    node_seconds : float
        Time that nodes were paid for, from request to removal, without rounding to quanta [s];
        a request that was refused is not paid for.
    launches, peak_nodes, peak_workers : int
    idle_fraction : float
        Share of the ready slots' time in which no part ran that finished.
    boot_fraction : float
        Share of node-seconds spent from request to ready.
    cost : float
        In whole quanta where they are billed [currency].
    began_at, ended_at : float
        [POSIX s]
    """

    tasks: int
    due: int
    on_time: int
    undelivered: int
    worst_slack_s: float | None
    p95_tardiness_s: float
    node_seconds: float
    launches: int
    peak_nodes: int
    peak_workers: int
    idle_fraction: float
    boot_fraction: float
    cost: float
    began_at: float
    ended_at: float

    @property
    def hit_rate(self) -> float:
        """Share of the tasks with a deadline that were delivered by it; 1 where nothing was due."""
        return self.on_time / self.due if self.due else 1.0


@dataclass(slots=True, kw_only=True)
class _Life:
    """One node: when it was asked for, came up and changed its workers [POSIX s]."""

    offer: NodeOffer
    requested_at: float
    ready_at: float | None = None
    changed_at: float = 0.0
    workers: int = 0
    slot_s: float = 0.0


class Tally:
    """Adds up a run, step by step."""

    def __init__(self) -> None:
        self._offers: dict[str, NodeOffer] = {}
        self._nodes: dict[str, _Life] = {}
        self._slacks = array("d")
        self._sent: dict[str, int] = {}
        self._tasks = self._on_time = self._undelivered = self._due_count = 0
        self._launches = self._peak_nodes = self._workers = self._peak_workers = 0
        self._node_s = self._boot_s = self._slot_s = self._busy_s = self._cost = 0.0
        self._began_at = math.nan

    def see(self, event: AnyEvent, commands: Sequence[AnyCommand]) -> None:
        """Take one step in."""
        if math.isnan(self._began_at):
            self._began_at = event.at
        self._hear(event)
        for command in commands:
            self._obey(command, event.at)

    def outcome(self, ended_at: float) -> Outcome:
        """Return what the run came to, with the nodes that still stand paid up to its end."""
        for node_id in list(self._nodes):
            self._gone(node_id, ended_at)
        slacks = np.frombuffer(self._slacks) if self._slacks else np.zeros(0)
        tardiness_s = np.maximum(0.0, -slacks)
        return Outcome(
            tasks=self._tasks,
            due=self._due_count,
            on_time=self._on_time,
            undelivered=self._undelivered,
            worst_slack_s=float(slacks.min()) if len(slacks) else None,
            p95_tardiness_s=float(np.quantile(tardiness_s, 0.95)) if len(slacks) else 0.0,
            node_seconds=self._node_s,
            launches=self._launches,
            peak_nodes=self._peak_nodes,
            peak_workers=self._peak_workers,
            idle_fraction=max(0.0, 1.0 - self._busy_s / self._slot_s) if self._slot_s else 0.0,
            boot_fraction=self._boot_s / self._node_s if self._node_s else 0.0,
            cost=self._cost,
            began_at=ended_at if math.isnan(self._began_at) else self._began_at,
            ended_at=ended_at,
        )

    def _hear(self, event: AnyEvent) -> None:
        match event:
            case PartFinished() if self._sent.get(event.part_id) == event.attempt:
                del self._sent[event.part_id]  # What is told twice counts once.
                self._busy_s += event.run_s
            case PartFailed() | AttemptLost() if self._sent.get(event.part_id) == event.attempt:
                del self._sent[event.part_id]
            case NodeReady():
                self._ready(event)
            case NodeLost() | NodeRemoved():
                self._gone(event.node_id, event.at)
            case NodeRefused():
                self._nodes.pop(event.node_id, None)  # What never was is not paid for.
            case OffersChanged():
                self._offers |= {offer.node_type: offer for offer in event.offers}

    def _obey(self, command: AnyCommand, at: float) -> None:
        match command:
            case Notify() if command.kind in ENDS:
                self._end(command)
            case RunPart():
                self._sent[command.part_id] = command.attempt
            case StopPart():
                self._sent.pop(command.part_id, None)
            case ProvisionNode():
                self._launch(command, at)

    def _end(self, command: Notify) -> None:
        due = command.slack_s is not None
        self._tasks += 1
        self._due_count += due
        if command.kind in (NoticeKind.FAILED, NoticeKind.EXPIRED):
            self._undelivered += 1
        elif command.slack_s is not None:
            self._slacks.append(command.slack_s)
            self._on_time += command.slack_s >= 0.0

    def _launch(self, command: ProvisionNode, at: float) -> None:
        offer = self._offers[command.node_type]
        self._nodes[command.node_id] = _Life(offer=offer, requested_at=at)
        self._launches += 1
        self._peak_nodes = max(self._peak_nodes, len(self._nodes))

    def _ready(self, event: NodeReady) -> None:
        life = self._nodes.get(event.node_id)
        if life is None:
            return
        if life.ready_at is None:
            life.ready_at = event.at
        life.slot_s += life.workers * (event.at - life.changed_at)
        self._workers += event.workers - life.workers
        life.workers, life.changed_at = event.workers, event.at
        self._peak_workers = max(self._peak_workers, self._workers)

    def _gone(self, node_id: str, at: float) -> None:
        life = self._nodes.pop(node_id, None)
        if life is None:
            return
        stood_s = at - life.requested_at
        self._node_s += stood_s
        self._boot_s += stood_s if life.ready_at is None else life.ready_at - life.requested_at
        self._slot_s += life.slot_s + life.workers * (at - life.changed_at)
        self._workers -= life.workers
        billed_s = billed_for_s(stood_s, life.offer.quantum_s)
        self._cost += billed_s * life.offer.price_per_h / SECONDS_PER_H
