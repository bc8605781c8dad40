"""The keeper does as commanded, tries again where that helps, and notices what breaks or goes."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace

import pytest

from controller.errors import NodeError, NodeFault
from controller.nodes.fake import FakeNodes
from controller.nodes.keeper import NodeKeeper
from controller.ports import NodeListing, NodeState
from planner.commands import ProvisionNode, RemoveNode, SetWorkers
from planner.events import NodeLost, NodeRefused, NodeRemoved, WorkersRefused
from planner.model import NodeOffer
from tests.controller.engines.inbox import WAIT_S_MAX, Inbox

OFFER = NodeOffer(node_type="local", slots=1, slots_max=2, boot_s=0.0, nodes_max=2)
LAGS = NodeError("the cloud lags", fault=NodeFault.RETRY)


class Cloud(FakeNodes):
    """A fake that can be told to fail so many calls in a row, or to break its contract."""

    lists_failing: int = 0
    deletes_pending: int = 0
    surprise: Exception | None = None

    def list_nodes(self) -> tuple[NodeListing, ...]:
        if self.surprise:
            raise self.surprise
        if self.lists_failing > 0:
            self.lists_failing -= 1
            raise LAGS
        return super().list_nodes()

    def delete(self, node_id: str) -> bool:
        if self.deletes_pending > 0:
            self.deletes_pending -= 1
            return False
        return super().delete(node_id)


@pytest.fixture
def cloud() -> Cloud:
    return Cloud(offer=OFFER)


@pytest.fixture
def inbox() -> Inbox:
    return Inbox()


@pytest.fixture
def keeper(cloud: Cloud, inbox: Inbox) -> Iterator[NodeKeeper]:
    keeper = NodeKeeper(cloud, inbox.put, poll_s=0.005)
    yield keeper
    keeper.close()


def provision(node_id: str, workers: int = 1) -> ProvisionNode:
    return ProvisionNode(node_id=node_id, node_type="local", workers=workers, reason="")


def remove(node_id: str) -> RemoveNode:
    return RemoveNode(node_id=node_id, reason="")


def removed(inbox: Inbox, node_id: str) -> None:
    """Wait until a node is told to be gone; all commands before that have been done then."""
    inbox.next(lambda event: isinstance(event, NodeRemoved) and event.node_id == node_id)


def refusal(inbox: Inbox) -> NodeRefused:
    refused = inbox.next(lambda event: isinstance(event, NodeRefused))
    assert isinstance(refused, NodeRefused)
    return refused


def loss(inbox: Inbox) -> NodeLost:
    lost = inbox.next(lambda event: isinstance(event, NodeLost))
    assert isinstance(lost, NodeLost)
    return lost


def test_a_node_is_created_resized_and_removed(
    cloud: Cloud, keeper: NodeKeeper, inbox: Inbox
) -> None:
    keeper.carry_out(provision("n1"))
    keeper.carry_out(provision("n2"))
    keeper.carry_out(SetWorkers(node_id="n1", workers=2, reason=""))
    keeper.carry_out(remove("n2"))
    removed(inbox, "n2")
    assert {node_id: each.workers for node_id, each in cloud.nodes.items()} == {"n1": 2}
    keeper.carry_out(remove("n1"))
    removed(inbox, "n1")
    assert cloud.nodes == {}
    assert inbox.rest() == []


@pytest.mark.parametrize(
    ("fault", "retry"), [(NodeFault.CAPACITY, True), (NodeFault.CREDENTIALS, False)]
)
def test_a_refusal_is_told_with_whether_to_retry(
    fault: NodeFault, retry: bool, cloud: Cloud, keeper: NodeKeeper, inbox: Inbox
) -> None:
    cloud.next_create_error = NodeError("node n1: no", fault=fault, fix="Ask again")
    keeper.carry_out(provision("n1"))
    told = refusal(inbox)
    assert (told.node_id, told.reason, told.retry) == ("n1", "node n1: no. Ask again", retry)
    keeper.carry_out(provision("n1"))
    keeper.carry_out(remove("n1"))
    removed(inbox, "n1")


def test_resizing_what_is_gone_is_refused(keeper: NodeKeeper, inbox: Inbox) -> None:
    keeper.carry_out(SetWorkers(node_id="n9", workers=1, reason=""))
    told = inbox.next(lambda event: isinstance(event, WorkersRefused))
    assert isinstance(told, WorkersRefused)
    assert (told.node_id, told.workers) == ("n9", 1)
    assert "n9 is not there" in told.reason


def test_a_removal_is_tried_until_the_node_is_gone(
    cloud: Cloud, keeper: NodeKeeper, inbox: Inbox
) -> None:
    cloud.deletes_pending = 3
    cloud.next_delete_error = LAGS
    keeper.carry_out(provision("n1"))
    keeper.carry_out(remove("n1"))
    removed(inbox, "n1")
    assert (cloud.deletes_pending, cloud.nodes) == (0, {})
    assert inbox.rest() == []


def test_a_broken_node_is_lost_once_with_its_reason(
    cloud: Cloud, keeper: NodeKeeper, inbox: Inbox
) -> None:
    keeper.carry_out(provision("n1"))
    keeper.carry_out(provision("n2"))
    keeper.carry_out(remove("n2"))
    removed(inbox, "n2")
    standing = cloud.nodes["n1"]
    cloud.nodes["n1"] = replace(standing, state=NodeState.BROKEN, reason="its disk is full")
    assert loss(inbox).reason == "its disk is full"
    keeper.carry_out(remove("n1"))
    removed(inbox, "n1")
    assert inbox.rest() == []


def test_a_node_that_is_listed_no_more_is_lost_but_not_for_one_lag(
    cloud: Cloud, keeper: NodeKeeper, inbox: Inbox
) -> None:
    keeper.carry_out(provision("n1"))
    keeper.carry_out(provision("n2"))
    keeper.carry_out(remove("n2"))
    removed(inbox, "n2")
    cloud.lists_failing = 10
    keeper.carry_out(provision("n3"))
    keeper.carry_out(remove("n3"))
    removed(inbox, "n3")
    del cloud.nodes["n1"]
    assert loss(inbox).node_id == "n1"
    assert cloud.lists_failing == 0
    assert inbox.rest() == []


def test_a_keeper_learns_what_an_earlier_one_has_asked_for(
    cloud: Cloud, keeper: NodeKeeper, inbox: Inbox
) -> None:
    cloud.create("n2", "local", 1)
    keeper.expect(standing=["n1"], leaving=["n2"])
    assert loss(inbox).node_id == "n1"
    removed(inbox, "n2")
    assert cloud.nodes == {}
    assert inbox.rest() == []


def test_a_provider_that_breaks_its_contract_does_so_loudly(
    cloud: Cloud, keeper: NodeKeeper, inbox: Inbox
) -> None:
    cloud.surprise = OSError("too many open files")
    with pytest.raises(OSError, match="too many open files"):
        command_for_ever(keeper)


def command_for_ever(keeper: NodeKeeper) -> None:
    """Go on commanding until the keeper says that it is at an end."""
    give_up_at = time.monotonic() + WAIT_S_MAX
    while time.monotonic() < give_up_at:
        keeper.carry_out(remove("n1"))


def test_it_does_so_though_nothing_is_commanded(cloud: Cloud, keeper: NodeKeeper) -> None:
    keeper.check()
    cloud.surprise = OSError("too many open files")
    with pytest.raises(OSError, match="too many open files"):
        check_for_ever(keeper)


def check_for_ever(keeper: NodeKeeper) -> None:
    """Go on asking until the keeper says that it is at an end."""
    give_up_at = time.monotonic() + WAIT_S_MAX
    while time.monotonic() < give_up_at:
        keeper.check()
