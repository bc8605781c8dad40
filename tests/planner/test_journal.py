"""The journal's codec: what is written is read back, and what is torn is told or left out."""

from __future__ import annotations

import pytest

from planner.commands import AnyCommand
from planner.core import Planner
from planner.errors import BrokenJournal
from planner.events import AnyEvent, PartFailed, SubscriptionAdded, Ticked
from planner.journal import (
    FORMAT,
    Header,
    Step,
    decode_header,
    encode_header,
    encode_step,
    read_steps,
    replay,
)
from planner.settings import PlannerSettings
from tests.planner.building import archive_stands, subscription, update

HEADER = Header(build="slackwater 0.1.0", settings=PlannerSettings())


def recorded(*events: AnyEvent) -> list[Step]:
    """Return events with the answers of a planner."""
    planner = Planner(HEADER.settings)
    return [Step(event=event, commands=tuple(planner.handle(event))) for event in events]


STEPS = recorded(
    archive_stands(),
    SubscriptionAdded(at=1.0, subscription=subscription()),
    update(2.5, 1),
    Ticked(at=2.5),
)
LINES = [encode_step(step.event, step.commands) for step in STEPS]


def test_a_header_is_read_back() -> None:
    assert decode_header(encode_header(HEADER)) == HEADER


def test_steps_are_read_back() -> None:
    assert list(read_steps(LINES)) == STEPS


def test_floats_are_read_back_to_the_last_bit() -> None:
    at = 0.1 + 0.2
    line = encode_step(Ticked(at=at), [])
    (step,) = read_steps([line])
    assert step.event.at == at


def test_a_torn_last_line_costs_that_step_only() -> None:
    torn = [*LINES[:-1], LINES[-1][:-10]]
    assert list(read_steps(torn)) == STEPS[:-1]


def test_a_broken_line_in_the_middle_is_named() -> None:
    broken = [LINES[0], b'{"event": 3}\n', *LINES[1:]]
    with pytest.raises(BrokenJournal, match="line 3 is no step"):
        list(read_steps(broken))


def test_an_event_of_a_later_version_is_named() -> None:
    with pytest.raises(BrokenJournal, match="line 2"):
        list(read_steps([b'{"event": {"type": "WhaleSighted", "at": 1}, "commands": []}\n']))


def test_a_newer_format_is_refused() -> None:
    newer = encode_header(Header(journal=FORMAT + 1, build="b", settings=PlannerSettings()))
    with pytest.raises(BrokenJournal, match=f"format {FORMAT + 1}"):
        decode_header(newer)


def test_what_is_no_journal_is_refused() -> None:
    with pytest.raises(BrokenJournal, match="line 1 is not the header"):
        decode_header(b"subscriptions:\n")


def test_an_exact_replay_finds_no_difference() -> None:
    assert replay(HEADER, STEPS) == (len(STEPS), None)


def test_a_replay_tells_the_first_step_that_differs() -> None:
    lie: tuple[AnyCommand, ...] = ()
    changed = [STEPS[0], Step(event=STEPS[1].event, commands=lie), *STEPS[2:]]
    count, difference = replay(HEADER, changed)
    assert count == 1
    assert difference is not None
    assert (difference.step, difference.recorded) == (2, lie)
    assert difference.replayed == STEPS[1].commands


def test_an_event_that_the_planner_never_heard_of_is_only_counted() -> None:
    planner = Planner(HEADER.settings)
    assert planner.handle(PartFailed(at=0.0, part_id="t9/0", attempt=1, reason="?")) == []
    assert planner.books.desk.late_messages == {"PartFailed": 1}
