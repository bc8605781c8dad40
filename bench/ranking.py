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
    """Return what an arrival costs, and its ratio to the bare heap, with and without its start."""
    found: dict[str, float] = {}
    for count in COUNTS:
        keys, tasks = _keys(count), _tasks(_keys(count))
        rounds = [(_into_heap(keys), _into_queue(tasks)) for _ in range(ROUNDS)]
        heap, queue = (
            tuple(map(min, zip(*side, strict=True))) for side in zip(*rounds, strict=True)
        )
        found[f"arrival_us_per_task_{count}"] = queue[0] / count * 1e6
        found[f"arrival_to_bare_heap_{count}"] = queue[0] / heap[0]
        found[f"arrival_and_start_to_bare_heap_{count}"] = sum(queue) / sum(heap)
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


def _into_heap(keys: list[Key]) -> tuple[float, float]:
    """Return the times to take all keys in, and to give them out in order [s]."""
    heap: list[Key] = []
    began = time.perf_counter()
    for key in keys:
        heapq.heappush(heap, key)
    taken = time.perf_counter()
    while heap:
        heapq.heappop(heap)
    return taken - began, time.perf_counter() - taken


def _into_queue(tasks: list[Waiting]) -> tuple[float, float]:
    """Return the same for the queue, which settles after every batch."""
    queue = RankedQueue()
    began = time.perf_counter()
    for start in range(0, len(tasks), BATCH):
        for task in tasks[start : start + BATCH]:
            queue.add(task)
        queue.settle()
    taken = time.perf_counter()
    while (first := queue.first()) is not None:
        queue.remove(first.task_id)
    return taken - began, time.perf_counter() - taken
