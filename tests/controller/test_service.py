"""The loop: first the planner, then the journal, and only then those who act."""

from __future__ import annotations

import resource
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

import pytest

from controller.build import BUILD
from controller.errors import StorageError
from controller.service import BATCH_MAX, Inbox, JournalFile, Letter, Service
from planner.commands import AnyCommand, CutTask, ProvisionNode, RunPart, WakeAt
from planner.core import Planner
from planner.events import (
    AnyEvent,
    NodeReady,
    NodeRefused,
    OffersChanged,
    PartFinished,
    SubscriptionAdded,
    Ticked,
)
from planner.journal import Header, Step, decode_header, read_steps, replay
from planner.keeping import decode_snapshot, encode_snapshot
from planner.settings import DispatchSettings, PlannerSettings, ScalingSettings
from tests.planner.building import OFFER, archive_stands, cut, finished, subscription

HEADER = Header(
    build=BUILD,
    settings=PlannerSettings(
        scaling=ScalingSettings(policy="none"), dispatch=DispatchSettings(retry_s=0.05)
    ),
)


def steps_of(journal: Path) -> list[Step]:
    with journal.open("rb") as lines:
        assert decode_header(lines.readline()) == HEADER
        return list(read_steps(lines))


class World:
    """Carries commands out at once, and looks whether each is in the journal by then."""

    def __init__(self, journal: Path, inbox: Inbox, refusals: int = 0) -> None:
        self._journal = journal
        self._inbox = inbox
        self._refusals = refusals
        self.obeyed: list[AnyCommand] = []

    def carry_out(self, commands: Iterable[AnyCommand]) -> None:
        durable = [command for step in steps_of(self._journal) for command in step.commands]
        for command in commands:
            assert command in durable
            self.obeyed.append(command)
            for event in self._answers(command):
                self._inbox.put(event)

    def _answers(self, command: AnyCommand) -> Iterator[AnyEvent]:
        now = time.time()
        match command:
            case CutTask(task_id=task_id):
                yield cut(task_id, now, 10, 10)
            case ProvisionNode(node_id=node_id) if self._refusals > 0:
                self._refusals -= 1
                yield NodeRefused(at=now, node_id=node_id, reason="no capacity")
            case ProvisionNode(node_id=node_id):
                yield NodeReady(at=now, node_id=node_id, workers=2)
            case RunPart():
                yield finished(command, now)


def served(
    journal: Path, refusals: int = 0
) -> tuple[Service, World, list[tuple[AnyEvent, list[AnyCommand]]]]:
    """Serve one subscription until its parts have been run; return what was shown."""
    inbox = Inbox()
    world = World(journal, inbox, refusals)
    log = JournalFile(journal, HEADER)
    shown: list[tuple[AnyEvent, list[AnyCommand]]] = []
    service = Service(
        Planner(HEADER.settings), log, inbox, world, lambda event, told: shown.append((event, told))
    )
    now = time.time()
    inbox.put(OffersChanged(at=now, offers=(OFFER,)))
    inbox.put(archive_stands(now))
    inbox.put(SubscriptionAdded(at=now, subscription=subscription()))
    service.run(lambda planner: sum(isinstance(event, PartFinished) for event, _ in shown) == 2)
    log.close()
    return service, world, shown


def test_each_command_is_durable_before_it_is_carried_out(tmp_path: Path) -> None:
    _, world, shown = served(tmp_path / "journal")
    kinds = [type(command) for command in world.obeyed]
    assert kinds[:2] == [CutTask, ProvisionNode]
    assert kinds.count(RunPart) == 2
    assert [(step.event, list(step.commands)) for step in steps_of(tmp_path / "journal")] == shown


def test_wakes_are_kept_by_the_loop_and_become_ticks(tmp_path: Path) -> None:
    _, world, shown = served(tmp_path / "journal", refusals=1)
    assert not any(isinstance(command, WakeAt) for command in world.obeyed)
    refused = next(event for event, _ in shown if isinstance(event, NodeRefused))
    again = next(
        event
        for event, commands in shown
        if event.at > refused.at and any(isinstance(each, ProvisionNode) for each in commands)
    )
    assert isinstance(again, Ticked)
    assert 0.05 <= again.at - refused.at < 0.5


def test_a_planner_that_was_restored_is_woken_when_it_had_asked_for_it(tmp_path: Path) -> None:
    planner, now = Planner(HEADER.settings), time.time()
    for event in (
        OffersChanged(at=now, offers=(OFFER,)),
        archive_stands(now),
        SubscriptionAdded(at=now, subscription=subscription(deadline_s=0.2, firm=True)),
        Ticked(at=now),
    ):
        planner.handle(event)
    assert planner.books.backlog.tasks
    log = JournalFile(tmp_path / "journal", HEADER)
    inbox = Inbox()
    restored = Planner.restore(decode_snapshot(encode_snapshot(planner.snapshot())))
    service = Service(restored, log, inbox, World(tmp_path / "journal", inbox))
    give_up_at = time.monotonic() + 20.0
    service.run(lambda p: not p.books.backlog.tasks or time.monotonic() > give_up_at)
    log.close()
    assert not restored.books.backlog.tasks


def test_the_journal_of_a_loop_replays(tmp_path: Path) -> None:
    served(tmp_path / "journal", refusals=2)
    steps = steps_of(tmp_path / "journal")
    assert replay(HEADER, steps) == (len(steps), None)


def test_ticks_that_change_nothing_are_neither_kept_nor_shown(tmp_path: Path) -> None:
    inbox = Inbox()
    log = JournalFile(tmp_path / "journal", HEADER)
    handled = []
    service = Service(
        Planner(HEADER.settings),
        log,
        inbox,
        World(tmp_path / "journal", inbox),
        lambda event, commands: handled.append(event),
    )
    inbox.put(archive_stands(1.0))
    looks = iter([False, False, True])
    service.run(lambda planner: next(looks))
    log.close()
    assert handled == [archive_stands(1.0)]
    assert [step.event for step in steps_of(tmp_path / "journal")] == handled


def test_without_a_path_nothing_is_kept() -> None:
    log = JournalFile(None, HEADER)
    log.append(Planner(HEADER.settings), [(Ticked(at=1.0), [])], [])
    log.close()


@contextmanager
def files_up_to(size_bytes: int) -> Iterator[None]:
    """Let this process write no larger file, as a disk that fills up would."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_what_the_journal_cannot_take_is_not_carried_out(tmp_path: Path) -> None:
    journal = tmp_path / "journal"
    inbox = Inbox()
    world = World(journal, inbox)
    log = JournalFile(journal, HEADER)
    service = Service(Planner(HEADER.settings), log, inbox, world)
    now = time.time()
    for event in (archive_stands(now), SubscriptionAdded(at=now, subscription=subscription())):
        inbox.put(event)
    with (
        files_up_to(journal.stat().st_size + 100),
        pytest.raises(StorageError, match=f"journal {journal} cannot be written: File too large"),
    ):
        service.run(lambda planner: False)
    log.close()
    assert world.obeyed == []
    assert steps_of(journal) == []  # The torn line is left out.


def test_a_batch_is_bounded_and_keeps_the_order() -> None:
    inbox = Inbox()
    for number in range(BATCH_MAX + 5):
        inbox.put(Ticked(at=float(number)))
    batches = inbox.batch(0.0), inbox.batch(0.0), inbox.batch(0.0)
    assert [len(batch) for batch in batches] == [BATCH_MAX, 5, 0]
    ordered = [letter.event.at for batch in batches for letter in batch]
    assert all(before < after for before, after in pairwise(ordered))


def test_an_event_ends_the_wait_for_one() -> None:
    inbox = Inbox()
    later = threading.Timer(0.05, inbox.put, [Ticked(at=1.0)])
    later.start()
    assert inbox.batch(20.0) == [Letter(event=Ticked(at=1.0))]
    later.join()
