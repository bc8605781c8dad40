"""The policy that also looks ahead: `prefix`, and what a solver's plan adds to it.

A plan (`planner.events.FleetPlanned`) says how many nodes are to stand for work that is expected
and not yet there. It adds to `prefix` and takes nothing from it: nodes that the plan wants are
launched ahead, and kept though they are idle. Without a plan, or after its end, the fleet is the
one of `prefix`.

Spot nodes are cheap and may be taken back at any time. They are launched while there is time to
lose them; when the rest of a prefix would then no longer fit into what can be had on demand, only
nodes that stay are launched. That is the safety net of Uniform Progress (Wu et al., Can't Be Late,
NSDI 2024); a fleet that can grow needs no line of even progress beside it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from typing import ClassVar

from planner.model import NodeOffer
from planner.prefixes import Caution, Outline
from planner.scaling.prefix import PrefixMemory, PrefixPolicy
from planner.scaling.prospects import boot_s
from planner.scaling.view import Keep, Launch, NodePhase, NodeView, ScalingView, Wanted

_PREFIX = PrefixPolicy()


class LookaheadPolicy:
    """As `prefix` does; boots ahead and holds idle nodes where a plan says that it pays."""

    name: ClassVar[str] = "lookahead"
    memory_type: ClassVar[type] = PrefixMemory

    def start(self) -> PrefixMemory:
        """Return an empty memory."""
        return _PREFIX.start()

    def step(self, memory: PrefixMemory, view: ScalingView) -> tuple[PrefixMemory, Wanted]:
        """Do what waiting work calls for, and then what the plan adds."""
        memory, wanted = _PREFIX.step(memory, replace(view, offers=offers_in_time(view)))
        if view.plan is None:
            return memory, wanted
        planned = view.plan.nodes_at(view.now)
        wanted = _booting_ahead(view, _holding(view, wanted, planned), planned)
        return memory, _waking(wanted, view.plan.next_at(view.now))

    def nodes_reachable(self, view: ScalingView) -> int:
        """Return the room left in the fleet, and the draining nodes."""
        return _PREFIX.nodes_reachable(view)


def offers_in_time(view: ScalingView) -> tuple[NodeOffer, ...]:
    """Return the offers that may be launched now: no spot nodes where time runs out."""
    lasting = tuple(offer for offer in view.offers if not offer.spot)
    if len(lasting) == len(view.offers) or not lasting or _can_lose_spot(view, lasting):
        return view.offers
    return lasting


def _can_lose_spot(view: ScalingView, lasting: tuple[NodeOffer, ...]) -> bool:
    """Tell whether every prefix still fits if spot nodes are taken back when they do most harm.

    That is at the end of the first part they run: their boot and that part are lost, and nodes on
    demand have yet to boot.
    """
    wasted_s = max(boot_s(view, offer) for offer in view.offers if offer.spot)
    later_s = wasted_s + min(boot_s(view, offer) for offer in lasting)
    rate = _rate_of(view, lasting)
    if rate <= 0:
        return True

    def lacks_s(work_s: float, longest_s: float, _: int, due_at: float) -> float:
        slowest = min(offer.speed for offer in lasting)
        needs_s = max(work_s / rate, longest_s / slowest) + longest_s / slowest
        return needs_s + later_s - (due_at - view.now)

    caution = Caution.at(view.settings.launch_quantile, view.common_error)
    return Outline(view.queue).highest(caution, lacks_s) is None


def _rate_of(view: ScalingView, lasting: tuple[NodeOffer, ...]) -> float:
    """Return what all nodes together do a second that can be had and stay [reference s]."""
    rate, room = 0.0, view.nodes_allowed
    for offer in sorted(lasting, key=lambda each: -each.slots * each.speed):
        nodes = min(room, offer.nodes_max)
        rate += nodes * offer.slots * offer.speed
        room -= nodes
    spot = {offer.node_type for offer in view.offers if offer.spot}
    return rate + sum(n.slots * n.speed for n in _live(view) if n.node_type not in spot)


def _holding(view: ScalingView, wanted: Wanted, planned: dict[str, int]) -> Wanted:
    """Release no node that the plan wants; the dearest, which come first, may go before others."""
    types = {node.node_id: node.node_type for node in view.nodes}
    spare = Counter(types[node.node_id] for node in _live(view))
    spare.subtract(planned)
    going = []
    for release in wanted.releases:
        if spare[types[release.node_id]] > 0:
            spare[types[release.node_id]] -= 1
            going.append(release)
    return replace(wanted, releases=tuple(going))


def _booting_ahead(view: ScalingView, wanted: Wanted, planned: dict[str, int]) -> Wanted:
    """Keep and launch what the plan wants beyond all that stands, boots or is wanted anyway."""
    types = {node.node_id: node.node_type for node in view.nodes}
    there = Counter(types[node.node_id] for node in _live(view))
    there.update(types[keep.node_id] for keep in wanted.keeps)
    there.update(launch.node_type for launch in wanted.launches)
    keeps, launches = list(wanted.keeps), list(wanted.launches)
    for node_type, count in sorted(planned.items()):
        missing = max(0, count - there[node_type])
        kept = list(_drained(view, wanted, node_type))[:missing]
        keeps += kept
        missing = min(missing - len(kept), view.nodes_allowed - len(launches))
        launches += _launches(view, node_type, missing)
    return replace(wanted, keeps=tuple(keeps), launches=tuple(launches))


def _drained(view: ScalingView, wanted: Wanted, node_type: str) -> Iterator[Keep]:
    assert view.plan is not None
    kept = {keep.node_id for keep in wanted.keeps}
    for node in view.nodes:
        drains = node.phase is NodePhase.DRAINING and node.node_id not in kept
        if drains and node.node_type == node_type:
            yield Keep(node_id=node.node_id, reason=view.plan.reason)


def _launches(view: ScalingView, node_type: str, count: int) -> list[Launch]:
    assert view.plan is not None
    offer = next((each for each in view.offers if each.node_type == node_type), None)
    if offer is None or count <= 0:
        return []
    launch = Launch(node_type=node_type, workers=offer.slots, reason=view.plan.reason)
    return [launch] * min(count, offer.nodes_max)


def _waking(wanted: Wanted, next_at: float | None) -> Wanted:
    if next_at is None or (wanted.wake_at is not None and wanted.wake_at <= next_at):
        return wanted
    return replace(wanted, wake_at=next_at, wake_reason="the plan changes")


def _live(view: ScalingView) -> list[NodeView]:
    return [node for node in view.nodes if node.phase is not NodePhase.DRAINING]
