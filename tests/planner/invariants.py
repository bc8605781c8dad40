"""What holds in the planner's books after every event, whatever the world does."""

from __future__ import annotations

import math
from collections import Counter

from planner.backlog import Task
from planner.books import Books
from planner.fleet import Fleet
from planner.lifecycle import NodeState, PartState, TaskState

OPEN_STATES = {TaskState.CUTTING, TaskState.RUNNING, TaskState.COMBINING, TaskState.DELIVERING}


def check_books(books: Books) -> None:
    """Assert that every table of the books agrees with every other."""
    for task in books.backlog.tasks.values():
        check_task(books, task)
    waiting = {task.id for task in books.backlog.tasks.values() if task.waiting}
    assert {entry.task_id for entry in books.backlog.queue} == waiting
    assert len(books.backlog.queue) == len(waiting)
    check_fleet(books)


def check_task(books: Books, task: Task) -> None:
    """Assert that an open task, its parts and its place in the queue tell the same."""
    assert task.state in OPEN_STATES
    in_state = {state: [p for p in task.parts if p.state is state] for state in PartState}
    waiting = in_state[PartState.WAITING]
    assert task.waiting == [
        p.position for p in sorted(waiting, key=lambda p: (p.mean_s, p.position))
    ]
    assert task.unfinished == len(task.parts) - len(in_state[PartState.FINISHED])
    assert (task.state is TaskState.CUTTING) == (not task.parts)
    assert (task.state is TaskState.RUNNING) == (task.unfinished > 0)
    assert (task.product is not None) == (task.state is TaskState.DELIVERING)
    entry = books.backlog.queue.get(task.id)
    if entry is not None:
        assert entry.parts == len(waiting)
        assert math.isclose(entry.mean_s, task.work_s, abs_tol=1e-9)
        assert entry.longest_s == task.parts[task.waiting[-1]].mean_s
        assert entry.due_at == task.due_at


def check_fleet(books: Books) -> None:
    """Assert that nodes hold exactly the parts that run on them, and no node too many."""
    parts = [part for task in books.backlog.tasks.values() for part in task.parts]
    running = [(p.node_id, p.id) for p in parts if p.state is PartState.RUNNING]
    held = [(node.id, part_id) for node in books.fleet.nodes.values() for part_id in node.running]
    assert sorted(held) == sorted(running)
    for node in books.fleet.nodes.values():
        assert node.state is not NodeState.GONE
        assert not (node.running and node.state is NodeState.BOOTING)
    check_rolls(books.fleet)


def check_rolls(fleet: Fleet) -> None:
    """Assert that each roll holds who belongs there, in the order in which they are asked."""
    nodes = list(fleet.nodes.values())
    ready = sorted(fleet.ready_nodes(), key=lambda node: -node.offer.speed)
    assert fleet.free.nodes() == [node for node in ready if node.free_slots > 0]
    assert fleet.full.nodes() == [node for node in ready if len(node.running) == node.joined > 0]
    assert fleet.awaited.nodes() == [
        node
        for node in nodes
        if node.state is NodeState.DRAINING or node.workless_since is not None
    ]
    at = max((node.requested_at for node in nodes), default=0.0)
    assert fleet.view(at) == Fleet(nodes).view(at)
    assert +fleet.standing == Counter(node.offer.node_type for node in nodes)
