"""Each command is carried out once, and whatever becomes of it comes back as one event."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from controller.combining import CombiningPool
from controller.cutting import CuttingProcess
from controller.destinations import Destinations
from controller.dispatcher import Dispatcher
from controller.errors import EngineError
from controller.history import Histories
from controller.nodes.fake import FakeNodes
from controller.nodes.keeper import NodeKeeper
from controller.ports import AttemptListing, PartWork
from planner.commands import (
    CombineProduct,
    CutTask,
    DeliverProduct,
    DrainNode,
    Notify,
    ProvisionNode,
    RemoveNode,
    RunPart,
    StopPart,
    UndrainNode,
)
from planner.events import (
    AnyEvent,
    CombineFailed,
    DeliveryFailed,
    NodeRemoved,
    PartFailed,
    ProductCombined,
    ProductDelivered,
    TaskCut,
    TaskRefused,
)
from planner.extent import Extent, Period
from planner.model import NodeOffer, NoticeKind, Selection, UnitCosts, UpdateSpan, View
from tests.controller.engines.inbox import Inbox
from tests.controller.runs import command_line
from tests.controller.small_works import SmallApplication, combine

EXTENT = Extent(period=Period(start_at=0.0, end_at=100.0), parameters=("TEMP",))
VIEW = View(dataset="near", application="small", extent=EXTENT)
AWAY = replace(VIEW, dataset="away")
UPDATES = UpdateSpan(after=None, upto=0)
OFFER = NodeOffer(node_type="local", slots=1, slots_max=2, boot_s=0.0, nodes_max=2)


class Belt:
    """An engine that takes works and carries them nowhere."""

    def __init__(self) -> None:
        self.works: list[PartWork] = []
        self.stopped: list[tuple[str, int]] = []
        self.told: list[tuple[str, str]] = []
        self.fault: EngineError | None = None

    def submit(self, works: Sequence[PartWork]) -> None:
        if self.fault:
            raise self.fault
        self.works += works
        self.told += [("submit", work.part_id) for work in works]

    def stop(self, part_id: str, attempt: int) -> None:
        self.stopped.append((part_id, attempt))
        self.told.append(("stop", part_id))

    def acknowledge(self, attempts: Iterable[tuple[str, int]]) -> None:
        pass

    def attempts(self) -> tuple[AttemptListing, ...]:
        return ()

    def workers(self) -> dict[str, int]:
        return {}

    def close(self, *, end: bool | None = None) -> None:
        pass


class Stage:
    """A dispatcher with real pools, an idle engine and imagined nodes."""

    def __init__(self, folder: Path, *roots: str, schemes: tuple[str, ...] = ("file",)) -> None:
        self.out = folder / "out"
        self.staging = folder / "staging"
        self.staging.mkdir()
        self.inbox = Inbox()
        self.engine = Belt()
        self.application = SmallApplication(self.staging)
        self.keeper = NodeKeeper(FakeNodes(offer=OFFER), self.inbox.put, poll_s=0.01)
        self.histories = Histories()
        self.dispatcher = Dispatcher(
            applications={"near": self.application, "away": self.application},
            engine=self.engine,
            keeper=self.keeper,
            cutting=CuttingProcess(),
            destinations=Destinations(roots=(str(self.out), *roots), schemes=schemes),
            combining=CombiningPool(self.staging),
            histories=self.histories,
            report=self.inbox.put,
        )

    def outcome(self, command: Any) -> AnyEvent:
        """Carry a command out and return the next event."""
        self.dispatcher.carry_out([command])
        return self.inbox.next(lambda event: True)

    def close(self) -> None:
        self.dispatcher.close()
        self.keeper.close()


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    stage = Stage(tmp_path)
    yield stage
    stage.close()


def cut_command(view: View = VIEW) -> CutTask:
    return CutTask(
        task_id="t1",
        subscription_id="med",
        version=1,
        selections=(Selection(view=view, updates=UPDATES),),
        partitioner="linear",
        parts_wanted=4,
        parts_max=100,
        part_s_min=0.0,
        part_s_max=100.0,
        costs=(UnitCosts(base_s=1.0, file_s=0.0, megabyte_s=0.0, value_s=0.0),),
    )


def run_command(part_id: str = "t1/0", view: View = VIEW) -> RunPart:
    return RunPart(
        part_id=part_id,
        attempt=2,
        node_id="n1",
        task_id="t1",
        view=view,
        extent=EXTENT,
        updates=UPDATES,
        limit_s=60.0,
    )


def combine_command(view: View = VIEW) -> CombineProduct:
    return CombineProduct(
        task_id="t1",
        attempt=1,
        subscription_id="med",
        version=1,
        selections=(Selection(view=view, updates=UPDATES),),
        fragments=((),),
    )


def deliver_command(stage: Stage, destination: Path) -> DeliverProduct:
    made = stage.outcome(combine_command())
    assert isinstance(made, ProductCombined)
    return DeliverProduct(
        task_id="t1",
        attempt=1,
        subscription_id="med",
        version=1,
        destination=str(destination),
        product=made.product,
    )


def test_a_task_is_cut(stage: Stage) -> None:
    cut = stage.outcome(cut_command())
    assert isinstance(cut, TaskCut)
    assert (cut.partitioner, len(cut.parts), cut.fallback) == ("linear", 4, "")


def test_a_task_whose_load_cannot_be_read_is_refused(stage: Stage) -> None:
    refused = stage.outcome(cut_command(AWAY))
    assert isinstance(refused, TaskRefused)
    assert refused.reason == "the archive is away. Wait for it"


def test_parts_go_to_the_engine_together(stage: Stage) -> None:
    stage.dispatcher.carry_out([run_command("t1/0"), run_command("t1/1")])
    stage.outcome(combine_command())  # It is prepared after them.
    assert [(work.part_id, work.attempt, work.order) for work in stage.engine.works] == [
        ("t1/0", 2, "t1-0.a2"),
        ("t1/1", 2, "t1-1.a2"),
    ]


def test_a_part_that_cannot_be_ordered_fails_alone(stage: Stage) -> None:
    stage.dispatcher.carry_out([run_command("t1/0", AWAY), run_command("t1/1")])
    failed = stage.inbox.next(lambda event: True)
    assert isinstance(failed, PartFailed)
    assert (failed.part_id, failed.attempt, failed.retry) == ("t1/0", 2, False)
    stage.outcome(combine_command())
    assert [work.part_id for work in stage.engine.works] == ["t1/1"]


def test_parts_that_the_engine_does_not_take_fail(stage: Stage) -> None:
    stage.engine.fault = EngineError("it ended too often")
    stage.dispatcher.carry_out([run_command("t1/0"), run_command("t1/1")])
    failed = [stage.inbox.next(lambda event: True) for _ in range(2)]
    assert all(isinstance(each, PartFailed) and not each.retry for each in failed)


def test_a_product_is_combined_and_delivered(stage: Stage) -> None:
    delivered = stage.outcome(deliver_command(stage, stage.out / "med"))
    assert isinstance(delivered, ProductDelivered)
    assert delivered.manifest_url == f"file://{stage.out}/med/med-v1-to-u0.manifest.json"
    assert (stage.out / "med" / "med-v1-to-u0.nc").read_bytes() == b"a product"


@pytest.mark.parametrize(
    ("fate", "reason", "retry"),
    [
        ("full", "the staging area is full. Free space there", True),
        ("gone", "a fragment is gone", False),
        ("bug", "ValueError: not expected", True),
        ("dies", "BrokenProcessPool: ", True),
    ],
)
def test_what_goes_wrong_in_combining_is_told_and_the_next_one_succeeds(
    fate: str, reason: str, retry: bool, stage: Stage
) -> None:
    stage.application.fate = fate
    failed = stage.outcome(combine_command())
    assert isinstance(failed, CombineFailed)
    assert failed.reason.startswith(reason)
    assert failed.retry == retry
    stage.application.fate = "well"
    assert isinstance(stage.outcome(combine_command()), ProductCombined)


def test_a_product_that_cannot_be_ordered_fails(stage: Stage) -> None:
    failed = stage.outcome(combine_command(AWAY))
    assert isinstance(failed, CombineFailed)
    assert not failed.retry


def test_a_destination_that_is_not_allowed_fails_the_delivery(stage: Stage) -> None:
    failed = stage.outcome(deliver_command(stage, stage.staging / "elsewhere"))
    assert isinstance(failed, DeliveryFailed)
    assert "lies outside the folders" in failed.reason
    assert not failed.retry


def test_a_destination_that_hangs_keeps_no_other_waiting(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        hanging = f"webdav://127.0.0.1:{silent.getsockname()[1]}"
        stage = Stage(tmp_path, hanging, schemes=("file", "webdav"))
        command = deliver_command(stage, stage.out / "med")
        stage.dispatcher.carry_out(
            [replace(command, task_id=f"h{n}", destination=hanging) for n in range(20)]
        )
        for _ in range(5):
            delivered = stage.outcome(command)
            assert isinstance(delivered, ProductDelivered)
            assert delivered.task_id == command.task_id
    # The end of the server broke its connections off, so that closing need not wait for them.
    stage.close()
    failed = stage.inbox.rest()
    assert {type(event) for event in failed} <= {DeliveryFailed}


def test_nodes_are_the_keepers_and_a_part_that_is_stopped_the_engines(stage: Stage) -> None:
    create = ProvisionNode(node_id="n1", node_type="local", workers=1, reason="")
    stage.dispatcher.carry_out(
        [create, StopPart(part_id="t1/0", attempt=2), RemoveNode(node_id="n1", reason="")]
    )
    removed = stage.inbox.next(lambda event: True)
    assert isinstance(removed, NodeRemoved)
    assert removed.node_id == "n1"
    stage.outcome(combine_command())  # It is prepared after the stop.
    assert stage.engine.stopped == [("t1/0", 2)]


def test_a_stop_never_overtakes_its_part(stage: Stage) -> None:
    with stage.application.holding_up("near"):
        stage.dispatcher.carry_out([run_command()])
        stage.dispatcher.carry_out([StopPart(part_id="t1/0", attempt=2)])
    stage.outcome(combine_command())
    assert stage.engine.told == [("submit", "t1/0"), ("stop", "t1/0")]


def test_parts_do_not_wait_for_tasks_that_are_being_cut(stage: Stage) -> None:
    with stage.application.holding_up("away"):
        stage.dispatcher.carry_out([cut_command(AWAY), run_command()])
        stage.outcome(combine_command())
        assert [work.part_id for work in stage.engine.works] == ["t1/0"]
    assert isinstance(stage.inbox.next(lambda event: True), TaskRefused)


def test_what_only_the_planner_and_the_watchers_heed_is_not_acted_on(stage: Stage) -> None:
    told = Notify(
        task_id="t1", subscription_id="med", kind=NoticeKind.AT_RISK, slack_s=-1.0, text=""
    )
    stage.dispatcher.carry_out(
        [DrainNode(node_id="n1", reason=""), UndrainNode(node_id="n1", reason=""), told]
    )
    stage.close()
    assert stage.inbox.rest() == []


def test_closing_gives_up_what_is_being_combined(stage: Stage) -> None:
    stage.application.fate = "hangs"
    before = set(psutil.Process().children(recursive=True))
    stage.dispatcher.carry_out([combine_command()])
    stage.outcome(run_command(view=AWAY))  # The order has gone to the pool by then.
    began = time.monotonic()
    stage.close()
    assert time.monotonic() - began < 10.0
    left = set(psutil.Process().children(recursive=True)) - before
    assert [each for each in left if "forkserver" in " ".join(command_line(each))] == []
    assert not any(isinstance(event, ProductCombined) for event in stage.inbox.rest())


def test_a_pool_replaces_a_process_that_was_killed_between_two_products(tmp_path: Path) -> None:
    pool = CombiningPool(tmp_path)
    order = SmallApplication(tmp_path).product_order(
        Selection(view=VIEW, updates=UPDATES), (), "med-v1-to-u0", "med"
    )
    before = set(psutil.Process().children(recursive=True))
    assert pool.submit(combine, order).result(30.0).digest == "d1"
    (worker,) = set(psutil.Process().children(recursive=True)) - before
    worker.kill()
    worker.wait(10.0)
    # The pool may not have noticed yet when it takes the next order.
    ends = [pool.submit(combine, order).exception(30.0) for _ in range(2)]
    pool.close()
    assert ends[-1] is None
