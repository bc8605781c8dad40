"""Several providers at once: each has its own types and nodes, and none holds up another."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

import pytest

from controller.errors import NodeError, NodeFault
from controller.nodes.fake import FakeNodes
from controller.nodes.keeper import NodeKeeper
from controller.nodes.several import SeveralProviders
from controller.ports import NodeListing, NodeState
from planner.commands import ProvisionNode, RemoveNode, SetWorkers
from planner.events import NodeLost, NodeRefused, NodeRemoved, OffersChanged
from planner.model import NodeOffer
from tests.controller.engines.inbox import WAIT_S_MAX, Inbox

NEAR = NodeOffer(node_type="near", slots=1, slots_max=2, boot_s=0.0, nodes_max=4)
FAR = NodeOffer(node_type="far", slots=1, slots_max=1, boot_s=0.0, nodes_max=60)
TYPES = {"near": "here", "far": "cloud"}
AWAY = NodeError("the cloud is away", fault=NodeFault.RETRY)


@dataclass(slots=True, kw_only=True)
class SlowCloud(FakeNodes):
    """Answers creations only when it is let; everything else at once."""

    calls_max = 4

    let: threading.Event = field(default_factory=threading.Event)
    waiting: int = 0
    waiting_max: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def create(self, node_id: str, node_type: str, workers: int) -> None:
        with self.lock:
            self.waiting += 1
            self.waiting_max = max(self.waiting_max, self.waiting)
        assert self.let.wait(WAIT_S_MAX)
        with self.lock:
            self.waiting -= 1
            super(SlowCloud, self).create(node_id, node_type, workers)


@dataclass
class World:
    here: FakeNodes
    cloud: SlowCloud
    several: SeveralProviders
    inbox: Inbox
    keeper: NodeKeeper

    def provision(self, node_id: str, node_type: str) -> None:
        self.keeper.carry_out(
            ProvisionNode(node_id=node_id, node_type=node_type, workers=1, reason="")
        )

    def remove(self, node_id: str) -> None:
        self.keeper.carry_out(RemoveNode(node_id=node_id, reason=""))

    def removed(self, node_id: str) -> None:
        self.inbox.next(lambda event: isinstance(event, NodeRemoved) and event.node_id == node_id)

    def offered(self) -> dict[str, int]:
        event = self.inbox.next(lambda event: isinstance(event, OffersChanged))
        assert isinstance(event, OffersChanged)
        return {each.node_type: each.nodes_max for each in event.offers}


@pytest.fixture
def world() -> Iterator[World]:
    here, cloud, inbox = FakeNodes(offer=NEAR), SlowCloud(offer=FAR), Inbox()
    several = SeveralProviders({"here": here, "cloud": cloud}, TYPES)
    keeper = NodeKeeper(several, inbox.put, poll_s=0.005, unknown_s_max=0.05, described_s=0.01)
    keeper.offers(several.hear())
    yield World(here, cloud, several, inbox, keeper)
    cloud.let.set()
    keeper.close()


def until(condition: Callable[[], bool]) -> None:
    give_up_at = time.monotonic() + WAIT_S_MAX
    while not condition():
        assert time.monotonic() < give_up_at
        time.sleep(0.005)


def test_each_node_goes_where_its_type_is_had(world: World) -> None:
    world.cloud.let.set()
    world.provision("n1", "near")
    world.provision("n2", "far")
    until(lambda: {"n1"} == world.here.nodes.keys() and {"n2"} == world.cloud.nodes.keys())
    assert {each.node_id for each in world.several.list_nodes()} == {"n1", "n2"}
    world.remove("n2")
    world.removed("n2")
    assert (list(world.here.nodes), list(world.cloud.nodes)) == (["n1"], [])


def test_fifty_slow_creations_keep_neither_the_caller_nor_another_provider(world: World) -> None:
    pauses_s = []
    for number in range(50):
        began = time.monotonic()
        world.provision(f"far-{number}", "far")
        pauses_s.append(time.monotonic() - began)
    until(lambda: world.cloud.waiting == world.cloud.calls_max - 1)
    world.provision("n1", "near")
    world.remove("n1")
    world.removed("n1")
    # A node that stands on the slow cloud is watched meanwhile, and one that waits may be recalled.
    world.remove("far-49")
    world.keeper.expect(["old"], [], {"old": "far"})
    lost = world.inbox.next(lambda event: isinstance(event, NodeLost))
    assert isinstance(lost, NodeLost)
    assert lost.node_id == "old"
    assert world.cloud.nodes == {}
    world.cloud.let.set()
    world.removed("far-49")
    until(lambda: len(world.cloud.nodes) == 49)
    assert world.cloud.waiting_max == world.cloud.calls_max - 1
    assert sorted(pauses_s)[48] < 0.1


def test_a_node_that_nobody_asked_for_is_deleted_and_no_other(world: World) -> None:
    world.cloud.let.set()
    world.provision("n1", "far")
    until(lambda: "n1" in world.cloud.nodes)
    stray = replace(world.cloud.nodes["n1"], node_id="stray")
    world.cloud.nodes["stray"] = stray
    world.removed("stray")
    assert list(world.cloud.nodes) == ["n1"]


def test_a_fenced_service_deletes_nothing_on_its_own(world: World) -> None:
    keeper = NodeKeeper(
        world.here, world.inbox.put, is_ours=lambda: False, poll_s=0.005, unknown_s_max=0.0
    )
    listing = NodeListing(
        node_id="theirs", node_type="near", state=NodeState.RUNNING, workers=1, reason=""
    )
    world.keeper.close()
    world.here.nodes["theirs"] = listing
    keeper.carry_out(ProvisionNode(node_id="n1", node_type="near", workers=1, reason=""))
    until(lambda: "n1" in world.here.nodes)
    keeper.carry_out(RemoveNode(node_id="n1", reason=""))
    world.removed("n1")
    assert list(world.here.nodes) == ["theirs"]
    keeper.close()


def test_a_limit_that_changes_is_told_and_own_nodes_change_none(world: World) -> None:
    world.cloud.let.set()
    world.provision("n1", "far")
    until(lambda: "n1" in world.cloud.nodes)
    world.cloud.offer = replace(FAR, nodes_max=10)
    assert world.offered() == {"near": 4, "far": 9}
    assert not [e for e in world.inbox.rest() if isinstance(e, OffersChanged)]


def test_a_quota_that_was_met_is_asked_for_at_once() -> None:
    inbox, cloud = Inbox(), FakeNodes(offer=FAR)
    keeper = NodeKeeper(cloud, inbox.put, poll_s=0.005)
    keeper.offers(SeveralProviders({"fake": cloud}, {"far": "fake"}).hear())
    cloud.offer = replace(FAR, nodes_max=0)
    keeper.carry_out(ProvisionNode(node_id="n1", node_type="far", workers=1, reason=""))
    inbox.next(lambda event: isinstance(event, NodeRefused))
    told = inbox.next(lambda event: isinstance(event, OffersChanged))
    assert isinstance(told, OffersChanged)
    assert [each.nodes_max for each in told.offers] == [0]
    keeper.close()


def test_a_provider_that_is_away_is_told_of_and_the_others_are_heard(world: World) -> None:
    world.keeper.close()
    world.cloud.next_list_error = AWAY
    heard = world.several.hear()
    assert [each.node_type for each in heard.offers] == ["near"]
    assert (heard.silent, heard.faults) == (frozenset({"far"}), ("cloud: the cloud is away",))


def test_one_that_was_silent_is_asked_again_at_the_next_look() -> None:
    inbox, cloud = Inbox(), FakeNodes(offer=FAR, next_list_error=AWAY)
    several = SeveralProviders({"cloud": cloud}, {"far": "cloud"})
    heard = several.hear()
    assert heard.silent
    assert not heard.is_waiting
    keeper = NodeKeeper(several, inbox.put, poll_s=0.005, described_s=3600.0)
    assert keeper.offers(heard) == ()
    told = inbox.next(lambda event: isinstance(event, OffersChanged))
    assert isinstance(told, OffersChanged)
    assert [each.node_type for each in told.offers] == ["far"]
    keeper.close()


def test_a_provider_that_does_not_answer_is_not_waited_for(world: World) -> None:
    class Hanging(FakeNodes):
        def list_nodes(self) -> tuple[NodeListing, ...]:
            assert world.cloud.let.wait(WAIT_S_MAX)
            return ()

    several = SeveralProviders({"here": world.here, "cloud": Hanging(offer=FAR)}, TYPES)
    heard = several.hear(answer_s_max=0.2)
    assert (heard.silent, heard.faults) == (frozenset({"far"}), ("cloud: no answer yet",))
    assert heard.is_waiting


def test_what_no_provider_has_is_refused(world: World) -> None:
    with pytest.raises(NodeError, match="no type nowhere"):
        world.several.create("n1", "nowhere", 1)
    with pytest.raises(NodeError, match="not there to be resized"):
        world.several.resize("n1", 1)
    assert world.several.delete("n1")


def test_one_that_cannot_be_closed_keeps_no_other_open() -> None:
    class Stuck(FakeNodes):
        def close(self, *, end: bool | None = None) -> None:
            raise AWAY

    class Closing(FakeNodes):
        def close(self, *, end: bool | None = None) -> None:
            closed.append(end)

    closed: list[bool | None] = []
    providers = {
        "first": Closing(offer=NEAR),
        "stuck": Stuck(offer=FAR),
        "last": Closing(offer=NEAR),
    }
    with pytest.raises(NodeError, match="the cloud is away"):
        SeveralProviders(providers, TYPES).close(end=True)
    assert closed == [True, True]


def test_a_node_whose_type_no_provider_serves_is_complained_of_and_never_given_up(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    types = {"n-goes": "dropped", "n-stays": "dropped", "n1": "near"}
    world.keeper.expect(["n-stays"], ["n-goes", "n1"], types)
    for node_id in ("n-goes", "n-stays"):
        world.remove(node_id)
    world.keeper.carry_out(SetWorkers(node_id="n-stays", workers=2, reason=""))
    world.provision("n-new", "dropped")
    for _ in range(2):
        world.keeper.check()
    told = [each.message for each in caplog.records if "Put its type" in each.message]
    assert [each.split()[1] for each in told] == ["n-goes", "n-stays"]
    world.removed("n1")  # Other providers have looked meanwhile.
    ends = [each for each in world.inbox.rest() if isinstance(each, NodeRemoved | NodeLost)]
    assert ends == []
    # Its provider was only away, then removed it as one that nobody asked for.
    world.here.nodes["n-goes"] = NodeListing(
        node_id="n-goes", node_type="dropped", state=NodeState.RUNNING, workers=1, reason=""
    )
    world.removed("n-goes")


def test_what_the_planner_has_given_up_makes_room_though_it_stands_yet(world: World) -> None:
    world.provision("n1", "near")
    until(lambda: "n1" in world.here.nodes)
    heard = world.several.hear()

    def near(standing: dict[str, int]) -> int:
        offers = world.keeper.offers(heard, standing)
        return next(each.nodes_max for each in offers if each.node_type == "near")

    assert near({"near": 1}) == NEAR.nodes_max - 1
    assert near({}) == NEAR.nodes_max
