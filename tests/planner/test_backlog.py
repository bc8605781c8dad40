"""A queue that was restored is the queue that was kept, to the last bit."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from planner.backlog import Backlog, Task
from planner.durations import RunTimes
from planner.importance import ORDERS
from planner.model import Features, PartSpec, Selection, UnitCosts, UpdateSpan
from planner.ranking import Waiting
from planner.settings import DispatchSettings, PlannerSettings
from tests.planner.building import subscription, view

COSTS = UnitCosts(base_s=0.0213, file_s=0.00357, megabyte_s=0.0, value_s=0.000131)
TIMES = RunTimes(prior=COSTS)
lengths = st.lists(st.integers(0, 90_000), min_size=1, max_size=40)


def task(number: int, deadline_at: float | None) -> Task:
    return Task(
        id=f"t{number}",
        ordinal=number,
        subscription=subscription(f"s{number % 3}"),
        selections=(Selection(view=view(), updates=UpdateSpan(after=None, upto=0)),),
        arrived_at=0.0,
        deadline_at=deadline_at,
    )


def filled(order: str, tasks: list[list[int]]) -> Backlog:
    """Return a backlog with a task for each list of its parts' files."""
    backlog = Backlog(PlannerSettings(dispatch=DispatchSettings(order=order)))
    for number, files in enumerate(tasks):
        new = task(number, 1.7e9 + 100.3 * (number % 4))
        backlog.add(new)
        features = [Features(files=n, values=3 * n) for n in files]
        specs = [PartSpec(extent=view().extent, features=each) for each in features]
        backlog.cut(new, specs, lambda _: TIMES)
    return backlog


def shown(backlog: Backlog) -> list[Waiting]:
    return list(backlog.queue)


@given(
    order=st.sampled_from(ORDERS), tasks=st.lists(lengths, min_size=1, max_size=5), data=st.data()
)
def test_a_restored_queue_is_equal_whatever_was_sent_and_given_back(
    order: str, tasks: list[list[int]], data: st.DataObject
) -> None:
    backlog = filled(order, tasks)
    sent = []
    for _ in range(data.draw(st.integers(0, 30))):
        following = backlog.next_part()
        if following is not None and data.draw(st.booleans()):
            backlog.send(*following, "n1", 0.0)
            sent.append(following)
        elif sent:
            backlog.give_back(*sent.pop(data.draw(st.integers(0, len(sent) - 1))), "lost")
    restored = Backlog(backlog.settings, backlog.tasks.values())
    assert shown(restored) == shown(backlog)


def test_the_tasks_of_a_subscription_are_found_and_forgotten() -> None:
    backlog = filled("deadline", [[1], [1], [1], [1]])
    assert [each.id for each in backlog.of_subscription("s0")] == ["t0", "t3"]
    for each in backlog.of_subscription("s0"):
        backlog.close(each, "dropped")
    assert backlog.of_subscription("s0") == []
    assert [each.id for each in backlog.of_subscription("s1")] == ["t1"]
