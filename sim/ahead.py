"""Plans the fleet for the next hours: a mixed-integer programme over known and expected work.

It is model predictive control on the programme of the bound (`sim.bound`): each time something
changed, the cheapest fleet for all that waits and all that is expected is worked out, and what of
it concerns expected work becomes the plan. The planner decides about known work itself, and better:
it knows parts, slots and chance.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from planner.books import Books
from planner.commands import AnyCommand
from planner.events import AnyEvent, FleetPlanned, TaskCut
from planner.model import NodeOffer, PlannedStep
from planner.scaling.view import NodePhase, NodeView, ScalingView
from planner.steering import scaling_view
from sim.bound.programme import Programme
from sim.bound.terms import Floats, Ints
from sim.expected import JITTER_SLOTS, SLOT_S, Ask, Seen

HORIZON_S = 3 * 3600.0
"""Three hours at most [s]: beyond the longest quantum in use, an hour, and what follows it."""

INTERVAL_S = 60.0
"""Plans are made at most this frequently [s]."""

PLAN_S_MIN = 300.0
"""A plan holds for so long at least, if nothing happens [s]: work that is expected at any moment
would otherwise have it made anew all the time."""

LATE_FACTOR = 100.0
"""A reference second that is not done in time costs as much as so many seconds of a slot: more than
a boot does, so that a node is had for it."""

GRACE_SLOTS = JITTER_SLOTS + 1
"""Nodes for expected work stand for so many slots after it should have come: then it is missed."""

HOLD_SHARE = 0.1
"""A node that stays longer than it is paid for is taken to cost this share of a launch more: what
it stays for may be late, or less than expected. A launch costs a boot, or a quantum."""

AHEAD_SHARE = 3.0
"""And one that boots ahead this share, so that it does for deadlines and hardly for money: when
work is there it is known how much it is, and the planner launches no more than that needs."""

BEGINS_MAX = 12
"""Instants of expected work for which nodes may be asked; more are thinned evenly."""

GO_SLOTS = 5
"""Nodes that are billed by the second go at every fifth slot: enough to tell whether they stay."""

GAP, BRANCHES_MAX = 0.005, 5000
"""How good a plan must be, and how long it is sought."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A node type as the programme sees it, times in slots.

    Parameters
    ----------
    offer : NodeOffer
    boot : int
    nodes : tuple of NodeView
        That stand or boot.
    """

    offer: NodeOffer
    boot: int
    nodes: tuple[NodeView, ...]

    @property
    def does(self) -> float:
        """Work that a node does in a slot, in reference slots: sums of seconds scale badly."""
        return self.offer.slots * self.offer.speed

    @property
    def launch(self) -> float:
        """What a launch costs whatever the node then does [slots]."""
        return max(float(self.boot), self.offer.quantum_s / SLOT_S)

    @property
    def price(self) -> float:
        """Price of a node and slot; what costs nothing is used sparingly all the same."""
        return (self.offer.price_per_h or 1.0) * SLOT_S / 3600.0


class Advisor:
    """Makes plans for one run: shown each step, asked before each tick.

    Parameters
    ----------
    books : Books
        Of the planner that is advised.
    """

    def __init__(self, books: Books) -> None:
        self._books = books
        self._seen = Seen()
        self._planned_at = -math.inf
        self._planned_for: tuple[int, frozenset[str]] | None = None

    def see(self, event: AnyEvent, _: Sequence[AnyCommand]) -> None:
        """Take note of work that arrived."""
        if not isinstance(event, TaskCut):
            return
        task = self._books.backlog.tasks.get(event.task_id)
        if task is None:
            return
        due_s = task.due_at - task.arrived_at
        if due_s == math.inf:
            due_s = self._books.settings.scaling.best_effort_s
        self._seen.note(task.arrived_at, due_s, task.work_s)

    def advise(self, at: float) -> FleetPlanned | None:
        """Return a new plan, if anything has changed for long enough and it differs."""
        plan = self._books.plan
        changed_to = (self._seen.count, frozenset(self._books.fleet.nodes))
        lapsed = plan is not None and plan.until_at <= at
        if at < self._planned_at + INTERVAL_S or (changed_to == self._planned_for and not lapsed):
            return None
        self._planned_at, self._planned_for = at, changed_to
        expected = list(self._seen.expected(at, HORIZON_S))
        if not expected:
            return _nothing(at) if plan is not None and plan.steps and not lapsed else None
        return _plan(scaling_view(self._books, at), expected)


def _nothing(at: float) -> FleetPlanned:
    return FleetPlanned(at=at, steps=(), until_at=at, reason="nothing is expected")


def _plan(view: ScalingView, expected: Sequence[Ask]) -> FleetPlanned:
    """Return a plan that holds until the first of what is expected is missed.

    What is further away than nodes are booted and paid for ahead is planned for later.
    """
    comes_at = min(ask.released_at for ask in expected)
    lead_s = max((_lead_s(view, offer) for offer in view.offers), default=0.0)
    if comes_at - lead_s > view.now:
        reason = "what is expected is too far away to be planned for"
        return FleetPlanned(at=view.now, steps=(), until_at=comes_at - lead_s, reason=reason)
    near = [ask for ask in expected if ask.released_at <= comes_at + lead_s]
    work_s = math.fsum(ask.work_s for ask in near)
    return FleetPlanned(
        at=view.now,
        steps=planned(view, near),
        until_at=max(comes_at + GRACE_SLOTS * SLOT_S, view.now + PLAN_S_MIN),
        reason=f"planned ahead: {work_s:.0f} s of work expected from {comes_at:.0f} s on",
    )


def _lead_s(view: ScalingView, offer: NodeOffer) -> float:
    """Return how long before work comes a node may have to be asked for, or kept, for it [s].

    To hold a node for longer than a boot costs more than to boot another, unless it is paid for.
    """
    boot_s = view.boots.quantile(offer.node_type, view.settings.boot_launch_quantile)
    return boot_s + offer.quantum_s + SLOT_S


def planned(view: ScalingView, expected: Sequence[Ask]) -> tuple[PlannedStep, ...]:
    """Return the nodes that are to stand or boot for expected work, from when on."""
    known = [*_waiting(view), *_running(view)]
    last_s = max(ask.due_at for ask in (*known, *expected)) - view.now
    slots = math.ceil(min(last_s, HORIZON_S) / SLOT_S)
    programme = Programme()
    kinds = _kinds(view)
    comes = sorted({_slot(ask.released_at, view.now) for ask in expected})
    supply = _Supply(programme, slots, comes)
    fleets = [_fleet(programme, kind, view, supply) for kind in kinds]
    supply.close(_gathered([*known, *expected], view.now, slots), view.settings.nodes_max, kinds)
    values = programme.settle(GAP, BRANCHES_MAX)
    if values is None:
        return ()
    courses = {
        kind.offer.node_type: _for_what_comes(fleet @ values, comes, kind)
        for kind, fleet in zip(kinds, fleets, strict=True)
    }
    return _steps(courses, view.now)


def _kinds(view: ScalingView) -> list[Kind]:
    live = [node for node in view.nodes if node.phase is not NodePhase.DRAINING]
    quantile = view.settings.boot_launch_quantile
    return [
        Kind(
            offer=offer,
            boot=math.ceil(view.boots.quantile(offer.node_type, quantile) / SLOT_S),
            nodes=tuple(node for node in live if node.node_type == offer.node_type),
        )
        for offer in view.offers
    ]


def _waiting(view: ScalingView) -> Iterable[Ask]:
    for task in view.queue:
        due_at = min(task.due_at, view.now + view.settings.best_effort_s)
        yield Ask(view.now, due_at, task.mean_s)


def _running(view: ScalingView) -> Iterable[Ask]:
    for node in view.nodes:
        for until_at in node.busy_until:
            yield Ask(view.now, until_at + SLOT_S, (until_at - view.now) * node.speed)


def _slot(at: float, now: float) -> int:
    return max(0, math.floor((at - now) / SLOT_S))


def _gathered(asks: Iterable[Ask], now: float, slots: int) -> dict[int, dict[int, float]]:
    """Return work [reference slots] by the slot in which it comes, and before which it is due."""
    gathered: defaultdict[int, defaultdict[int, float]] = defaultdict(lambda: defaultdict(float))
    for ask in asks:
        comes = _slot(ask.released_at, now)
        due = max(comes + 1, _slot(ask.due_at, now))
        if comes < slots:
            share = (min(due, slots) - comes) / (due - comes)  # The rest lies beyond the horizon.
            gathered[comes][min(due, slots)] += share * ask.work_s / SLOT_S
    return {comes: dict(dues) for comes, dues in sorted(gathered.items())}


class _Supply:
    """The rows of what nodes do and how many there are, slot by slot."""

    def __init__(self, programme: Programme, slots: int, comes: Sequence[int]) -> None:
        self.programme, self.slots, self.comes = programme, slots, comes
        self.does = programme.at_most.more(np.zeros(slots))
        self.stands: Ints = np.zeros(0, dtype=np.int64)
        self._entries: list[tuple[Ints, Ints]] = []

    def stand(self, column: int, begins: int, ready: int, ends: int, does: float) -> None:
        """Let a column be a node from one slot to another, working from when it is ready."""
        works = np.arange(max(0, ready), min(ends, self.slots))
        self.programme.at_most.put(self.does[works], np.full(len(works), column), -does)
        stands = np.arange(max(0, begins), min(ends, self.slots))
        self._entries.append((stands, np.full(len(stands), column)))

    def close(
        self, asks: dict[int, dict[int, float]], nodes_max: int, kinds: Sequence[Kind]
    ) -> None:
        """Add the work to be done, and the cap.

        Work that comes at the same time is done in the order in which it is due, so that it is
        enough to ask by each such instant for all that is due until then.
        """
        dearest = max((kind.price / kind.does for kind in kinds), default=1.0)
        rows = self.programme.at_most.more(np.full(self.slots, float(nodes_max)))
        for stands, columns in self._entries:
            self.programme.at_most.put(rows[stands], columns, 1.0)
        for comes, dues in asks.items():
            ends = sorted(dues)
            done = self.programme.columns(np.zeros(ends[-1] - comes))
            self.programme.at_most.put(self.does[comes : ends[-1]], done, 1.0)
            late = self.programme.columns(np.full(len(ends), LATE_FACTOR * dearest))
            owed = np.cumsum([dues[end] for end in ends])
            behind = self.programme.at_most.more(-owed)
            self.programme.at_most.put(behind, late, -1.0)
            for row, end in zip(behind, ends, strict=True):
                by_then = done[: end - comes]
                self.programme.at_most.put(np.repeat(row, len(by_then)), by_then, -1.0)


class _Fleet:
    """The columns of one type's nodes, and when each of them stands or boots."""

    def __init__(self, slots: int) -> None:
        self.slots = slots
        self._spells: list[tuple[int, int, int]] = []

    def add(self, column: int, begins: int, ends: int) -> None:
        self._spells.append((column, max(0, begins), min(ends, self.slots)))

    def __matmul__(self, values: Floats) -> Floats:
        """Return how many nodes stand or boot in each slot of a solution."""
        course = np.zeros(self.slots)
        for column, begins, ends in self._spells:
            course[begins:ends] += values[column]
        return np.round(course)


def _fleet(programme: Programme, kind: Kind, view: ScalingView, supply: _Supply) -> _Fleet:
    """Add the spells that nodes of a type may stand: those that are there, and new ones."""
    fleet = _Fleet(supply.slots)
    for node in kind.nodes:
        paid = _paid(node, view.now)
        ends = _ends(paid, node.quantum_s, supply.slots)
        spells = [
            (0, _ready(node, view), end, end - paid + HOLD_SHARE * kind.launch * (end > paid))
            for end in ends
        ]
        columns = _spells(programme, kind, (supply, fleet), spells, 1.0)
        row = programme.at_most.more(np.array([1.0]))
        programme.at_most.put(np.repeat(row, len(columns)), columns, 1.0)
    with_work = {*supply.comes, *({0} if len(view.queue) else ())}
    spells = [
        (
            begin,
            begin + kind.boot,
            end,
            end - begin + AHEAD_SHARE * kind.launch * (begin not in with_work),
        )
        for begin in _begins(kind, supply)
        for end in _ends(begin, kind.offer.quantum_s, supply.slots)
        if end > begin + kind.boot
    ]
    _spells(programme, kind, (supply, fleet), spells, float(kind.offer.nodes_max))
    return fleet


def _spells(
    programme: Programme,
    kind: Kind,
    sink: tuple[_Supply, _Fleet],
    spells: Sequence[tuple[int, int, float, float]],
    most: float,
) -> Ints:
    """Add columns for spells: when each begins, is ready and ends, and what is paid [slots]."""
    supply, fleet = sink
    paid = np.array([spell[3] for spell in spells])
    columns = programme.columns(paid * kind.price, most, whole=True)
    for column, (begin, ready, end, _) in zip(columns.tolist(), spells, strict=True):
        fleet.add(column, begin, math.floor(end))
        supply.stand(column, begin, ready, math.floor(end), kind.does)
    return columns


def _begins(kind: Kind, supply: _Supply) -> list[int]:
    """Return when new nodes may be asked for: now, when work comes, and a boot before that."""
    thinned = supply.comes[:: max(1, math.ceil(len(supply.comes) / BEGINS_MAX))]
    return sorted({0, *(max(0, each - kind.boot) for each in thinned), *thinned})


def _ends(paid: float, quantum_s: float, slots: int) -> list[float]:
    """Return when a node may go that is paid for until a slot; not after the horizon."""
    every = quantum_s / SLOT_S if quantum_s > 0 else GO_SLOTS
    count = math.ceil(max(0.0, slots - paid) / every)
    return [min(paid + number * every, float(slots)) for number in range(count + 1)]


def _paid(node: NodeView, now: float) -> float:
    """Return how many slots a node is still paid for."""
    if node.quantum_s <= 0:
        return 0.0
    quanta = max(1, math.ceil((now - node.requested_at) / node.quantum_s))
    return (node.requested_at + quanta * node.quantum_s - now) / SLOT_S


def _ready(node: NodeView, view: ScalingView) -> int:
    if node.phase is NodePhase.READY:
        return 0
    age_s, quantile = view.now - node.requested_at, view.settings.boot_launch_quantile
    left_s = view.boots.remaining(node.node_type, age_s, quantile)
    return math.ceil(min(left_s, HORIZON_S) / SLOT_S)


def _for_what_comes(course: Floats, comes: Sequence[int], kind: Kind) -> list[int]:
    """Return how many of the nodes of each slot are there for expected work.

    Those that stay until it comes, and those that boot for it. What is launched before that, or
    when it comes, is launched for known work: the planner knows better how much that needs.
    """
    kept = [0] * len(course)
    for slot in range(len(course)):
        come = next((each for each in comes if each + GRACE_SLOTS >= slot), None)
        if come is not None and come < len(course):
            stay = round(float(course[min(slot, max(0, come - 1)) : come + 1].min()))
            kept[slot] = stay if slot >= come - kind.boot else min(stay, len(kind.nodes))
    return kept


def _steps(courses: dict[str, list[int]], now: float) -> tuple[PlannedStep, ...]:
    """Return the instants at which any type's number changes."""
    slots = len(next(iter(courses.values()), ()))
    nodes = [
        tuple(sorted((name, course[slot]) for name, course in courses.items() if course[slot]))
        for slot in range(slots)
    ]
    changes = [
        (slot, after)
        for slot, (before, after) in enumerate(pairwise(((), *nodes)))
        if before != after
    ]
    return tuple(PlannedStep(at=now + slot * SLOT_S, nodes=each) for slot, each in changes)
