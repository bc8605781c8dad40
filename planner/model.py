"""The nouns: subscription, update, task, part, fragment, product, node type.

All are frozen values that travel in events and commands; the books (`planner.backlog`,
`planner.fleet`) keep what changes. Instants are POSIX seconds.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from planner.extent import Extent

Options = tuple[tuple[str, str], ...]
"""An application's own options of a view, sorted by name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """What of which dataset, made by which application, in which way.

    Parameters
    ----------
    dataset : str
        Persistent identifier, as the DOI "10.17882/42182" for Argo.
    application : str
        Name of the plug-in that reads and combines ("argo").
    extent : Extent
    options : Options
        The application's own, sorted by name ("qc" -> "1,2").
    """

    dataset: str
    application: str
    extent: Extent
    options: Options = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class UpdateSpan:
    """The updates of a dataset that a task delivers: those numbered in (after, upto].

    `after` None means the whole archive as it stood at update `upto` (a first delivery).
    """

    after: int | None
    upto: int

    def __str__(self) -> str:
        """Return the span as products are named: ``to-u0``, ``u3`` or ``u3-u5``."""
        if self.after is None:
            return f"to-u{self.upto}"
        first = "" if self.upto - self.after == 1 else f"u{self.after + 1}-"
        return f"{first}u{self.upto}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """What a task delivers of one dataset.

    Parameters
    ----------
    view : View
    updates : UpdateSpan
    place : int
        Position of the view among those of its subscription.
    """

    view: View
    updates: UpdateSpan
    place: int = 0

    @property
    def is_first(self) -> bool:
        """Whether this is a first delivery: all that the dataset held."""
        return self.updates.after is None


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscription:
    """A standing wish for a view of one dataset, or for one that several together give.

    Parameters
    ----------
    id : str
    version : int
        Grows by one with every change; a task belongs to one version.
    views : tuple of View
        One for each dataset; at least one, of different datasets.
    destination : str
        fsspec URL of the folder that products are delivered to.
    deadline_s : float or None
        Time from the receipt of an update to its delivery [s]; None is best effort.
    deadline_at : float or None
        An instant [POSIX s], for a one-shot or first delivery only.
    firm : bool
        A firm task expires when it cannot be met; a soft one is delivered late.
    priority : float
        Weight in admission, when not all deadlines can be met.
    backfill : bool
        Whether to deliver at once what the archive holds already.
    owner : str
        Who made it; empty where nobody has to say who they are.
    """

    id: str
    version: int = 1
    views: tuple[View, ...]
    destination: str
    deadline_s: float | None = None
    deadline_at: float | None = None
    firm: bool = False
    priority: float = 1.0
    backfill: bool = False
    owner: str = ""

    def deadline_from(self, selections: Iterable[Selection], at: float) -> float | None:
        """Return when these updates, received at an instant, must be delivered [POSIX s].

        A duration counts for every delivery, an instant for first ones only.
        """
        if self.deadline_at is not None:
            return self.deadline_at if any(each.is_first for each in selections) else None
        return None if self.deadline_s is None else at + self.deadline_s

    def selection(self, dataset: str, updates: UpdateSpan) -> Selection | None:
        """Return what updates of a dataset mean to this subscription; None if it has no view."""
        for place, view in enumerate(self.views):
            if view.dataset == dataset:
                return Selection(view=view, updates=updates, place=place)
        return None

    def datasets_not_in(self, other: Subscription) -> tuple[str, ...]:
        """Return the datasets of this subscription that another one has no view of."""
        kept = {view.dataset for view in other.views}
        return tuple(view.dataset for view in self.views if view.dataset not in kept)


@dataclass(frozen=True, slots=True, kw_only=True)
class Observations:
    """New or changed profiles of one update, as columns of equal length.

    Parameters
    ----------
    time_s : tuple of float
        Observation time [POSIX s].
    longitude, latitude : tuple of float
        Position [degrees east, degrees north].
    parameter_set : tuple of int
        For each profile, the position of its parameters in `parameter_sets`.
    parameter_sets : tuple of tuple of str
        The distinct sets of parameter names.
    """

    time_s: tuple[float, ...]
    longitude: tuple[float, ...]
    latitude: tuple[float, ...]
    parameter_set: tuple[int, ...]
    parameter_sets: tuple[tuple[str, ...], ...]

    def __len__(self) -> int:
        """Return the number of profiles."""
        return len(self.time_s)


def product_id(subscription_id: str, version: int, selections: Iterable[Selection]) -> str:
    """Return the stable name of one product: the same task always delivers under the same name.

    Updates are counted for each dataset; those of a second one are told by ``d2``.
    """
    spans = (f"d{s.place + 1}-{s.updates}" if s.place else str(s.updates) for s in selections)
    return "-".join((subscription_id, f"v{version}", *spans))


@dataclass(frozen=True, slots=True, kw_only=True)
class Features:
    """What the index says will be read: the ground of every prediction.

    Parameters
    ----------
    files : int
        Matched files [count].
    size_bytes : int
        Their size, 0 where the index does not say.
    values : int
        Parameters to be read, over all files [count]: of each file those that are wanted and that
        it holds, as far as the index says.
    """

    files: int = 0
    size_bytes: int = 0
    values: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitCosts:
    """Predicted reference seconds per unit of each feature (see `planner.durations`)."""

    base_s: float
    file_s: float
    megabyte_s: float
    value_s: float

    def seconds(self, features: Features) -> float:
        """Return the predicted run time [reference s]."""
        return (
            self.base_s
            + self.file_s * features.files
            + self.megabyte_s * features.size_bytes / 1e6
            + self.value_s * features.values
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class PartSpec:
    """One piece of a cut: an extent and what reading it touches.

    `selection` is the position of what it is a piece of among the task's selections.
    """

    extent: Extent
    features: Features
    selection: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Fragment:
    """What one attempt at a part left in the fragments store.

    Parameters
    ----------
    url : str
        Where it lies; the name carries part and attempt.
    rows : int
        Observations in it [count].
    size_bytes : int
    sha256 : str
    left_out : int
        Source files that could not be read and were left out [count].
    shared : int
        Source files that another part had read and opened already [count].
    """

    url: str
    rows: int
    size_bytes: int
    sha256: str
    left_out: int = 0
    shared: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Product:
    """A combined product in the staging area, not yet delivered.

    `digest` is the canonical content digest: equal content has equal digest, however it was cut.
    """

    url: str
    rows: int
    size_bytes: int
    sha256: str
    digest: str
    left_out: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeOffer:
    """A node type that a provider can create now.

    Parameters
    ----------
    node_type : str
        Name, unique over all providers.
    slots : int
        Workers that a new node starts with.
    slots_max : int
        Workers that it can be grown to.
    speed : float
        Reference seconds of work done per second and slot.
    price_per_h : float
        Price of a node [currency per hour]; 0 when it costs nothing.
    quantum_s : float
        Billing unit [s]; 0 bills by the second.
    boot_s : float
        Expected time from request to ready [s], the prior until boots are measured.
    nodes_max : int
        How many more the provider allows beside those that stand.
    spot : bool
        The provider may take a node of this type back at any time.
    """

    node_type: str
    slots: int
    slots_max: int
    speed: float = 1.0
    price_per_h: float = 0.0
    quantum_s: float = 0.0
    boot_s: float
    nodes_max: int
    spot: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedStep:
    """From an instant on, so many nodes of each type are to stand or boot.

    Parameters
    ----------
    at : float
        [POSIX s]
    nodes : tuple of (str, int)
        Node type and how many, sorted by name; a type that is missing has none.
    """

    at: float
    nodes: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetPlan:
    """The nodes that are to stand, whatever else the waiting work calls for.

    Parameters
    ----------
    steps : tuple of PlannedStep
        In order of time.
    until_at : float
        From then on there is no plan [POSIX s].
    reason : str
        Why these nodes pay, in words.
    """

    steps: tuple[PlannedStep, ...]
    until_at: float
    reason: str

    def nodes_at(self, at: float) -> dict[str, int]:
        """Return how many nodes of each type are to stand or boot at an instant."""
        nodes: tuple[tuple[str, int], ...] = ()
        if at < self.until_at:
            for step in self.steps:
                nodes = step.nodes if step.at <= at else nodes
        return dict(nodes)

    def next_at(self, at: float) -> float | None:
        """Return the first instant after this one at which that changes [POSIX s]."""
        instants = (*(step.at for step in self.steps), self.until_at)
        return min((each for each in instants if at < each <= self.until_at), default=None)


class NoticeKind(StrEnum):
    """What a subscriber or operator is told about a task."""

    DELIVERED = "delivered"
    LATE = "late"
    AT_RISK = "at_risk"
    RECOVERED = "recovered"
    EXPIRED = "expired"
    FAILED = "failed"
