"""How many more nodes the waiting work needs, and when the last of them must start at the latest.

The formula proposes and the forecast disposes; `planner.scaling.prefix` tells the whole rule.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from planner.forecast import LATE_S_MIN, Job, lateness_s
from planner.model import NodeOffer
from planner.prefixes import Caution, Outline, Prefix, Rating, promised
from planner.ranking import Totals, Waiting
from planner.scaling.offers import cheapest_first
from planner.scaling.prospects import Addition, additions, boot_s, standing_slots
from planner.scaling.view import NodePhase, ScalingView
from planner.supply import Slot, Supply

START_S_MIN = 1.0
"""A launch that can wait less than this [s] goes now, and one that waits goes this much before its
latest start: what may lie between the wake-up and the provider's receipt of the request."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """The nodes to be had, and why.

    Parameters
    ----------
    additions : tuple of Addition
        In the order in which to take them; empty when nothing is lacking or nothing helps.
    last_start_at : float
        When the last of them must start at the latest [POSIX s]; now when it cannot wait.
    reason : str
    """

    additions: tuple[Addition, ...] = ()
    last_start_at: float
    reason: str = ""


def need_of(view: ScalingView) -> Need:
    """Return what the waiting work needs beyond the nodes that stand or boot."""
    if view.nodes_allowed <= 0 and not any(n.phase is NodePhase.DRAINING for n in view.nodes):
        return Need(last_start_at=view.now)
    slots = standing_slots(view)
    caution = Caution.at(view.settings.launch_quantile, view.common_error)
    outline, supply = Outline(view.queue), Supply(slots)
    if holds(view, outline, caution, supply):
        return Need(last_start_at=view.now)
    return _Search(view, slots, caution, outline, supply).need()


def holds(view: ScalingView, outline: Outline, caution: Caution, supply: Supply) -> bool:
    """Tell whether every deadline is promised, and other work is done within `best_effort_s`."""
    if outline.has_best_effort() and patient_shortfall_s(view, outline, caution, supply) > 0:
        return False
    return promised(outline, caution, supply)


def patient_shortfall_s(
    view: ScalingView, outline: Outline, caution: Caution, supply: Supply
) -> float:
    """Return what lacks to do all waiting work within `best_effort_s` [reference s]."""
    return outline.work_s(caution) - supply.by(view.now + view.settings.best_effort_s)


def may_be_out_of_reach(reach: Supply, totals: Totals) -> bool:
    """Tell whether any of some tasks may be late even with all slots within reach for itself."""
    return _is_out_of_reach(reach, totals.earliest_at, totals.longest_s, totals.most_s)


def _is_out_of_reach(reach: Supply, due_at: float, longest_s: float, work_s: float) -> bool:
    if due_at == math.inf:
        return False
    due_at += LATE_S_MIN
    return due_at < reach.soonest(longest_s) or work_s > reach.by(due_at)


def waiting_caution(view: ScalingView) -> Caution:
    """Return how a launch that waits is planned: it uses up slack, so as cautiously as removing."""
    return Caution.at(view.settings.removal_quantile, view.common_error)


def launch_lead_s(view: ScalingView, offer: NodeOffer) -> float:
    """Return how long before it is needed a node must start that could wait [s].

    A boot may last as long as any that is still expected.
    """
    lost = view.settings.boot_lost_quantile
    return START_S_MIN + view.boots.quantile(offer.node_type, lost)


def urgency_beside(view: ScalingView, others: Supply, offer: NodeOffer) -> Rating:
    """Return how long ago a node beside other slots should have been ready for a prefix [s].

    It is infinitely long until then where the others suffice.
    """

    def urgency(work_s: float, longest_s: float, parts: int, due_at: float) -> float:
        if others.shortfall(work_s, longest_s, due_at) <= 0:
            return -math.inf
        start_at = due_at - longest_s / min(others.slowest, offer.speed)
        lacks_s = work_s - longest_s - others.by(start_at)
        start_at -= max(0.0, lacks_s) / (offer.slots * offer.speed)
        if parts <= offer.slots:
            start_at = max(start_at, due_at - longest_s / offer.speed)
        return view.now - start_at

    return urgency


class _Search:
    """One search for the fewest nodes that are as good as any more."""

    def __init__(
        self,
        view: ScalingView,
        slots: list[Slot],
        caution: Caution,
        whole: Outline,
        standing: Supply,
    ) -> None:
        self.view, self.slots, self.caution = view, slots, caution
        self.whole, self.standing = whole, standing
        self.options = self._options()
        self.draining = sum(option.offer is None for option in self.options)
        # The type of new node that is reckoned with: the first that would be launched.
        self.offer = next((option.offer for option in self.options if option.offer), None)
        self.ready_at = view.now + boot_s(view, self.offer) if self.offer else math.inf
        self.reach = Supply(self._slots_with(len(self.options)))
        self.given_up: list[str] = []
        self.outline = self.whole.without(self._is_hopeless, self._may_be_hopeless)

    @cached_property
    def lacking(self) -> Prefix | None:
        """The prefix that lacks most, in slots."""
        return self.whole.highest(self.caution, self._slots_short)

    def need(self) -> Need:
        """Return the additions that deadlines call for, and then all other work."""
        if not self.options:
            return Need(last_start_at=self.view.now)
        for_deadlines, worst = self._for_deadlines()
        count = max(for_deadlines, self._for_patient(for_deadlines))
        if count == 0:
            return Need(last_start_at=self.view.now)
        driven = count == for_deadlines
        waits = self.view.settings.put_off_launches and driven and self._can_wait(count)
        return Need(
            additions=tuple(self.options[:count]),
            last_start_at=self._latest_start_at(count) if waits else self.view.now,
            reason=self._reason(worst or self.lacking if driven else None, count),
        )

    def _options(self) -> list[Addition]:
        work_s, within_s = 0.0, math.inf
        if len(self.view.offers) > 1 and self.lacking is not None:
            within_s = self.lacking.due_at - self.view.now
            work_s = self.lacking.value * within_s
        offers = cheapest_first(self.view.offers, self.view.boots, work_s, within_s)
        return additions(self.view, offers, self.view.nodes_allowed)

    def _slots_short(self, work_s: float, longest_s: float, _: int, due_at: float) -> float:
        """Return what a prefix lacks, in slots of speed 1 from now on."""
        lacks_s = self.standing.shortfall(work_s, longest_s, due_at)
        return max(0.0, lacks_s) / max(due_at - self.view.now, START_S_MIN)

    def _slots_with(self, count: int) -> list[Slot]:
        added = [slot for option in self.options[:count] for slot in option.slots]
        return self.slots + added

    def _is_hopeless(self, waiting: Waiting) -> bool:
        """Tell whether a task could not be met even if it had all slots within reach for itself."""
        target_at, longest_s, work_s = waiting.target_at, waiting.longest_s, waiting.mean_s
        hopeless = _is_out_of_reach(self.reach, target_at, longest_s, work_s)
        if hopeless:
            self.given_up.append(waiting.task_id)
        return hopeless

    def _may_be_hopeless(self, totals: Totals) -> bool:
        return may_be_out_of_reach(self.reach, totals)

    def _for_deadlines(self) -> tuple[int, Prefix | None]:
        """Return how many additions the deadlines call for, and the prefix that lacks most."""
        worst = self.outline.highest(self.caution, self._nodes_short)
        jobs = self.outline.jobs(self.caution)
        count = self._fewest(jobs, self._proposed(worst))
        placed = sum(job.parts for job in jobs)
        if placed < self.outline.parts:

            def nodes_short_behind(work_s: float, longest_s: float, n: int, due_at: float) -> float:
                return self._nodes_short(work_s, longest_s, n, due_at) if n > placed else 0.0

            far = self.outline.highest(self.caution, nodes_short_behind)
            count = max(count, self._proposed(far))
        return count, worst

    def _proposed(self, worst: Prefix | None) -> int:
        """Return the additions that suffice by the formula, as far as they can be had."""
        if worst is None:
            return 0
        return min(len(self.options), self.draining + math.ceil(worst.value))

    def _nodes_short(self, work_s: float, longest_s: float, parts: int, due_at: float) -> float:
        """Return how many new nodes make the formula hold for a prefix; infinite if none can."""
        if self.standing.shortfall(work_s, longest_s, due_at) <= 0:
            return 0.0
        offer = self.offer
        if offer is None:
            return math.inf
        ready_at = self.ready_at
        if due_at - ready_at < longest_s / offer.speed:
            return math.inf
        start_at = due_at - longest_s / min(self.standing.slowest, offer.speed)
        lacks_s = work_s - longest_s - self.standing.by(start_at)
        a_slot_each = parts / offer.slots
        if start_at <= ready_at:
            return a_slot_each
        does_s = offer.slots * offer.speed * (start_at - ready_at)
        return min(a_slot_each, max(_SOME, lacks_s / does_s))

    def _fewest(self, jobs: Sequence[Job], proposed: int) -> int:
        """Return the fewest additions that the forecast finds as good as any more."""

        def late_s(count: int, tolerated_s: float = math.inf) -> float:
            return lateness_s(jobs, self._slots_with(count), tolerated_s)

        enough, tolerated_s = proposed, late_s(proposed)
        if tolerated_s > 0:
            enough, tolerated_s = len(self.options), late_s(len(self.options))
        tolerated_s += LATE_S_MIN
        few = 0
        while few < enough:
            middle = (few + enough) // 2
            if late_s(middle, tolerated_s) <= tolerated_s:
                enough = middle
            else:
                few = middle + 1
        return enough

    def _has_patient(self) -> bool:
        return bool(self.given_up) or self.whole.has_best_effort()

    def _for_patient(self, count: int) -> int:
        """Return how many additions, `count` included, serve what no deadline drives."""
        if not self._has_patient():
            return 0
        slots = self._slots_with(count)
        lacks_s = patient_shortfall_s(self.view, self.whole, self.caution, Supply(slots))
        if self.offer is None or lacks_s <= 0:
            return count if slots else 1
        useful_s = self.view.now + self.view.settings.best_effort_s - self.ready_at
        does_s = self.offer.slots * self.offer.speed * useful_s
        more = math.ceil(lacks_s / does_s) if does_s > 0 else 0
        return min(len(self.options), max(count + more, 0 if slots else 1))

    def _can_wait(self, count: int) -> bool:
        """Tell whether the last addition may wait: a launch without which other work runs too.

        One that costs nothing had better not: waiting could save no money, and uses up slack.
        """
        runs = bool(self.slots) or count > 1
        offer = self.options[count - 1].offer
        costs = offer is not None and offer.price_per_h > 0.0
        return costs and (runs or not self._has_patient())

    def _latest_start_at(self, count: int) -> float:
        """Return when the last of some launches must start at the latest [POSIX s]."""
        view, offer = self.view, self.options[count - 1].offer
        assert offer is not None
        urgency = urgency_beside(view, Supply(self._slots_with(count - 1)), offer)
        caution, lead_s = waiting_caution(view), launch_lead_s(view, offer)
        most_urgent = self.outline.highest(caution, urgency, floor=-math.inf)
        if most_urgent is None:
            return view.now
        return max(view.now, view.now - most_urgent.value - lead_s)

    def _reason(self, prefix: Prefix | None, count: int) -> str:
        short = "1 node short" if count == 1 else f"{count} nodes short"
        if prefix is not None:
            due_s = prefix.due_at - self.view.now
            return f"{prefix.task_id}: {prefix.work_s:.0f} s of work due in {due_s:.0f} s, {short}"
        work_s = self.whole.work_s(self.caution)
        within = (
            f"{work_s:.0f} s of work to be done within {self.view.settings.best_effort_s:.0f} s"
        )
        if self.given_up:
            return f"{self.given_up[0]}: out of reach of its deadline; {within}, {short}"
        first = self.view.queue.first()
        assert first is not None
        return f"{first.task_id}: {within}, {short}"


_SOME = 1e-9  # fails the formula, if by nothing: one node at least
