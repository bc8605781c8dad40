"""The least that demands cost when nodes are billed by the second, boot included.

With m_t the average number of nodes ready in slot t and x_gt the work done on group g there:

    min   sum_t p L_t m_t + p b sum_t u_t
    s.t.  sum_g x_gt <= s v L_t m_t,   m_t - m_(t-1) <= u_t,   sum_t x_gt = w_g

Why no real schedule costs less: put m_t as it was in that schedule on average over slot t. Averages
of a step function rise no more in all than the function does, and that rose by one with each
launch. So the launches pay for the u, and the time that nodes were ready is paid for by the m.

The *whole* variant counts launches U_t and the nodes n_t that are ready when slot t begins in whole
numbers: n_(t+1) <= n_t + U_t, and n_(t+1) - U_t <= m_t <= n_t + U_t. A node that is there at both
ends of a slot and was not launched in it was there all the time; one that was ever there in it was
there when it began or was launched in it. (To ask for whole u instead would be wrong: a node that
comes up in the middle of a slot raises two averages, by a part of one each.)
"""

from __future__ import annotations

import numpy as np

from sim.bound.programme import Programme
from sim.bound.terms import Floats, Ints, NodeTerms


def boots(
    programme: Programme, spell: Ints, ready: Ints, one: NodeTerms, *, whole: bool
) -> tuple[Ints, Floats]:
    """Add the launches of a type.

    Parameters
    ----------
    programme : Programme
    spell : ndarray, shape (slots,)
        Which spell each slot is of: before a spell no node is ready.
    ready : ndarray, shape (slots,)
        Columns: nodes ready in each slot on average.
    one : NodeTerms
    whole : bool
        Launches come in whole numbers.

    Returns
    -------
    columns : ndarray, shape (slots,)
        Launches in each slot.
    costs : ndarray, shape (slots,)
        Of one each.
    """
    count = len(ready)
    costs = np.full(count, one.price_per_s * one.boot_s)
    rises = programme.columns(np.zeros(count) if whole else costs)
    rows = programme.at_most.more(np.zeros(count))
    programme.at_most.put(rows, ready, 1.0)
    programme.at_most.put(rows, rises, -1.0)
    within = np.flatnonzero(spell[1:] == spell[:-1])
    programme.at_most.put(rows[within + 1], ready[within], -1.0)
    return (_whole(programme, within, ready, rises, costs) if whole else rises), costs


def _whole(programme: Programme, within: Ints, ready: Ints, rises: Ints, costs: Floats) -> Ints:
    count = len(ready)
    launches = programme.columns(costs, whole=True)
    standing = programme.columns(np.zeros(count), whole=True)
    rows = programme.at_most
    some = rows.more(np.zeros(count))
    rows.put(some, ready, 1.0)
    rows.put(some, standing, -1.0)
    rows.put(some, launches, -1.0)
    begins = np.setdiff1d(np.arange(count), within + 1)
    rows.put(rows.more(np.zeros(len(begins))), standing[begins], 1.0)
    for most in (ready, standing):
        step = rows.more(np.zeros(len(within)))
        rows.put(step, standing[within + 1], 1.0)
        rows.put(step, launches[within], -1.0)
        rows.put(step, most[within], -1.0)
    enough = np.repeat(rows.more(np.zeros(1)), count)
    rows.put(enough, rises, 1.0)
    rows.put(enough, launches, -1.0)
    return launches
