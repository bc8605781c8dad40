"""What an event of a simulation costs, against SimPy callbacks that decide nothing.

Jobs of one part come at random to 16 slots, streamed; the planner that runs live decides on each.
Beside it, in the same run: as many bare callbacks; and for reading, what the same tasks cost in a
SimPy `PriorityStore` and in a loop over a heap, which decide no more than the order.

python -m bench.simulating [TASKS]: the events of so many tasks (a million, say) against 10,000.
"""

from __future__ import annotations

import gc
import heapq
import random
import sys
import time
import tracemalloc
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from statistics import median
from typing import Any

import simpy

from planner.commands import AnyCommand
from planner.events import AnyEvent, SubscriptionAdded
from sim.scenario import Scenario
from sim.simulator import Trial, simulate
from sim.workload import Job, JobsLoad

SLOTS, WORK_S, LOAD = 16, 10.0, 0.8
DEADLINE_S, FAR_S = 600.0, 1e8
WARM, TASKS, BACKLOG = 500, 2_000, 100_000
REMEMBERED = 20_000
JUDGED = {"at_every_tick": 0.0, "every_60_s": 60.0}
ROUNDS = 3
STREAMED = "j"


def measure() -> dict[str, float]:
    """Return events/s of a simulation and of bare callbacks, and what grows with the backlog."""
    found: dict[str, float] = {}
    for name, judge_interval_s in JUDGED.items():
        pairs = [_round(judge_interval_s) for _ in range(ROUNDS)]
        cost, bare_s = sorted(pairs, key=lambda pair: pair[1] / pair[0].event_s)[ROUNDS // 2]
        found |= {
            f"simulated_events_per_s_judged_{name}": 1.0 / cost.event_s,
            f"simulated_tasks_per_s_judged_{name}": 1.0 / cost.task_s,
            f"simulated_to_bare_callbacks_judged_{name}": bare_s / cost.event_s,
        }
    found["bare_callbacks_per_s"] = 1.0 / median(bare_event_s(100_000) for _ in range(ROUNDS))
    found["priority_store_tasks_per_s"] = 1.0 / priority_store_task_s(20_000)
    found["heap_loop_tasks_per_s"] = 1.0 / heap_task_s(20_000)
    few, many = (simulated(TASKS, 60.0, waiting=count) for count in (0, BACKLOG))
    found[f"event_cost_ratio_{BACKLOG}_waiting_to_none"] = many.event_s / few.event_s
    found["bytes_per_waiting_task"] = bytes_per_waiting_task()
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """Processor time of an event and of a task [s]."""

    event_s: float
    task_s: float


class Meter:
    """Counts events and processor time from the first streamed job that is warm to the last."""

    def __init__(self, tasks: int) -> None:
        self._marks = {f"{STREAMED}{WARM}", f"{STREAMED}{WARM + tasks}"}
        self._seen: list[tuple[int, float]] = []
        self._tasks = tasks
        self._events = 0

    def see(self, event: AnyEvent, _: Sequence[AnyCommand]) -> None:
        """Take one step in."""
        self._events += 1
        if isinstance(event, SubscriptionAdded) and event.subscription.id in self._marks:
            gc.collect()
            self._seen.append((self._events, time.process_time()))

    def cost(self) -> Cost:
        """Return what was measured, garbage collection at its ends left out as far as it can."""
        (first, began_s), (last, ended_s) = self._seen
        spent_s = ended_s - began_s
        return Cost(event_s=spent_s / (last - first), task_s=spent_s / self._tasks)


def simulated(tasks: int, judge_interval_s: float, waiting: int = 0) -> Cost:
    """Return what an event costs while so many other tasks wait that are not due for years."""
    meter = Meter(tasks)

    def jobs() -> Iterator[Job]:
        yield from _patient(waiting)
        yield from _streamed(WARM + tasks + 1)

    scenario = _scenario(judge_interval_s)
    with suppress(_Enough):
        _run(scenario, jobs, meter.see)
    return meter.cost()


class _Enough(Exception):
    """The last job that is measured has come; the backlog behind it need not be worked off."""


def _run(
    scenario: Scenario,
    jobs: Callable[[], Iterator[Job]],
    watch: Callable[[AnyEvent, Sequence[AnyCommand]], None],
) -> None:
    load = JobsLoad(jobs)
    trial = Trial(policy="prefix")
    simulate(scenario, trial, load=load, checked=False, with_demands=False, watch=watch)


def _scenario(judge_interval_s: float) -> Scenario:
    return Scenario.model_validate(
        {
            "name": "bench",
            "about": "Jobs of one part at random on 16 slots.",
            "load": {
                "kind": "stream",
                "per_h": 1.0,
                "hours": 1.0,
                "deadline_s": [DEADLINE_S, DEADLINE_S],
                "work_s": [WORK_S, WORK_S],
                "parts": 1,
            },
            "fleet": [{"name": "vm", "slots": 2, "boot_s": 120.0, "price_per_h": 0.1}],
            "settings": {
                "scaling": {"nodes_max": SLOTS // 2, "judge_interval_s": judge_interval_s}
            },
        }
    )


def _patient(count: int) -> Iterator[Job]:
    for number in range(count):
        yield Job(id=f"p{number}", at=0.0, deadline_s=FAR_S + number, parts_s=(WORK_S,))


def _streamed(count: int) -> Iterator[Job]:
    draw, at = random.Random(1), 1.0
    for number in range(count + 1):
        if number == count:
            raise _Enough
        at += draw.expovariate(SLOTS * LOAD / WORK_S)
        work_s = draw.uniform(0.5, 1.5) * WORK_S
        deadline_s = draw.uniform(0.5, 1.5) * DEADLINE_S
        parts_s = (work_s,)
        yield Job(
            id=f"{STREAMED}{number}",
            at=at,
            deadline_s=deadline_s,
            parts_s=parts_s,
            true_parts_s=parts_s,
        )


def _round(judge_interval_s: float) -> tuple[Cost, float]:
    bare_s = bare_event_s(100_000)
    cost = simulated(TASKS, judge_interval_s)
    return cost, median((bare_s, bare_event_s(100_000)))


def bare_event_s(events: int) -> float:
    """Return what a SimPy event costs whose callback only asks for the next [s]."""
    env = simpy.Environment()
    left = events

    def happen(_: Any) -> None:
        nonlocal left
        left -= 1
        if left >= 0:
            timeout = env.timeout(WORK_S)
            assert timeout.callbacks is not None
            timeout.callbacks.append(happen)

    for _ in range(SLOTS):
        happen(None)
    return _timed_s(env.run) / events


def priority_store_task_s(tasks: int) -> float:
    """Return what a task costs that waits in a `PriorityStore` for one of the slots [s]."""
    env = simpy.Environment()
    store = simpy.PriorityStore(env)
    draw = random.Random(1)

    def take() -> Iterator[Any]:
        while True:
            yield store.get()
            yield env.timeout(WORK_S)

    def bring() -> Iterator[Any]:
        for number in range(tasks):
            yield env.timeout(draw.expovariate(SLOTS * LOAD / WORK_S))
            yield store.put(simpy.PriorityItem(draw.random(), number))

    for _ in range(SLOTS):
        env.process(take())  # type: ignore[arg-type]
    env.process(bring())  # type: ignore[arg-type]
    return _timed_s(env.run) / tasks


def heap_task_s(tasks: int) -> float:
    """Return what a task costs in a loop over a heap of arrivals and ends [s]."""

    def play() -> None:
        draw = random.Random(1)
        waiting: list[float] = []
        coming = [(0.0, True)]
        free, arrived = SLOTS, 0
        while coming:
            at, arrives = heapq.heappop(coming)
            if arrives:
                arrived += 1
                heapq.heappush(waiting, draw.random())
                gap_s = draw.expovariate(SLOTS * LOAD / WORK_S)
                if arrived < tasks:
                    heapq.heappush(coming, (at + gap_s, True))
            else:
                free += 1
            while free and waiting:
                free -= 1
                heapq.heappop(waiting)
                heapq.heappush(coming, (at + WORK_S, False))

    return _timed_s(play) / tasks


def bytes_per_waiting_task() -> float:
    """Return the memory of a waiting task: in planner, world and load together [B]."""
    sizes: list[tuple[int, int]] = []

    def jobs() -> Iterator[Job]:
        for number, job in enumerate(_patient(REMEMBERED)):
            if number in (REMEMBERED // 2, REMEMBERED - 1):
                # At instants of their own, so that all before them is cut and waits.
                sizes.append((number, tracemalloc.get_traced_memory()[0]))
            yield Job(id=job.id, at=float(number), deadline_s=FAR_S, parts_s=(1e9,))
        raise _Enough

    gc.collect()
    tracemalloc.start()
    with suppress(_Enough):
        _run(_scenario(3600.0), jobs, lambda event, commands: None)
    tracemalloc.stop()
    (few, before), (many, after) = sizes
    return (after - before) / (many - few)


def _timed_s(work: Callable[[], object]) -> float:
    gc.collect()
    began_s = time.process_time()
    work()
    return time.process_time() - began_s


def main(arguments: list[str]) -> None:
    """Print what an event costs in a long run against a short one."""
    tasks = int(arguments[0]) if arguments else 1_000_000
    for name, judge_interval_s in JUDGED.items():
        few, many = (simulated(count, judge_interval_s) for count in (10_000, tasks))
        ratio = many.event_s / few.event_s
        print(f"judged {name}: {1e6 * few.event_s:.1f} us an event over 10,000 tasks, ", end="")
        print(f"{1e6 * many.event_s:.1f} us over {tasks:,}: {ratio:.2f} times")


if __name__ == "__main__":
    main(sys.argv[1:])
