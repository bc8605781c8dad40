"""Jobs of a real Slurm as nodes: the contract, workers that join, and what goes wrong."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from controller.engines.dask import DaskEngine
from controller.errors import NodeError, NodeFault
from controller.nodes.opening import NoConnection
from controller.nodes.plugins import NodeType, ProviderStart
from controller.nodes.slurm import SlurmNodes
from controller.nodes.slurm_options import SlurmOptions, SlurmTypeOptions
from controller.nodes.testing import POLL_S, check_node_provider
from controller.ports import NodeListing, NodeState, WorkerConnection
from planner.events import PartFinished
from tests.controller.engines import works
from tests.controller.engines.carrier import held, work
from tests.controller.engines.inbox import Inbox
from tests.fleet.slurm import Bed, slurm

WAIT_S_MAX = 60.0


@pytest.fixture(scope="module")
def bed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bed]:
    with slurm(tmp_path_factory.mktemp("slurm")) as bed:
        yield bed


@pytest.fixture(scope="module")
def inbox() -> Inbox:
    return Inbox()


@pytest.fixture(scope="module")
def engine(inbox: Inbox) -> Iterator[DaskEngine]:
    engine = DaskEngine(inbox.put)
    yield engine
    engine.close()


def job_type(**said: Any) -> NodeType:
    """Return a node type whose jobs have two processors."""
    return NodeType(
        name="small",
        slots=1,
        slots_max=2,
        speed=1.0,
        price_per_h=0.1,
        quantum_s=0.0,
        boot_s=5.0,
        nodes_max=2,
        shared_reads_mb=0.0,
        spot=False,
        options=SlurmTypeOptions(**({"time_limit_min": 10} | said)),
    )


def opened(
    bed: Bed,
    shared: Path,
    connection: WorkerConnection | None = None,
    kind: NodeType | None = None,
    **said: Any,
) -> SlurmNodes:
    """Return a provider, by default of jobs whose workers have no engine to join."""
    given: dict[str, Any] = {
        "folder": str(shared),
        "conf": str(bed.conf),
        "end_s_max": 20.0,
        # Parts are functions of the tests.
        "environment": (f"PYTHONPATH={Path.cwd()}", f"TMPDIR={bed.scratch}"),
    }
    return SlurmNodes(
        ProviderStart(
            name="cluster",
            options=SlurmOptions(**(given | said)),
            node_types=(kind or job_type(),),
            connection=connection or NoConnection(),
            folder=shared,
            reachable_urls=(),
            preload=(),
            orphan_s=300.0,
            service_id="5ea1e55",
        )
    )


@pytest.fixture
def nodes(bed: Bed, tmp_path: Path, engine: DaskEngine) -> Iterator[SlurmNodes]:
    provider = opened(bed, tmp_path, engine.connection)
    yield provider
    provider.close(end=True)
    assert provider.list_nodes() == ()
    assert list(tmp_path.iterdir()) == []
    until(lambda: not list(bed.scratch.iterdir()))


def until(done: Callable[[], bool]) -> None:
    give_up_at = time.monotonic() + WAIT_S_MAX
    while not done():
        assert time.monotonic() < give_up_at
        time.sleep(POLL_S)


def broken(provider: SlurmNodes) -> NodeListing:
    """Wait until the only node is broken, and return its listing."""
    until(lambda: provider.list_nodes()[0].state is NodeState.BROKEN)
    (listing,) = provider.list_nodes()
    return listing


def refusal(call: Callable[[], object]) -> NodeError:
    with pytest.raises(NodeError) as caught:
        call()
    return caught.value


def test_the_contract(bed: Bed, tmp_path: Path, engine: DaskEngine, nodes: SlurmNodes) -> None:
    check_node_provider(nodes, reopen=lambda: opened(bed, tmp_path, engine.connection))


def test_workers_join_grow_and_end_their_parts(
    nodes: SlurmNodes, engine: DaskEngine, inbox: Inbox, tmp_path: Path
) -> None:
    nodes.create("join-1", "small", 1)
    inbox.ready("join-1", 1)
    nodes.resize("join-1", 2)
    inbox.ready("join-1", 2)
    hold = tmp_path.with_name("held")
    engine.submit([work("join-1", "p1", works.hold, hold)])
    held(hold)
    assert nodes.delete("join-1") is False
    inbox.ready("join-1", 0)  # Nobody takes parts any more, but one is at it.
    assert nodes.delete("join-1") is False
    hold.unlink()
    (done,) = inbox.ended(1)
    assert isinstance(done, PartFinished)
    until(lambda: nodes.delete("join-1"))


@pytest.mark.parametrize(
    ("said", "fault", "words"),
    [
        ({"partition": "nowhere"}, NodeFault.OURS, "no partition 'nowhere'"),
        ({"partition": "shut"}, NodeFault.CAPACITY, "is down"),
        ({"constraint": "gpu"}, NodeFault.OURS, "Invalid feature"),
        ({"extra": ("--reservation=nobodys",)}, NodeFault.OURS, "reservation"),
    ],
)
def test_what_a_cluster_has_not_is_refused_and_leaves_nothing(
    bed: Bed, tmp_path: Path, said: dict[str, Any], fault: NodeFault, words: str
) -> None:
    provider = opened(bed, tmp_path, kind=job_type(**said))
    error = refusal(lambda: provider.create("n1", "small", 1))
    assert (error.fault, words in str(error)) == (fault, True), error
    assert provider.list_nodes() == ()


def test_a_job_that_can_never_start_is_broken(bed: Bed, tmp_path: Path) -> None:
    provider = opened(bed, tmp_path, kind=job_type(time_limit_min=600))
    provider.create("n1", "small", 1)
    assert "can never start: Partition" in broken(provider).reason
    provider.close(end=True)


def test_a_worker_that_fails_tells_why_until_its_node_is_deleted(bed: Bed, tmp_path: Path) -> None:
    provider = opened(bed, tmp_path, program="/nowhere/slackwater")
    provider.create("n1", "small", 1)
    reason = broken(provider).reason
    assert "is failed (NonZeroExitCode)" in reason
    assert "/nowhere/slackwater" in reason
    assert broken(opened(bed, tmp_path)).reason == reason
    until(lambda: provider.delete("n1"))
    assert provider.list_nodes() == ()


def test_a_job_that_somebody_cancels_is_broken(nodes: SlurmNodes, bed: Bed, inbox: Inbox) -> None:
    nodes.create("axed", "small", 1)
    inbox.ready("axed", 1)
    bed.ask("scancel", "--name=slackwater:5ea1e55:small:axed")
    assert "cancelled" in broken(nodes).reason or "completing" in broken(nodes).reason


def test_a_controller_that_is_away_loses_no_node(nodes: SlurmNodes, bed: Bed, inbox: Inbox) -> None:
    nodes.create("kept", "small", 1)
    inbox.ready("kept", 1)
    bed.stop("slurmctld")
    try:
        for call in (nodes.list_nodes, nodes.describe, lambda: nodes.create("n2", "small", 1)):
            assert refusal(call).fault is NodeFault.RETRY
    finally:
        bed.start_controller()
    (listing,) = nodes.list_nodes()
    assert (listing.node_id, listing.state) == ("kept", NodeState.RUNNING)


def test_a_cluster_whose_nodes_are_drained_has_no_room(bed: Bed, tmp_path: Path) -> None:
    provider = opened(bed, tmp_path)
    (host,) = bed.ask("sinfo", "--noheader", "--partition=main", "--format=%n").split()
    bed.ask("scontrol", "update", f"nodename={host}", "state=drain", "reason=test")
    try:
        assert provider.describe()[0].nodes_max == 0
        assert refusal(lambda: provider.create("n1", "small", 1)).fault is NodeFault.CAPACITY
    finally:
        bed.ask("scontrol", "update", f"nodename={host}", "state=resume")
    assert provider.describe()[0].nodes_max == 2


def test_the_queue_is_bounded_and_waiting_too(bed: Bed, tmp_path: Path) -> None:
    kind = replace(job_type(extra=("--exclusive",)), nodes_max=9)
    provider = opened(bed, tmp_path, kind=kind, pending_max=1, launch_s_max=0.5)
    blocker = bed.ask(
        "sbatch", "--parsable", "--exclusive", "--output=/dev/null", "--wrap=sleep 60"
    )
    try:
        until(lambda: "RUNNING" in bed.ask("squeue", "--noheader", "--format=%T"))
        provider.create("n1", "small", 1)
        assert refusal(lambda: provider.create("n2", "small", 1)).fault is NodeFault.CAPACITY
        assert provider.describe()[0].nodes_max == 0
        assert "has not started in" in broken(provider).reason
    finally:
        bed.ask("scancel", blocker.strip())
        provider.close(end=True)
