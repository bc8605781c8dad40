"""How many deadlines can be met at most when the fleet is capped, whatever is paid for it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from sim.bound.closed_form import moore_hodgson
from sim.bound.programme import Answer, Programme
from sim.bound.slots import Slotted, choose_edges, slotted
from sim.bound.spells import split
from sim.bound.terms import Demand, FleetTerms, Load, first_known_at, load_of, sort_out
from sim.bound.working import place_work

PAIRS_MAX = 30_000
"""Pairs of a group of demands and a slot, in one spell: more of them cost tens of seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HitsBound:
    """The most deadlines that can be met.

    Parameters
    ----------
    weight : float
        Of all that have a deadline: their number, where each weighs 1.
    ceiling : float
        No run meets more weight: tasks may be met by fractions.
    proven : float
        No run meets more: a task is met or not. It is the ceiling where that was not sought.
    found : float or None
        What some choice of whole tasks meets, with work shared out at will: `proven`, unless time
        ran out. None where it was not sought.
    together : float or None
        By Moore and Hodgson's rule, where the demands become known together and weigh the same.
    """

    weight: float
    ceiling: float
    proven: float
    found: float | None
    together: float | None


class _Most(NamedTuple):
    ceiling: float
    proven: float
    found: float


def most_hits(
    demands: Sequence[Demand], fleet: FleetTerms, seconds_max: float = 20.0, *, whole: bool = True
) -> HitsBound:
    """Return the most deadlines that can be met with a capped fleet.

    Parameters
    ----------
    demands : sequence of Demand
        Those without a deadline count for nothing.
    fleet : FleetTerms
        With a bound on its nodes.
    seconds_max : float
        Time to look for the best choice of whole tasks [s].
    whole : bool
        Look for it.
    """
    due = [one for one in demands if one.due_at < math.inf]
    hopeful = sort_out(due, fleet).within_reach
    start_at = first_known_at(demands)
    spells = split(load_of(hopeful, start_at), 0.0)
    most = [_most(spell, fleet, seconds_max / len(spells), whole=whole) for spell in spells]
    return HitsBound(
        weight=math.fsum(one.weight for one in due),
        ceiling=math.fsum(one.ceiling for one in most),
        proven=math.fsum(one.proven for one in most),
        found=math.fsum(one.found for one in most) if whole else None,
        together=_together(hopeful, start_at, fleet),
    )


def _most(spell: Load, fleet: FleetTerms, seconds_max: float, *, whole: bool) -> _Most:
    over = slotted(spell, choose_edges(spell, PAIRS_MAX, fleet.opens_s)[0])
    everything = float(spell.weight.sum())
    fractions = _solved(spell, over, fleet, seconds_max, whole=False)
    ceiling = min(everything, -fractions.proven)
    if not whole:
        return _Most(ceiling, ceiling, 0.0)
    answer = _solved(spell, over, fleet, seconds_max, whole=True)
    proven = min(ceiling, -answer.proven)
    if np.all(spell.weight == 1.0):
        proven = math.floor(proven + 1e-6)
    return _Most(ceiling, proven, -answer.value if answer.values is not None else 0.0)


def _solved(
    spell: Load, over: Slotted, fleet: FleetTerms, seconds_max: float, *, whole: bool
) -> Answer:
    """Solve: of each demand a share z is done, all of the fleet is there, most weight is met."""
    programme = Programme()
    work, supply = place_work(programme, over, fleet)
    met = programme.columns(-spell.weight, 1.0, whole=whole)
    rows = programme.exactly.more(np.zeros(len(over.work_s)))
    programme.exactly.put(rows[over.pair_group], work, 1.0)
    programme.exactly.put(rows[over.group], met, -spell.work_s)
    capacity_s = fleet.power_max * over.length_s * over.open_share(fleet.opens_s)
    nodes = programme.columns(np.zeros(len(supply)), capacity_s)
    programme.at_most.put(supply, nodes, -1.0)
    return programme.solve(seconds_max)


def _together(demands: Sequence[Demand], start_at: float, fleet: FleetTerms) -> float | None:
    if len({one.released_at for one in demands}) != 1 or len({one.weight for one in demands}) != 1:
        return None
    opens_at = max(demands[0].released_at, start_at + fleet.opens_s)
    return len(moore_hodgson(demands, fleet.power_max, opens_at)) * demands[0].weight
