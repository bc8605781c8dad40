"""What one tick does, in this order: rested work, expiry, risk, dispatch, fleet, and the next wake.

Everything here is judged once per batch of events, never per event.
"""

from __future__ import annotations

import heapq
import math

from planner.admission import assess
from planner.backlog import Task
from planner.books import Books
from planner.budget import LOOK_S_MIN, looks_at, nodes_left, offers_left, overspending
from planner.commands import (
    AnyCommand,
    DrainNode,
    ProvisionNode,
    RemoveNode,
    RunPart,
    SetWorkers,
    UndrainNode,
    WakeAt,
)
from planner.events import NodeDrainRequested, NodeRemovalRequested
from planner.fleet import Node
from planner.intake import end_early, turn_page
from planner.lifecycle import NodeState, PartState
from planner.model import Features, NodeOffer, NoticeKind
from planner.progress import notice, parts_outrun, settle_again
from planner.scaling.view import Grow, Keep, Launch, Release, ScalingView, Wanted

ATTEMPT_LIMIT_FACTOR = 10.0
"""An attempt that runs this many times its prediction is taken for hung."""

ATTEMPT_S_MIN = 60.0
"""No attempt is taken for hung before this long [s], however short its prediction."""

YARDSTICK = Features(files=100, size_bytes=2_000_000, values=300)
"""A part by whose prediction a model's change is told."""

RE_ESTIMATE_CHANGE, RESERVE_CHANGE = 0.1, 0.25
"""Tasks are predicted anew when the yardstick's prediction moved by the first fraction, or the time
for combining and delivering by the second: a handful of times, for it takes 10 us a task."""


def tick(books: Books, at: float) -> list[AnyCommand]:
    """Return everything that is to be done now that time stands at `at` [POSIX s]."""
    commands = _end_rests(books, at)
    commands += turn_page(books)
    commands += _expire(books, at)
    parts_outrun(books, at)
    if (judges_at := _judges_at(books, at)) > at:
        commands += _dispatch(books, at)
        commands += _clear_fleet(books, at)
        return commands + _wake(books, Wanted(wake_at=judges_at), at)
    _re_estimate(books)
    commands += _judge_risk(books, at)
    commands += _dispatch(books, at)
    wanted = _ask_policy(books, at)
    commands += _scale(books, wanted, at)
    if wanted.keeps:
        # A node that is kept has free slots, and nothing else would wake the planner for them.
        commands += _dispatch(books, at)
    commands += _clear_fleet(books, at)
    commands += _wake(books, wanted, at)
    return commands


def _judges_at(books: Books, at: float) -> float:
    """Return when risk and fleet are to be judged again [POSIX s]: now, or later."""
    interval_s, judged_at = books.settings.scaling.judge_interval_s, books.desk.judged_at
    if interval_s <= 0:
        return at
    # A clock that was set back must not put off all judging until it comes by again.
    if judged_at is None or not judged_at <= at < judged_at + interval_s:
        books.desk.judged_at, books.changed = at, True
        return at
    return judged_at + interval_s


def scaling_view(books: Books, at: float) -> ScalingView:
    """Return what policies and admission see now."""
    learned = books.run_times.values()
    offers = _offers_left(books, at)
    return ScalingView(
        now=at,
        settings=books.settings.scaling,
        queue=books.backlog.queue,
        nodes=books.fleet.view(at),
        offers=offers,
        boots=books.boots,
        common_error=max((times.common_error for times in learned), default=0.0),
        nodes_allowed=_nodes_allowed(books, offers, at),
        tasks_started=books.desk.tasks_started,
        next_demand_at=_next_demand_at(books),
        plan=books.plan,
    )


def _next_demand_at(books: Books) -> float:
    """Return when the first part that rests will wait again [POSIX s]."""
    return min((at for at, kind, _ in books.desk.retries if kind == "part"), default=math.inf)


def _end_rests(books: Books, at: float) -> list[AnyCommand]:
    commands: list[AnyCommand] = []
    retries = books.desk.retries
    while retries and retries[0][0] <= at:
        _, kind, subject_id = heapq.heappop(retries)
        books.changed = True
        if kind == "part":
            found = books.backlog.part(subject_id)
            if found and found[1].state is PartState.RESTING:
                books.backlog.give_back(*found, "rested")
        elif subject_id in books.backlog.tasks:
            commands += settle_again(books.backlog.tasks[subject_id])
    return commands


def _expire(books: Books, at: float) -> list[AnyCommand]:
    commands: list[AnyCommand] = []
    firm = books.desk.firm
    while firm and firm[0][0] <= at:
        deadline_at, task_id = heapq.heappop(firm)
        books.changed = True
        task = books.backlog.tasks.get(task_id)
        if task is not None:
            commands += end_early(books, task, "expired", at)
            commands.append(
                notice(task, NoticeKind.EXPIRED, deadline_at - at, "its firm deadline passed")
            )
    return commands


def _re_estimate(books: Books) -> None:
    desk, now = books.desk, {n: times.mean_s(YARDSTICK) for n, times in books.run_times.items()}
    reserve_s = books.reserve_s
    stands = _alike(desk.reserve_s, reserve_s, RESERVE_CHANGE) and all(
        _alike(desk.estimated_with.get(name), mean_s, RE_ESTIMATE_CHANGE)
        for name, mean_s in now.items()
    )
    if stands or not books.backlog.tasks:
        return
    books.changed = True
    desk.estimated_with, desk.reserve_s = now, reserve_s
    books.backlog.re_estimate(books.times, reserve_s)


def _alike(before: float | None, now: float, change: float) -> bool:
    return before is not None and abs(now - before) <= change * before


def _judge_risk(books: Books, at: float) -> list[AnyCommand]:
    """Tell which tasks cannot be met, and let those give way that admission turns down."""
    tasks = books.backlog.tasks
    view = scaling_view(books, at)
    # A task whose last parts run already is beyond judging: what was told of it stands.
    told = frozenset(task_id for task_id in books.desk.told if view.queue.get(task_id))
    verdict = assess(view, books.policy.nodes_reachable(view), told)
    at_risk = dict(verdict.at_risk)
    risks = [
        _tell_risk(tasks[task_id], lateness_s)
        for task_id, lateness_s in verdict.at_risk
        if task_id not in told
    ]
    recoveries = [
        notice(tasks[task_id], NoticeKind.RECOVERED, None, "its deadline can be met again")
        for task_id in sorted(told - at_risk.keys())
    ]
    beyond = [task_id for task_id in books.desk.told if task_id in tasks and task_id not in told]
    books.desk.told = sorted([*at_risk, *beyond])
    _give_way(books, set(verdict.yielding))
    return [*risks, *recoveries]


def _tell_risk(task: Task, lateness_s: float) -> AnyCommand:
    work = f"{_seconds(task.work_s)} of work in {len(task.parts)} parts"
    text = f"predicted {_seconds(lateness_s)} late: {work}"
    return notice(task, NoticeKind.AT_RISK, -lateness_s, text)


def _give_way(books: Books, yielding: set[str]) -> None:
    """Move tasks behind the admitted ones, or back among them."""
    before = set(books.desk.yielding)
    for task_id in sorted(before ^ yielding):
        task = books.backlog.tasks.get(task_id)
        if task is not None:
            books.changed = True
            books.backlog.set_yielding(task, task_id in yielding)
    books.desk.yielding = sorted(yielding)


def _dispatch(books: Books, at: float) -> list[AnyCommand]:
    """Send the longest parts of the first tasks to free slots, fastest and oldest nodes first."""
    commands: list[AnyCommand] = []
    fleet = books.fleet
    while (node := fleet.free.first()) and (command := _send(books, node, at, math.inf)):
        commands.append(command)
    reserve_s = books.settings.dispatch.reserve_part_s_max
    for node in fleet.full.nodes() if len(books.backlog.queue) else ():
        ahead = _send(books, node, at, reserve_s)
        if ahead is None:
            break  # The part is too long for this node, and the others are no faster.
        commands.append(ahead)
    return commands


def _send(books: Books, node: Node, at: float, length_s_max: float) -> RunPart | None:
    following = books.backlog.next_part()
    if following is None:
        return None
    task, part = following
    selection = task.selections[part.selection]
    speed = node.offer.speed
    run_s, sd_s = part.mean_s / speed, math.hypot(part.sd_s, task.doubt * part.mean_s) / speed
    if run_s > length_s_max:
        return None
    books.desk.tasks_started += not task.started
    books.backlog.send(task, part, node.id, at)
    books.fleet.start(node, part.id, at, run_s)
    return RunPart(
        part_id=part.id,
        attempt=part.attempt,
        node_id=node.id,
        task_id=task.id,
        view=selection.view,
        extent=part.extent,
        updates=selection.updates,
        limit_s=max(ATTEMPT_S_MIN, ATTEMPT_LIMIT_FACTOR * (run_s + 3 * sd_s)),
    )


def _ask_policy(books: Books, at: float) -> Wanted:
    memory, wanted = books.policy.step(books.memory, scaling_view(books, at))
    if memory != books.memory:
        books.memory, books.changed = memory, True
    return wanted


def _scale(books: Books, wanted: Wanted, at: float) -> list[AnyCommand]:
    """Carry a policy's wishes out as far as the caps allow, whoever wrote the policy."""
    commands: list[AnyCommand] = []
    unpaid = overspending(books.fleet, books.settings.scaling, at)
    for keep in wanted.keeps:
        commands += _keep(books, keep) if keep.node_id not in unpaid else []
    room = _nodes_allowed(books, _offers_left(books, at), at) if wanted.launches else 0
    for ordinal, launch in enumerate(wanted.launches[:room]):
        commands += _launch(books, launch, ordinal, at)
    for grow in wanted.grows:
        commands += _grow(books, grow, at)
    for release in (*wanted.releases, *(Release(node_id=n, reason=UNPAID) for n in unpaid)):
        commands += _release(books, release)
    return commands


ASKED_FOR = "the operator asked for it"
"""Why a node goes whatever the policy makes of it."""


def node_drain_requested(books: Books, event: NodeDrainRequested) -> list[AnyCommand]:
    """Let a node go once its parts have ended; one that runs none goes at once."""
    node = _to_dismiss(books, event)
    return [] if node is None else _release(books, Release(node_id=node.id, reason=ASKED_FOR))


def node_removal_requested(books: Books, event: NodeRemovalRequested) -> list[AnyCommand]:
    """Let a node go at once."""
    node = _to_dismiss(books, event)
    if node is None:
        return []
    books.fleet.move(node, "released")
    return [RemoveNode(node_id=node.id, reason=ASKED_FOR)]


def _to_dismiss(books: Books, event: NodeDrainRequested | NodeRemovalRequested) -> Node | None:
    node = books.fleet.nodes.get(event.node_id)
    if node is None or node.state is NodeState.REMOVING:
        books.count_late(event)
        return None
    books.fleet.dismiss(node)
    return node


UNPAID = "the budget of this period is spent"
"""Why a node goes that may still be needed."""


def _keep(books: Books, keep: Keep) -> list[AnyCommand]:
    node = books.fleet.nodes.get(keep.node_id)
    if node is None or node.state is not NodeState.DRAINING or node.dismissed:
        return []
    books.fleet.move(node, "kept")
    return [UndrainNode(node_id=node.id, reason=keep.reason)]


def _launch(books: Books, launch: Launch, ordinal: int, at: float) -> list[AnyCommand]:
    left = _offers_left(books, at)
    offer = next((offer for offer in left if offer.node_type == launch.node_type), None)
    if offer is None or offer.nodes_max <= 0:
        return []
    node_id = books.new_id("n", ordinal)
    workers = max(1, min(launch.workers, offer.slots_max))
    books.fleet.request(node_id, offer, workers, at)
    return [
        ProvisionNode(
            node_id=node_id, node_type=offer.node_type, workers=workers, reason=launch.reason
        )
    ]


def _grow(books: Books, grow: Grow, at: float) -> list[AnyCommand]:
    node = books.fleet.nodes.get(grow.node_id)
    if node is None or node.state is not NodeState.READY or at < books.desk.no_growth_until:
        return []
    workers = max(1, min(grow.workers, node.offer.slots_max))
    if node.workers == workers:
        return []
    books.fleet.grow(node, workers)
    return [SetWorkers(node_id=node.id, workers=workers, reason=grow.reason)]


def _release(books: Books, release: Release) -> list[AnyCommand]:
    """Drain a node that is busy; remove one that is not."""
    node = books.fleet.nodes.get(release.node_id)
    if node is None or node.state not in (NodeState.READY, NodeState.BOOTING):
        return []
    if node.running:
        books.fleet.move(node, "drained")
        return [DrainNode(node_id=node.id, reason=release.reason)]
    books.fleet.move(node, "released")
    return [RemoveNode(node_id=node.id, reason=release.reason)]


def _clear_fleet(books: Books, at: float) -> list[AnyCommand]:
    """Remove nodes that have drained, and give up those that have no worker for too long."""
    commands: list[AnyCommand] = []
    limit_s = books.settings.scaling.registration_s_max
    for node in books.fleet.awaited.nodes():
        if node.state is NodeState.DRAINING and not node.running:
            books.fleet.move(node, "released")
            commands.append(RemoveNode(node_id=node.id, reason="drained"))
        elif (since := node.workless_since) is not None and since + limit_s <= at:
            books.fleet.move(node, "released")
            reason = f"no worker joined for {at - since:.0f} s"
            commands.append(RemoveNode(node_id=node.id, reason=reason))
    return commands


def _wake(books: Books, wanted: Wanted, at: float) -> list[AnyCommand]:
    """Ask to be woken for the next thing that time alone will bring."""
    desk = books.desk
    if desk.woken_for is not None and desk.woken_for <= at:
        desk.woken_for, books.changed = None, True
    scaling = books.settings.scaling
    instants = _policy_wakes(wanted, at)
    instants += [heap[0][0] for heap in (desk.retries, desk.firm) if heap]
    if desk.pages:
        instants.append(at)
    if len(books.fleet.awaited):
        workless = [node.workless_since for node in books.fleet.awaited.nodes()]
        limit_s = scaling.registration_s_max
        instants += [since + limit_s for since in workless if since is not None]
    instants += [until for until in (desk.no_launch_until, desk.no_growth_until) if until > at]
    if scaling.budget is not None:
        waits = len(books.backlog.queue) > 0
        instants += looks_at(books.fleet, scaling, at, waits=waits)
    wake_at = min(instants, default=None)
    if wake_at is None or wake_at == desk.woken_for:
        return []
    desk.woken_for = max(wake_at, at)
    return [WakeAt(wake_at=desk.woken_for)]


def _policy_wakes(wanted: Wanted, at: float) -> list[float]:
    """Return when a policy wants to be asked again; never at once, whoever wrote it."""
    if wanted.wake_at is None or wanted.wake_at == math.inf:
        return []
    return [wanted.wake_at if wanted.wake_at > at else at + LOOK_S_MIN]


def _offers_left(books: Books, at: float) -> tuple[NodeOffer, ...]:
    return offers_left(books.fleet, books.offers, books.settings.scaling, at)


def _nodes_allowed(books: Books, offers: tuple[NodeOffer, ...], at: float) -> int:
    """Return how many more nodes caps and budget allow now, given what is left of each offer."""
    if at < books.desk.no_launch_until:
        return 0
    return nodes_left(books.fleet, offers, books.settings.scaling, at)


def _seconds(span_s: float) -> str:
    return f"{span_s:.0f} s" if span_s >= 10 else f"{span_s:.1f} s"
