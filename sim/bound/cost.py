"""The front door: what demands cost at least on given terms."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from sim.bound.closed_form import floor_cost, launches_needed, peak_power, whole_quanta
from sim.bound.per_quantum import SLOTS_A_QUANTUM, quantum_edges
from sim.bound.programme import Answer
from sim.bound.slots import Slotted, choose_edges, joined, pairs, slotted, windows
from sim.bound.spacing import spacing_floor
from sim.bound.spells import packed, split, worthless_gap_s
from sim.bound.spending import least_cost
from sim.bound.terms import (
    Demand,
    FleetTerms,
    Floats,
    Load,
    Sorted,
    first_known_at,
    load_of,
    sort_out,
)

PAIRS_MAX = 60_000
"""Pairs of a group of demands and a slot, in one spell: more of them cost tens of seconds."""

ALL_PAIRS_MAX = 200_000
"""In all spells, each having its share by its demands, so that a year is bounded in seconds."""

SPELL_PAIRS_MIN = 400
"""A spell may have so many anyway: small ones cost little."""

PACK_PAIRS_MAX = 4_000
"""Spells are solved together up to so many pairs: each call of the solver has its price."""

SECONDS_MAX = 60.0
"""For one linear programme [s]; a spell that takes longer has the floor for its bound."""

QUANTA_PAIRS_MAX = 10_000
"""In the spell of most demands, where billing is by quanta: a quantum touches many slots. Beyond
that no programme is made; the floors remain."""

WHOLE_PAIRS_MAX = 4_000
"""In one spell, where whole launches or quanta are sought."""

OUTWARD = 1e-6
"""By this share what a solver says is lowered: it is exact to that."""

ROUNDING = 1e-9
"""By this share every bound is lowered: sums of seconds are exact to that."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CostBound:
    """What demands cost at least when all deadlines within reach are met.

    Parameters
    ----------
    node_seconds : float
        Time that nodes stand, boots included [s].
    cost : float
        What is billed [currency].
    cost_whole : float or None
        The same, proven with nodes launched and quanta paid in whole numbers; no run costs less.
        None where that was not sought.
    cost_found : float or None
        What that programme's best solution costs, `cost_whole` unless time ran out. Real runs
        may cost more, for work is shared out over slots at will.
    slot_s : float
        The longest slot used where demands were too many for their exact instants [s]; else 0.
    spells : int
        Parts of the load that were bounded apart.
    meetable : bool
        False if the fleet is too small for all deadlines within reach. The bound is then that of
        a fleet without limit, which no run need keep.
    sorted : Sorted
        Which demands are held to their deadlines.
    """

    node_seconds: float
    cost: float
    cost_whole: float | None = None
    cost_found: float | None = None
    slot_s: float = 0.0
    spells: int = 0
    meetable: bool = True
    sorted: Sorted

    def regret(self, cost: float) -> float:
        """Return how many times the bound a run cost; not a number where nothing costs anything."""
        least = self.cost if self.cost_whole is None else max(self.cost, self.cost_whole)
        return cost / least if least > 0 else math.nan


def cost_bound(
    demands: Sequence[Demand], fleet: FleetTerms, *, whole_seconds_max: float = 0.0
) -> CostBound:
    """Return what demands cost at least, in node-seconds and in money.

    Parameters
    ----------
    demands : sequence of Demand
    fleet : FleetTerms
        At their best: see `NodeTerms`.
    whole_seconds_max : float
        Time to look for a better bound with whole launches and quanta [s]; 0 does not look.

    Notes
    -----
    The larger of a linear programme (`sim.bound.per_second`, `sim.bound.per_quantum`) and a floor
    in closed form, spell by spell.
    """
    hoped = sort_out(demands, fleet)
    load = load_of(hoped.within_reach, first_known_at(demands))
    patient_s = math.fsum(one.work_s for one in hoped.patient)
    seconds = _by_second(load, _by_time(fleet))
    meetable = seconds.meetable
    if not meetable:
        fleet = _without_limit(fleet)
        seconds = _by_second(load, _by_time(fleet))
    node_seconds = _total(seconds, load, patient_s, _by_time(fleet))
    bound = CostBound(
        node_seconds=node_seconds,
        cost=_billed(load, patient_s, fleet, node_seconds),
        slot_s=seconds.slot_s,
        spells=len(seconds.costs),
        meetable=meetable,
        sorted=hoped,
    )
    return _with_whole(bound, load, fleet, whole_seconds_max) if whole_seconds_max > 0 else bound


class _Spent(NamedTuple):
    """The least cost of each spell."""

    costs: Floats
    slot_s: float = 0.0
    meetable: bool = True


def _total(spent: _Spent, load: Load, patient_s: float, fleet: FleetTerms) -> float:
    """Return what all costs at least, work without a deadline included."""
    work_s = float(load.work_s.sum()) + patient_s
    floor = floor_cost(work_s, peak_power(load, fleet.opens_s), fleet)
    return max(float(spent.costs.sum()), floor) * (1.0 - ROUNDING)


def _billed(load: Load, patient_s: float, fleet: FleetTerms, node_seconds: float) -> float:
    """Return what is billed at least, given how long nodes stand at least."""
    prices = {one.price_per_s for one in fleet.types}
    if len(prices) == 1:
        by_second = node_seconds * prices.pop()
    else:
        by_second = _total(
            _by_second(load, _per_second(fleet)), load, patient_s, _per_second(fleet)
        )
    if all(one.quantum_s <= 0 for one in fleet.types):
        return by_second
    by_quantum = _total(_by_quantum(load, fleet), load, patient_s, fleet)
    return max(by_quantum, whole_quanta(by_second, 0, fleet) * (1.0 - ROUNDING))


def _per_second(fleet: FleetTerms) -> FleetTerms:
    """Return a fleet that is billed by the second."""
    return replace(fleet, types=tuple(replace(one, quantum_s=0.0) for one in fleet.types))


def _by_time(fleet: FleetTerms) -> FleetTerms:
    """Return a fleet that is billed by the second, one a second."""
    types = (replace(one, price_per_s=1.0) for one in _per_second(fleet).types)
    return replace(fleet, types=tuple(types))


def _without_limit(fleet: FleetTerms) -> FleetTerms:
    types = tuple(replace(one, nodes_max=math.inf) for one in fleet.types)
    return replace(fleet, types=types, nodes_max=math.inf)


def _by_second(load: Load, fleet: FleetTerms) -> _Spent:
    """Return what each spell costs at least when billed by the second."""
    spells = split(load, worthless_gap_s(fleet))
    costs = _floors(spells, fleet)
    mixed = [number for number, spell in enumerate(spells) if not _is_plain(spell, fleet)]
    share = ALL_PAIRS_MAX / max(1, len(load))
    chosen = [
        choose_edges(spells[number], _pairs_max(spells[number], share), fleet.opens_s)
        for number in mixed
    ]
    over = [slotted(spells[n], edges) for n, (edges, _) in zip(mixed, chosen, strict=True)]
    for pack in _packs(over):
        answer, spent = least_cost(*joined([over[i] for i in pack]), fleet, SECONDS_MAX)
        if answer.infeasible:
            return _Spent(np.zeros(0), meetable=False)
        if answer.proven > -math.inf:
            numbers = [mixed[i] for i in pack]
            costs[numbers] = np.maximum(costs[numbers], spent * (1.0 - OUTWARD))
    return _Spent(costs, slot_s=max((slot_s for _, slot_s in chosen), default=0.0))


def _floors(spells: Sequence[Load], fleet: FleetTerms) -> Floats:
    """Return what each spell costs at least, without a programme."""
    return np.array([_floor(one, fleet) for one in spells], dtype=np.float64)


def _floor(spell: Load, fleet: FleetTerms) -> float:
    by_work = floor_cost(float(spell.work_s.sum()), peak_power(spell, fleet.opens_s), fleet)
    return max(by_work, whole_quanta(spacing_floor(spell, fleet) * (1.0 - ROUNDING), 0, fleet))


def _pairs_max(spell: Load, share: float) -> int:
    """Return how many pairs a spell may have, given the share of each demand."""
    return min(PAIRS_MAX, max(SPELL_PAIRS_MIN, int(share * len(spell))))


def _is_plain(spell: Load, fleet: FleetTerms) -> bool:
    """Tell whether a programme could not tell more of a spell than the floor does."""
    return len(spell) == 1 and len(fleet.types) == 1 and fleet.nodes_max == math.inf


def _packs(over: Sequence[Slotted]) -> Iterator[list[int]]:
    sizes = [len(one.pair_slot) + len(one.start_s) for one in over]
    return packed(range(len(over)), sizes, PACK_PAIRS_MAX)


def _by_quantum(load: Load, fleet: FleetTerms) -> _Spent:
    """Return what each spell costs at least when billed by quanta."""
    spells = split(load, worthless_gap_s(fleet))
    costs = _floors(spells, fleet)
    mixed = [number for number, spell in enumerate(spells) if not _is_plain(spell, fleet)]
    if not mixed:
        return _Spent(costs)
    largest = max((spells[n] for n in mixed), key=len)
    pairs_max = min(QUANTA_PAIRS_MAX, _pairs_max(largest, ALL_PAIRS_MAX / len(load)))
    slots = _slots_a_quantum(largest, fleet, pairs_max)
    if slots is None:
        return _Spent(costs)
    over = [slotted(spells[n], quantum_edges(spells[n], fleet, slots)) for n in mixed]
    for pack in _packs(over):
        answer, spent = least_cost(*joined([over[i] for i in pack]), fleet, SECONDS_MAX)
        if answer.proven > -math.inf:
            for number, cost in zip((mixed[i] for i in pack), spent, strict=True):
                billed = whole_quanta(cost * (1.0 - OUTWARD), 0, fleet)
                costs[number] = max(costs[number], billed)
    return _Spent(costs)


def _slots_a_quantum(spell: Load, fleet: FleetTerms, pairs_max: int) -> int | None:
    """Return how many slots a quantum may have for so many pairs at most, if any."""
    for slots in SLOTS_A_QUANTUM:
        edges = quantum_edges(spell, fleet, slots)
        if len(edges) <= pairs_max and pairs(windows(spell, edges)) <= pairs_max:
            return slots
    return None


def _with_whole(bound: CostBound, load: Load, fleet: FleetTerms, seconds_max: float) -> CostBound:
    """Return a bound with what whole launches and quanta add to it."""
    spells = split(load, worthless_gap_s(fleet))
    least = _floors(spells, fleet)
    answers = [_whole(one, fleet, seconds_max / len(spells)) for one in spells]
    proven = np.array([answer.proven * (1.0 - OUTWARD) for answer in answers])
    proven = np.array([whole_quanta(max(0.0, one), 0, fleet) for one in proven])
    total = float(np.maximum(proven, least).sum()) * (1.0 - ROUNDING)
    found = math.fsum(answer.value for answer in answers)
    return replace(bound, cost_whole=max(bound.cost, total), cost_found=found)


def _whole(spell: Load, fleet: FleetTerms, seconds_max: float) -> Answer:
    launches_min = launches_needed(peak_power(spell, fleet.opens_s), fleet)
    if any(one.quantum_s > 0 for one in fleet.types):
        slots = _slots_a_quantum(spell, fleet, WHOLE_PAIRS_MAX) or SLOTS_A_QUANTUM[-1]
        edges = quantum_edges(spell, fleet, slots)
    else:
        edges, _ = choose_edges(spell, WHOLE_PAIRS_MAX, fleet.opens_s)
    return least_cost(*joined([slotted(spell, edges)]), fleet, seconds_max, launches_min)[0]
