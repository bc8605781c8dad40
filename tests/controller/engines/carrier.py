"""An engine and its nodes, wired as the service does it, and how the tests watch processes."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil

from controller.engines.dask import DaskEngine
from controller.nodes.process import ProcessNodes, ProcessNodeType
from controller.ports import NodeState, PartWork
from planner.model import Fragment
from tests.controller.engines.inbox import Inbox

WAIT_S_MAX = 60.0
LOCAL = ProcessNodeType(name="local", slots=1, slots_max=4)


def work(
    node_id: str,
    part_id: str,
    extract: Callable[[Any], Fragment],
    order: object = "order",
    *,
    attempt: int = 1,
    limit_s: float = 60.0,
) -> PartWork:
    return PartWork(
        part_id=part_id,
        attempt=attempt,
        node_id=node_id,
        limit_s=limit_s,
        extract=extract,
        order=order,
    )


class Carrier:
    """Opens on construction; `nodes_settings` are those of `ProcessNodes`."""

    def __init__(
        self,
        *,
        lease_s: float = 30.0,
        restarts_max: int = 5,
        orphan_s: float = 300.0,
        **nodes_settings: Any,
    ) -> None:
        self._others = set(psutil.Process().children(recursive=True))
        self._serials = itertools.count(1)
        self.inbox = Inbox()
        self.engine = DaskEngine(
            self.inbox.put,
            lease_s=lease_s,
            restarts_max=restarts_max,
            orphan_s=orphan_s,
            on_hung=self.kill_worker,
        )
        self.nodes = ProcessNodes(self.engine.connection, node_types=[LOCAL], **nodes_settings)

    def kill_worker(self, name: str) -> None:
        self.nodes.kill_worker(name)

    def node(self, workers: int = 1) -> str:
        """Create a node, wait until its workers have joined, and return its id."""
        node_id = f"n{next(self._serials)}"
        self.nodes.create(node_id, "local", workers)
        self.inbox.ready(node_id, workers)
        return node_id

    def delete_nodes(self) -> None:
        """Delete all nodes, and forget what was reported."""
        for listing in self.nodes.list_nodes():
            until(lambda node_id=listing.node_id: self.nodes.delete(node_id))  # type: ignore[misc]
            self.inbox.ready(listing.node_id, 0)
        self.inbox.rest()

    def processes(self) -> list[psutil.Process]:
        """Return all processes that the engine and its nodes have started, and that run."""
        children = psutil.Process().children(recursive=True)
        return [each for each in children if each not in self._others and runs(each)]

    def scheduler(self) -> psutil.Process:
        """Return the scheduler's process, once there is one."""
        give_up_at = time.monotonic() + WAIT_S_MAX
        while time.monotonic() < give_up_at:
            for process in self.processes():
                if "controller.engines.scheduler" in process.cmdline():
                    return process
        raise AssertionError("no scheduler")

    def close(self) -> None:
        self.engine.close()
        self.nodes.close()


def until(condition: Callable[[], object]) -> None:
    """Wait for a condition."""
    give_up_at = time.monotonic() + WAIT_S_MAX
    while not condition():
        assert time.monotonic() < give_up_at
        time.sleep(0.005)


def held(path: Path) -> int:
    """Wait until a part holds this file; return the number of its process."""
    until(path.exists)
    return int(path.read_text())


def runs(process: psutil.Process) -> bool:
    try:
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def break_of(nodes: ProcessNodes, node_id: str) -> str:
    """Wait until a node is broken; return why."""
    give_up_at = time.monotonic() + WAIT_S_MAX
    while time.monotonic() < give_up_at:
        for listing in nodes.list_nodes():
            if listing.node_id == node_id and listing.state is NodeState.BROKEN:
                return listing.reason
        time.sleep(0.02)
    raise AssertionError(f"{node_id} does not break")
