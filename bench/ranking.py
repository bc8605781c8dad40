"""Ranking on arrival, beside a bare heap of the same keys.

Both take the same tasks in, batch by batch, and give them out in order. The heap holds bare keys;
the queue also finds any task by its id, and knows sums over what waits.
"""

from __future__ import annotations

import heapq
import random
import time

from planner.ranking import Key, RankedQueue, Waiting

BATCH = 256
COUNTS = (1_000, 10_000, 100_000)
ROUNDS = 7


def measure() -> dict[str, float]:
    """Return the time for one task's way through the queue, and its ratio to the bare heap."""
    found: dict[str, float] = {}
    for count in COUNTS:
        heap_s = min(_through_heap(_keys(count)) for _ in range(ROUNDS))
        queue_s = min(_through_queue(_tasks(_keys(count))) for _ in range(ROUNDS))
        found[f"ranking_us_per_task_{count}"] = queue_s / count * 1e6
        found[f"ranking_to_bare_heap_{count}"] = queue_s / heap_s
    return found


def _keys(count: int) -> list[Key]:
    draw = random.Random(1)
    return [(0.0, draw.uniform(0.0, 1e5), draw.random(), float(n)) for n in range(count)]


def _tasks(keys: list[Key]) -> list[Waiting]:
    return [
        Waiting(
            key=key,
            task_id=f"t{number}",
            due_at=key[1],
            parts=4,
            mean_s=10.0,
            variance_s2=1.0,
            longest_s=3.0,
        )
        for number, key in enumerate(keys)
    ]


def _through_heap(keys: list[Key]) -> float:
    heap: list[Key] = []
    started = time.perf_counter()
    for key in keys:
        heapq.heappush(heap, key)
    while heap:
        heapq.heappop(heap)
    return time.perf_counter() - started


def _through_queue(tasks: list[Waiting]) -> float:
    queue = RankedQueue()
    started = time.perf_counter()
    for start in range(0, len(tasks), BATCH):
        for task in tasks[start : start + BATCH]:
            queue.add(task)
        queue.settle()
    while (first := queue.first()) is not None:
        queue.remove(first.task_id)
    return time.perf_counter() - started
