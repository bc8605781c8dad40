import math
import random
from statistics import NormalDist

import pytest
from hypothesis import given
from hypothesis import strategies as st

from planner import ranking
from planner.forecast import FORECAST_PARTS_MAX
from planner.prefixes import Caution, Outline, Prefix, promised
from planner.ranking import RankedQueue, Waiting
from planner.supply import Slot, Supply


def entry(
    number: int, due_at: float, *, s: float = 10.0, parts: int = 1, rank: float = 0.0
) -> Waiting:
    return Waiting(
        key=(rank, due_at, float(number)),
        task_id=f"t-{number}",
        due_at=due_at,
        parts=parts,
        mean_s=s,
        variance_s2=s,
        longest_s=s / parts,
    )


def queue_of(*entries: Waiting) -> RankedQueue:
    queue = RankedQueue()
    for waiting in entries:
        queue.add(waiting)
    return queue


class TestCaution:
    def test_plans_what_is_expected_by_default(self) -> None:
        assert Caution().work_s(5_000_000, 10**12) == 5.0

    def test_errors_of_single_parts_average_out(self) -> None:
        caution = Caution.at(0.9, 0.0)
        z = NormalDist().inv_cdf(0.9)
        one = caution.work_s(10_000_000, 4 * 10**12)
        hundred = caution.work_s(1_000_000_000, 400 * 10**12)
        assert one == pytest.approx(10.0 + 2.0 * z)
        assert hundred == pytest.approx(1000.0 + 20.0 * z)

    def test_the_common_error_does_not(self) -> None:
        caution = Caution.at(0.9, 0.1)
        z = NormalDist().inv_cdf(0.9)
        assert caution.work_s(1_000_000_000, 0) == pytest.approx(1000.0 + 100.0 * z)

    def test_stretches_everything(self) -> None:
        assert Caution(stretch=1.1).work_s(10_000_000, 0) == pytest.approx(11.0)


class TestOutline:
    def test_of_nothing(self) -> None:
        outline = Outline(RankedQueue())
        assert outline.work_s(Caution()) == 0.0
        assert outline.jobs(Caution()) == []
        assert not outline.has_best_effort()
        assert promised(outline, Caution(), Supply([]))

    def test_finds_the_prefix_that_lacks_most(self) -> None:
        queue = queue_of(entry(1, 10.0), entry(2, 15.0), entry(3, 90.0))
        supply = Supply([Slot(0.0)])

        def rating(work_s: float, longest_s: float, _: int, due_at: float) -> float:
            return supply.shortfall(work_s, longest_s, due_at)

        found = Outline(queue).highest(Caution(), rating)
        assert found == Prefix("t-2", 1, 2, 20.0, 10.0, 15.0, 5.0)
        assert not promised(Outline(queue), Caution(), supply)
        assert promised(Outline(queue_of(entry(1, 10.0), entry(3, 90.0))), Caution(), supply)

    def test_of_equals_the_first_counts(self) -> None:
        queue = queue_of(*(entry(number, float(number)) for number in range(2000)))
        found = Outline(queue).highest(Caution(), lambda *_: 1.0)
        assert found is not None
        assert found.task_id == "t-0"

    def test_counts_best_effort_work_that_runs_before(self) -> None:
        queue = queue_of(entry(1, math.inf, rank=-1.0), entry(2, 15.0))
        assert Outline(queue).has_best_effort()
        assert not promised(Outline(queue), Caution(), Supply([Slot(0.0)]))

    def test_what_is_left_out_does_not_count(self) -> None:
        queue = queue_of(entry(1, 5.0), entry(2, 15.0))
        outline = Outline(queue).without(lambda task: task.task_id == "t-1", lambda totals: True)
        assert promised(outline, Caution(), Supply([Slot(0.0)]))
        assert [job.task_id for job in outline.jobs(Caution())] == ["t-2"]

    def test_jobs_add_up_to_the_planning_work(self) -> None:
        caution = Caution.at(0.95, 0.1)
        queue = queue_of(*(entry(number, float(number), parts=4) for number in range(50)))
        outline = Outline(queue)
        jobs = outline.jobs(caution)
        assert math.fsum(job.work_s for job in jobs) == pytest.approx(outline.work_s(caution))
        assert all(job.longest_s == pytest.approx(job.work_s / 4) for job in jobs)

    def test_a_part_far_back_is_spared_its_own_uncertainty(self) -> None:
        """Its slot is busy with its share, but its own end may be as late as if it were alone."""
        caution = Caution.at(0.9, 0.1)
        queue = queue_of(*(entry(number, float(number)) for number in range(50)))
        first, *_, last = Outline(queue).jobs(caution)
        alone_s = caution.length_s(10.0, math.sqrt(10.0))
        assert first.work_s + first.spare_s == pytest.approx(alone_s)
        assert last.work_s + last.spare_s == pytest.approx(alone_s)
        assert first.spare_s == pytest.approx(0.0, abs=1e-9)
        assert last.spare_s > 2.0

    def test_a_forecast_is_given_so_many_parts_at_most(self) -> None:
        queue = queue_of(*(entry(number, float(number), parts=100) for number in range(100)))
        jobs = Outline(queue).jobs(Caution())
        assert FORECAST_PARTS_MAX - 100 < sum(job.parts for job in jobs) <= FORECAST_PARTS_MAX
        huge = Outline(queue_of(entry(1, 1.0, parts=10**5))).jobs(Caution())
        assert [job.task_id for job in huge] == ["t-1"]


@given(seed=st.integers(0, 10**6), floor=st.sampled_from([0.0, -math.inf]))
def test_the_highest_prefix_is_the_one_found_by_looking_at_all(seed: int, floor: float) -> None:
    draw = random.Random(seed)
    entries = [
        entry(number, draw.choice([math.inf, draw.uniform(0, 300)]), s=draw.uniform(0.1, 9))
        for number in range(draw.randint(0, 150))
    ]
    supply = Supply([Slot(draw.uniform(0, 50)) for _ in range(3)])
    caution = Caution.at(0.9, 0.1)
    left_out = {waiting.task_id for waiting in entries if draw.random() < 0.1}

    def rating(work_s: float, longest_s: float, _: int, due_at: float) -> float:
        return supply.shortfall(work_s, longest_s, due_at)

    best, mean_us, variance_us2, longest_s, sd_s, position = None, 0, 0, 0.0, 0.0, 0
    for waiting in sorted(entries, key=lambda waiting: waiting.key):
        if waiting.task_id in left_out:
            continue
        mean_us += waiting.mean_us
        variance_us2 += waiting.variance_us2
        longest_s = max(longest_s, waiting.longest_s)
        sd_s = max(sd_s, waiting.longest_sd_s)
        work_s = caution.work_s(mean_us, variance_us2)
        if waiting.due_at < math.inf:
            value = rating(work_s, caution.length_s(longest_s, sd_s), 0, waiting.due_at)
            if value > (floor if best is None else best[1]):
                best = waiting.task_id, value, position
        position += 1

    found = (
        Outline(queue_of(*entries))
        .without(lambda t: t.task_id in left_out, lambda _: True)
        .highest(caution, rating, floor=floor)
    )
    assert best == (found and (found.task_id, found.value, found.position))


def test_what_is_found_does_not_depend_on_the_past_of_the_queue() -> None:
    draw = random.Random(4)
    entries = [entry(number, draw.uniform(0, 5000), s=draw.random()) for number in range(5000)]
    supply = Supply([Slot(draw.random()) for _ in range(3)])

    def rating(work_s: float, longest_s: float, _: int, due_at: float) -> float:
        return supply.shortfall(work_s, longest_s, due_at) / due_at

    fresh = queue_of(*entries)
    old = RankedQueue()
    for waiting in draw.sample(entries, len(entries)):
        old.add(waiting)
        if draw.random() < 0.1:
            old.settle()
    for number in range(5000, 9000):
        old.add(entry(number, draw.uniform(0, 5000), s=draw.random()))
    for number in range(5000, 9000):
        old.remove(f"t-{number}")
    assert [len(chunk.entries) for chunk in fresh.chunks()] != [
        len(chunk.entries) for chunk in old.chunks()
    ]
    caution = Caution.at(0.9, 0.1)
    assert Outline(fresh).highest(caution, rating) == Outline(old).highest(caution, rating)
    assert Outline(fresh).jobs(caution) == Outline(old).jobs(caution)


def test_few_prefixes_are_rated() -> None:
    """Where every deadline is far enough, chunks are; where one is not, the tasks beside it too."""
    queue = queue_of(*(entry(number, 5000.0 + 11.0 * number) for number in range(20_000)))
    supply = Supply([Slot(0.0)])
    rated = 0

    def rating(work_s: float, longest_s: float, _: int, due_at: float) -> float:
        nonlocal rated
        rated += 1
        return supply.shortfall(work_s, longest_s, due_at)

    assert Outline(queue).highest(Caution(), rating) is None
    assert rated == len(queue.chunks())
    queue.add(entry(-1, 3000.0, s=3500.0))
    found = Outline(queue).highest(Caution(), rating)
    assert found is not None
    assert found.task_id == "t--1"
    assert rated < 2 * len(queue.chunks()) + 5 * ranking.CHUNK_MAX
