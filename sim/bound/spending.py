"""The least that demands cost over slots, as a linear programme."""

from __future__ import annotations

import numpy as np

from sim.bound.per_quantum import quanta, slots_of
from sim.bound.per_second import boots
from sim.bound.programme import Answer, Programme
from sim.bound.slots import Slotted
from sim.bound.terms import FleetTerms, Floats, Ints
from sim.bound.working import do_all, place_work, ready_nodes


def least_cost(
    slotted: Slotted,
    spell: Ints,
    fleet: FleetTerms,
    seconds_max: float,
    launches_min: int | None = None,
) -> tuple[Answer, Floats]:
    """Return the least cost of a load and what each spell has of it.

    Types whose quantum is not made of whole slots are billed by the second, which is never dearer.

    Parameters
    ----------
    slotted : Slotted
    spell : ndarray, shape (slots,)
        Which spell each slot is of, counted from 0: before a spell no node stands.
    fleet : FleetTerms
    seconds_max : float
        Time to solve it in [s].
    launches_min : int or None
        Launches and quanta come in whole numbers, and at least so many launches in all; None lets
        them be fractions.
    """
    programme = Programme()
    work, supply = place_work(programme, slotted, fleet)
    do_all(programme, slotted, work)
    in_quanta = [slots_of(one.quantum_s, slotted.length_s) > 0 for one in fleet.types]
    standing = [
        np.zeros(len(supply)) if quantum else one.price_per_s * slotted.length_s
        for one, quantum in zip(fleet.types, in_quanta, strict=True)
    ]
    ready = ready_nodes(programme, slotted, supply, fleet, standing)
    spent, launched = list(zip(ready, standing, strict=True)), []
    whole = launches_min is not None
    for one, nodes, quantum in zip(fleet.types, ready, in_quanta, strict=True):
        if quantum:
            opens_s = fleet.ready_from_s(one) - one.boot_s
            launches, paid, costs = quanta(
                programme, slotted, spell, nodes, one, opens_s=opens_s, whole=whole
            )
        else:
            launches, costs = boots(programme, spell, nodes, one, whole=whole)
            paid = launches
        launched.append(launches)
        spent.append((paid, costs))
    programme.at_least(np.concatenate(launched), launches_min or 0)
    answer = programme.solve(seconds_max)
    return answer, _by_spell(answer, spell, spent)


def _by_spell(answer: Answer, spell: Ints, spent: list[tuple[Ints, Floats]]) -> Floats:
    costs = np.zeros(spell[-1] + 1)
    if answer.values is not None:
        for columns, cost in spent:
            costs += np.bincount(spell, answer.values[columns] * cost, len(costs))
    return costs
