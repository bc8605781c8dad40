"""The default policy: launch what the worst prefix of deadlines lacks, just in time, and no more.

For every waiting task, its own work and all that runs before it must fit into the capacity that
will exist by its deadline, slot by slot, booting nodes included. This is the rule "optimal
available" of Yao, Demers and Shenker (FOCS 1995), made safe for whole parts, boots, uncertainty and
caps:

1. the formula (`planner.supply`) says whether all deadlines are promised, and else about how many
   nodes that takes; it looks at few chunks of the queue and opens fewer (`planner.prefixes`);
2. the forecast (`planner.forecast`) disposes: the fewest nodes that are as good as any more;
3. the last of these, if it can wait, is launched at its latest safe start: small jobs that come
   until then share its boot. Draining nodes are used again before any is launched;
4. what no fleet could meet raises no need. Like work without a deadline it is to be done within
   `best_effort_s`, and while it waits some node stands.

A node goes when it is idle and the formula promises all without it at a higher quantile than
launching uses: the gap keeps the fleet from flapping. Busy nodes are left alone: billed by the
second, a fleet costs the same whether few nodes work long or many work shortly.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

from planner.prefixes import Caution, Outline
from planner.scaling.need import START_S_MIN, Need, holds, need_of
from planner.scaling.offers import cheapest_first
from planner.scaling.prospects import standing_slots
from planner.scaling.quiet import is_quiet
from planner.scaling.view import (
    Keep,
    Launch,
    NodePhase,
    NodeView,
    Release,
    ScalingView,
    Wanted,
)
from planner.supply import Supply


@dataclass(frozen=True, slots=True, kw_only=True)
class PrefixMemory:
    """Nothing: all that the policy would remember, the view holds."""


class PrefixPolicy:
    """Just enough nodes for every prefix of deadlines, as late as is safe."""

    name: ClassVar[str] = "prefix"
    memory_type: ClassVar[type] = PrefixMemory

    def start(self) -> PrefixMemory:
        """Return an empty memory."""
        return PrefixMemory()

    def step(self, memory: PrefixMemory, view: ScalingView) -> tuple[PrefixMemory, Wanted]:
        """Add what is needed; if nothing is, let go what is not."""
        return memory, _watching(view, _at_least(view, _wanted(view)))

    def nodes_reachable(self, view: ScalingView) -> int:
        """Return the room left in the fleet, and the draining nodes."""
        room = min(view.nodes_allowed, sum(offer.nodes_max for offer in view.offers))
        return room + sum(node.phase is NodePhase.DRAINING for node in view.nodes)


def _wanted(view: ScalingView) -> Wanted:
    if is_quiet(view, until=min(_counted_on(view), default=(view.now, ""))[0]):
        return Wanted()
    need = need_of(view)
    return _added(view, need) if need.additions else _released(view)


def _added(view: ScalingView, need: Need) -> Wanted:
    """Take what is needed, all but the last at once."""
    waits = need.last_start_at - view.now >= START_S_MIN
    now = need.additions[:-1] if waits else need.additions
    return Wanted(
        keeps=tuple(
            Keep(node_id=addition.node.node_id, reason=need.reason)
            for addition in now
            if addition.node is not None
        ),
        launches=tuple(
            Launch(
                node_type=addition.offer.node_type,
                workers=addition.offer.slots,
                reason=need.reason,
            )
            for addition in now
            if addition.offer is not None
        ),
        wake_at=need.last_start_at if waits else None,
        wake_reason=need.reason if waits else "",
    )


def _released(view: ScalingView) -> Wanted:
    """Let idle nodes go, dearest first, as long as everything holds without them."""
    if len(_live(view)) <= view.settings.nodes_min:
        return Wanted()
    idle = [(_leaves_at(view, n), n) for n in _live(view) if n.idle_since is not None]
    leaving = [node for leaves_at, node in idle if leaves_at <= view.now]
    leaving.sort(key=_cost_rate, reverse=True)
    del leaving[len(_live(view)) - view.settings.nodes_min :]
    going = leaving[: _dispensable(view, leaving)]
    reason = "idle, and nothing waits"
    if len(view.queue) > 0:
        reason = "idle, and all that waits is done in time without it"
    wake_at = min((at for at, _ in idle if view.now < at < math.inf), default=None)
    return Wanted(
        releases=tuple(Release(node_id=node.node_id, reason=reason) for node in going),
        wake_at=wake_at,
        wake_reason="" if wake_at is None else "a paid quantum ends",
    )


def _leaves_at(view: ScalingView, node: NodeView) -> float:
    """Return when an idle node may go [POSIX s]: not while it is paid for or about to be used."""
    boot_s = view.boots.quantile(node.node_type, view.settings.boot_launch_quantile)
    if view.next_demand_at < view.now + boot_s:
        return math.inf
    if node.quantum_s <= 0:
        return view.now
    quanta = max(1, math.ceil((view.now - node.requested_at) / node.quantum_s))
    paid_until = node.requested_at + quanta * node.quantum_s
    return max(view.now, paid_until - view.settings.margin_s)


def _cost_rate(node: NodeView) -> tuple[float, float]:
    """Return the price of a unit of work, the newest being dearest among equals."""
    return node.price_per_h / max(node.slots * node.speed, 1e-9), node.requested_at


def _dispensable(view: ScalingView, leaving: Sequence[NodeView]) -> int:
    """Return how many nodes, from the first on, are not needed at the quantile of removing."""
    if len(view.queue) == 0:
        return len(leaving)
    caution = Caution.at(view.settings.removal_quantile, view.common_error)
    outline = Outline(view.queue)

    def holds_without(count: int) -> bool:
        gone = {node.node_id for node in leaving[:count]}
        slots = standing_slots(view, [node for node in view.nodes if node.node_id not in gone])
        return bool(slots) and holds(view, outline, caution, Supply(slots))

    few, many = 0, len(leaving)
    while few < many:
        middle = (few + many + 1) // 2
        if holds_without(middle):
            few = middle
        else:
            many = middle - 1
    return few


def _at_least(view: ScalingView, wanted: Wanted) -> Wanted:
    """Add what the configured least fleet lacks."""
    there = len(_live(view)) + len(wanted.keeps) + len(wanted.launches)
    missing = min(view.settings.nodes_min - there, view.nodes_allowed - len(wanted.launches))
    offers = cheapest_first(view.offers, view.boots, 0.0, math.inf)
    if missing <= 0 or not offers:
        return wanted
    launch = Launch(
        node_type=offers[0].node_type,
        workers=offers[0].slots,
        reason=f"at least {view.settings.nodes_min} nodes are to stand",
    )
    return replace(wanted, launches=wanted.launches + (launch,) * missing)


def _watching(view: ScalingView, wanted: Wanted) -> Wanted:
    """Ask again when what is counted on should have come: nothing happens when it does not."""
    if len(view.queue) == 0:
        return wanted
    instants = list(_counted_on(view))
    if wanted.wake_at is not None:
        instants.append((wanted.wake_at, wanted.wake_reason))
    if not instants:
        return wanted
    wake_at, reason = min(instants)
    return replace(wanted, wake_at=max(wake_at, view.now + START_S_MIN), wake_reason=reason)


def _counted_on(view: ScalingView) -> Iterator[tuple[float, str]]:
    """Yield when what is counted on should have come [POSIX s], each after now."""
    lost = view.settings.boot_lost_quantile
    for node in view.nodes:
        if node.phase is NodePhase.BOOTING:
            limit_s = view.boots.quantile(node.node_type, lost) + START_S_MIN
            if node.requested_at + limit_s > view.now:
                yield node.requested_at + limit_s, f"{node.node_id} should have booted"
    ends = [max(node.busy_until) for node in _live(view) if node.busy_until]
    # Whole seconds: the wish stays the same while parts come and go.
    if ends and (ended_at := math.ceil(max(ends))) > view.now:
        yield ended_at, "what runs now should have ended"


def _live(view: ScalingView) -> list[NodeView]:
    return [node for node in view.nodes if node.phase is not NodePhase.DRAINING]
