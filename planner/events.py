"""What has happened: the only input of the planner, in the past tense.

Each event carries its instant `at` [POSIX s]; the planner has no other clock.
"""

from __future__ import annotations

from dataclasses import dataclass

from planner.durations import COMMON_ERROR_PRIOR, SCATTER_PRIOR
from planner.model import (
    Fragment,
    NodeOffer,
    Observations,
    PartSpec,
    PlannedStep,
    Product,
    Subscription,
    UnitCosts,
)
from planner.settings import PlannerSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that happened at an instant [POSIX s]."""

    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingsChanged(Event):
    """The operator changed the planner's settings, in the settings file (`filed`) or otherwise."""

    settings: PlannerSettings
    filed: PlannerSettings | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OffersChanged(Event):
    """The providers' node types, prices or limits changed; replaces what was offered before."""

    offers: tuple[NodeOffer, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ApplicationCalibrated(Event):
    """The run times of a dataset's application were measured or declared.

    Predictions for that dataset begin anew from these. `scatter` is the relative error of the
    prediction of a single part, `common_error` the one that all predictions share; a calibration
    measures both (see `planner.durations`).
    """

    dataset: str
    application: str
    costs: UnitCosts
    scatter: float = SCATTER_PRIOR
    common_error: float = COMMON_ERROR_PRIOR


@dataclass(frozen=True, slots=True, kw_only=True)
class SubscriptionAdded(Event):
    """A subscription was made, or a new version of it."""

    subscription: Subscription


@dataclass(frozen=True, slots=True, kw_only=True)
class SubscriptionPaused(Event):
    """Updates no longer make tasks of this subscription."""

    subscription_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SubscriptionResumed(Event):
    """Updates make tasks again; what came in between becomes one task."""

    subscription_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FullProductRequested(Event):
    """Somebody wants all that a subscription was given so far as one product."""

    subscription_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SubscriptionRemoved(Event):
    """A subscription ended; its open tasks are dropped."""

    subscription_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class UpdateArrived(Event):
    """A dataset changed.

    Parameters
    ----------
    number : int
        Counts the updates of the dataset from 1; 0 is its first state.
    observations : Observations or None
        What is new; None where that is not known: it may concern everybody.
    """

    dataset: str
    number: int
    observations: Observations | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskCut(Event):
    """The cutter answered `CutTask`.

    No parts means that there is nothing to read. `fallback` says why the wanted partitioner was not
    used, empty when it was.
    """

    task_id: str
    parts: tuple[PartSpec, ...]
    partitioner: str
    version: str
    fallback: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskRefused(Event):
    """The application could not even say what a task would read; the task fails."""

    task_id: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PartFinished(Event):
    """An attempt at a part left its fragment; `run_s` is its time on the worker [s]."""

    part_id: str
    attempt: int
    node_id: str
    run_s: float
    fragment: Fragment


@dataclass(frozen=True, slots=True, kw_only=True)
class PartFailed(Event):
    """An attempt at a part ended in an error."""

    part_id: str
    attempt: int
    reason: str
    retry: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptLost(Event):
    """The engine gave an attempt up: its worker died, hung or outran its limit."""

    part_id: str
    attempt: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ProductCombined(Event):
    """The fragments of a task became one product; `run_s` is the time it took [s]."""

    task_id: str
    attempt: int
    run_s: float
    product: Product


@dataclass(frozen=True, slots=True, kw_only=True)
class CombineFailed(Event):
    """Combining failed."""

    task_id: str
    attempt: int
    reason: str
    retry: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class ProductDelivered(Event):
    """The manifest is visible at the destination; `run_s` is the time it took [s]."""

    task_id: str
    attempt: int
    run_s: float
    manifest_url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryFailed(Event):
    """The destination did not take the product."""

    task_id: str
    attempt: int
    reason: str
    retry: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeReady(Event):
    """A node's workers have joined; repeated whenever the number of those that stand changes."""

    node_id: str
    workers: int


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeRefused(Event):
    """A node could not be created (quota, capacity, credentials...)."""

    node_id: str
    reason: str
    retry: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkersRefused(Event):
    """A node that stands cannot be given the number of workers that it was told to hold."""

    node_id: str
    workers: int
    reason: str
    retry: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeLost(Event):
    """A node that stood is gone, or never came up; its attempts are lost with it."""

    node_id: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeRemoved(Event):
    """A node that was to go is gone."""

    node_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeDrainRequested(Event):
    """The operator wants a node to go once its parts have ended; nothing new is sent to it."""

    node_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeRemovalRequested(Event):
    """The operator wants a node gone now; what it runs is lost and run elsewhere."""

    node_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetPlanned(Event):
    """A solver planned ahead; replaces what was planned before.

    Only the policy `lookahead` follows a plan. It is an event because a solver's answer may differ
    from one machine to another: a replay takes the one that was given (ADR 17).

    Parameters
    ----------
    steps : tuple of PlannedStep
        In order of time.
    until_at : float
        From then on there is no plan [POSIX s].
    reason : str
    """

    steps: tuple[PlannedStep, ...]
    until_at: float
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Ticked(Event):
    """Time passed. Ends a batch of events: parts are dispatched and the fleet is judged now.

    Journaled only when it changed something.
    """


AnyEvent = (
    SettingsChanged
    | OffersChanged
    | ApplicationCalibrated
    | SubscriptionAdded
    | SubscriptionPaused
    | SubscriptionResumed
    | FullProductRequested
    | SubscriptionRemoved
    | UpdateArrived
    | TaskCut
    | TaskRefused
    | PartFinished
    | PartFailed
    | AttemptLost
    | ProductCombined
    | CombineFailed
    | ProductDelivered
    | DeliveryFailed
    | NodeReady
    | NodeRefused
    | WorkersRefused
    | NodeLost
    | NodeRemoved
    | NodeDrainRequested
    | NodeRemovalRequested
    | FleetPlanned
    | Ticked
)
"""Every event that the planner understands."""
