"""Where the tests' engines report to: events in their order, each waited for with a bound."""

from __future__ import annotations

import queue
import time
from collections.abc import Callable

from planner.events import AnyEvent, AttemptLost, NodeReady, PartFailed, PartFinished

WAIT_S_MAX = 60.0
"""Longer than anything takes on a loaded machine."""

Ended = PartFinished | PartFailed | AttemptLost


class Inbox:
    """Takes reports in the engine's thread, hands them out in the test's."""

    def __init__(self) -> None:
        self.queue: queue.SimpleQueue[AnyEvent] = queue.SimpleQueue()
        self._kept: list[AnyEvent] = []
        self.seen: list[AnyEvent] = []
        self.put = self.queue.put

    def next(self, wanted: Callable[[AnyEvent], bool]) -> AnyEvent:
        """Return the first event that is wanted; others are kept for later."""
        for event in self._kept:
            if wanted(event):
                self._kept.remove(event)
                return event
        give_up_at = time.monotonic() + WAIT_S_MAX
        while True:
            event = self.queue.get(timeout=max(0.0, give_up_at - time.monotonic()))
            self.seen.append(event)
            if wanted(event):
                return event
            self._kept.append(event)

    def ended(self, count: int) -> list[Ended]:
        """Return how the next attempts ended."""
        ends = [self.next(lambda event: isinstance(event, Ended)) for _ in range(count)]
        return [end for end in ends if isinstance(end, Ended)]

    def ready(self, node_id: str, workers: int) -> None:
        """Wait until a node has this many workers; what was told of it before is done with."""
        while True:
            told = self.next(
                lambda event: isinstance(event, NodeReady) and event.node_id == node_id
            )
            if isinstance(told, NodeReady) and told.workers == workers:
                return

    def rest(self) -> list[AnyEvent]:
        """Return what else has come by now."""
        while not self.queue.empty():
            self._kept.append(self.queue.get())
        rest, self._kept = self._kept, []
        return rest
