"""The seams of the acting side: what an application, an engine and a node provider must do.

Each has one suite that every implementation passes. Events flow back through a `Report`, which is
safe to call from any thread.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol

from planner.density import Density
from planner.durations import DEFAULT_COSTS
from planner.events import AnyEvent, UpdateArrived
from planner.extent import Box, Extent, Period
from planner.model import (
    Fragment,
    NodeOffer,
    Options,
    Product,
    Selection,
    UnitCosts,
    UpdateSpan,
    View,
)

Report = Callable[[AnyEvent], None]
"""Takes what happened to the service's inbox."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PartWork:
    """One attempt at a part as it travels to a worker: a function, and what it is given.

    Parameters
    ----------
    part_id, node_id : str
    attempt : int
    limit_s : float
        The attempt is given up after this long [s].
    extract : callable
        Importable on the worker; takes `order` and returns the fragment.
    order : object
        Picklable and self-contained; the application's own.
    """

    part_id: str
    attempt: int
    node_id: str
    limit_s: float
    extract: Callable[[Any], Fragment]
    order: object


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptListing:
    """One attempt as the engine lists it.

    Parameters
    ----------
    part_id : str
    attempt : int
    node_id : str
        Where it waits or runs; empty when it has ended.
    ended : bool
        Its end was reported, and is not acknowledged yet.
    """

    part_id: str
    attempt: int
    node_id: str = ""
    ended: bool = False


class Engine(Protocol):
    """Carries parts to the workers of the nodes they were planned for, and tells their fate.

    Reports `NodeReady` whenever the number of joined workers of a node changes, and for each
    attempt exactly one of `PartFinished`, `PartFailed` and `AttemptLost`. An engine that outlives
    its service tells the next one again what was not acknowledged.
    """

    def submit(self, works: Sequence[PartWork]) -> None:
        """Send a batch of attempts on their way."""

    def stop(self, part_id: str, attempt: int) -> None:
        """Forget an attempt: nobody wants its result, nothing more is reported of it."""

    def acknowledge(self, attempts: Iterable[tuple[str, int]]) -> None:
        """Note that the ends of these attempts, as reported, are durable with who was told."""

    def attempts(self) -> tuple[AttemptListing, ...]:
        """Return the attempts that are under way, or have ended and are not acknowledged."""

    def workers(self) -> dict[str, int]:
        """Return how many workers of each node have joined; nodes without are left out."""

    def close(self, *, end: bool | None = None) -> None:
        """Stop carrying, and end what carries or not; by default, unless it is to outlive this."""


class WorkerConnection(Protocol):
    """How a worker process joins an engine; a provider brings it to its nodes. Picklable.

    Worker names are ``<node id>/<k>``, k never used twice on a node.
    """

    @property
    def address(self) -> str:
        """Return where workers on other machines find the engine."""

    @property
    def preload(self) -> tuple[str, ...]:
        """Return the modules worth importing once, before worker processes are forked."""

    def of_node(self, node_id: str, folder: Path) -> WorkerConnection:
        """Return the connection of one node, whose credentials are put into its folder.

        All that it needs to prove itself, and to judge others, lies there then: the folder may be
        brought to another machine (`controller.nodes.joining`). Called again for a node that
        stands, it renews them where that is due.
        """

    def revoke(self, node_id: str) -> None:
        """Have what a node that is gone was given let nobody in any more.

        Only of nodes whose credentials have left this machine; the id is not used again.
        """

    def join(self, worker_name: str, folder: Path) -> None:
        """Work in this process until told to end; `folder` is for the worker's short-lived files.

        Raises
        ------
        controller.errors.EngineError
            The engine refuses this worker, or is out of reach for too long.
        """


def fragment_stem(part_id: str, attempt: int) -> str:
    """Return what the name of an attempt's fragment begins with; a point and more follow."""
    return f"{part_id.replace('/', '-')}.a{attempt}"


def node_of(worker_name: str) -> str:
    """Return the node that a worker named ``<node id>/<k>`` belongs to."""
    return worker_name.rpartition("/")[0]


class NodeState(StrEnum):
    """How a node stands with its provider."""

    BOOTING = "booting"
    RUNNING = "running"
    BROKEN = "broken"


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeListing:
    """One node as its provider lists it."""

    node_id: str
    node_type: str
    state: NodeState
    workers: int
    reason: str = ""


class NodeProvider(Protocol):
    """Creates, lists and deletes nodes, each found again by our own id (a tag, never memory)."""

    @property
    def name(self) -> str:
        """Return what messages call it."""

    @property
    def calls_max(self) -> int:
        """Return how many calls may be made at the same time, from as many threads."""

    @property
    def poll_s(self) -> float:
        """Return the pause between two listings that suits it [s]."""

    def describe(self) -> tuple[NodeOffer, ...]:
        """Return the node types that can be created now, and how many more of each.

        Raises
        ------
        controller.errors.NodeError
            It cannot be told, or a type is none that can be had here.
        """

    def create(self, node_id: str, node_type: str, workers: int) -> None:
        """Begin to create a node; a node that stands already under this id is left as it is.

        Raises
        ------
        controller.errors.NodeError
            Typed as retry, capacity, quota, credentials or ours.
        """

    def resize(self, node_id: str, workers: int) -> None:
        """Make a standing node hold this many workers."""

    def list_nodes(self) -> tuple[NodeListing, ...]:
        """Return every node of ours that the provider knows."""

    def delete(self, node_id: str) -> bool:
        """Ask for a node's end; return True once it is not found any more."""

    def close(self, *, end: bool | None = None) -> None:
        """Stop providing.

        Parameters
        ----------
        end : bool, optional
            Delete all nodes first; by default, unless they outlive their service.
        """


class Application(Protocol):
    """Serves one dataset: says what a request touches, extracts parts, combines products.

    The methods run in the service, beside the index; the functions `extract` and `combine` are
    importable by name and run on workers and in the service's combining pool.
    """

    name: str
    extract: Callable[[Any], Fragment]
    combine: Callable[[Any], Product]

    def parameters(self) -> tuple[str, ...]:
        """Return the names that a subscription may ask for, sorted."""

    def takes(self, option: str) -> bool:
        """Tell whether an option of this name means anything here."""

    def check_options(self, options: Options) -> None:
        """Refuse options that cannot be.

        Raises
        ------
        planner.errors.InvalidSubscription
            Names the option, and what it may be.
        """

    def view(self, box: Box, period: Period, parameters: tuple[str, ...], options: Options) -> View:
        """Return the view that a request means; no parameters means those of most use.

        Raises
        ------
        planner.errors.SlackwaterError
            What was asked for cannot be served, or parameters and options do not go together.
        """

    def density(self, view: View, updates: UpdateSpan) -> Density | None:
        """Return where the load of a request lies, or None without an index."""

    def period(self) -> Period | None:
        """Return what the dataset spans, where there is no density to tell it."""

    def part_order(
        self, view: View, extent: Extent, updates: UpdateSpan, fragment_stem: str
    ) -> object:
        """Return the picklable order of one part; its fragment's name begins with the stem."""

    def product_order(
        self,
        selection: Selection,
        fragments: tuple[Fragment, ...],
        product_id: str,
        subscription_id: str,
    ) -> object:
        """Return the picklable order to make a product of the fragments of one selection."""

    def joined(self, orders: Sequence[Any]) -> object:
        """Return one order that makes one product of what several `product_order` would make."""


class Source(Protocol):
    """Follows what a dataset holds and tells its updates, counted from 1."""

    @property
    def again_s(self) -> float | None:
        """In how many seconds to look again, where something is being written; else None."""

    def base(self) -> UpdateArrived:
        """Return the event that makes the dataset known, before any update."""

    def look(self) -> UpdateArrived | None:
        """Return what changed since the last look as the next update, None if nothing did.

        Raises
        ------
        planner.errors.SlackwaterError
            It cannot be told now; what was known stands.
        """

    def faults(self) -> tuple[str, ...]:
        """Return in words what is wrong with what the dataset says of itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """A dataset that can be served: who reads it, and who tells what is new in it.

    Parameters
    ----------
    alias, identifier : str
        What subscriptions may call it: a short name, and its persistent identifier.
    archive : str
        Where it lies, a folder or URL.
    read_latency_s : float
        Declared latency of every file read [s].
    costs : UnitCosts
        What reading costs before anything was measured, besides that latency.
    application : Application
    source : Source
    """

    alias: str
    identifier: str
    archive: str
    read_latency_s: float
    costs: UnitCosts = DEFAULT_COSTS
    application: Application
    source: Source
