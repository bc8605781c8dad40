"""One provider's lane: its commands and looks, a bounded number of calls at a time.

Calls for one node follow each other in the order of the commands; those for different nodes may run
side by side, as many as the provider takes (`calls_max`) but one: that is kept free to look at the
listing, so that many slow creations do not hide what becomes of the nodes that stand. A provider
that takes one call at a time does both in turn.
"""

from __future__ import annotations

import logging
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import replace
from functools import partial
from threading import Condition

from controller.clock import now
from controller.errors import NodeError, NodeFault
from controller.nodes.steps import tell_step
from controller.ports import NodeListing, NodeProvider, NodeState, Report
from planner.commands import ProvisionNode, RemoveNode, SetWorkers
from planner.events import NodeLost, NodeRefused, NodeRemoved, WorkersRefused
from planner.model import NodeOffer

MISSES_MAX = 3
"""A node that so many listings in a row do not show has vanished; one may be a cloud's lag."""

UNKNOWN_S_MAX = 30.0
"""A node that nobody asked for is deleted after this time [s]: what was asked for may be late."""

DESCRIBED_S = 60.0
"""The provider is asked so often what it offers [s]: quotas are shared with others."""

CLOSE_S_MAX = 5.0
"""Calls under way are waited for so long at the end [s]; what they do is found by listing."""

NodeCommand = ProvisionNode | SetWorkers | RemoveNode
Limits = tuple[NodeOffer, ...]
"""Offers whose `nodes_max` counts the nodes that stand, too."""

_log = logging.getLogger(__name__)


class Lane:
    """Carries the commands for one provider's nodes out and watches its listing.

    Parameters
    ----------
    provider : NodeProvider
    report : Report
    offered : callable
        Is told the limits of this provider whenever they were asked for.
    is_ours : callable
        Asked before a node that nobody asked for is deleted: whether no other service has taken
        over, which may have asked for it.
    poll_s, unknown_s_max, described_s : float
        Pause between two listings, see `UNKNOWN_S_MAX`, see `DESCRIBED_S` [s].
    """

    def __init__(
        self,
        provider: NodeProvider,
        report: Report,
        offered: Callable[[Limits], None],
        is_ours: Callable[[], bool],
        *,
        poll_s: float,
        unknown_s_max: float,
        described_s: float,
    ) -> None:
        self.provider = provider
        self._report, self._offered, self._is_ours = report, offered, is_ours
        self._poll_s = poll_s
        self._unknown_s_max = unknown_s_max
        self._described_s = described_s
        self._changed = Condition()
        self._commands: deque[NodeCommand] = deque()
        self._busy: set[str] = set()
        self._misses: dict[str, int] = {}
        self._leaving: set[str] = set()
        self._lost: set[str] = set()
        self._unknown: dict[str, float] = {}
        self._running: set[str] = set()
        self._look_at = time.monotonic() + poll_s
        self._describe_at = time.monotonic() + described_s
        self._is_looking = self._is_closing = False
        self._told_fault = ""
        self._threads = ThreadPoolExecutor(
            provider.calls_max, thread_name_prefix=f"nodes-{provider.name}"
        )
        self._working: list[Future[None]] = []

    def start(self) -> None:
        """Begin to look, and to carry out what is taken in."""
        count = self.provider.calls_max
        self._working = [self._threads.submit(self._work) for _ in range(count)]

    def take(self, command: NodeCommand) -> None:
        """Take a command in; its outcome is reported.

        What a provider raised that breaks its contract is raised here, too.
        """
        self.check()
        with self._changed:
            if isinstance(command, RemoveNode):
                self._forget_waiting(command.node_id)
            self._commands.append(command)
            self._changed.notify_all()

    def check(self) -> None:
        """Raise what a provider raised that breaks its contract.

        Without a lane nothing would become of any of its nodes, and nobody would notice.
        """
        for each in self._working:
            if each.done():
                each.result()

    def expect(self, standing: Iterable[str], leaving: Iterable[str]) -> None:
        """Learn which nodes an earlier service has asked for, and which it has asked to go."""
        with self._changed:
            self._misses |= dict.fromkeys(standing, 0)
            self._leaving |= set(leaving)
            self._changed.notify_all()

    def ask(self) -> None:
        """Ask what the provider offers at the next look: nothing is known of it yet."""
        with self._changed:
            self._describe_at = 0.0

    def held(self) -> set[str]:
        """Return the nodes that were asked for and that it was not yet told the end of."""
        with self._changed:
            asked = {each.node_id for each in self._commands}
            return asked | self._busy | self._misses.keys() | self._leaving | self._lost

    def close(self) -> None:
        """Stop; nodes stay as they are."""
        with self._changed:
            self._is_closing = True
            self._changed.notify_all()
        wait(self._working, timeout=CLOSE_S_MAX)
        self._threads.shutdown(wait=False)

    def _forget_waiting(self, node_id: str) -> None:
        """Drop what has not begun for a node that is to go."""
        kept = [each for each in self._commands if each.node_id != node_id]
        self._commands = deque(kept)
        self._misses.pop(node_id, None)
        self._leaving.add(node_id)

    def _work(self) -> None:
        while (call := self._next()) is not None:
            call()

    def _next(self) -> Callable[[], None] | None:
        """Wait for the next call that may be made now; None at the end."""
        with self._changed:
            while not self._is_closing:
                left_s = self._look_at - time.monotonic()
                if left_s <= 0 and not self._is_looking:
                    self._is_looking = True
                    return self._look
                if (command := self._ready_command()) is not None:
                    self._commands.remove(command)
                    self._busy.add(command.node_id)
                    return partial(self._carry_out, command)
                self._changed.wait(None if self._is_looking else max(0.0, left_s))
        return None

    def _ready_command(self) -> NodeCommand | None:
        """Return what to carry out next: removals first, for what goes makes room."""
        if len(self._busy) >= max(1, self.provider.calls_max - 1):
            return None
        ready = [each for each in self._commands if each.node_id not in self._busy]
        removals = (each for each in ready if isinstance(each, RemoveNode))
        return next(removals, ready[0] if ready else None)

    def _carry_out(self, command: NodeCommand) -> None:
        node_id = command.node_id
        try:
            self._do(command)
        except NodeError as error:
            self._refused(node_id, error)
        finally:
            with self._changed:
                self._busy.discard(node_id)
                self._changed.notify_all()

    def _do(self, command: NodeCommand) -> None:
        match command:
            case ProvisionNode(node_id=node_id):
                self.provider.create(node_id, command.node_type, command.workers)
                tell_step("asked", node_id, f"{self.provider.name} makes it")
                with self._changed:
                    if node_id not in self._leaving:
                        self._misses[node_id] = 0
            case SetWorkers():
                self._resize(command)
            case RemoveNode(node_id=node_id):
                if self.provider.delete(node_id):
                    with self._changed:
                        self._leaving.discard(node_id)
                        self._lost.discard(node_id)
                    self._report(NodeRemoved(at=now(), node_id=node_id))

    def _resize(self, command: SetWorkers) -> None:
        """Have a node hold so many workers; refused that, it stands all the same."""
        try:
            self.provider.resize(command.node_id, command.workers)
        except NodeError as error:
            self._report(
                WorkersRefused(
                    at=now(),
                    node_id=command.node_id,
                    workers=command.workers,
                    reason=str(error),
                    retry=error.retry,
                )
            )

    def _refused(self, node_id: str, error: NodeError) -> None:
        """Report a refusal; one of a node that is leaving is tried again at the next look."""
        with self._changed:
            if error.fault in (NodeFault.QUOTA, NodeFault.CAPACITY):
                self._describe_at = 0.0  # What is left is not what it was held to be.
            if node_id in self._leaving:
                return
        reason, retry = str(error), error.retry
        self._report(NodeRefused(at=now(), node_id=node_id, reason=reason, retry=retry))

    def _look(self) -> None:
        """Compare the listing with what should stand."""
        with self._changed:
            judged = set(self._misses)
            known = judged | self._leaving | self._lost | self._busy
            known |= {each.node_id for each in self._commands}
            busy = self._busy | {each.node_id for each in self._commands}
            for node_id in sorted(self._leaving - busy):
                self._commands.append(RemoveNode(node_id=node_id, reason="it is to go"))
        try:
            listed = {each.node_id: each for each in self.provider.list_nodes()}
            self._tell_running(listed.values())
            self._judge(judged, listed)
            self._sweep(known, listed)
            self._describe(listed)
            self._tell_fault("")
        except NodeError as error:
            self._tell_fault(str(error))
        finally:
            with self._changed:
                self._is_looking = False
                self._look_at = time.monotonic() + self._poll_s
                self._changed.notify_all()

    def _tell_running(self, listed: Iterable[NodeListing]) -> None:
        """Log which nodes have come to run since the last look."""
        running = {each.node_id for each in listed if each.state is NodeState.RUNNING}
        for node_id in sorted(running - self._running):
            tell_step("runs", node_id, "it runs, and its workers are to join")
        self._running = running

    def _judge(self, judged: set[str], listed: Mapping[str, NodeListing]) -> None:
        for node_id in sorted(judged):
            listing = listed.get(node_id)
            if listing is not None and listing.state is NodeState.BROKEN:
                self._lose(node_id, listing.reason or "the provider says it is broken")
            elif listing is not None:
                self._count(node_id, missed=False)
            elif self._count(node_id, missed=True) >= MISSES_MAX:
                self._lose(node_id, "its provider does not list it any more")

    def _count(self, node_id: str, *, missed: bool) -> int:
        with self._changed:
            if node_id not in self._misses:
                return 0  # It was told to go meanwhile.
            self._misses[node_id] = self._misses[node_id] + 1 if missed else 0
            return self._misses[node_id]

    def _lose(self, node_id: str, reason: str) -> None:
        with self._changed:
            if self._misses.pop(node_id, None) is None:
                return
            self._lost.add(node_id)
        self._report(NodeLost(at=now(), node_id=node_id, reason=reason))

    def _sweep(self, known: set[str], listed: Mapping[str, NodeListing]) -> None:
        """Have nodes deleted that nobody asked for: a creation whose answer was lost, say."""
        at_s = time.monotonic()
        with self._changed:
            self._lost &= listed.keys()
            unknown = listed.keys() - known - self._misses.keys() - self._leaving - self._busy
            self._unknown = {each: self._unknown.get(each, at_s) for each in unknown}
        due = [e for e, since in self._unknown.items() if at_s - since >= self._unknown_s_max]
        if not due or not self._is_ours():
            return
        for node_id in sorted(due):
            _log.warning("node %s belongs to nobody and is removed", node_id)
            self.take(RemoveNode(node_id=node_id, reason="it belongs to nobody"))

    def _describe(self, listed: Mapping[str, NodeListing]) -> None:
        """Tell what the provider offers, when it is time to ask."""
        with self._changed:
            # While a node comes or goes, what stands and what is left do not add up, nor does the
            # planner count one that was lost.
            if time.monotonic() < self._describe_at or self._busy | self._leaving | self._lost:
                return
            self._describe_at = time.monotonic() + self._described_s
        try:
            offers = self.provider.describe()
        except NodeError:
            self.ask()
            raise
        self._offered(limits(offers, listed.values()))

    def _tell_fault(self, fault: str) -> None:
        if fault != self._told_fault:
            name = self.provider.name
            _log.warning("provider %s: %s", name, fault or "it answers again")
        self._told_fault = fault


def limits(offers: Iterable[NodeOffer], listed: Iterable[NodeListing]) -> Limits:
    """Return offers with the nodes that stand counted in."""
    standing = Counter(each.node_type for each in listed)
    return tuple(
        replace(each, nodes_max=each.nodes_max + standing[each.node_type]) for each in offers
    )
