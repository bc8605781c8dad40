import math
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from planner.forecast import Job, Schedule, finish_times, lateness_s
from planner.supply import Slot, Supply


def job(parts: int, work_s: float, longest_s: float | None = None, due_at: float = math.inf) -> Job:
    longest_s = work_s / parts if longest_s is None else longest_s
    return Job(task_id="t", parts=parts, work_s=work_s, longest_s=longest_s, due_at=due_at)


def listed(lengths: Sequence[float], slots: Sequence[Slot]) -> list[float]:
    """Schedule parts one by one, the slow and obvious way; return when each ends."""
    free = sorted((slot.free_at, -slot.speed) for slot in slots)
    ends = []
    for length in lengths:
        free_at, slowness = free.pop(0)
        ends.append(free_at - length / slowness)
        free = sorted([*free, (ends[-1], slowness)])
    return ends


# Quarters: their sums are exact in floats, so that ties are ties whoever adds them up.
instants = st.integers(0, 160).map(lambda quarters: quarters / 4)
lengths = st.integers(1, 120).map(lambda quarters: quarters / 4)
speeds = st.sampled_from([0.5, 1.0, 2.0])


@st.composite
def slot_lists(draw: st.DrawFn, size_max: int = 6) -> list[Slot]:
    one_speed = draw(st.booleans())
    speed = draw(speeds)
    count = draw(st.integers(1, size_max))
    return [Slot(draw(instants), speed if one_speed else draw(speeds)) for _ in range(count)]


class TestSchedule:
    def test_seventeen_parts_on_sixteen_slots_take_two_rounds(self) -> None:
        assert finish_times([job(17, 1700.0)], [Slot(0.0)] * 16) == [200.0]

    def test_twelve_long_parts_fill_six_booting_nodes(self) -> None:
        assert finish_times([job(12, 6000.0)], [Slot(120.0)] * 12) == [620.0]
        assert finish_times([job(12, 6000.0)], [Slot(120.0)] * 10) == [1120.0]

    def test_tasks_follow_one_another_and_share_rounds(self) -> None:
        jobs = [job(3, 30.0), job(1, 10.0), job(2, 10.0)]
        assert finish_times(jobs, [Slot(0.0), Slot(5.0)]) == [20.0, 25.0, 30.0]

    def test_the_longest_part_goes_first(self) -> None:
        assert finish_times([job(3, 20.0, longest_s=16.0)], [Slot(0.0)] * 2) == [16.0]

    def test_what_is_spared_delays_the_end_and_no_other_task(self) -> None:
        unsure = Job(
            task_id="t", parts=2, work_s=20.0, longest_s=10.0, spare_s=4.0, due_at=math.inf
        )
        assert finish_times([unsure, job(2, 20.0)], [Slot(0.0, 2.0)] * 2) == [7.0, 10.0]

    def test_a_faster_slot_takes_less_time(self) -> None:
        assert finish_times([job(2, 20.0)], [Slot(0.0, 1.0), Slot(0.0, 4.0)]) == [10.0]
        assert finish_times([job(1, 10.0)], [Slot(0.0, 1.0), Slot(0.0, 4.0)]) == [2.5]

    def test_without_slots_nothing_ends(self) -> None:
        assert finish_times([job(1, 1.0)], [Slot(math.inf)]) == [math.inf]
        assert lateness_s([job(1, 1.0, due_at=5.0)], []) == math.inf
        assert lateness_s([], []) == 0.0

    def test_lateness_is_summed_over_the_late(self) -> None:
        jobs = [job(1, 10.0, due_at=10.0), job(1, 10.0, due_at=15.0), job(1, 1.0)]
        assert lateness_s(jobs, [Slot(0.0)]) == 5.0

    def test_what_was_placed_can_be_taken_back(self) -> None:
        schedule = Schedule([Slot(0.0), Slot(1.0)])
        mark = schedule.mark()
        assert schedule.place(job(5, 50.0)) == 30.0
        schedule.back_to(mark)
        assert schedule.place(job(1, 3.0)) == 3.0

    @given(slot_lists(), st.lists(st.tuples(st.integers(1, 9), lengths, lengths), max_size=8))
    def test_equals_the_slow_and_obvious_way(
        self, slots: list[Slot], tasks: list[tuple[int, float, float]]
    ) -> None:
        jobs, parts = [], []
        for count, length, more in tasks:
            longest_s = length + more
            jobs.append(job(count, longest_s + (count - 1) * length, longest_s))
            parts.append([longest_s] + [length] * (count - 1))
        ends = listed([length for task in parts for length in task], slots)
        expected = []
        for task in parts:
            expected.append(max(ends[: len(task)]))
            del ends[: len(task)]
        assert finish_times(jobs, slots) == pytest.approx(expected)

    @given(st.lists(instants, min_size=1, max_size=8), lengths, st.integers(1, 500), lengths)
    def test_many_alike_parts_at_once_equal_one_by_one(
        self, free: list[float], length: float, count: int, after: float
    ) -> None:
        slots = [Slot(free_at) for free_at in free]
        jobs = [job(count, count * length), job(len(free) + 1, (len(free) + 1) * after)]
        ends = listed([length] * count + [after] * (len(free) + 1), slots)
        assert finish_times(jobs, slots) == pytest.approx([max(ends[:count]), max(ends[count:])])

    @given(slot_lists(), st.lists(st.tuples(st.integers(1, 9), lengths), min_size=1, max_size=8))
    def test_more_slots_of_one_speed_are_never_worse(
        self, slots: list[Slot], tasks: list[tuple[int, float]]
    ) -> None:
        slots = [Slot(slot.free_at) for slot in slots]
        jobs = [job(count, count * length) for count, length in tasks]
        before, after = finish_times(jobs, slots), finish_times(jobs, [*slots, Slot(20.0)])
        assert all(b >= a for b, a in zip(before, after, strict=True))


class TestSupply:
    def test_is_what_each_slot_does_from_when_it_is_free(self) -> None:
        supply = Supply([Slot(10.0, 2.0), Slot(0.0), Slot(math.inf)])
        assert [supply.by(t) for t in (-5.0, 0.0, 10.0, 15.0)] == [0.0, 0.0, 10.0, 25.0]
        assert (supply.first_free_at, supply.slowest) == (0.0, 1.0)

    def test_of_nothing_is_nothing(self) -> None:
        supply = Supply([])
        assert supply.by(math.inf) == 0.0
        assert supply.soonest(1.0) == math.inf
        assert supply.shortfall(1.0, 1.0, 1e9) > 0

    def test_keeps_its_digits_at_posix_instants(self) -> None:
        now = 1_700_000_000.0
        supply = Supply([Slot(now + 0.125)] * 4000)
        assert supply.by(now + 1.125) == pytest.approx(4000.0, abs=1e-6)

    def test_the_soonest_end_weighs_speed_against_waiting(self) -> None:
        supply = Supply([Slot(0.0, 1.0), Slot(30.0, 4.0), Slot(50.0, 4.0)])
        assert supply.soonest(8.0) == 8.0
        assert supply.soonest(80.0) == 50.0

    def test_seventeen_parts_lack_work_that_sixteen_do_not(self) -> None:
        supply = Supply([Slot(0.0)] * 16)
        assert supply.shortfall(1700.0, 100.0, 160.0) > 0
        assert supply.shortfall(1700.0, 100.0, 200.0) <= 0

    @given(slot_lists(), st.lists(instants, min_size=1, max_size=9))
    def test_by_equals_the_sum_over_slots(self, slots: list[Slot], at: list[float]) -> None:
        supply = Supply(slots)
        for instant in at:
            expected = sum(slot.speed * max(0.0, instant - slot.free_at) for slot in slots)
            assert supply.by(instant) == pytest.approx(expected, abs=1e-9)

    @given(
        slot_lists(),
        st.lists(
            st.tuples(st.lists(lengths, min_size=1, max_size=5), st.integers(0, 800)), max_size=8
        ),
    )
    def test_what_the_formula_promises_the_schedule_keeps(
        self, slots: list[Slot], tasks: list[tuple[list[float], int]]
    ) -> None:
        supply = Supply(slots)
        tasks = sorted(tasks, key=lambda task: task[1])
        ends = listed([length for parts, _ in tasks for length in parts], slots)
        work_s, longest_s, count = 0.0, 0.0, 0
        for parts, due in tasks:
            due_at = due / 4
            work_s, longest_s = work_s + sum(parts), max(longest_s, *parts)
            count += len(parts)
            if supply.shortfall(work_s, longest_s, due_at) <= 0:
                assert max(ends[:count]) <= due_at + 1e-6

    @given(slot_lists(), lengths, st.integers(1, 30))
    def test_on_alike_parts_it_errs_by_less_than_one_part(
        self, slots: list[Slot], length: float, count: int
    ) -> None:
        slots = [Slot(slot.free_at) for slot in slots]
        end_at = finish_times([job(count, count * length)], slots)[0]
        late_enough = max(end_at, *(slot.free_at for slot in slots)) + length
        assert Supply(slots).shortfall(count * length, length, late_enough) <= 1e-6
