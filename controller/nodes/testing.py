"""The contract of a node provider as a suite that every implementation passes.

A provider's author calls `check_node_provider` from a test of the provider::

    def test_contract():
        check_node_provider(MyNodes(...), reopen=lambda: MyNodes(...))

Laws are grouped in levels, so that a costly provider can be held against some of them only. The
suite creates nodes, waits for what it asked for, and deletes them. With an engine at hand, whose
connection the provider was given, nodes have to be of use, too: their workers join it and work::

        events = SimpleQueue()
        engine = DaskEngine(events.put)
        check_node_provider(MyNodes(engine.connection, ...), engine=engine, events=events)
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from enum import IntEnum
from queue import Empty, SimpleQueue

from controller.errors import NodeError, NodeFault
from controller.ports import Engine, NodeListing, NodeProvider, NodeState, PartWork
from planner.events import AnyEvent, AttemptLost, PartFailed, PartFinished
from planner.model import Fragment, NodeOffer

POLL_S = 0.05
"""Pause between two looks at a provider [s]."""

FILL_MAX = 4
"""The limit of a node type is tried where so few nodes reach it; more would cost too much."""

PART_S = 3.0
"""The part that a node which is told to go has to let end takes so long [s]."""

BEGUN_S = 1.0
"""A part that was sent to an idle worker has begun by then [s]; nothing tells that it has."""


class Level(IntEnum):
    """What a law needs from the provider, the cheapest first."""

    OFFERS = 1
    """Nothing is created."""
    LIFE = 2
    """One node at a time."""
    SIZE = 3
    """A node type that can grow."""
    TAGS = 4
    """A second provider on the same account, by `reopen`."""
    LIMITS = 5
    """As many nodes as a type allows, where these are few."""
    JOIN = 6
    """An engine that the workers of a node reach."""
    DRAIN = 7
    """The same, and time for a running part of `PART_S` when a node is to go."""


Ended = PartFinished | PartFailed | AttemptLost


def last(run_s: float) -> Fragment:
    """Be a part that takes so long [s], on the node."""
    time.sleep(run_s)
    return Fragment(url="memory://check", rows=0, size_bytes=0, sha256="0" * 64)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One provider under test, and the node type that it is tried with; see the suite."""

    provider: NodeProvider
    reopen: Callable[[], NodeProvider] | None
    offer: NodeOffer
    wait_s_max: float
    engine: Engine | None = None
    events: SimpleQueue[AnyEvent] | None = None

    def listed(self, node_id: str) -> NodeListing | None:
        """Return the listing of a node; there may be one at most."""
        found = [each for each in self.provider.list_nodes() if each.node_id == node_id]
        assert len(found) <= 1, f"{node_id} is listed {len(found)} times"
        return found[0] if found else None

    def until(self, what: str, condition: Callable[[], bool]) -> None:
        """Wait for a condition; fail with these words when it does not come."""
        give_up_at = time.monotonic() + self.wait_s_max
        while not condition():
            assert time.monotonic() < give_up_at, f"in {self.wait_s_max:.0f} s never: {what}"
            time.sleep(POLL_S)

    def until_runs(self, node_id: str, workers: int) -> None:
        """Wait until a node runs with this many workers."""

        def runs() -> bool:
            listing = self.listed(node_id)
            assert listing is None or listing.state is not NodeState.BROKEN, listing
            running = listing is not None and listing.state is NodeState.RUNNING
            return running and listing is not None and listing.workers == workers

        self.until(f"{node_id} runs with {workers} workers", runs)

    def until_joined(self, node_id: str, workers: int) -> None:
        """Wait until this many workers of a node have joined the engine."""
        engine = self.engine
        assert engine is not None

        def joined() -> bool:
            listing = self.listed(node_id)
            assert listing is None or listing.state is not NodeState.BROKEN, listing
            return engine.workers().get(node_id, 0) == workers

        self.until(f"{workers} workers of {node_id} have joined", joined)

    def submit(self, node_id: str, part_id: str, run_s: float) -> None:
        """Send a part that takes so long [s]."""
        assert self.engine is not None
        work = PartWork(
            part_id=part_id,
            attempt=1,
            node_id=node_id,
            limit_s=run_s + self.wait_s_max,
            extract=last,
            order=run_s,
        )
        self.engine.submit([work])

    def end_of(self, part_id: str, wait_s: float) -> AnyEvent | None:
        """Return how a part has ended, None if it has not by then [s]."""
        assert self.engine is not None
        assert self.events is not None
        give_up_at = time.monotonic() + wait_s
        while True:
            try:
                event = self.events.get(timeout=max(0.0, give_up_at - time.monotonic()))
            except Empty:
                return None
            if isinstance(event, Ended) and event.part_id == part_id:
                self.engine.acknowledge([(part_id, 1)])
                return event

    def delete(self, node_id: str) -> None:
        """Delete a node to the end."""
        self.until(f"{node_id} is not found any more", lambda: self.provider.delete(node_id))

    def clear(self) -> None:
        """Delete what a law has left behind, as far as the provider can."""
        give_up_at = time.monotonic() + self.wait_s_max
        left = [each.node_id for each in self.provider.list_nodes()]
        while left and time.monotonic() < give_up_at:
            left = [each for each in left if not self.provider.delete(each)]
            time.sleep(POLL_S if left else 0)

    def refusal(self, act: Callable[[], None]) -> NodeFault:
        """Return the fault with which a call is refused."""
        try:
            act()
        except NodeError as error:
            return error.fault
        raise AssertionError("the provider took what it must refuse")


def offers_are_sound(trial: Trial) -> None:
    """Offer types with names of their own, slots, speed, and no negative price or time."""
    offers = trial.provider.describe()
    assert len({offer.node_type for offer in offers}) == len(offers)
    for offer in offers:
        assert 1 <= offer.slots <= offer.slots_max, offer
        assert offer.speed > 0, offer
        assert min(offer.price_per_h, offer.quantum_s, offer.boot_s, offer.nodes_max) >= 0, offer


def what_cannot_be_is_refused(trial: Trial) -> None:
    """Refuse an unknown type, or more workers than a type holds, as our fault; leave nothing."""
    create, offer = trial.provider.create, trial.offer
    assert trial.refusal(lambda: create("check-0", "no-such-type", 1)) is NodeFault.OURS
    too_many = offer.slots_max + 1
    assert trial.refusal(lambda: create("check-0", offer.node_type, too_many)) is NodeFault.OURS
    assert trial.listed("check-0") is None


def unknown_nodes_are_gone(trial: Trial) -> None:
    """Take a node that never was for deleted, and refuse to resize it."""
    assert trial.provider.delete("check-never") is True
    assert trial.refusal(lambda: trial.provider.resize("check-never", 1)) is NodeFault.GONE


def created_once(trial: Trial) -> None:
    """List a node as soon as `create` returns, bring it up, and do not create it twice."""
    node_id, offer = "check-1", trial.offer
    trial.provider.create(node_id, offer.node_type, offer.slots)
    first = trial.listed(node_id)
    assert first is not None
    assert first.node_type == offer.node_type
    trial.provider.create(node_id, offer.node_type, offer.slots)
    trial.until_runs(node_id, offer.slots)
    trial.provider.create(node_id, offer.node_type, offer.slots)
    left = next(each for each in trial.provider.describe() if each.node_type == offer.node_type)
    assert left.nodes_max <= offer.nodes_max - 1
    trial.delete(node_id)


def deleted_for_good(trial: Trial) -> None:
    """Tell a node's end when it is gone and not before, even of one that was booting."""
    node_id, offer = "check-2", trial.offer
    trial.provider.create(node_id, offer.node_type, 1)
    trial.delete(node_id)
    assert trial.listed(node_id) is None
    assert trial.provider.delete(node_id) is True
    left = next(each for each in trial.provider.describe() if each.node_type == offer.node_type)
    assert left.nodes_max == offer.nodes_max


def resized(trial: Trial) -> None:
    """Grow and shrink a node that can grow to what is asked, however often, but not beyond."""
    node_id, offer = "check-3", trial.offer
    if offer.slots_max <= offer.slots:
        return
    trial.provider.create(node_id, offer.node_type, 1)
    for workers in (offer.slots_max, offer.slots_max, 1):
        trial.provider.resize(node_id, workers)
        trial.until_runs(node_id, workers)
    too_many = offer.slots_max + 1
    assert trial.refusal(lambda: trial.provider.resize(node_id, too_many)) is NodeFault.OURS
    trial.delete(node_id)


def found_by_tag(trial: Trial) -> None:
    """Find a node that another provider made, do not create it again, and delete it."""
    if trial.reopen is None:
        return
    node_id, offer = "check-4", trial.offer
    trial.provider.create(node_id, offer.node_type, 1)
    trial.until_runs(node_id, 1)
    other = Trial(
        provider=trial.reopen(), reopen=None, offer=trial.offer, wait_s_max=trial.wait_s_max
    )
    assert other.listed(node_id) == trial.listed(node_id)
    other.provider.create(node_id, offer.node_type, 1)
    other.until_runs(node_id, 1)
    other.delete(node_id)
    trial.until(f"{node_id} is gone everywhere", lambda: trial.listed(node_id) is None)


def limited(trial: Trial) -> None:
    """Refuse one node more than a type allows, for quota or capacity, and leave nothing."""
    offer = trial.offer
    if offer.nodes_max > FILL_MAX:
        return
    ids = [f"check-{10 + number}" for number in range(offer.nodes_max)]
    for node_id in ids:
        trial.provider.create(node_id, offer.node_type, 1)
    fault = trial.refusal(lambda: trial.provider.create("check-99", offer.node_type, 1))
    assert fault in (NodeFault.QUOTA, NodeFault.CAPACITY)
    assert trial.listed("check-99") is None
    for node_id in ids:
        trial.delete(node_id)


def joins(trial: Trial) -> None:
    """Have all workers of a node join the engine, and none of them stay when it is deleted."""
    node_id, offer, engine = "check-5", trial.offer, trial.engine
    if engine is None:
        return
    trial.provider.create(node_id, offer.node_type, offer.slots)
    trial.until_joined(node_id, offer.slots)
    trial.delete(node_id)
    trial.until(f"the workers of {node_id} are gone", lambda: node_id not in engine.workers())


def drains(trial: Trial) -> None:
    """Let a running part end before a node that is deleted goes."""
    node_id, wait_s = "check-6", trial.wait_s_max
    if trial.engine is None:
        return
    trial.provider.create(node_id, trial.offer.node_type, 1)
    trial.until_joined(node_id, 1)
    trial.submit(node_id, "check-short", 0.0)
    short = trial.end_of("check-short", wait_s)
    assert isinstance(short, PartFinished), f"a part on an idle node: {short}"
    trial.submit(node_id, "check-long", PART_S)
    early = trial.end_of("check-long", BEGUN_S)
    assert early is None, f"a part that takes {PART_S:.0f} s: {early}"
    trial.delete(node_id)
    end = trial.end_of("check-long", 0.0)
    assert isinstance(end, PartFinished), f"when the node was gone, its part had: {end}"


LAWS: tuple[tuple[Level, Callable[[Trial], None]], ...] = (
    (Level.OFFERS, offers_are_sound),
    (Level.OFFERS, what_cannot_be_is_refused),
    (Level.OFFERS, unknown_nodes_are_gone),
    (Level.LIFE, created_once),
    (Level.LIFE, deleted_for_good),
    (Level.SIZE, resized),
    (Level.TAGS, found_by_tag),
    (Level.LIMITS, limited),
    (Level.JOIN, joins),
    (Level.DRAIN, drains),
)


def check_node_provider(
    provider: NodeProvider,
    *,
    reopen: Callable[[], NodeProvider] | None = None,
    engine: Engine | None = None,
    events: SimpleQueue[AnyEvent] | None = None,
    levels: Collection[Level] = tuple(Level),
    wait_s_max: float = 60.0,
) -> None:
    """Hold a provider against its contract (`controller.ports.NodeProvider`).

    Parameters
    ----------
    provider : NodeProvider
        With no nodes of ours: those that it lists are deleted. Its first offer is tried.
    reopen : callable, optional
        Makes another provider on the same account; without it, level TAGS is left out.
    engine : Engine, optional
        Whose connection the provider was given; without it, levels JOIN and DRAIN are left out.
    events : SimpleQueue, optional
        What the engine reports to; goes with it.
    levels : collection of Level
    wait_s_max : float
        How long the provider may take for one thing [s].

    Raises
    ------
    AssertionError
        A law does not hold; its name is told.
    """
    assert (engine is None) == (events is None), "an engine, and where it reports to"
    for level, law in LAWS:
        if level not in levels:
            continue
        trial = Trial(
            provider=provider,
            reopen=reopen,
            offer=provider.describe()[0],
            wait_s_max=wait_s_max,
            engine=engine,
            events=events,
        )
        try:
            law(trial)
        except AssertionError as error:
            raise AssertionError(f"{law.__name__} does not hold: {law.__doc__} {error}") from error
        finally:
            trial.clear()
