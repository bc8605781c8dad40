"""With an engine at hand, nodes have to be of use: their workers join, and let a part end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from queue import SimpleQueue

import pytest

from controller.engines.dask import DaskEngine
from controller.nodes.process import ProcessNodes, ProcessNodeType
from controller.nodes.testing import PART_S, Level, check_node_provider
from controller.ports import WorkerConnection
from planner.events import AnyEvent
from tests.controller.nodes.connections import Waiting

LOCAL = ProcessNodeType(name="local", slots=2, slots_max=2, nodes_max=2)
Check = Callable[..., None]


@pytest.fixture(scope="module")
def events() -> SimpleQueue[AnyEvent]:
    return SimpleQueue()


@pytest.fixture(scope="module")
def engine(events: SimpleQueue[AnyEvent]) -> Iterator[DaskEngine]:
    engine = DaskEngine(events.put)
    yield engine
    engine.close()


@pytest.fixture
def check(engine: DaskEngine, events: SimpleQueue[AnyEvent], tmp_path: Path) -> Iterator[Check]:
    """Hold nodes on this machine against one level of the contract."""
    opened = []

    def check(
        level: Level,
        *,
        connection: WorkerConnection | None = None,
        end_s_max: float = 10 * PART_S,
        wait_s_max: float = 60.0,
    ) -> None:
        nodes = ProcessNodes(
            connection or engine.connection,
            folder=tmp_path / "nodes",
            node_types=[LOCAL],
            end_s_max=end_s_max,
        )
        opened.append(nodes)
        check_node_provider(
            nodes, engine=engine, events=events, levels=[level], wait_s_max=wait_s_max
        )

    yield check
    for nodes in opened:
        nodes.close()


@pytest.mark.parametrize("level", [Level.JOIN, Level.DRAIN])
def test_nodes_on_this_machine_are_of_use(check: Check, level: Level) -> None:
    check(level)


def test_workers_that_do_not_join_are_told(check: Check) -> None:
    with pytest.raises(AssertionError, match=r"^joins does not hold"):
        check(Level.JOIN, connection=Waiting(), wait_s_max=1.0)


def test_a_part_that_is_not_let_end_is_told(check: Check) -> None:
    with pytest.raises(AssertionError, match=r"^drains does not hold.*AttemptLost"):
        check(Level.DRAIN, end_s_max=PART_S / 10)
