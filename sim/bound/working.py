"""What every programme shares: work must be done in its windows, by nodes that are ready."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sim.bound.programme import Programme
from sim.bound.slots import Slotted
from sim.bound.terms import FleetTerms, Floats, Ints


def place_work(programme: Programme, slotted: Slotted, fleet: FleetTerms) -> tuple[Ints, Ints]:
    """Add the work of each group in each of its slots, as far as its parts can take it.

    Returns
    -------
    columns : ndarray
        Work of each pair of group and slot [reference s].
    supply : ndarray
        Rows, one a slot: work there is at most what will be put in.
    """
    most_s = slotted.pair_most_s * fleet.speed
    # What just fits must not fail by rounding.
    most_s = most_s * (1.0 + 1e-9) + 1e-5
    columns = programme.columns(np.zeros(len(most_s)), most_s)
    supply = programme.at_most.more(np.zeros(len(slotted.start_s)))
    programme.at_most.put(supply[slotted.pair_slot], columns, 1.0)
    return columns, supply


def do_all(programme: Programme, slotted: Slotted, columns: Ints) -> None:
    """Let all work be done."""
    rows = programme.exactly.more(slotted.work_s)
    programme.exactly.put(rows[slotted.pair_group], columns, 1.0)


def ready_nodes(
    programme: Programme,
    slotted: Slotted,
    supply: Ints,
    fleet: FleetTerms,
    costs: Sequence[Floats],
) -> list[Ints]:
    """Add how many nodes of each type are ready in each slot, on average, and let them work.

    `costs` are of a node that is ready through a slot. Returns the columns of each type.
    """
    ready = []
    for one, cost in zip(fleet.types, costs, strict=True):
        share = slotted.open_share(fleet.ready_from_s(one))
        most = np.where(share > 0, one.nodes_max, 0.0)
        np.multiply(most, share, out=most, where=share > 0)
        columns = programme.columns(cost, most)
        programme.at_most.put(supply, columns, -one.power * slotted.length_s)
        ready.append(columns)
    if fleet.nodes_max < np.inf:
        rows = programme.at_most.more(np.full(len(supply), fleet.nodes_max))
        for columns in ready:
            programme.at_most.put(rows, columns, 1.0)
    return ready
