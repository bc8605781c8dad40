"""Follows a rule step by step, with nodes of two slots and a cap of ten."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from planner.ranking import Waiting
from planner.scaling.view import NodePhase, NodeView, ScalingView, Wanted
from planner.settings import ScalingSettings
from sim.baselines.catalogue import BASELINES
from sim.baselines.polling import PollingRule
from tests.planner.scaling.world import node, view_of, waiting

CAP = 10
START_S = 3600.0  # every period ends here


def rule(name: str) -> PollingRule[Any]:
    """Return a baseline."""
    found = BASELINES[name]
    assert isinstance(found, PollingRule)
    return found


class Follower:
    """Keeps a rule's memory; `at` counts from the first poll [s]."""

    def __init__(self, name: str, cap: int = CAP, **fields: Any) -> None:
        self.rule, self.cap, self.fields = rule(name), cap, fields
        self.memory = self.rule.start()

    def step(
        self, at: float, *tasks: Waiting, nodes: Iterable[NodeView] = (), **fields: Any
    ) -> Wanted:
        """Ask the rule at an instant, with these tasks and nodes."""
        view = self.view(at, *tasks, nodes=nodes, **fields)
        self.memory, wanted = self.rule.step(self.memory, view)
        return wanted

    def launched(self, at: float, parts: int, *nodes: NodeView) -> int:
        """Return how many launches the rule wants while so many parts of 60 s wait."""
        return len(self.step(at, *work(parts), nodes=nodes).launches)

    def gone(self, at: float, parts: int, *nodes: NodeView) -> list[str]:
        """Return which nodes the rule lets go while so many parts of 60 s wait."""
        return [one.node_id for one in self.step(at, *work(parts), nodes=nodes).releases]

    def view(
        self, at: float, *tasks: Waiting, nodes: Iterable[NodeView] = (), **fields: Any
    ) -> ScalingView:
        """Return what the rule sees."""
        nodes = tuple(nodes)
        given: dict[str, Any] = {
            "now": START_S + at,
            "nodes": nodes,
            "nodes_allowed": self.cap - len(nodes),
            "settings": ScalingSettings(nodes_max=self.cap),
        }
        return view_of(*tasks, **(given | self.fields | fields))


def work(parts: int, length_s: float = 60.0) -> list[Waiting]:
    """Return one task of so many parts, or none."""
    return [waiting("t", 1e6, [length_s] * parts)] if parts else []


def busy(count: int, *, slots: int = 2, left_s: float = 50.0, at: float = 0.0) -> list[NodeView]:
    """Return nodes on all of whose slots a part runs."""
    ends = [START_S + at + left_s] * slots
    return [node(f"busy-{n}", *ends, slots=slots, slots_max=slots) for n in range(count)]


def half(count: int, *, at: float = 0.0) -> list[NodeView]:
    """Return nodes of two slots on which one part runs."""
    return [node(f"half-{n}", START_S + at + 50.0) for n in range(count)]


def idle(count: int, *, since: float = 0.0, slots: int = 2) -> list[NodeView]:
    """Return idle nodes; `since` counts from the first poll [s]."""
    at = START_S + since
    return [node(f"idle-{n}", requested_at=at, slots=slots, slots_max=slots) for n in range(count)]


def booting(count: int, *, since: float = 0.0, slots: int = 2) -> list[NodeView]:
    """Return nodes that were asked for at an instant."""
    at = START_S + since
    fields: dict[str, Any] = {"requested_at": at, "slots": slots, "slots_max": slots}
    return [node(f"boot-{n}", phase=NodePhase.BOOTING, **fields) for n in range(count)]


def draining(count: int, *, slots: int = 2) -> list[NodeView]:
    """Return nodes that drain, with one part on each."""
    fields: dict[str, Any] = {"phase": NodePhase.DRAINING, "slots": slots, "slots_max": slots}
    return [node(f"drain-{n}", START_S + 50.0, **fields) for n in range(count)]
