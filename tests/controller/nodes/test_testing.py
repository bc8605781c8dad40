"""The contract suite passes a provider that keeps the contract, and names a law that is broken."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest

from controller.errors import NodeError, NodeFault
from controller.nodes.fake import FakeNodes
from controller.nodes.testing import Level, check_node_provider
from controller.ports import NodeListing, NodeState
from planner.model import NodeOffer

OFFER = NodeOffer(node_type="small", slots=1, slots_max=2, boot_s=0.0, nodes_max=2)


def test_a_provider_that_keeps_the_contract_passes() -> None:
    fake = FakeNodes(offer=OFFER)
    check_node_provider(fake, reopen=lambda: fake, wait_s_max=1.0)
    assert fake.list_nodes() == ()


@dataclass(slots=True, kw_only=True)
class CreatesTwice(FakeNodes):
    def list_nodes(self) -> tuple[NodeListing, ...]:
        return tuple(self.nodes.values()) * 2


@dataclass(slots=True, kw_only=True)
class NeverDeletes(FakeNodes):
    def delete(self, node_id: str) -> bool:
        return node_id not in self.nodes


@dataclass(slots=True, kw_only=True)
class Breaks(FakeNodes):
    def create(self, node_id: str, node_type: str, workers: int) -> None:
        super(Breaks, self).create(node_id, node_type, workers)
        self.nodes[node_id] = replace(self.nodes[node_id], state=NodeState.BROKEN, reason="bad")


@dataclass(slots=True, kw_only=True)
class KeepsSize(FakeNodes):
    def resize(self, node_id: str, workers: int) -> None:
        if workers > self.offer.slots_max or node_id not in self.nodes:
            super(KeepsSize, self).resize(node_id, workers)


@dataclass(slots=True, kw_only=True)
class TakesAll(FakeNodes):
    def create(self, node_id: str, node_type: str, workers: int) -> None:
        if node_type != self.offer.node_type or workers > self.offer.slots_max:
            super(TakesAll, self).create(node_id, node_type, workers)
        self.nodes[node_id] = NodeListing(
            node_id=node_id, node_type=node_type, state=NodeState.RUNNING, workers=workers
        )


@pytest.mark.parametrize(
    ("kind", "law"),
    [
        (CreatesTwice, "created_once"),
        (NeverDeletes, "created_once"),
        (Breaks, "created_once"),
        (KeepsSize, "resized"),
        (TakesAll, "limited"),
    ],
)
def test_a_broken_law_is_named(kind: type[FakeNodes], law: str) -> None:
    with pytest.raises(AssertionError, match=law):
        check_node_provider(kind(offer=OFFER), wait_s_max=0.1)


def test_a_provider_that_forgets_fails_the_level_of_tags_only() -> None:
    other = FakeNodes(offer=OFFER)
    fake = FakeNodes(offer=OFFER)
    with pytest.raises(AssertionError, match="found_by_tag"):
        check_node_provider(fake, reopen=lambda: other, wait_s_max=0.1)
    rest = set(Level) - {Level.TAGS}
    check_node_provider(fake, reopen=lambda: other, levels=rest, wait_s_max=0.1)


def test_the_faults_of_the_fake_are_raised_once() -> None:
    fake = FakeNodes(offer=OFFER)
    fake.next_create_error = NodeError("no room", fault=NodeFault.CAPACITY)
    fake.next_list_error = NodeError("slow down", fault=NodeFault.RETRY)
    fake.next_delete_error = NodeError("slow down", fault=NodeFault.RETRY)
    with pytest.raises(NodeError, match="no room"):
        fake.create("n1", "small", 1)
    with pytest.raises(NodeError, match="slow down"):
        fake.list_nodes()
    with pytest.raises(NodeError, match="slow down"):
        fake.delete("n1")
    fake.create("n1", "small", 1)
    assert [each.node_id for each in fake.list_nodes()] == ["n1"]
    assert fake.delete("n1") is True
