"""Which node type to ask for: the cheapest that helps in time, its boot included."""

from __future__ import annotations

import math
from collections.abc import Sequence

from planner.durations import BootTimes
from planner.model import NodeOffer


def cheapest_first(
    offers: Sequence[NodeOffer], boots: BootTimes, work_s: float, within_s: float
) -> list[NodeOffer]:
    """Return the offers in the order in which to take them for some work.

    Parameters
    ----------
    offers : sequence of NodeOffer
    boots : BootTimes
    work_s : float
        To be done [reference s].
    within_s : float
        Time for it, boots included [s]; infinite when there is no hurry.

    Returns
    -------
    list of NodeOffer
        First those that are ready in time, by the bill for the work; ties go to the fewest
        node-seconds, then to the name.
    """

    def bill(offer: NodeOffer) -> tuple[bool, float, float, str]:
        boot_s = boots.quantile(offer.node_type, 0.5)
        nodes, node_s = _node_seconds(offer, boot_s, work_s, within_s)
        billed_s = nodes * _whole_quanta(node_s, offer.quantum_s)
        price = offer.price_per_h / 3600.0 * billed_s
        return boot_s >= within_s, price, nodes * node_s, offer.node_type

    return sorted((offer for offer in offers if offer.nodes_max > 0), key=bill)


def _node_seconds(
    offer: NodeOffer, boot_s: float, work_s: float, within_s: float
) -> tuple[int, float]:
    """Return how many nodes some work takes, and how long each stands [s]."""
    alone_s = work_s / (offer.slots * offer.speed)
    useful_s = within_s - boot_s
    nodes = max(1, math.ceil(alone_s / useful_s)) if useful_s > 0 else 1
    return nodes, boot_s + alone_s / nodes


def _whole_quanta(stands_s: float, quantum_s: float) -> float:
    return math.ceil(stands_s / quantum_s) * quantum_s if quantum_s > 0 else stands_s
