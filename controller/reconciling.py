"""After a restart: what the planner believes against what is listed, and so what to do.

A restarted service knows its planner from the store, and the world only by asking: the provider for
nodes, the engine for attempts and workers. Where the two differ, the world is right. What it says
becomes events, so that the planner, its journal and a replay learn of it as of anything else.

Everything here is pure: listings in, verdict out.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass

from controller.ports import AttemptListing, NodeListing, NodeState
from planner.books import Books
from planner.events import AttemptLost, NodeLost, NodeReady
from planner.fleet import Node
from planner.lifecycle import NodeState as NodeLife

AttemptKey = tuple[str, int]
"""A part, and the number of its attempt."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningAttempt:
    """An attempt that the planner takes to be under way."""

    part_id: str
    attempt: int
    node_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Promised:
    """What open rows of the outbox are about to be carried out again, and so is not amiss yet.

    Parameters
    ----------
    nodes : frozenset of str
        To be provisioned.
    attempts : frozenset of (str, int)
        To be sent to the engine, which leaves alone those that it knows.
    """

    nodes: frozenset[str] = frozenset()
    attempts: frozenset[AttemptKey] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconciled:
    """What follows from the listings.

    Parameters
    ----------
    events : tuple of events
        For the planner, in this order.
    standing : tuple of str
        Nodes that should be listed from now on, for `NodeKeeper`; one that is yet to be provisioned
        is not, or it would be missed before it was asked for.
    leaving : tuple of str
        Nodes that were told to go, and have not yet, for `NodeKeeper`.
    orphans : tuple of str
        Nodes that nobody asked for, to be deleted.
    strays : tuple of (str, int)
        Attempts that nobody waits for, to be stopped and acknowledged.
    """

    events: tuple[NodeLost | NodeReady | AttemptLost, ...]
    standing: tuple[str, ...]
    leaving: tuple[str, ...]
    orphans: tuple[str, ...]
    strays: tuple[AttemptKey, ...]


def running_attempts(books: Books) -> tuple[RunningAttempt, ...]:
    """Return the attempts that the planner takes to be under way."""
    return tuple(
        RunningAttempt(part_id=part.id, attempt=part.attempt, node_id=part.node_id)
        for task in books.backlog.tasks.values()
        for part in task.running()
    )


def reconcile(
    *,
    at: float,
    fleet: Iterable[Node],
    running: Iterable[RunningAttempt],
    listed: Iterable[NodeListing],
    attempts: Iterable[AttemptListing],
    workers: Mapping[str, int],
    promised: Promised = Promised(),
    silent: Collection[str] = (),
) -> Reconciled:
    """Return what has to be told and done so that planner and world agree.

    Parameters
    ----------
    at : float
        Now [POSIX s].
    fleet : iterable of Node
        As the planner has it: ``planner.books.fleet.nodes.values()``.
    running : iterable of RunningAttempt
        As the planner has it: `running_attempts`.
    listed : iterable of NodeListing
        What the provider lists.
    attempts : iterable of AttemptListing
        What the engine lists.
    workers : mapping of str to int
        Joined workers of each node, as the engine lists them.
    promised : Promised, optional
        What will be carried out again anyway.
    silent : collection of str, optional
        Node types of which nothing is listed because their provider did not answer, or is not in
        the settings any more: those nodes are taken for what they were.
    """
    nodes, listings = tuple(fleet), {each.node_id: each for each in listed}
    running, known = tuple(running), {(each.part_id, each.attempt) for each in attempts}
    leaving = [node.id for node in nodes if node.state is NodeLife.REMOVING]
    heard_of = [node for node in nodes if node.offer.node_type not in silent]
    fates = [fate for node in heard_of for fate in _fates(node, listings, promised, at)]
    gone = {event.node_id for event in fates}
    staying = [node for node in nodes if node.id not in gone]
    return Reconciled(
        events=(
            *fates,
            *_counts(staying, workers, at),
            *_losses(running, gone, known | promised.attempts, at),
        ),
        standing=tuple(
            node.id
            for node in staying
            if node.id not in leaving
            and (node.id in listings or _is_unheard_of(node, promised, silent))
        ),
        leaving=tuple(node_id for node_id in leaving if node_id not in gone),
        orphans=tuple(sorted(listings.keys() - {node.id for node in nodes})),
        strays=tuple(sorted(known - {(each.part_id, each.attempt) for each in running})),
    )


def unasked(fleet: Iterable[Node], node_types: Collection[str]) -> tuple[Node, ...]:
    """Return the nodes whose type the settings do not name any more: nobody is asked for them."""
    return tuple(node for node in fleet if node.offer.node_type not in node_types)


def _is_unheard_of(node: Node, promised: Promised, silent: Collection[str]) -> bool:
    """Tell whether a node may well stand though nothing lists it."""
    return node.offer.node_type in silent and node.id not in promised.nodes


def _fates(
    node: Node, listings: Mapping[str, NodeListing], promised: Promised, at: float
) -> Iterator[NodeLost]:
    """Return what has become of a node meanwhile, if it is no more or no good."""
    listing = listings.get(node.id)
    if node.state is NodeLife.REMOVING:
        return  # Its provider is asked again, and clears away what was left of one that is gone.
    if listing is None and node.id not in promised.nodes:
        yield NodeLost(at=at, node_id=node.id, reason="its provider does not list it any more")
    elif listing is not None and listing.state is NodeState.BROKEN:
        reason = listing.reason or "the provider says it is broken"
        yield NodeLost(at=at, node_id=node.id, reason=reason)


def _counts(nodes: Iterable[Node], workers: Mapping[str, int], at: float) -> Iterator[NodeReady]:
    """Return how many workers each node has, where that is not what the planner believes."""
    for node in nodes:
        joined = workers.get(node.id, 0)
        if joined != node.joined:
            yield NodeReady(at=at, node_id=node.id, workers=joined)


def _losses(
    running: Iterable[RunningAttempt],
    gone: Collection[str],
    known: Collection[AttemptKey],
    at: float,
) -> Iterator[AttemptLost]:
    """Return the attempts that nobody knows of; a lost node takes its own with it."""
    for each in running:
        if each.node_id not in gone and (each.part_id, each.attempt) not in known:
            yield AttemptLost(
                at=at,
                part_id=each.part_id,
                attempt=each.attempt,
                reason="the engine does not know it any more",
            )
