"""`slackwater replay`: the story of a journal, the proof that it repeats, and what is none."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from controller.build import BUILD
from planner.core import Planner
from planner.events import AnyEvent, NodeReady, OffersChanged, SubscriptionAdded, Ticked
from planner.journal import Header, encode_header, encode_step
from planner.settings import PlannerSettings, ScalingSettings
from tests.controller.conftest import Command
from tests.planner.building import OFFER, archive_stands, cut, subscription

TASK = "t3"
NODE = "n5"

STORY: tuple[AnyEvent, ...] = (
    OffersChanged(at=10.0, offers=(OFFER,)),
    archive_stands(10.0),
    SubscriptionAdded(at=10.0, subscription=subscription()),
    cut(TASK, 10.5, 100, 100),
    Ticked(at=10.5),
    NodeReady(at=12.5, node_id=NODE, workers=2),
    Ticked(at=12.5),
)
"""A subscription whose parts are sent to the node that was launched for it."""


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    """Return a journal that a planner wrote."""
    settings = PlannerSettings(scaling=ScalingSettings(policy="none"))
    planner = Planner(settings)
    lines = [encode_step(event, planner.handle(event)) for event in STORY]
    path = tmp_path / "journal.jsonl"
    path.write_bytes(b"".join([encode_header(Header(build=BUILD, settings=settings)), *lines]))
    return path


def embedded(page: Path, name: str) -> Any:
    """Return the numbers that a page was made of."""
    pattern = rf'<script type="application/json" id="{name}">(.*?)</script>'
    found = re.search(pattern, page.read_text(), re.DOTALL)
    assert found
    return json.loads(found[1])


def altered(journal: Path, old: str, new: str) -> Path:
    """Return the journal with these words in place of those, which must be there."""
    text = journal.read_text()
    assert old in text
    journal.write_text(text.replace(old, new, 1))
    return journal


def test_an_exact_replay_of_what_was_recorded(journal: Path, command: Command) -> None:
    ended = command("replay", journal, "--exact")
    assert ended.code == 0
    assert f"{len(STORY)} steps" in ended.out
    assert "identical" in ended.out
    result = command("replay", journal, "--exact", "--json").result
    assert (result["steps"], result["identical"]) == (len(STORY), True)
    assert result["commands"] >= 4


def test_a_page_draws_what_was_left_at_each_start(
    journal: Path, command: Command, tmp_path: Path
) -> None:
    page = tmp_path / "page.html"
    assert command("replay", journal, "--html", page).code == 0
    (start,) = embedded(page, "starts")
    assert start == {
        "task_id": TASK,
        "after_s": 2.5,
        "ttd_s": 57.5,
        "vms": 1,
        "workers": 2,
        "threshold_s": None,
    }
    assert embedded(page, "outcome")["peak_workers"] == 2
    assert ">time to deadline, in time</text>" in page.read_text()


def test_the_page_of_what_differs_is_not_written(
    journal: Path, command: Command, tmp_path: Path
) -> None:
    page = tmp_path / "page.html"
    altered(journal, '"attempt":1', '"attempt":2')
    assert command("replay", journal, "--html", page).code == 1
    assert not page.exists()


def test_decisions_are_told_with_their_reasons(journal: Path, command: Command) -> None:
    told = command("replay", journal)
    assert told.code == 0
    assert f"+1 node {NODE}: " in told.out
    assert "1 task waits and no node stands" in told.out
    decisions = command("replay", journal, "--json").result["decisions"]
    assert [decision["what"] for decision in decisions] == ["ProvisionNode"]
    assert decisions[0]["after_s"] == 0.5


@pytest.mark.parametrize(
    ("old", "new", "step"),
    [
        (f'"node_id":"{NODE}","node_type"', '"node_id":"n99","node_type"', 5),
        ('"attempt":1', '"attempt":2', 7),
        ('"registration_s_max":900.0', '"registration_s_max":90.0', 5),
    ],
    ids=["another node", "another attempt", "other settings"],
)
def test_what_differs_is_told_and_fails(
    old: str, new: str, step: int, journal: Path, command: Command
) -> None:
    ended = command("replay", altered(journal, old, new), "--exact")
    assert ended.code == 1
    assert f"step {step} differs" in ended.out
    assert "recorded: " in ended.out
    assert "replayed: " in ended.out
    result = command("replay", journal, "--exact", "--json")
    assert result.code == 1
    assert not result.result["identical"]


def test_another_build_is_named_where_it_differs(journal: Path, command: Command) -> None:
    altered(journal, BUILD, "slackwater 0.0.1")
    ended = command("replay", altered(journal, '"attempt":1', '"attempt":2'), "--exact")
    assert f"written by slackwater 0.0.1, and this is {BUILD}" in ended.out


@pytest.mark.parametrize("exact", [(), ("--exact",)])
def test_a_torn_last_line_is_left_out_and_told(
    exact: tuple[str, ...], journal: Path, command: Command
) -> None:
    journal.write_bytes(journal.read_bytes()[:-20])
    ended = command("replay", journal, *exact)
    assert ended.code == 0
    assert "warning: the last line is torn and was left out" in ended.err
    assert not exact or f"{len(STORY) - 1} steps" in ended.out


def test_what_is_no_journal_is_refused(journal: Path, command: Command, tmp_path: Path) -> None:
    journal.write_text("subscriptions:\n  - id: world\n")
    assert refusal(command, journal) == (
        f"error: journal {journal}: line 1 is not the header of a slackwater journal"
    )
    journal.write_bytes(b"")
    assert "line 1 is not the header" in refusal(command, journal)
    assert "cannot be read: No such file" in refusal(command, tmp_path / "missing")
    assert "cannot be read: Is a directory" in refusal(command, tmp_path)


def test_a_newer_format_is_refused(journal: Path, command: Command) -> None:
    altered(journal, '"journal":1', '"journal":2')
    told = refusal(command, journal)
    assert "has format 2, this program reads up to 1. Use the version that wrote it" in told


def test_a_damaged_line_is_named(journal: Path, command: Command) -> None:
    lines = journal.read_bytes().splitlines(keepends=True)
    lines[3] = lines[3][:30] + b"\n"
    journal.write_bytes(b"".join(lines))
    assert f"journal {journal}: line 4 is no step of a journal" in refusal(command, journal)


def test_a_policy_that_is_not_installed_is_named(journal: Path, command: Command) -> None:
    told = refusal(command, altered(journal, '"policy":"none"', '"policy":"nones"'))
    assert "is called 'nones'. Did you mean 'none'?" in told


def refusal(command: Command, journal: Path) -> str:
    """Return what an exact replay is refused with, up to what its parser says."""
    ended = command("replay", journal, "--exact")
    assert (ended.code, ended.out) == (1, "")
    assert ended.err.startswith("error: ")
    return ended.err.partition(" (")[0]
