"""Which outcome settles which command under way."""

from __future__ import annotations

import pytest

from controller.outbox import Outbox
from planner.commands import ProvisionNode, SetWorkers
from planner.events import AnyEvent, NodeLost, NodeReady, NodeRefused, NodeRemoved, WorkersRefused

RESIZE = SetWorkers(node_id="n1", workers=2, reason="")
CREATE = ProvisionNode(node_id="n1", node_type="local", workers=1, reason="")
NOW = 0.0


def ready(workers: int) -> NodeReady:
    return NodeReady(at=NOW, node_id="n1", workers=workers)


def refused(workers: int) -> WorkersRefused:
    return WorkersRefused(at=NOW, node_id="n1", workers=workers, reason="")


@pytest.mark.parametrize(
    ("event", "settles"),
    [
        (ready(0), False),
        (ready(1), False),
        (ready(2), True),
        (ready(3), True),
        (refused(2), True),
        (refused(3), False),
        (NodeRefused(at=NOW, node_id="n1", reason=""), True),
        (NodeLost(at=NOW, node_id="n1", reason=""), True),
        (NodeRemoved(at=NOW, node_id="n1"), True),
    ],
)
def test_a_resize_is_under_way_until_so_many_have_joined(event: AnyEvent, settles: bool) -> None:
    outbox = Outbox()
    opened = outbox.take([(event, [RESIZE])]).opened
    assert opened == {"resize n1": RESIZE}
    taken = outbox.take([(event, [])])
    assert taken.ended == ({"resize n1"} if settles else set())
    assert outbox.commands == ({} if settles else {"resize n1": RESIZE})
    assert not taken.stale


@pytest.mark.parametrize("workers", [0, 1])
def test_a_node_that_answers_was_created(workers: int) -> None:
    outbox = Outbox()
    outbox.take([(ready(0), [CREATE])])
    assert outbox.take([(ready(workers), [])]).ended == {"provision n1"}
