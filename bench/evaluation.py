"""One evaluation of the default policy and of admission, over the number of waiting tasks.

With slack enough the formula promises everything, and only chunks are looked at. Under pressure the
fleet lacks a third of what is due, so that the search and the forecast run.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

from planner.admission import assess
from planner.durations import BootTimes
from planner.model import NodeOffer
from planner.ranking import RankedQueue, Waiting
from planner.scaling.prefix import PrefixPolicy
from planner.scaling.view import NodePhase, NodeView, ScalingView
from planner.settings import ScalingSettings

OFFER = NodeOffer(
    node_type="vm", slots=2, slots_max=2, boot_s=120.0, nodes_max=1_000, price_per_h=0.1
)
COUNTS = (1_000, 10_000, 100_000)
FEW_NODES, MANY_NODES = 50, 1_000
PARTS, PART_S = 4, 10.0
LOADS = {"slack": 0.5, "pressed": 1.5}
SOONEST_S = 300.0
ROUNDS = 7
EVENTS = 256


def measure() -> dict[str, float]:
    """Return milliseconds for an evaluation, alone and with a batch of arrivals and starts."""
    found: dict[str, float] = {}
    for load, share in LOADS.items():
        for count in COUNTS:
            scene = Scene.of(count, FEW_NODES, share)
            found[f"evaluation_ms_{load}_{count}"] = _best_ms(scene.evaluate)
    for load, share in LOADS.items():
        scene = Scene.of(COUNTS[1], MANY_NODES, share)
        found[f"evaluation_ms_{load}_{COUNTS[1]}_on_{MANY_NODES}_nodes"] = _best_ms(scene.evaluate)
    few, many = (_batch_ms(Scene.of(count, FEW_NODES, LOADS["slack"])) for count in COUNTS[::2])
    found |= {f"evaluation_and_batch_ms_{COUNTS[0]}": few}
    found |= {f"evaluation_and_batch_ms_{COUNTS[-1]}": many}
    found["evaluation_and_batch_ratio_100000_to_1000"] = many / few
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """A view, and where its deadlines lie [s from now]."""

    view: ScalingView
    span_s: float

    @classmethod
    def of(cls, count: int, nodes: int, share: float) -> Scene:
        """Return a fleet that is given this share of the work it could do by the deadlines."""
        span_s = count * PARTS * PART_S / (OFFER.slots * nodes) / share
        draw = random.Random(1)
        queue = RankedQueue()
        for number in range(count):
            queue.add(_task(number, draw, span_s))
        boots = BootTimes()
        boots.prior(OFFER.node_type, OFFER.boot_s)
        view = ScalingView(
            now=0.0,
            settings=ScalingSettings(nodes_max=2 * MANY_NODES),
            queue=queue,
            nodes=tuple(_busy(number) for number in range(nodes)),
            offers=(OFFER,),
            boots=boots,
            common_error=0.05,
            nodes_allowed=MANY_NODES,
        )
        return cls(view=view, span_s=span_s)

    def evaluate(self) -> None:
        """Judge the risk and ask the policy, as a tick does."""
        policy = PrefixPolicy()
        assess(self.view, policy.nodes_reachable(self.view))
        policy.step(policy.start(), self.view)


def _task(number: int, draw: random.Random, span_s: float) -> Waiting:
    due_at = SOONEST_S + draw.random() * span_s
    work_s = PARTS * PART_S * draw.uniform(0.5, 1.5)
    return Waiting(
        key=(0.0, due_at, float(number)),
        task_id=f"t{number}",
        due_at=due_at,
        parts=PARTS,
        mean_s=work_s,
        variance_s2=PARTS * 9.0,
        longest_s=work_s / PARTS,
    )


def _busy(number: int) -> NodeView:
    return NodeView(
        node_id=f"n{number}",
        node_type="vm",
        phase=NodePhase.READY,
        slots=OFFER.slots,
        slots_max=OFFER.slots_max,
        speed=1.0,
        requested_at=-1_000.0,
        busy_until=(PART_S * number / MANY_NODES,) * OFFER.slots,
    )


def _best_ms(work: Callable[[], None]) -> float:
    work()
    return min(_timed_s(work) for _ in range(ROUNDS)) * 1e3


def _batch_ms(scene: Scene) -> float:
    """Time one evaluation after half a batch of arrivals and half a batch of starts."""
    draw = random.Random(2)
    number = len(scene.view.queue)
    times_s = []
    for _ in range(ROUNDS):
        tasks = [_task(number + i, draw, scene.span_s) for i in range(EVENTS // 2)]
        number += len(tasks)

        def batch(tasks: list[Waiting] = tasks) -> None:
            queue = scene.view.queue
            for task in tasks:
                queue.add(task)
            for _ in tasks:
                first = queue.first()
                assert first is not None
                queue.remove(first.task_id)
            scene.evaluate()

        times_s.append(_timed_s(batch))
    return median(times_s[1:]) * 1e3


def _timed_s(work: Callable[[], None]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started
