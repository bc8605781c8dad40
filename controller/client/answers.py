"""What the service is asked for and what it answers, as values.

Instants are aware `datetime` in UTC, lengths of time are seconds. What a newer service tells beyond
this is passed over; what an older one does not tell is None, 0 or empty.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """A subscription that is asked for; what is None is left to the service.

    Parameters
    ----------
    id : str
    dataset : str or sequence of str
        Aliases or persistent identifiers.
    bbox : str or sequence of float or None
        West, south, east, north in degrees.
    time : str or None
        ISO 8601 interval, ``..`` is open.
    parameters : str or sequence of str or None
    deadline : str or None
        ISO 8601 duration after arrival, or RFC 3339 instant.
    firm, priority, backfill, destination
        See docs/reference/subscriptions-file.md.
    options : mapping of str to str
    """

    id: str
    dataset: str | Sequence[str]
    bbox: str | Sequence[float] | None = None
    time: str | None = None
    parameters: str | Sequence[str] | None = None
    deadline: str | None = None
    firm: bool | None = None
    priority: float | None = None
    backfill: bool | None = None
    destination: str | None = None
    options: Mapping[str, str] = field(default_factory=dict)

    def document(self) -> dict[str, Any]:
        """Return the keys of a subscriptions file that are set."""
        named = ((one.name, getattr(self, one.name)) for one in fields(self))
        return {name: _plain(value) for name, value in named if value not in (None, {})}


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return dict(value)
    return value if isinstance(value, str | float | bool | int) else list(value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Webhook:
    """A URL that is told of a subscription's products.

    Parameters
    ----------
    id, url : str
    state : str
        "active" or "disabled".
    reason : str
        Why it is disabled.
    made_at : datetime
    secrets : int
        How many sign its messages.
    secret : str or None
        Verifies its messages; told once, when it is made.
    """

    id: str
    url: str
    state: str
    reason: str
    made_at: datetime
    secrets: int
    secret: str | None = None

    def __repr__(self) -> str:
        """Return it without its secret."""
        return f"Webhook({self.id!r}, {self.url!r}, {self.state!r})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """What a subscription has cost so far.

    Parameters
    ----------
    tasks : int
    worker_s : float
        Time that workers spent on it [s].
    cost : float
        Price of that time [currency].
    size_bytes : int
        Of its products.
    """

    tasks: int = 0
    worker_s: float = 0.0
    cost: float = 0.0
    size_bytes: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscription:
    """A subscription, and how it stands.

    Parameters
    ----------
    id, dataset, bbox, time, parameters, options, deadline, firm, priority, backfill, destination
        As they were asked for.
    version : int
    owner : str
    paused : bool
    made_at, changed_at : datetime
    account : Account or None
        None in listings.
    warnings : tuple of str
        What its maker should know, as that its deadline is at risk.
    etag : str
        What `Client.change` and `Client.remove` take so as to overwrite nobody's change; empty in
        listings.
    """

    id: str
    dataset: tuple[str, ...]
    bbox: tuple[float, float, float, float]
    time: str
    parameters: tuple[str, ...]
    options: dict[str, str]
    deadline: str | None
    firm: bool
    priority: float
    backfill: bool
    destination: str
    version: int
    owner: str
    paused: bool
    made_at: datetime
    changed_at: datetime
    account: Account | None = None
    warnings: tuple[str, ...] = ()
    etag: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """What the next delivery of a subscription would take, run alone.

    Parameters
    ----------
    verdict : str
        In words.
    state : str
        As of a plan: "on time", "at risk", "late", "best effort", "nothing to deliver".
    of : str
        "first delivery" or "update".
    files, archive_files, parts : int
    work_s, work_90_s : float
        Run time of all parts, one after the other [reference s]: median and 90 %.
    finish_s, finish_90_s : float or None
        From arrival to delivery [s]; None is never.
    workers, workers_max : int or None, int
        Fewest that do it in time in the 90 % case; most that there may be.
    deadline_s, slack_s, slack_90_s, late_chance : float or None
        None without a deadline.
    allow_s : float or None
        The least deadline that was found to be met, where the one asked for is not [s].
    notes : tuple of str
        What was left out of account.
    """

    verdict: str
    state: str
    of: str = ""
    files: int = 0
    archive_files: int = 0
    parts: int = 0
    work_s: float = 0.0
    work_90_s: float = 0.0
    finish_s: float | None = None
    finish_90_s: float | None = None
    workers: int | None = None
    workers_max: int = 0
    deadline_s: float | None = None
    slack_s: float | None = None
    slack_90_s: float | None = None
    late_chance: float | None = None
    allow_s: float | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """A task, open or ended.

    Parameters
    ----------
    id, subscription, product, state : str
    arrived_at, deadline_at, ended_at : datetime or None
    slack_s : float or None
        Left over when it ended; predicted of one that is at risk [s].
    parts, parts_done : int
    worker_s, cost : float
        Time of workers [s], and its price [currency].
    text : str
        What was told of it last.
    """

    id: str
    subscription: str
    product: str
    state: str
    arrived_at: datetime
    deadline_at: datetime | None
    ended_at: datetime | None
    slack_s: float | None
    parts: int
    parts_done: int
    worker_s: float
    cost: float
    text: str

    def is_late(self, now: datetime) -> bool:
        """Tell whether it is open after its deadline."""
        return self.ended_at is None and self.deadline_at is not None and self.deadline_at < now

    @property
    def is_at_risk(self) -> bool:
        """Whether it is open, and predicted to end after its deadline."""
        return self.ended_at is None and self.slack_s is not None and self.slack_s < 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Product:
    """A product that was delivered.

    Parameters
    ----------
    id, subscription, task : str
    delivered_at : datetime
    late : bool
    slack_s : float or None
        What was left before the deadline [s]; None without one.
    rows, size_bytes : int
    sha256, digest : str
        Of the file; of its content.
    url, manifest_url : str
        Where the file and its manifest lie.
    """

    id: str
    subscription: str
    task: str
    delivered_at: datetime
    late: bool
    slack_s: float | None
    rows: int
    size_bytes: int
    sha256: str
    digest: str
    url: str
    manifest_url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Update:
    """An update of a dataset; `profiles` None is not known."""

    dataset: str
    number: int
    at: datetime
    profiles: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Announced:
    """What became of a message: its id, and the dataset that it names.

    `is_new` is False where the source counts announcements and had this one before.
    """

    id: str
    dataset: str
    is_new: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """A node, standing or gone."""

    id: str
    type: str
    state: str
    workers: int
    requested_at: datetime
    ready_at: datetime | None
    gone_at: datetime | None
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """Why the fleet changed."""

    at: datetime
    action: str
    node: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """Whether the service takes work, and what is wrong, by the part of the service."""

    status: str
    faults: dict[str, str] = field(default_factory=dict)

    @property
    def ready(self) -> bool:
        """Whether it takes work."""
        return self.status == "ready"


@dataclass(frozen=True, slots=True, kw_only=True)
class NextTask:
    """The task whose parts are sent next; `ttd_s` is its time to the deadline [s]."""

    id: str
    subscription: str = ""
    deadline_at: datetime | None = None
    ttd_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """How the service stands as a whole.

    Parameters
    ----------
    at : datetime
    ready : bool
    faults : dict of str to str
        What is wrong, by the part of the service.
    policy, order : str
    threshold_s : float or None
        Of the policies that have one [s].
    subscriptions : int
    tasks : dict of str to int
        Those that are open, that wait, that are at risk.
    parts_running : int
    next_task : NextTask or None
    nodes, workers : dict of str to int
        Nodes in each state; workers that are ready, and that are busy.
    nodes_min, nodes_max : int
    inbox : int
        Letters that wait.
    """

    at: datetime
    ready: bool
    faults: dict[str, str] = field(default_factory=dict)
    policy: str = ""
    order: str = ""
    threshold_s: float | None = None
    subscriptions: int = 0
    tasks: dict[str, int] = field(default_factory=dict)
    parts_running: int = 0
    next_task: NextTask | None = None
    nodes: dict[str, int] = field(default_factory=dict)
    workers: dict[str, int] = field(default_factory=dict)
    nodes_min: int = 0
    nodes_max: int = 0
    inbox: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """The scaling policy in force.

    Parameters
    ----------
    policy, order : str
        Its name, and the order in which parts are sent.
    settings : dict of str to object
        What it goes by: the settings of ``planner.scaling``.
    """

    policy: str
    order: str
    settings: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """How many nodes there may be.

    Parameters
    ----------
    nodes_min, nodes_max : int
        The policy chooses between them.
    auto : bool
        Whether they are those of the settings.
    nodes : dict of str to int
        Nodes in each state.
    """

    nodes_min: int
    nodes_max: int
    auto: bool
    nodes: dict[str, int] = field(default_factory=dict)
