"""Full products that are asked for by period, each once."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from controller.compacting import DAY_S, LATE_S_MAX, ask_for_full, due_at
from planner.events import SubscriptionAdded, SubscriptionPaused
from tests.controller.recorded import Life, life
from tests.controller.stores import Place, place, server
from tests.planner.building import subscription, update

__all__ = ["place", "server"]

EVERY_DAYS = 28.0
EVERY_S = EVERY_DAYS * DAY_S


class Clock:
    def __init__(self) -> None:
        self.now = 1.7e9

    def __call__(self) -> float:
        return self.now


def asked(one: Life, clock: Clock) -> int:
    count = ask_for_full(one.store, one.inbox, EVERY_DAYS, clock=clock)
    one.play()
    return count


def full(one: Life) -> list[str]:
    """Return which subscriptions were given all again, each as often as it was."""
    first = {task.subscription_id: task.id for task in reversed(one.tasks())}
    return sorted(
        task.subscription_id for task in one.tasks() if task.id != first[task.subscription_id]
    )


def test_each_is_asked_for_once_a_period_over_restarts(place: Place) -> None:
    clock = Clock()
    names = ("a", "b", "c")
    with life(place, clock=clock) as one:
        one.begin()
        for name in names:
            wish = replace(subscription(name), destination=f"file:///d/{name}")
            one.inbox.put(SubscriptionAdded(at=clock(), subscription=wish))
        one.play()
        one.inbox.put(SubscriptionPaused(at=clock(), subscription_id="c"))
        one.play()
        assert asked(one, clock) == 0  # They were made just now.
        first = min(due_at(name, EVERY_S, clock.now + EVERY_S) for name in names[:2])
        clock.now = first + 1.0
        assert asked(one, clock) == 1
        assert asked(one, clock) == 0
    with life(place, clock=clock) as two:
        two.play()
        assert asked(two, clock) == 0
        clock.now = first + EVERY_S - 1.0
        later = max(due_at(name, EVERY_S, clock.now) for name in names[:2])
        clock.now = later + 1.0
        assert asked(two, clock) >= 1
        assert set(full(two)) >= {"a", "b"}
        assert "c" not in full(two)


def test_what_fell_due_long_ago_waits_for_the_next_time(place: Place) -> None:
    clock = Clock()
    with life(place, clock=clock) as one:
        one.begin()
        one.inbox.put(update(clock(), 1))
        one.play()
        name = subscription().id
        every_days = 4 * LATE_S_MAX / DAY_S
        clock.now = due_at(name, every_days * DAY_S, clock.now + every_days * DAY_S)
        clock.now += LATE_S_MAX + 1.0
        assert ask_for_full(one.store, one.inbox, every_days, clock=clock) == 0
        clock.now += every_days * DAY_S - LATE_S_MAX
        assert ask_for_full(one.store, one.inbox, every_days, clock=clock) == 1


@given(st.text(max_size=20), st.floats(3600.0, 1e8), st.floats(0.0, 4e9))
def test_one_instant_falls_into_each_period(name: str, every_s: float, at: float) -> None:
    due = due_at(name, every_s, at)
    assert at - every_s - 1e-3 <= due <= at + 1e-3
