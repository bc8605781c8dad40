"""What a scaling policy sees and what it may want: values, so that a policy stays a pure step."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

from planner.durations import BootTimes
from planner.model import FleetPlan, NodeOffer
from planner.ranking import RankedQueue
from planner.settings import ScalingSettings


class NodePhase(StrEnum):
    """Where a node is in its life, as far as capacity is concerned."""

    BOOTING = "booting"
    READY = "ready"
    DRAINING = "draining"


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeView:
    """One node that exists or was asked for.

    Parameters
    ----------
    node_id, node_type : str
    phase : NodePhase
    slots : int
        Workers that it was last asked to hold; some may still start.
    slots_max : int
        Workers that it can be grown to.
    speed : float
        Reference seconds done per second and slot.
    requested_at : float
        When it was asked for [POSIX s]; billing starts here.
    busy_until : tuple of float
        For each running part, when it is expected to end [POSIX s], never in the past.
    idle_since : float or None
        Since when nothing runs on it [POSIX s]; None while something does or it boots.
    price_per_h, quantum_s : float
        Price [currency/h] and billing unit [s].
    """

    node_id: str
    node_type: str
    phase: NodePhase
    slots: int
    slots_max: int
    speed: float
    requested_at: float
    busy_until: tuple[float, ...] = ()
    idle_since: float | None = None
    price_per_h: float = 0.0
    quantum_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ScalingView:
    """Everything that one evaluation may look at.

    Parameters
    ----------
    now : float
        [POSIX s]
    settings : ScalingSettings
    queue : RankedQueue
        Waiting work in dispatch order.
    nodes : tuple of NodeView
        In the order in which they were asked for.
    offers : tuple of NodeOffer
        Node types that can be created now.
    boots : BootTimes
        Boot quantiles per node type.
    common_error : float
        Relative error that all predictions share (rho of the prefix rule).
    nodes_allowed : int
        How many more nodes caps and budget allow now.
    tasks_started : int
        Tasks that have begun to run since the planner began: the clock of the chapter's signals.
    next_demand_at : float
        When work that is not in the queue will join it, a part that rests before its next attempt
        for instance [POSIX s]; infinite when nothing of the kind is known.
    plan : FleetPlan or None
        The last that a solver told.
    """

    now: float
    settings: ScalingSettings
    queue: RankedQueue
    nodes: tuple[NodeView, ...]
    offers: tuple[NodeOffer, ...]
    boots: BootTimes
    common_error: float
    nodes_allowed: int
    tasks_started: int = 0
    next_demand_at: float = math.inf
    plan: FleetPlan | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """Ask for one node of this type with this many workers."""

    node_type: str
    workers: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Grow:
    """Give a standing node this many workers."""

    node_id: str
    workers: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """Drain this node and let it go."""

    node_id: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Keep:
    """Use this draining node again."""

    node_id: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """The change that a policy wants now, each piece with its reason in words.

    Parameters
    ----------
    launches : tuple of Launch
    grows : tuple of Grow
    releases : tuple of Release
    keeps : tuple of Keep
    wake_at : float or None
        When the policy wants to be asked again even if nothing happens [POSIX s].
    wake_reason : str
        What is to be decided then.
    """

    launches: tuple[Launch, ...] = ()
    grows: tuple[Grow, ...] = ()
    releases: tuple[Release, ...] = ()
    keeps: tuple[Keep, ...] = ()
    wake_at: float | None = None
    wake_reason: str = ""
