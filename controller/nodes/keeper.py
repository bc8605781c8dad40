"""Keeps a provider's nodes as commanded, off the loop, and tells what becomes of them.

One thread makes every call to the provider, so a slow cloud stalls only its own nodes.
"""

from __future__ import annotations

import queue
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

from controller.clock import now
from controller.errors import NodeError
from controller.ports import NodeProvider, NodeState, Report
from planner.commands import ProvisionNode, RemoveNode, SetWorkers
from planner.events import NodeLost, NodeRefused, NodeRemoved, WorkersRefused

MISSES_MAX = 3
"""A node that so many listings in a row do not show has vanished; one may be a cloud's lag."""

NodeCommand = ProvisionNode | SetWorkers | RemoveNode


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """Nodes that an earlier service has asked for, and that it has asked to go."""

    standing: tuple[str, ...]
    leaving: tuple[str, ...]


class NodeKeeper:
    """Carries node commands out and watches the listing.

    Parameters
    ----------
    provider : NodeProvider
    report : Report
    poll_s : float
        Pause between two listings [s].
    """

    def __init__(self, provider: NodeProvider, report: Report, *, poll_s: float = 0.25) -> None:
        self._provider = provider
        self._report = report
        self._poll_s = poll_s
        self._inbox: queue.SimpleQueue[NodeCommand | Expected | None] = queue.SimpleQueue()
        self._misses: dict[str, int] = {}
        self._leaving: set[str] = set()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="node-keeper")
        self._keeping = self._thread.submit(self._keep)

    def carry_out(self, command: NodeCommand) -> None:
        """Take a command in; its outcome is reported.

        What a provider raised that breaks its contract is raised here: without a keeper nothing
        would become of any node, and nobody would notice.
        """
        if self._keeping.done():
            self._keeping.result()
        self._inbox.put(command)

    def expect(self, standing: Iterable[str], leaving: Iterable[str]) -> None:
        """Learn which nodes an earlier service has asked for, and which it has asked to go."""
        self._inbox.put(Expected(standing=tuple(standing), leaving=tuple(leaving)))

    def close(self) -> None:
        """Stop keeping; nodes stay as they are."""
        self._inbox.put(None)
        self._thread.shutdown(wait=True)

    def _keep(self) -> None:
        next_look = time.monotonic() + self._poll_s
        while True:
            if (pause_s := next_look - time.monotonic()) <= 0:
                self._look()
                next_look = time.monotonic() + self._poll_s
                continue
            try:
                command = self._inbox.get(timeout=pause_s)
            except queue.Empty:
                continue
            if command is None:
                return
            if isinstance(command, Expected):
                self._misses |= dict.fromkeys(command.standing, 0)
                self._leaving |= set(command.leaving)
                continue
            self._guarded(command.node_id, partial(self._do, command))

    def _do(self, command: NodeCommand) -> None:
        match command:
            case ProvisionNode(node_id=node_id):
                self._provider.create(node_id, command.node_type, command.workers)
                self._misses[node_id] = 0
            case SetWorkers():
                self._resize(command)
            case RemoveNode(node_id=node_id):
                self._leaving.add(node_id)
                self._misses.pop(node_id, None)
                self._see_off(node_id)

    def _look(self) -> None:
        """Compare the listing with what should stand."""
        for node_id in sorted(self._leaving):
            self._guarded(node_id, partial(self._see_off, node_id))
        try:
            listed = {listing.node_id: listing for listing in self._provider.list_nodes()}
        except NodeError:
            return
        for node_id in list(self._misses):
            listing = listed.get(node_id)
            if listing is not None and listing.state is NodeState.BROKEN:
                self._lose(node_id, listing.reason or "the provider says it is broken")
            elif listing is not None:
                self._misses[node_id] = 0
            else:
                self._misses[node_id] += 1
                if self._misses[node_id] >= MISSES_MAX:
                    self._lose(node_id, "its provider does not list it any more")

    def _resize(self, command: SetWorkers) -> None:
        """Have a node hold so many workers; refused that, it stands all the same."""
        try:
            self._provider.resize(command.node_id, command.workers)
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

    def _see_off(self, node_id: str) -> None:
        if self._provider.delete(node_id):
            self._leaving.discard(node_id)
            self._report(NodeRemoved(at=now(), node_id=node_id))

    def _lose(self, node_id: str, reason: str) -> None:
        del self._misses[node_id]
        self._report(NodeLost(at=now(), node_id=node_id, reason=reason))

    def _guarded(self, node_id: str, call: Callable[[], None]) -> None:
        """Report a refusal; one of a node that is leaving is tried again at the next look."""
        try:
            call()
        except NodeError as error:
            if node_id not in self._leaving:
                self._report(
                    NodeRefused(at=now(), node_id=node_id, reason=str(error), retry=error.retry)
                )
