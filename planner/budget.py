"""The budget: how many nodes may still be had, which must go, and when that changes by itself.

Money is set aside for a node when it is asked for, enough for a stated time, so that launches never
promise the same money twice. A node that stands longer goes on at the expense of what is left; once
nothing is, it is let go. What it costs until the parts that run on it have ended, and the quantum
it is in, is all by which a period may exceed its budget.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from planner.fleet import Fleet, Node, billed_s, reservation, reserved_s
from planner.lifecycle import NodeState
from planner.model import NodeOffer
from planner.settings import ScalingSettings

LOOK_S_MIN = 1.0
"""What changes by itself all the time is looked at again no sooner than this [s]."""


def money_left(fleet: Fleet, scaling: ScalingSettings, at: float) -> float:
    """Return what is neither spent nor set aside [currency]; infinite where there is no bound."""
    if scaling.budget is None:
        return math.inf
    return scaling.budget - fleet.committed(at, scaling.budget_period_s)


def offers_left(
    fleet: Fleet, offers: Iterable[NodeOffer], scaling: ScalingSettings, at: float
) -> tuple[NodeOffer, ...]:
    """Return the offers, each with how many more nodes of it limits and money allow now."""
    left = money_left(fleet, scaling, at)
    return tuple(
        replace(offer, nodes_max=_more_of(offer, fleet.standing[offer.node_type], left))
        for offer in offers
    )


def nodes_left(
    fleet: Fleet, offers: Sequence[NodeOffer], scaling: ScalingSettings, at: float
) -> int:
    """Return how many more nodes may be had, given what is left of each offer."""
    room = max(0, scaling.nodes_max - len(fleet.nodes))
    room = min(room, sum(offer.nodes_max for offer in offers))
    if scaling.budget is None:
        return room
    # The nodes that cost share the money: no more of them than of the cheapest.
    free = sum(offer.nodes_max for offer in offers if reservation(offer) <= 0)
    cheapest = min((reservation(o) for o in offers if reservation(o) > 0), default=math.inf)
    return min(room, free + _times(money_left(fleet, scaling, at), cheapest))


def overspending(fleet: Fleet, scaling: ScalingSettings, at: float) -> list[str]:
    """Return the nodes that must go: no money is left, and what was set aside for them is spent."""
    if money_left(fleet, scaling, at) > 0:
        return []
    return [node.id for node in _costing(fleet) if _has_used_up(node, at)]


def looks_at(fleet: Fleet, scaling: ScalingSettings, at: float, *, waits: bool) -> Iterator[float]:
    """Yield when to look at the budget again [POSIX s]: money is used up, or comes back.

    Parameters
    ----------
    fleet : Fleet
    scaling : ScalingSettings
    at : float
        Now [POSIX s].
    waits : bool
        Whether anything waits for money to come back.
    """
    if scaling.budget is None:
        return
    soonest = at + LOOK_S_MIN
    rate = 0.0
    for node in _costing(fleet):
        if node.state is NodeState.DRAINING:
            continue
        if _has_used_up(node, at):
            rate += node.offer.price_per_h / 3600.0
        else:
            yield max(soonest, node.requested_at + reserved_s(node.offer))
    if rate > 0:
        yield max(soonest, at + money_left(fleet, scaling, at) / rate)
    if waits and fleet.ledger.paid:
        paid_at = min(paid_at for paid_at, _ in fleet.ledger.paid)
        yield max(soonest, paid_at + scaling.budget_period_s)


def _more_of(offer: NodeOffer, standing: int, left: float) -> int:
    more = max(0, offer.nodes_max - standing)
    price = reservation(offer)
    return more if price <= 0 or left == math.inf else min(more, _times(left, price))


def _times(money: float, price: float) -> int:
    return max(0, math.floor(money / price))


def _costing(fleet: Fleet) -> list[Node]:
    """Return the nodes that cost money and have not been told to go."""
    nodes = fleet.nodes.values()
    return [n for n in nodes if n.state is not NodeState.REMOVING and reservation(n.offer) > 0]


def _has_used_up(node: Node, at: float) -> bool:
    return billed_s(node, at) >= reserved_s(node.offer)
