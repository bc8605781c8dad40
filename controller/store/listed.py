"""The rows of the store's listings."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class SubscriptionRow:
    """A subscription as it stands.

    Parameters
    ----------
    id : str
    version : int
    owner : str
        Who made it; empty where nobody has to say who they are.
    paused : int
        1 while updates make no tasks of it.
    document : str
        `planner.model.Subscription` as JSON.
    made_at, changed_at : float
        [POSIX s]
    """

    id: str
    version: int
    owner: str
    paused: int
    document: str
    made_at: float
    changed_at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountRow:
    """What a subscription has cost so far.

    Parameters
    ----------
    tasks : int
    worker_s : float
        Time that workers spent on its parts [s].
    cost : float
        Price of that time [currency].
    size_bytes : int
        Of its products.
    """

    tasks: int
    worker_s: float
    cost: float
    size_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class UpdateRow:
    """An update that was taken in, at an instant [POSIX s]; `profiles` None is not known."""

    dataset: str
    number: int
    at: float
    profiles: int | None


@dataclass(slots=True, kw_only=True)
class TaskRow:
    """A task, open or ended, and its product once there is one.

    Parameters
    ----------
    id : str
    place : int
        Grows in order of arrival.
    subscription_id, owner, product_id : str
    state : str
        As `planner.lifecycle.TaskState`; at the end the notice that ended it, or "empty" or
        "dropped".
    arrived_at, deadline_at, ended_at : float
        [POSIX s]; None is best effort, or still open.
    slack_s : float or None
        Deadline minus delivery [s]: predicted while it is open and anything was said of it.
    parts, parts_done : int
    worker_s : float
        Time that workers spent on its parts, failed attempts left out [s].
    cost : float
        Price of that time [currency].
    product_rows, size_bytes : int
    sha256, digest, manifest_url, file : str
        Of the product; empty until it is combined, and delivered.
    text : str
        What was last said of it.
    """

    id: str
    place: int
    subscription_id: str
    owner: str
    product_id: str
    state: str
    arrived_at: float
    deadline_at: float | None
    ended_at: float | None = None
    slack_s: float | None = None
    parts: int = 0
    parts_done: int = 0
    worker_s: float = 0.0
    cost: float = 0.0
    product_rows: int = 0
    size_bytes: int = 0
    sha256: str = ""
    digest: str = ""
    manifest_url: str = ""
    file: str = ""
    text: str = ""


@dataclass(slots=True, kw_only=True)
class NodeRow:
    """A node, standing or gone; instants [POSIX s] are None until they have come."""

    id: str
    node_type: str
    state: str
    workers: int
    requested_at: float
    ready_at: float | None = None
    gone_at: float | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionRow:
    """Why the fleet changed; `place` grows with time."""

    place: int
    at: float
    action: str
    node_id: str
    reason: str
