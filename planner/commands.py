"""What is to be done: the only output of the planner, in the imperative.

A command is carried out as it stands, again and again until it is answered, so it holds all that
its doer needs and doing it twice is harmless.
"""

from __future__ import annotations

from dataclasses import dataclass

from planner.extent import Extent
from planner.model import Fragment, NoticeKind, Product, Selection, UnitCosts, UpdateSpan, View


@dataclass(frozen=True, slots=True, kw_only=True)
class CutTask:
    """Cut a task into parts; answered by `TaskCut` or `TaskRefused`.

    Parameters
    ----------
    subscription_id : str
    version : int
        Of the subscription.
    selections : tuple of Selection
        What the task delivers of each dataset.
    parts_wanted : int
        Enough for every worker that may ever stand to pull several.
    part_s_min, part_s_max : float
        Bounds of a part's predicted length [reference s]: fewer parts than wanted where they would
        be shorter, more where they would be longer.
    parts_max : int
        Never more than this, whatever their length.
    costs : tuple of UnitCosts
        What the planner has learned of reading each selection.
    """

    task_id: str
    subscription_id: str
    version: int
    selections: tuple[Selection, ...]
    partitioner: str
    parts_wanted: int
    part_s_min: float
    part_s_max: float
    parts_max: int
    costs: tuple[UnitCosts, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunPart:
    """Run an attempt at a part on a node; answered by `PartFinished`, `PartFailed`, `AttemptLost`.

    Parameters
    ----------
    view : View
        What the part is a piece of; `extent` is that piece.
    limit_s : float
        The engine gives the attempt up after this long [s].
    """

    part_id: str
    attempt: int
    node_id: str
    task_id: str
    view: View
    extent: Extent
    updates: UpdateSpan
    limit_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class StopPart:
    """Give an attempt up, nobody wants its result; not answered."""

    part_id: str
    attempt: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CombineProduct:
    """Make one product of a task's fragments; answered by `ProductCombined` or `CombineFailed`.

    Parameters
    ----------
    selections : tuple of Selection
    fragments : tuple of tuple of Fragment
        Of each selection, in the order of its cut.
    """

    task_id: str
    attempt: int
    subscription_id: str
    version: int
    selections: tuple[Selection, ...]
    fragments: tuple[tuple[Fragment, ...], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliverProduct:
    """Bring a product to its destination; answered by `ProductDelivered` or `DeliveryFailed`."""

    task_id: str
    attempt: int
    subscription_id: str
    version: int
    destination: str
    product: Product


@dataclass(frozen=True, slots=True, kw_only=True)
class Notify:
    """Tell the subscriber and the operator how a task stands.

    Parameters
    ----------
    slack_s : float or None
        Deadline minus the (predicted) delivery [s]: negative is late, None without a deadline.
    text : str
        The same in words, with the reason.
    """

    task_id: str
    subscription_id: str
    kind: NoticeKind
    slack_s: float | None
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ProvisionNode:
    """Create a node of this type; answered by `NodeReady`, `NodeRefused` or `NodeLost`."""

    node_id: str
    node_type: str
    workers: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SetWorkers:
    """Make a node hold this many workers; answered by `NodeReady` or `WorkersRefused`."""

    node_id: str
    workers: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DrainNode:
    """Send a node no more parts; those that run may end."""

    node_id: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class UndrainNode:
    """Use a draining node again."""

    node_id: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoveNode:
    """Remove an empty or broken node; answered by `NodeRemoved`."""

    node_id: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WakeAt:
    """Send a `Ticked` at this instant [POSIX s]; replaces an earlier wish."""

    wake_at: float


AnyCommand = (
    CutTask
    | RunPart
    | StopPart
    | CombineProduct
    | DeliverProduct
    | Notify
    | ProvisionNode
    | SetWorkers
    | DrainNode
    | UndrainNode
    | RemoveNode
    | WakeAt
)
"""Every command that the planner gives."""
