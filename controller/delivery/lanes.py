"""Lanes for deliveries, shared out so that a destination which hangs keeps to its own.

Of all lanes one destination gets a few. Those whose last delivery failed share a part of all lanes
until one succeeds: so however many destinations are dead, lanes are left for those that live.
"""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

LANES_MAX = 8
"""Products on their way at the same time: a destination that hangs leaves as many lanes free."""

DELIVERIES_MAX = 4
"""Of them to one destination: enough that a large product there does not hold up small ones."""

FAILING_MAX = 4
"""Of them to all destinations that failed last: the other lanes are for those that live."""

Act = Callable[[Any], Any]


class Lanes:
    """A pool of threads in which no destination can keep others waiting.

    What waits is not bounded here: each is a command that the planner holds too.

    Parameters
    ----------
    lanes_max, of_one_max, of_failing_max : int
        See `LANES_MAX`, `DELIVERIES_MAX` and `FAILING_MAX`.
    """

    def __init__(
        self,
        *,
        lanes_max: int = LANES_MAX,
        of_one_max: int = DELIVERIES_MAX,
        of_failing_max: int = FAILING_MAX,
    ) -> None:
        assert 1 <= of_one_max <= lanes_max
        assert 1 <= of_failing_max <= lanes_max
        self._lanes_max = lanes_max
        self._of_one_max = of_one_max
        self._of_failing_max = of_failing_max
        self._threads = ThreadPoolExecutor(lanes_max, thread_name_prefix="delivering")
        self._lock = threading.Lock()
        # In the order in which they get the next lane.
        self._waiting: dict[str, deque[tuple[Future[Any], Act, Any]]] = {}
        self._busy: Counter[str] = Counter()
        self._failing: set[str] = set()
        self._closed = False

    def submit(self, destination: str, act: Act, argument: Any) -> Future[Any]:
        """Have something done as soon as its destination may have a lane.

        Parameters
        ----------
        destination : str
            What it shares with others that hang when it does, as `Destinations.lane_of` names it.
        act : callable
        argument : object

        Raises
        ------
        RuntimeError
            The lanes are closed.
        """
        future: Future[Any] = Future()
        with self._lock:
            if self._closed:
                raise RuntimeError("the lanes are closed")
            self._waiting.setdefault(destination, deque()).append((future, act, argument))
            self._fill()
        return future

    def shutdown(self, *, wait: bool, cancel_futures: bool = False) -> None:
        """Take nothing more; cancel what waits, if asked to, and wait for what is under way."""
        with self._lock:
            self._closed = True
            if cancel_futures:
                left = [one[0] for each in self._waiting.values() for one in each]
                self._waiting.clear()
            else:
                left = []
        for future in left:
            future.cancel()
        if wait:
            self._threads.shutdown(wait=True)

    def _fill(self) -> None:
        """Give free lanes to destinations in turn; to be called with the lock held."""
        while (destination := self._next()) is not None:
            queue = self._waiting.pop(destination)
            future, act, argument = queue.popleft()
            if queue:
                self._waiting[destination] = queue  # behind all others
            if future.set_running_or_notify_cancel():
                self._busy[destination] += 1
                self._threads.submit(self._run, destination, future, act, argument)

    def _next(self) -> str | None:
        if self._busy.total() >= self._lanes_max:
            return None
        failing = sum(self._busy[each] for each in self._failing)
        for destination in self._waiting:
            may = failing < self._of_failing_max or destination not in self._failing
            if may and self._busy[destination] < self._of_one_max:
                return destination
        return None

    def _run(self, destination: str, future: Future[Any], act: Act, argument: Any) -> None:
        try:
            result = act(argument)
        except BaseException as error:  # noqa: BLE001  # It is raised where the future is read.
            self._release(destination, has_failed=True)
            future.set_exception(error)
        else:
            self._release(destination, has_failed=False)
            future.set_result(result)

    def _release(self, destination: str, *, has_failed: bool) -> None:
        with self._lock:
            self._busy -= Counter((destination,))
            if has_failed:
                self._failing.add(destination)
            else:
                self._failing.discard(destination)
            self._fill()
