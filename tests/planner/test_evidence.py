"""What parts tell of their task: by hand, against exact integrals, and on drawn tasks."""

from __future__ import annotations

import math
import random

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from planner.commands import RunPart
from planner.core import Planner
from planner.events import Ticked
from planner.evidence import NO_EVIDENCE, OWN_MAX, OWN_MIN, SHARED_MAX, SHARED_MIN, Evidence, Spread
from planner.keeping import decode_snapshot, encode_snapshot
from tests.planner.building import every, feed, finished, node_up, opened, opened_task

FAR_APART = Spread(shared2=0.64, own2=0.01)
"""Tasks differ much, the parts of one hardly."""


def told(*ratios: float) -> Evidence:
    evidence = NO_EVIDENCE
    for ratio in ratios:
        evidence = evidence.and_of(ratio)
    return evidence


class TestBelief:
    def test_of_a_task_that_told_nothing_is_the_prediction(self) -> None:
        belief = told().belief(FAR_APART)
        assert belief.factor == pytest.approx(1.0)
        assert belief.doubt == pytest.approx(math.sqrt(math.exp(0.64) - 1.0))

    def test_is_the_weighted_mean_of_logarithms(self) -> None:
        # Two parts; precisions 1/0.64 of the prior at -0.32, and 2/0.01 of what was told, whose
        # logarithms lie 0.005 below the task's own on average.
        precision = 1 / 0.64 + 2 / 0.01
        mean = (-0.32 / 0.64 + (math.log(3.0) + math.log(3.2) + 2 * 0.005) / 0.01) / precision
        belief = told(3.0, 3.2).belief(FAR_APART)
        assert belief.factor == pytest.approx(math.exp(mean + 0.5 / precision))
        assert belief.factor == pytest.approx(3.1, rel=0.02)
        assert belief.doubt == pytest.approx(0.07, rel=0.02)

    def test_holds_on_to_the_prediction_where_parts_scatter_more_than_tasks(self) -> None:
        assert told(3.0).belief(Spread(shared2=0.01, own2=0.64)).factor < 1.05

    def test_of_a_task_whose_parts_run_long_is_the_conditional_one(self) -> None:
        draw = random.Random(7)
        spread = Spread(shared2=0.5, own2=0.2)
        kept = []
        for _ in range(60_000):
            own = draw.gauss(-0.25, math.sqrt(0.5))
            if math.exp(own + draw.gauss(-0.1, math.sqrt(0.2))) > 1.5:
                kept.append(own)
        mean = sum(kept) / len(kept)
        variance = sum((each - mean) ** 2 for each in kept) / len(kept)
        belief = told().belief(spread, outrun=1.5)
        assert belief.factor == pytest.approx(math.exp(mean + variance / 2), rel=0.02)
        assert belief.doubt == pytest.approx(math.sqrt(math.exp(variance) - 1), rel=0.04)

    @given(
        ratios=st.lists(st.floats(0.01, 100.0), max_size=20),
        outrun=st.floats(0.0, 1e4),
        shared2=st.floats(SHARED_MIN, 4.0),
        own2=st.floats(OWN_MIN, 4.0),
    )
    def test_is_finite_and_lies_between_prediction_and_what_was_told(
        self, ratios: list[float], outrun: float, shared2: float, own2: float
    ) -> None:
        spread, evidence = Spread(shared2=shared2, own2=own2), told(*ratios)
        belief = evidence.belief(spread)
        # The mean of a log-normal lies above its median, by at most half of each variance.
        room = math.exp((shared2 + own2) / 2.0)
        assert min([1.0, *ratios]) / room <= belief.factor <= max([1.0, *ratios]) * room
        assert 0.0 < belief.doubt <= math.sqrt(math.expm1(shared2)) * (1 + 1e-9)
        longer = evidence.belief(spread, outrun=outrun)
        assert belief.factor * (1 - 1e-6) <= longer.factor < math.inf
        assert 0.0 <= longer.doubt < math.inf


class TestSpread:
    @pytest.mark.parametrize(("shared", "own"), [(0.8, 0.1), (0.25, 0.1), (0.1, 0.5)])
    def test_is_learned_from_tasks(self, shared: float, own: float) -> None:
        draw = random.Random(11)
        spread = Spread.supposing(0.3**2)
        for _ in range(600):
            common = draw.gauss(-(shared**2) / 2, shared)
            spread.learn(
                told(*(math.exp(common + draw.gauss(-(own**2) / 2, own)) for _ in range(8))), 0.0
            )
        assert math.sqrt(spread.own2) == pytest.approx(own, rel=0.15)
        assert math.sqrt(spread.shared2) == pytest.approx(shared, rel=0.3, abs=0.08)

    def test_of_exact_predictions_shrinks_to_its_floor(self) -> None:
        spread = Spread.supposing(0.3**2)
        for _ in range(2000):
            spread.learn(told(1.0, 1.0, 1.0), 0.0)
        assert (spread.shared2, spread.own2) == (SHARED_MIN, OWN_MIN)

    def test_the_first_part_of_a_task_tells_all_of_the_model(self) -> None:
        assert FAR_APART.news(0) == pytest.approx(1.0)
        assert FAR_APART.news(1) < 0.02
        assert Spread(shared2=SHARED_MIN, own2=1.0).news(1) > 0.99

    def test_goes_on_alike_from_plain_data(self) -> None:
        kept = msgspec.json.decode(msgspec.json.encode(FAR_APART), type=Spread)
        assert kept == FAR_APART


def begun(*files: int, deadline_s: float = 600.0) -> tuple[Planner, str, list[RunPart]]:
    """Return a planner that runs the first parts of a task on one node of two workers."""
    planner = opened()
    task_id = opened_task(planner, *files, deadline_s=deadline_s)
    node_up(planner)
    return planner, task_id, every(planner.handle(Ticked(at=2.0)), RunPart)


class TestTask:
    def test_that_takes_thrice_as_long_is_predicted_anew(self) -> None:
        planner, task_id, (first, second) = begun(1000, 1000, 1000, 1000)
        book = planner.books.backlog.tasks[task_id]
        before_s, doubt = book.work_s, book.doubt
        length_s = book.parts[0].mean_s
        feed(planner, finished(first, 2.0 + 3 * length_s, 3 * length_s))
        # It and the common model have learned; together they come near to what was measured.
        assert 2.0 * before_s < book.work_s < 4.0 * before_s
        assert book.doubt < doubt
        entry = planner.books.backlog.queue.get(task_id)
        assert entry is not None
        assert entry.mean_s == book.work_s
        assert entry.longest_s == book.parts[2].mean_s
        assert entry.doubt == book.doubt
        (node,) = planner.books.fleet.nodes.values()
        assert node.running[second.part_id] == (2.0, 2.0 + book.parts[1].mean_s)

    def test_does_not_speak_for_others(self) -> None:
        planner, task_id, (first, _) = begun(1000, 1000, 1000)
        other_id = opened_task(planner, 1000, at=2.0, name="other")
        tasks = planner.books.backlog.tasks
        others = tasks[other_id].work_s
        feed(planner, finished(first, 20.0, 3 * tasks[task_id].parts[0].mean_s))
        assert tasks[other_id].work_s == others

    def test_as_predicted_is_left_alone(self) -> None:
        planner, task_id, (first, _) = begun(1000, 1000, 1000)
        book = planner.books.backlog.tasks[task_id]
        before_s = book.work_s
        feed(planner, finished(first, 20.0, book.parts[0].mean_s))
        assert book.work_s == pytest.approx(before_s, rel=0.1)

    def test_whose_parts_outrun_their_predictions_is_predicted_anew(self) -> None:
        planner, task_id, _ = begun(1000, 1000, 1000, 1000)
        book = planner.books.backlog.tasks[task_id]
        before_s, length_s = book.work_s, book.parts[0].mean_s
        planner.handle(Ticked(at=2.0 + 0.9 * length_s))
        assert book.work_s == before_s
        planner.handle(Ticked(at=2.0 + 3.0 * length_s))
        assert book.outrun == pytest.approx(3.0)
        assert book.work_s > 1.5 * before_s

    def test_of_which_one_part_hangs_is_not(self) -> None:
        planner, task_id, (first, second) = begun(1000, 500)
        book = planner.books.backlog.tasks[task_id]
        length_s = book.parts[0].mean_s
        feed(planner, finished(second, 4.0, book.parts[1].mean_s))
        planner.handle(Ticked(at=2.0 + 30 * length_s))
        assert book.parts[0].mean_s < 1.2 * length_s
        assert first.part_id in {part.id for part in book.running()}

    def test_goes_on_alike_from_a_snapshot(self) -> None:
        planner, _, (first, second) = begun(1000, 900, 800, 700, 600)
        feed(planner, finished(first, 12.0, 10.0), Ticked(at=12.0), Ticked(at=30.0))
        kept = encode_snapshot(planner.snapshot())
        restored = Planner.restore(decode_snapshot(kept))
        for event in (Ticked(at=50.0), finished(second, 60.0, 58.0), Ticked(at=60.0)):
            assert restored.handle(event) == planner.handle(event)
            assert encode_snapshot(restored.snapshot()) == encode_snapshot(planner.snapshot())


@given(
    off=st.lists(st.floats(1e-6, 1e6), min_size=1, max_size=60),
    parts=st.integers(1, 8),
)
def test_predictions_that_were_far_off_are_got_over(off: list[float], parts: int) -> None:
    spread = Spread.supposing(0.5)
    for ratio in off + [1.0] * 400:
        evidence = NO_EVIDENCE
        for _ in range(parts):
            evidence = evidence.and_of(ratio)
        spread.learn(evidence, 0.0)
        assert spread.shared2 <= SHARED_MAX
        assert spread.own2 <= OWN_MAX
        belief = NO_EVIDENCE.belief(spread)
        assert 0.0 < belief.factor < math.inf
        assert belief.doubt < 3.0
    assert spread.shared2 < 0.1
