"""Following many datasets: each in its own time, and none held up by another."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.errors import ArchiveError
from controller.ports import Source
from controller.sources import following
from controller.sources.following import Follower, Health
from controller.sources.keeping import Memory
from controller.sources.messages import Announcement, Form
from controller.sources.pace import BACKOFF_S_MAX, JITTER, LOOK_S_MIN, Pace
from controller.sources.unlisted import NOTHING, UnlistedSource
from planner.events import UpdateArrived

PATIENCE_S = 20.0
NEVER_S = 1e6

Answer = Callable[[], UpdateArrived | None]
Inbox = queue.Queue[tuple[str, UpdateArrived]]


def update(number: int, dataset: str = "a") -> UpdateArrived:
    return UpdateArrived(at=0.0, dataset=dataset, number=number, observations=None)


class Scripted:
    """Answers looks as a test says, one after the other; nothing new when it has said all."""

    again_s: float | None = None

    def __init__(self, *answers: Answer) -> None:
        self._answers = list(answers)
        self.looks: queue.Queue[int] = queue.Queue()

    def base(self) -> UpdateArrived:
        return UpdateArrived(at=0.0, dataset="a", number=0, observations=NOTHING)

    def faults(self) -> tuple[str, ...]:
        return ()

    def look(self) -> UpdateArrived | None:
        self.looks.put(1)
        return self._answers.pop(0)() if self._answers else None


class Ticking:
    """A clock that is a minute on whenever it is asked, so that looks follow each other at once."""

    def __init__(self) -> None:
        self._now_s = 0.0

    def __call__(self) -> float:
        self._now_s += 60.0
        return self._now_s


def failing() -> UpdateArrived | None:
    raise ArchiveError("the archive is away", retry=True)


def broken() -> UpdateArrived | None:
    raise ZeroDivisionError("a plug-in's own")


@contextmanager
def followed(
    sources: dict[str, Source], poll_s: float = NEVER_S
) -> Iterator[tuple[Follower, Inbox]]:
    inbox: Inbox = queue.Queue()

    def put(update_id: str, update: UpdateArrived) -> bool:
        inbox.put((update_id, update))
        return True

    follower = Follower(sources, put, poll_s=poll_s, clock=Ticking(), chance=lambda: 0.5)
    follower.start()
    try:
        yield follower, inbox
    finally:
        follower.close()


def of(follower: Follower) -> Health:
    (health,) = follower.health()
    return health


def announced(announcement_id: str, dataset: str = "a") -> Announcement:
    return Announcement(id=announcement_id, dataset=dataset, at=None, form=Form.PLAIN)


class TestFollower:
    def test_updates_come_into_the_inbox_under_their_ids(self) -> None:
        source = Scripted(lambda: update(1), lambda: None, lambda: update(2))
        with followed({"a": source}, poll_s=1.0) as (follower, inbox):
            found = [inbox.get(timeout=PATIENCE_S) for _ in range(2)]
            assert found == [("a#1", update(1)), ("a#2", update(2))]
            source.looks.get(timeout=PATIENCE_S)
            assert of(follower).is_well

    def test_an_announcement_is_looked_after_at_once(self) -> None:
        source = Scripted(lambda: None, lambda: update(1))
        with followed({"a": source}) as (follower, inbox):
            source.looks.get(timeout=PATIENCE_S)
            assert follower.announce(announced("x"))
            assert inbox.get(timeout=PATIENCE_S)[0] == "a#1"

    def test_what_is_announced_during_a_look_is_looked_after_afterwards(self) -> None:
        begun, go_on = threading.Event(), threading.Event()

        def slow() -> None:
            begun.set()
            assert go_on.wait(PATIENCE_S)

        source = Scripted(slow, lambda: update(1))
        with followed({"a": source}) as (follower, inbox):
            assert begun.wait(PATIENCE_S)
            follower.announce(announced("x"))
            assert inbox.empty()
            go_on.set()
            assert inbox.get(timeout=PATIENCE_S)[0] == "a#1"

    def test_a_slow_archive_holds_up_only_its_own_dataset(self) -> None:
        go_on = threading.Event()

        def hang() -> None:
            go_on.wait(PATIENCE_S)

        hanging = Scripted(hang)
        quick = Scripted(lambda: update(1, "b"))
        with followed({"a": hanging, "b": quick}) as (follower, inbox):
            assert inbox.get(timeout=PATIENCE_S)[0] == "b#1"
            slow, _ = follower.health()
            assert slow.looking_since is not None
            assert "being looked at" in slow.words(slow.looking_since + 3)
            go_on.set()

    def test_closing_does_not_wait_for_an_archive_that_hangs(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(following, "CLOSE_S_MAX", 0.0)
        go_on, ended = threading.Event(), threading.Event()

        def late() -> UpdateArrived:
            go_on.wait(PATIENCE_S)
            ended.set()
            return update(1)

        with followed({"a": Scripted(late)}) as (follower, inbox):
            follower.close()
            go_on.set()
            assert ended.wait(PATIENCE_S)
            monkeypatch.setattr(following, "CLOSE_S_MAX", PATIENCE_S)
            follower.close()
            assert inbox.empty()

    def test_faults_are_told_in_words_and_end(self) -> None:
        source = Scripted(failing, broken, lambda: update(1))
        with followed({"a": source}, poll_s=1.0) as (follower, inbox):
            inbox.get(timeout=PATIENCE_S)
            health = of(follower)
            assert health.is_well
            assert "ZeroDivisionError: a plug-in's own" in health.last_fault
            assert health.last_fault_at is not None

    def test_a_dataset_that_is_away_says_so(self) -> None:
        source = Scripted(failing)
        with followed({"a": source}) as (follower, _):
            until(lambda: of(follower).faults == 1)
            assert not of(follower).is_well
            assert of(follower).words(0.0) == (
                "a: the archive is away (once; never looked at well)"
            )

    def test_an_inbox_that_is_full_gets_it_later(self) -> None:
        offers: queue.Queue[str] = queue.Queue()
        answers = iter([False, False, True])

        def put(update_id: str, update: UpdateArrived) -> bool:
            offers.put(update_id)
            return next(answers)

        follower = Follower({"a": Scripted(lambda: update(1))}, put, poll_s=NEVER_S)
        follower.start()
        assert [offers.get(timeout=PATIENCE_S) for _ in range(3)] == ["a#1"] * 3
        until(lambda: not of(follower).waiting)
        follower.close()

    def test_what_is_being_written_is_no_success(self) -> None:
        source = Scripted(lambda: None)
        source.again_s = 5.0
        with followed({"a": source}) as (follower, _):
            for _ in range(2):
                source.looks.get(timeout=PATIENCE_S)
            assert of(follower).last_success_at is None

    def test_announcements_of_a_dataset_without_an_index_become_updates(
        self, tmp_path: Path
    ) -> None:
        source = UnlistedSource("a", Memory(folder=tmp_path))
        with followed({"a": source}) as (follower, inbox):
            assert follower.announce(announced("x"))
            assert inbox.get(timeout=PATIENCE_S)[0] == "a#1"
            assert not follower.announce(announced("x"))
            assert follower.announce(announced("y"))
            assert inbox.get(timeout=PATIENCE_S)[0] == "a#2"

    def test_a_dataset_that_is_not_followed(self) -> None:
        with followed({}) as (follower, _), pytest.raises(KeyError):
            follower.announce(announced("x"))

    def test_closing_before_the_beginning(self) -> None:
        Follower({"a": Scripted()}, lambda update_id, update: True).close()


def until(holds: Callable[[], bool]) -> None:
    """Wait for what another thread does next."""
    turn = threading.Event()
    for _ in range(1000):
        if holds():
            return
        turn.wait(PATIENCE_S / 1000)
    pytest.fail("it never came to hold")


class TestPace:
    @given(st.floats(1.0, 1e5), st.floats(0, 0.999), st.integers(0, 60))
    def test_a_pause_is_never_too_long_nor_too_short(
        self, poll_s: float, chance: float, faults: int
    ) -> None:
        pace = Pace(poll_s=poll_s)
        for _ in range(faults):
            pace = pace.failed(100.0, chance)
        longest_s = max(poll_s, BACKOFF_S_MAX) * (1 + JITTER)
        assert LOOK_S_MIN <= pace.failed(100.0, chance).next_at - 100.0 <= longest_s
        well = pace.looked(100.0, chance)
        assert LOOK_S_MIN <= well.next_at - 100.0 <= poll_s * (1 + JITTER)
        assert well.faults == 0

    def test_each_fault_doubles_the_pause(self) -> None:
        pace, pauses = Pace(poll_s=60.0), []
        for _ in range(6):
            pace = pace.failed(0.0, 0.5)
            pauses.append(pace.next_at)
        assert pauses == [60.0, 120.0, 240.0, 480.0, 900.0, 900.0]

    def test_what_rests_soon_is_looked_at_then_and_not_before(self) -> None:
        pace = Pace(poll_s=60.0)
        assert 5.0 <= pace.looked(0.0, 0.0, 5.0).next_at <= 5.5
        assert pace.looked(0.0, 0.5, 3600.0).next_at == 60.0

    def test_announcements_hurry_but_do_not_harry(self) -> None:
        pace = Pace(poll_s=60.0, next_at=160.0)
        assert pace.due_in_s(100.0, 100.0) == 60.0
        assert pace.poked(100.0).due_in_s(100.0, None) == 0.0
        assert pace.poked(100.0).due_in_s(100.25, 100.0) == LOOK_S_MIN - 0.25
