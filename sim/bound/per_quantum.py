"""The least that demands cost when nodes are billed by quanta, the boot within them.

Slots divide the quantum, Q of them each. N_t counts the quanta that begin in slot t, L_t those of
them that are a node's first; the others go on with one that began Q slots before:

    min   p q sum_t N_t
    s.t.  L_t <= N_t,   N_t - L_t <= N_(t-Q)
          m_t <= sum_(k=1..Q) N_(t-k) + L_t - sum_k c_k L_(t-k)
          sum_t L_t m_t <= q sum_t N_t - b sum_t L_t                       (L_t here: length)

A quantum that begins within slot t ends within slot t+Q, and is granted both of these slots whole,
unless the next one follows; so nothing depends on where within a slot a node is launched. c_k is
the share of slot t+k in which a node launched when slot t begins still boots. The last row takes
back, over all, what the ends of quanta were granted too much.

With fractions of nodes this is weak, for a fraction of a quantum is always paid up. With whole N
and L it is near the truth. Both cost no more than any real schedule.
"""

from __future__ import annotations

import math

import numpy as np

from sim.bound.programme import Programme
from sim.bound.slots import Slotted
from sim.bound.terms import FleetTerms, Floats, Ints, Load, NodeTerms

SLOTS_A_QUANTUM = (60, 30, 20, 12, 6, 4, 2, 1)
"""Slots that a quantum may be divided into, the finest first."""


def quantum_edges(load: Load, fleet: FleetTerms, slots_a_quantum: int) -> Floats:
    """Return edges of slots that divide the longest quantum, from a boot ahead of the load on."""
    slot_s = max(one.quantum_s for one in fleet.types) / slots_a_quantum
    boot_s = max(one.boot_s for one in fleet.types)
    ahead = math.ceil(boot_s / slot_s)
    start_s = float(load.released_s.min())
    behind = max(1, math.ceil((float(load.due_s.max()) - start_s) / slot_s))
    edges_s: Floats = start_s + slot_s * np.arange(-ahead, behind + 1, dtype=np.float64)
    return edges_s


def slots_of(quantum_s: float, length_s: Floats) -> int:
    """Return how many slots a quantum has; 0 if slots differ or it is not made of whole ones."""
    slot_s = float(length_s[0])
    slots = round(quantum_s / slot_s)
    even = np.allclose(length_s, slot_s, rtol=1e-9, atol=1e-6)
    return slots if even and slots and math.isclose(slots * slot_s, quantum_s) else 0


def quanta(
    programme: Programme, slotted: Slotted, spell: Ints, ready: Ints, one: NodeTerms,
    *, opens_s: float, whole: bool,
) -> tuple[Ints, Ints, Floats]:  # fmt: skip
    """Add the quanta of a type.

    Parameters
    ----------
    programme : Programme
    slotted : Slotted
        Over slots as `quantum_edges` has them.
    spell : ndarray, shape (slots,)
        Which spell each slot is of: before a spell nothing is paid.
    ready : ndarray, shape (slots,)
        Columns: nodes ready in each slot on average.
    one : NodeTerms
    opens_s : float
        When the first node can be launched [s].
    whole : bool
        Launches and quanta come in whole numbers.

    Returns
    -------
    first : ndarray, shape (slots,)
        Columns: quanta that begin in each slot with a launch.
    paid : ndarray, shape (slots,)
        Columns: all that begin in each slot.
    costs : ndarray, shape (slots,)
        Of one each.
    """
    count, rows = len(ready), programme.at_most
    slots, slot_s = slots_of(one.quantum_s, slotted.length_s), float(slotted.length_s[0])
    most = np.where(slotted.start_s + slot_s > opens_s, np.inf, 0.0)
    costs = np.full(count, one.price_per_s * one.quantum_s)
    paid = programme.columns(costs, most, whole=whole)
    first = programme.columns(np.zeros(count), most, whole=whole)

    def put(into: Ints, columns: Ints, later: int, value: float) -> None:
        """Enter columns into the rows of so many slots later, within a spell."""
        at = np.flatnonzero(spell[later:] == spell[: max(0, count - later)])
        rows.put(into[at + later], columns[at], value)

    has = rows.more(np.zeros(count))
    put(has, ready, 0, 1.0)
    put(has, first, 0, -1.0)
    for later in range(1, slots + 1):
        put(has, paid, later, -1.0)
    for later in range(math.ceil(one.boot_s / slot_s)):
        put(has, first, later, min(1.0, one.boot_s / slot_s - later))
    goes_on = rows.more(np.zeros(count))
    put(goes_on, paid, 0, 1.0)
    put(goes_on, first, 0, -1.0)
    put(goes_on, paid, slots, -1.0)
    some = rows.more(np.zeros(count))
    put(some, first, 0, 1.0)
    put(some, paid, 0, -1.0)
    total = rows.more(np.zeros(spell[-1] + 1))[spell]
    rows.put(total, ready, slot_s)
    rows.put(total, paid, -one.quantum_s)
    rows.put(total, first, one.boot_s)
    return first, paid, costs
