"""Whether a launch may be left for later: it need not be looked for before it could be due.

The search for the fewest nodes (`planner.scaling.need`) looks at all that waits. Mostly it finds
that one more node is to start at some later instant, while the policy is asked again before that
anyhow, because a part ends or a node boots. What is asked here is only whether it is so, by
conditions that are enough for it. Where they fail the search decides; where they hold it would have
found no node, or one that starts after the policy is asked again.

With one more node, every task is in time in the forecast if ``W <= S(d - l/v)`` for every prefix.
This is the theorem of `planner.supply`, stricter by l: a job's end is spared some time (`Job`), and
what it is spared and takes together is no more than l. Further nodes only add to S. Nor does the
formula then propose a second node for what lies behind the forecast: no prefix lacks more than the
first one does.
"""

from __future__ import annotations

from planner.forecast import LATE_S_MIN
from planner.model import NodeOffer
from planner.prefixes import Caution, Outline
from planner.scaling.need import (
    START_S_MIN,
    launch_lead_s,
    may_be_out_of_reach,
    urgency_beside,
    waiting_caution,
)
from planner.scaling.prospects import boot_s, standing_slots
from planner.scaling.view import NodePhase, ScalingView
from planner.supply import Slot, Supply


def is_quiet(view: ScalingView, until: float) -> bool:
    """Tell whether it is sure that nothing is to be launched or let go before an instant [POSIX s].

    What it may hold for is work that waits, on nodes none of which is idle or drains.
    """
    offer = _offer(view)
    if offer is None or until <= view.now or len(view.queue) == 0:
        return False
    outline = Outline(view.queue)
    if outline.has_best_effort():
        return False
    slots = standing_slots(view)
    new = [Slot(view.now + boot_s(view, offer), offer.speed)] * offer.slots
    one_suffices = _suffice(view, outline, Supply(slots + new))
    return one_suffices and not _starts_before(view, outline, Supply(slots), offer, until)


def _offer(view: ScalingView) -> NodeOffer | None:
    """Return what would be launched, if it is sure what that is and that it may wait."""
    scaling = view.settings
    may_wait = scaling.put_off_launches and scaling.removal_quantile >= scaling.launch_quantile
    offers = [offer for offer in view.offers if offer.nodes_max > 0]
    if view.nodes_allowed <= 0 or len(offers) != 1 or not may_wait:
        return None
    others = (n.idle_since is not None or n.phase is NodePhase.DRAINING for n in view.nodes)
    return offers[0] if offers[0].price_per_h > 0.0 and not any(others) else None


def _suffice(view: ScalingView, outline: Outline, supply: Supply) -> bool:
    """Tell whether all is surely in time on some slots, and on these and more."""
    if any(may_be_out_of_reach(supply, chunk.summed()) for chunk in outline.chunks):
        return False
    caution = Caution.at(view.settings.launch_quantile, view.common_error)

    def lacks_s(work_s: float, longest_s: float, _: int, due_at: float) -> float:
        return work_s - supply.by(due_at - longest_s / supply.slowest)

    return outline.highest(caution, lacks_s, enough=0.0) is None


def _starts_before(
    view: ScalingView, outline: Outline, supply: Supply, offer: NodeOffer, until: float
) -> bool:
    """Tell whether a node beside some slots may have to start before an instant [POSIX s]."""
    until = max(until, view.now + START_S_MIN) + LATE_S_MIN
    floor = view.now - until - launch_lead_s(view, offer)
    urgency = urgency_beside(view, supply, offer)
    return outline.highest(waiting_caution(view), urgency, floor=floor, enough=floor) is not None
