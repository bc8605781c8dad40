"""The log: a line for each decision with its ids, as text or JSON."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator

import pytest

from controller.logs import LINES_A_STEP_MAX, log_as, log_step
from planner.commands import AnyCommand, Notify, ProvisionNode
from planner.events import NodeLost, Ticked
from planner.model import NoticeKind

NOTICE = Notify(
    task_id="t3",
    subscription_id="med",
    kind=NoticeKind.LATE,
    slack_s=-12.34,
    text="7 rows",
)
LAUNCH = ProvisionNode(node_id="n5", node_type="local", workers=2, reason="t3: 1 node short")


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    before, level = list(root.handlers), root.level
    for handler in before:  # So that nobody else's is closed.
        root.removeHandler(handler)
    yield io.StringIO()
    for handler in list(root.handlers):
        root.removeHandler(handler)
    for handler in before:
        root.addHandler(handler)
    root.setLevel(level)


def test_a_decision_is_a_line_with_its_reason(stream: io.StringIO) -> None:
    log_as("text", "info", stream)
    log_step(Ticked(at=1.0), [LAUNCH, NOTICE])
    launch, notice = stream.getvalue().splitlines()
    assert launch.endswith("INFO launch node n5: t3: 1 node short")
    assert notice.endswith("WARNING late med, task t3, slack -12.3 s: 7 rows")


def test_json_has_the_ids_as_keys(stream: io.StringIO) -> None:
    log_as("json", "info", stream)
    log_step(NodeLost(at=1.0, node_id="n5", reason="it\nburnt"), [NOTICE])
    lost, notice = map(json.loads, stream.getvalue().splitlines())
    assert (lost["what"], lost["node"], lost["level"]) == ("lost", "n5", "warning")
    assert (notice["subscription"], notice["task"], notice["slack_s"]) == ("med", "t3", -12.34)
    assert notice["at"].endswith("+00:00")


def test_json_holds_a_traceback_in_its_line(stream: io.StringIO) -> None:
    log_as("json", "info", stream)
    try:
        raise ValueError("odd")
    except ValueError:
        logging.getLogger("somewhere").exception("it broke")
    told = json.loads(stream.getvalue())
    assert told["message"] == "it broke"
    assert "ValueError: odd" in told["traceback"]


def test_the_level_says_what_is_left_out(stream: io.StringIO) -> None:
    log_as("text", "warning", stream)
    log_step(Ticked(at=1.0), [LAUNCH, NOTICE])
    assert len(stream.getvalue().splitlines()) == 1


def test_a_step_that_tells_of_very_many_is_cut_short(stream: io.StringIO) -> None:
    log_as("text", "info", stream)
    many: list[AnyCommand] = [NOTICE] * (LINES_A_STEP_MAX + 5)
    log_step(Ticked(at=1.0), many)
    lines = stream.getvalue().splitlines()
    assert len(lines) == LINES_A_STEP_MAX + 1
    assert "more was decided" in lines[-1]
